import { Tagged } from '@daruma/protocol'
import type { LuaValue } from '../engine.ts'
import { sessionOf, type Session } from '../session.ts'
import { toData } from '../value.ts'
import { isTable, optional, requireName, requireText } from './support/args.ts'
import {
  actorKey,
  actorObject,
  policyObject,
  requirePolicy,
  scopeKey,
  scopeObject,
  type ActorState,
  type ScopeState,
} from './support/actor.ts'
import { fallible, type LuaModule } from './support/module.ts'
import { evaluate, policyOf } from './support/policy.ts'
import { ask } from './requests.ts'

/** Who this program acts for: from its context, where hosts and callers put it. */
function currentActor(session: Session): ActorState | undefined {
  const value = session.host.context[actorKey]
  return value instanceof Tagged ? (value.value as ActorState) : (value as ActorState | undefined)
}

function currentScope(session: Session): ScopeState | undefined {
  const value = session.host.context[scopeKey]
  return value instanceof Tagged ? (value.value as ScopeState) : (value as ScopeState | undefined)
}

function metaOf(value: LuaValue): Readonly<Record<string, unknown>> {
  if (!isTable(value)) return {}
  const data = toData(value)
  return Array.isArray(data) ? {} : (data as Record<string, unknown>)
}

export const securityModule: LuaModule = {
  name: 'security',
  summary: 'Who acts, and what that one may do.',
  deterministic: false,
  spec: {
    new_actor: (_ctx, [id, meta]) => [actorObject({ id: requireName(id, 'new_actor: id'), meta: metaOf(meta) })],
    new_scope: (_ctx, [policies]) => [
      scopeObject(
        isTable(policies) ? policies.entries().map(([, policy]) => requirePolicy(policy, 'new_scope: policy')) : [],
      ),
    ],
    actor: (ctx) => {
      const actor = currentActor(sessionOf(ctx))
      return [actor === undefined ? undefined : actorObject(actor)]
    },
    scope: (ctx) => {
      const scope = currentScope(sessionOf(ctx))
      return [scope === undefined ? undefined : scopeObject(scope.policies)]
    },
    // Without an actor or a scope nothing is allowed.
    can: (ctx, [action, resource, meta]) => {
      const session = sessionOf(ctx)
      const actor = currentActor(session)
      const scope = currentScope(session)
      if (actor === undefined || scope === undefined) return [false]
      const question = {
        actor,
        action: requireText(action, 'can: action'),
        resource: optional(resource, requireText, 'can: resource') ?? '',
        meta: metaOf(meta),
      }
      return [evaluate(scope.policies, question) === 'allow']
    },
    policy: fallible((ctx, [id]) =>
      ask(sessionOf(ctx), 'security.policy', { id: requireName(id, 'policy: id') }, ({ id: found, data }) => [
        policyObject(policyOf(found, data)),
      ]),
    ),
    named_scope: fallible((ctx, [id]) =>
      ask(sessionOf(ctx), 'security.group', { id: requireName(id, 'named_scope: id') }, (policies) => [
        scopeObject(policies.map(({ id: found, data }) => policyOf(found, data))),
      ]),
    ),
  },
  docs: {
    'security.new_actor(id, meta?) -> actor': '`id()`, `meta()`.',
    'security.new_scope(policies?) -> scope':
      '`policies()`, `with(policy)`, `without(id)`, `contains(id)`, `evaluate(...)`.',
    'security.actor() -> actor | nil, scope() -> scope | nil': 'The current ones.',
    'security.can(action, resource, meta?) -> boolean': 'Deny wins; nothing said is no.',
    'security.policy(id) -> policy | nil, error':
      '`id()`, `evaluate(actor, action, resource, meta?)`: "allow", "deny", "undefined".',
    'security.named_scope(id) -> scope | nil, error': 'All policies of a group.',
  },
}

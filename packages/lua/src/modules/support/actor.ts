import { Tagged } from '@daruma/protocol'
import type { LuaValue } from '../../engine.ts'
import { HostObject, hostClass, toData } from '../../value.ts'
import { invalid, isTable, requireText, typeName } from './args.ts'
import { evaluate, type Policy } from './policy.ts'

/** Who acts: an id, and what policies may ask about. */
export interface ActorState {
  readonly id: string
  readonly meta: Readonly<Record<string, unknown>>
}

export interface ScopeState {
  readonly policies: readonly Policy[]
}

export type Actor = HostObject<ActorState>
export type Scope = HostObject<ScopeState>

export const actorTag = 'lua.actor'
export const scopeTag = 'lua.scope'

/** Keys of the call context under which the two travel. `ctx.all()` does not show keys that start with "@". */
export const actorKey = '@actor'
export const scopeKey = '@scope'

export const actorClass = hostClass<ActorState>({
  name: 'actor',
  methods: { id: (self) => [self.state.id], meta: (self) => [self.state.meta] },
  tostring: (self) => `actor(${self.state.id})`,
  toData: (self) => new Tagged(actorTag, self.state),
})

export const policyClass = hostClass<Policy>({
  name: 'policy',
  methods: {
    id: (self) => [self.state.id],
    evaluate: (self, _ctx, [actor, action, resource, meta]) => [
      evaluate([self.state], question(actor, action, resource, meta)),
    ],
  },
  tostring: (self) => `policy(${self.state.id})`,
})

export const scopeClass = hostClass<ScopeState>({
  name: 'scope',
  methods: {
    policies: (self) => [self.state.policies.map(policyObject)],
    with: (self, _ctx, [policy]) => {
      const added = requirePolicy(policy, 'with: policy')
      return [scopeObject([...self.state.policies.filter(({ id }) => id !== added.id), added])]
    },
    without: (self, _ctx, [policy]) => {
      const id = policyId(policy, 'without: policy')
      return [scopeObject(self.state.policies.filter((each) => each.id !== id))]
    },
    contains: (self, _ctx, [policy]) => {
      const id = policyId(policy, 'contains: policy')
      return [self.state.policies.some((each) => each.id === id)]
    },
    evaluate: (self, _ctx, [actor, action, resource, meta]) => [
      evaluate(self.state.policies, question(actor, action, resource, meta)),
    ],
  },
  tostring: (self) => `scope(${self.state.policies.map(({ id }) => id).join(', ')})`,
  toData: (self) => new Tagged(scopeTag, self.state),
})

export const actorObject = (state: ActorState): Actor => new HostObject(actorClass, state)
export const scopeObject = (policies: readonly Policy[]): Scope => new HostObject(scopeClass, { policies })
export const policyObject = (policy: Policy): HostObject<Policy> => new HostObject(policyClass, policy)

export const reviveActor = (data: unknown): Actor => actorObject(data as ActorState)
export const reviveScope = (data: unknown): Scope => scopeObject((data as ScopeState).policies)

export function requireActor(value: LuaValue, what: string): Actor {
  if (!HostObject.is(value, actorClass)) throw invalid(`${what}: expected actor, got ${typeName(value)}`)
  return value
}

export function requireScope(value: LuaValue, what: string): Scope {
  if (!HostObject.is(value, scopeClass)) throw invalid(`${what}: expected scope, got ${typeName(value)}`)
  return value
}

export function requirePolicy(value: LuaValue, what: string): Policy {
  if (!HostObject.is(value, policyClass)) throw invalid(`${what}: expected policy, got ${typeName(value)}`)
  return value.state
}

const policyId = (value: LuaValue, what: string): string =>
  HostObject.is(value, policyClass) ? value.state.id : requireText(value, what)

function question(
  actor: LuaValue,
  action: LuaValue,
  resource: LuaValue,
  meta: LuaValue,
): Parameters<typeof evaluate>[1] {
  return {
    actor: actor === undefined ? undefined : requireActor(actor, 'evaluate: actor').state,
    action: requireText(action, 'evaluate: action'),
    resource: requireText(resource, 'evaluate: resource'),
    meta: isTable(meta) ? (toData(meta) as Record<string, unknown>) : {},
  }
}

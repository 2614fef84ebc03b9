import { AppError, entryNamespace } from '@daruma/protocol'
import { resolveId, viewOf, type Entry, type Registry, type SecurityBlock } from '@daruma/registry'
import { actorKey, policyOf, scopeKey } from '@daruma/lua/internal'
import type { NodeParts } from '../parts.ts'
import type { RequestHandlers } from './table.ts'

const policyKinds = ['security.policy', 'security.policy.expr'] as const

export function securityRequests({ registry }: Pick<NodeParts, 'registry'>): RequestHandlers {
  return {
    'security.policy': ({ id }) => readPolicy(registry, id),
    'security.group': ({ id }) => readGroup(registry, id),
  }
}

/**
 * The context values under which programs act as `security` says: its actor, and a scope of its policies and groups.
 *
 * @throws AppError not_found - no such policy or group; unavailable - a policy that cannot be judged here
 */
export function actingAs(registry: Registry, security: SecurityBlock | undefined): Readonly<Record<string, unknown>> {
  if (security === undefined) return {}
  const found = [
    ...security.policies.map((id) => readPolicy(registry, id)),
    ...security.groups.flatMap((group) => readGroup(registry, group)),
  ]
  const policies = new Map(found.map(({ id, data }) => [id, policyOf(id, data)]))
  return {
    ...(security.actor === undefined ? {} : { [actorKey]: security.actor }),
    ...(policies.size === 0 ? {} : { [scopeKey]: { policies: [...policies.values()] } }),
  }
}

function readPolicy(registry: Registry, id: string): { id: string; data: unknown } {
  const entry = registry.get(id)
  if (entry === undefined || !isPolicy(entry)) {
    const found = entry === undefined ? '' : `; it is a ${entry.kind}`
    throw new AppError('not_found', `no security policy ${id}${found}`, undefined, { retryable: false })
  }
  return judgeable(entry)
}

/** A group is whatever policies name it: its full name, or the bare one that policies of several namespaces write. */
function readGroup(registry: Registry, group: string): readonly { id: string; data: unknown }[] {
  const members = registry.entries().filter((entry) => {
    if (!isPolicy(entry)) return false
    const { groups } = viewOf(entry, ...policyKinds)
    return groups.some((written) => written === group || resolveId(written, entryNamespace(entry.id)) === group)
  })
  if (members.length > 0) return members.map(judgeable)
  throw new AppError('not_found', `no security policy belongs to the group ${group}`, undefined, { retryable: false })
}

const isPolicy = (entry: Entry): boolean => (policyKinds as readonly string[]).includes(entry.kind)

/** An expression that nobody evaluates would make its policy apply always: better none than that. */
function judgeable(entry: Entry): { id: string; data: unknown } {
  if (entry.kind === 'security.policy') return { id: entry.id, data: entry.data }
  throw new AppError(
    'unavailable',
    `${entry.id} is a ${entry.kind}: this node does not evaluate expressions; write its conditions as security.policy`,
    undefined,
    { retryable: false },
  )
}

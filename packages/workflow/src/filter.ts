import type { Description } from './head.ts'
import { sameValue } from './mismatch.ts'

/** Which workflows a list shows: those that meet all that is given. */
export interface ListFilter {
  readonly status?: Description['status']
  readonly type?: string
  /** Begins with it. */
  readonly idPrefix?: string
  readonly startedFromMs?: number
  readonly startedBeforeMs?: number
  /** Search attributes that equal these values, or lists that contain them. */
  readonly attributes?: Readonly<Record<string, unknown>>
}

export function matchesFilter(found: Description, filter: ListFilter): boolean {
  const { status, type, idPrefix, startedFromMs, startedBeforeMs, attributes } = filter
  if (status !== undefined && found.status !== status) return false
  if (type !== undefined && found.type !== type) return false
  if (idPrefix !== undefined && !found.workflowId.startsWith(idPrefix)) return false
  if (startedFromMs !== undefined && found.startedAtMs < startedFromMs) return false
  if (startedBeforeMs !== undefined && found.startedAtMs >= startedBeforeMs) return false
  return Object.entries(attributes ?? {}).every(([name, wanted]) => {
    const value = found.searchAttributes[name]
    return Array.isArray(value) ? value.some((item) => sameValue(item, wanted)) : sameValue(value, wanted)
  })
}

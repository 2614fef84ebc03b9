import { callOptions } from '@daruma/lua/internal'
import type { RetryPolicy } from '@daruma/protocol'
import { viewOf, type Entry, type FunctionLua } from '@daruma/registry'

/** What an entry says of its own calls, for callers that say nothing: `meta.options`, and its pool. */
export interface CallDefaults {
  readonly timeoutMs: number | undefined
  readonly retry: RetryPolicy | undefined
  /** Undefined: every call at once. */
  readonly pool: FunctionLua['pool'] | undefined
}

/** @throws AppError invalid - an option that is not of its type */
export function callDefaults(entry: Entry): CallDefaults {
  const view = viewOf(entry, 'function.lua', 'process.lua')
  const { startToCloseMs, retry } = callOptions(view.options)
  const pool = 'pool' in view && isLimited(view.pool) ? view.pool : undefined
  return { timeoutMs: startToCloseMs, retry, pool }
}

/** `workers` or `max_size` alone say what is meant: a type need not be given. */
function isLimited({ type, workers, maxSize, size }: FunctionLua['pool']): boolean {
  return (workers ?? maxSize ?? (type === 'inline' ? undefined : size)) !== undefined
}

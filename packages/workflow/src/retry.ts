import type { CallOptions, RetryPolicy, WireError } from '@daruma/protocol'

export const retryDefaults = {
  initialIntervalMs: 1_000,
  backoffCoefficient: 2,
  maximumIntervalMs: 100_000,
  maximumAttempts: 0,
} as const

export const startToCloseDefaultMs = 600_000

/** What becomes of a call whose attempt failed. */
export type RetryDecision =
  { readonly kind: 'retry'; readonly delayMs: number } | { readonly kind: 'give_up'; readonly error: WireError }

/**
 * Pure. An error that says it is not retryable never is. With a policy of the caller, every other error is retried by
 * it; without one, only an error that says it is retryable, by the defaults (1s doubling to 100s, no limit of attempts).
 *
 * @param elapsedMs since the call was scheduled; with the next delay it must stay within `scheduleToCloseMs`.
 */
export function decideRetry(
  options: CallOptions | undefined,
  attempt: number,
  error: WireError,
  elapsedMs: number,
): RetryDecision {
  const giveUp: RetryDecision = { kind: 'give_up', error }
  const policy = options?.retry
  if (error.retryable === false || error.kind === 'canceled') return giveUp
  // A function that is not there is not waited for, unless the caller's policy says so.
  if (policy === undefined && (error.retryable !== true || error.kind === 'not_found')) return giveUp
  if (policy?.nonRetryableKinds?.includes(error.kind) === true) return giveUp
  const maximumAttempts = policy?.maximumAttempts ?? retryDefaults.maximumAttempts
  if (maximumAttempts > 0 && attempt >= maximumAttempts) return giveUp
  const delayMs = retryDelayMs(policy, attempt)
  const limitMs = options?.scheduleToCloseMs
  if (limitMs !== undefined && elapsedMs + delayMs >= limitMs) return giveUp
  return { kind: 'retry', delayMs }
}

/** The wait after failed attempt number `attempt`, counted from 1. */
export function retryDelayMs(policy: RetryPolicy | undefined, attempt: number): number {
  const initialMs = policy?.initialIntervalMs ?? retryDefaults.initialIntervalMs
  const coefficient = policy?.backoffCoefficient ?? retryDefaults.backoffCoefficient
  const maximumMs = policy?.maximumIntervalMs ?? Math.max(retryDefaults.maximumIntervalMs, initialMs)
  return Math.min(initialMs * coefficient ** (attempt - 1), maximumMs)
}

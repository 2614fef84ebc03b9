import type { ExitReason, Rng } from '@daruma/protocol'
import { isQuiet } from '@daruma/protocol'
import type { ShutdownMs } from './child-spec.ts'
import { backoffDelayMs } from './restart.ts'
import type { Child } from './table.ts'

/** Moves the child one step on in its backoff: milliseconds to wait, in whole ones. 0 without a backoff: at once. */
export function nextDelayMs(child: Child, rng: Rng): number {
  const { backoff } = child.spec
  if (backoff === undefined) return 0
  child.attempt++
  return Math.round(backoffDelayMs(backoff, child.attempt, rng.next()))
}

/** Used up the restarts in a row that its backoff allows. */
export function isExhausted({ spec: { backoff }, attempt }: Child): boolean {
  return backoff !== undefined && backoff.maxAttempts > 0 && attempt >= backoff.maxAttempts
}

/** A test of the user's that throws must not take the supervisor with it: the reason then counts as any other. */
export function isTerminal({ spec }: Child, reason: ExitReason): boolean {
  if (spec.isTerminal === undefined) return false
  try {
    return spec.isTerminal(reason)
  } catch {
    return false
  }
}

/** Whether a child that was told to stop ended another way than that (rule 47). */
export function isWrongStop(shutdownMs: ShutdownMs, isPermanent: boolean, reason: ExitReason): boolean {
  const isAsked =
    shutdownMs === 'brutal_kill' ? reason.kind === 'killed' : reason.kind === 'shutdown' && reason.detail === undefined
  return !isAsked && (isPermanent || !isQuiet(reason))
}

export function isWrongEnd({ spec }: Child, reason: ExitReason): boolean {
  return isWrongStop(spec.shutdownMs, spec.restart === 'permanent', reason)
}

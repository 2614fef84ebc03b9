import type { ProgramEnd, Started } from './events.ts'
import { parseCron } from './cron.ts'
import { decideRetry } from './retry.ts'

/** The run that follows one which its program ended. */
export interface Successor {
  readonly notBeforeMs: number
  readonly attempt: number
}

/**
 * Pure: whether another run follows, by the workflow's own retry policy (a failure), or by its cron line (any end but a
 * cancellation; ticks that passed while the run took its time are skipped). Undefined: it is over.
 */
export function decideSuccessor(started: Started, end: ProgramEnd, nowMs: number): Successor | undefined {
  if (end.kind !== 'completed' && end.kind !== 'failed') return undefined
  const deadlineMs = started.executionDeadlineMs ?? Infinity
  if (end.kind === 'failed' && started.retry !== undefined) {
    const attempt = started.attempt ?? 1
    const decision = decideRetry({ retry: started.retry }, attempt, end.error, 0)
    if (decision.kind === 'retry' && nowMs + decision.delayMs < deadlineMs) {
      return { notBeforeMs: nowMs + decision.delayMs, attempt: attempt + 1 }
    }
  }
  if (started.cron === undefined) return undefined
  const notBeforeMs = parseCron(started.cron, started.timeZone).next(nowMs)
  return notBeforeMs === undefined || notBeforeMs >= deadlineMs ? undefined : { notBeforeMs, attempt: 1 }
}

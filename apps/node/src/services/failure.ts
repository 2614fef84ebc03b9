import { AppError, describeReason, exitKilled, fromWire, toWire, unreachable, type ExitReason } from '@daruma/protocol'
import type { Failure } from '../service-lifecycle.ts'

/** What a thrown value means for restarts: cancelled and not retryable ones end them; undecided ones do not. */
export function failureOf(thrown: unknown): Failure {
  const { kind, message, retryable } = toWire(thrown)
  return { reason: `${kind}: ${message}`, isFinal: retryable === false || kind === 'canceled' }
}

/**
 * The error in an end, or undefined for a good one: `normal`, and `shutdown`, which is how a process ends that was asked
 * to. A process that was killed was so by somebody's order, so that its error is final.
 */
export function errorOfExit(reason: ExitReason): AppError | undefined {
  switch (reason.kind) {
    case 'normal':
    case 'shutdown':
      return undefined
    case 'kill':
    case 'killed':
      return new AppError('canceled', `process was ${describeReason(exitKilled)}`, undefined, { retryable: false })
    case 'error':
      return fromWire(reason.error)
    case 'noproc':
    case 'noconnection':
      return new AppError('unavailable', `process was lost: ${describeReason(reason)}`, undefined, { retryable: true })
    case 'custom':
      return new AppError('unknown', describeReason(reason), { reason: reason.value })
    default:
      return unreachable(reason)
  }
}

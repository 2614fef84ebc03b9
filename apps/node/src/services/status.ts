import { formatDurationMs } from '@daruma/protocol'
import type { ServiceState } from '../service-lifecycle.ts'

/** One service as `daruma ps` shows it. Plain data. Instants are wall time in milliseconds. */
export interface ServiceStatus {
  readonly id: string
  readonly kind: string
  readonly state: ServiceState
  /** When it came into this state. */
  readonly sinceMs: number
  /** Restarts in the current series; 0 again after a stable run. */
  readonly restarts: number
  /** How its last start, run or stop went wrong, or why it does not start. */
  readonly lastReason?: string
  /** When it is started again. Absent: not by itself. In the past: as soon as `waitsFor` runs. */
  readonly nextAttemptMs?: number
  /** It is to run, but this service, which it requires, does not. */
  readonly waitsFor?: string
  /** Ended by itself, and well. */
  readonly finished?: true
  /** Its process, while it runs. */
  readonly pid?: string
}

/** How a start or a stop of services went. */
export interface Report {
  /** All of them are as they were asked to be: running, or finished; stopped without being killed. */
  readonly ok: boolean
  /** All that were concerned: in start order after a start, in stop order after a stop. */
  readonly services: readonly ServiceStatus[]
  /** One sentence for each that is not as asked. */
  readonly problems: readonly string[]
  readonly tookMs: number
}

/** What is wrong with a service that was to run; undefined: nothing. */
export function startProblem(status: ServiceStatus, nowMs: number): string | undefined {
  const { id, state, lastReason, nextAttemptMs, restarts } = status
  if (state === 'running' || status.finished === true) return undefined
  if (status.waitsFor !== undefined) return `${id} does not start: ${lastReason}`
  const why = lastReason === undefined ? '' : `: ${lastReason}`
  if (state !== 'failed') return `${id} is ${state}${why}`
  if (nextAttemptMs === undefined) return `${id} failed, given up after ${countOf(restarts)}${why}`
  return `${id} failed, next attempt in ${formatDurationMs(Math.max(nextAttemptMs - nowMs, 0))}${why}`
}

/** What went wrong with a service that was to stop; undefined: nothing. */
export function stopProblem(status: ServiceStatus, wasKilled: boolean): string | undefined {
  if (status.state !== 'stopped') return undefined
  return wasKilled ? `${status.id} was ${status.lastReason}` : undefined
}

/** Why another one that requires this service cannot start. */
export function whyRequired({ id, state, lastReason }: ServiceStatus): string {
  if (state === 'starting' || state === 'stopping') return `requires ${id}, which is ${state}`
  const did = state === 'unknown' ? 'was not started' : state === 'stopped' ? 'is stopped' : state
  return `requires ${id}, which ${did}${lastReason === undefined ? '' : ` (${lastReason})`}`
}

const countOf = (restarts: number): string => (restarts === 1 ? '1 restart' : `${restarts} restarts`)

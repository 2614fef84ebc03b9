import type { ActorSystem } from '@daruma/actors'
import type { ExitReason, LogLevel, Pid } from '@daruma/protocol'
import { describeReason, formatDurationMs } from '@daruma/protocol'

/**
 * progress: a child runs for the first time, or again by request. crash: a child ended and was not meant to.
 * restart: it runs again. start_error: its start failed. shutdown_error: it ended another way than it was told to.
 * exhausted: it will not be restarted (backoff's `maxAttempts`, or a terminal reason). escalation: too many restarts,
 * the supervisor gives up. auto_shutdown: the supervisor ends since significant children did. unexpected: a message or
 * exit signal that is nobody's business here, and was dropped.
 */
export type ReportKind =
  | 'progress'
  | 'crash'
  | 'restart'
  | 'start_error'
  | 'shutdown_error'
  | 'exhausted'
  | 'escalation'
  | 'auto_shutdown'
  | 'unexpected'

/** What a supervisor has to say of one child, as plain data. */
export interface ChildReport {
  readonly kind: ReportKind
  /** Id of the child; undefined for `unexpected`. */
  readonly child: string | undefined
  /** The process that is meant; undefined where none came to be. */
  readonly pid: Pid | undefined
  readonly reason: ExitReason | undefined
  /** Restarts of the whole supervisor in its current window, this one included. */
  readonly restartsInWindow: number
  /** Milliseconds until the next attempt; 0: at once; undefined: there will be none, or there need not be. */
  readonly nextDelayMs: number | undefined
  /** How many children this one report stands for, where many were stopped at once. Absent: one. */
  readonly count?: number
}

export interface SupervisorReport extends ChildReport {
  readonly supervisor: Pid
  /** The supervisor's registered name, else its label. */
  readonly name: string
  readonly atWallMs: number
}

const levels: Readonly<Record<ReportKind, LogLevel>> = {
  progress: 'debug',
  restart: 'info',
  auto_shutdown: 'info',
  unexpected: 'warn',
  crash: 'warn',
  start_error: 'error',
  shutdown_error: 'error',
  exhausted: 'error',
  escalation: 'error',
}

export function reportLevel(report: ChildReport): LogLevel {
  return levels[report.kind]
}

/** Calls `tell` with every report of every supervisor of this system from now on. Returns the way out. */
export function onReport(system: ActorSystem, tell: (report: SupervisorReport) => void): () => void {
  return system.events.subscribe((event) => {
    if (event.kind === 'report' && event.topic === 'supervisor') tell(event.data as SupervisorReport)
  })
}

/** One line for people: `crash of counter: internal: boom (restart 2 in the window, again in 1s)`. */
export function describeReport(report: ChildReport): string {
  const what = report.kind.replace('_', ' ')
  const who = report.child === undefined ? '' : ` of ${report.child}`
  const why = report.reason === undefined ? '' : `: ${describeReason(report.reason)}`
  return `${what}${who}${why}${outlook(report)}`
}

function outlook({ kind, restartsInWindow, nextDelayMs }: ChildReport): string {
  if (kind !== 'crash' && kind !== 'start_error' && kind !== 'escalation') return ''
  const count = `${restartsInWindow} in the window`
  if (nextDelayMs === undefined) return ` (${count}, not again)`
  return nextDelayMs === 0 ? ` (${count}, again at once)` : ` (${count}, again in ${formatDurationMs(nextDelayMs)})`
}

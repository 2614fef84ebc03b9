import type { ExitReason, Pid } from '@daruma/protocol'
import type { FullChildSpec, ShutdownMs, SupervisorFlags } from './child-spec.ts'
import type { ChildReport } from './report.ts'
import type { Child, Retry } from './table.ts'
import type { SpecProblem } from './validate-spec.ts'

/** What a deciding supervisor is told. */
export type Event =
  /** Start all children. Once, first. */
  | { readonly kind: 'open' }
  /** A process was born for the child; its `init` is not acknowledged yet. */
  | { readonly kind: 'spawned'; readonly child: Child; readonly pid: Pid }
  | { readonly kind: 'started'; readonly child: Child; readonly pid: Pid }
  | { readonly kind: 'start_failed'; readonly child: Child; readonly reason: ExitReason }
  | { readonly kind: 'start_ignored'; readonly child: Child }
  /** A process has ended: by its link, or by the monitor that stopping sets. */
  | { readonly kind: 'ended'; readonly pid: Pid; readonly reason: ExitReason }
  /** The time for a graceful end is over. */
  | { readonly kind: 'deadline'; readonly child: Child; readonly pid: Pid }
  | { readonly kind: 'retry'; readonly child: Child; readonly retry: Retry }
  | { readonly kind: 'request'; readonly request: Request; readonly to: ReplyTo }
  /** Stop all children, then end with `reason`. */
  | { readonly kind: 'close'; readonly reason: ExitReason }
  /** Its own: a child's end that had to wait. */
  | { readonly kind: 'judge'; readonly child: Child }

/** What a deciding supervisor wants done. Each is done once, in order. */
export type Effect =
  /** Answered by spawned, then started, start_failed or start_ignored. */
  | { readonly kind: 'start'; readonly child: Child }
  /** Kill a process that is between spawned and started. Answered as the start would have been. */
  | { readonly kind: 'abort_start'; readonly child: Child }
  /** Monitor, then the exit signal; answered by ended, and by deadline if that comes first. */
  | { readonly kind: 'stop'; readonly child: Child; readonly pid: Pid; readonly shutdownMs: ShutdownMs }
  | { readonly kind: 'kill'; readonly pid: Pid }
  /** Answered by retry, `retry.delayMs` later, through the mailbox: 0 means behind what waits there already. */
  | { readonly kind: 'arm_retry'; readonly child: Child; readonly retry: Retry }
  | { readonly kind: 'disarm_retry'; readonly retry: Retry }
  | { readonly kind: 'reply'; readonly to: ReplyTo; readonly reply: Reply }
  | { readonly kind: 'report'; readonly report: ChildReport }
  /** All children are up: the supervisor's own start is done. */
  | { readonly kind: 'opened' }
  /** Nothing is left to stop. `opening`: its own start has failed. */
  | { readonly kind: 'exit'; readonly reason: ExitReason; readonly opening: boolean }

/** Whom a request came from, in the words of whoever performs. */
export type ReplyTo = unknown

export type Request =
  | { readonly kind: 'start_child'; readonly spec: FullChildSpec }
  | { readonly kind: 'terminate_child'; readonly id: string }
  | { readonly kind: 'restart_child'; readonly id: string }
  | { readonly kind: 'delete_child'; readonly id: string }
  | { readonly kind: 'change_spec'; readonly flags: SupervisorFlags; readonly children: readonly FullChildSpec[] }

/** `pid` is undefined when the child's `init` chose to be ignored. */
export type StartChildReply =
  | { readonly kind: 'started'; readonly pid: Pid | undefined }
  | { readonly kind: 'already_started'; readonly pid: Pid }
  | { readonly kind: 'already_present' }
  | { readonly kind: 'max_children'; readonly limit: number }
  | { readonly kind: 'failed'; readonly reason: ExitReason }
  | { readonly kind: 'invalid'; readonly problems: readonly SpecProblem[] }

export type TerminateChildReply = { readonly kind: 'ok' } | { readonly kind: 'not_found' }

export type RestartChildReply =
  | { readonly kind: 'started'; readonly pid: Pid | undefined }
  | { readonly kind: 'running' }
  | { readonly kind: 'restarting' }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'failed'; readonly reason: ExitReason }

export type DeleteChildReply =
  | { readonly kind: 'ok' }
  | { readonly kind: 'running' }
  | { readonly kind: 'restarting' }
  | { readonly kind: 'not_found' }

export type ChangeSpecReply =
  { readonly kind: 'ok' } | { readonly kind: 'invalid'; readonly problems: readonly SpecProblem[] }

export type Reply = StartChildReply | TerminateChildReply | RestartChildReply | DeleteChildReply | ChangeSpecReply

/**
 * The one thing a supervisor is busy with: stop these, last first, one at a time; then start those, first first, one
 * at a time; then do what it was for.
 */
export interface Activity {
  readonly purpose: Purpose
  /** In start order; taken from the end. */
  stops: Child[]
  /** In start order. */
  starts: Child[]
  /** How many of `starts` were begun. */
  begun: number
  /** The child whose end or start is awaited. */
  current: Child | undefined
}

export type Purpose =
  | { readonly kind: 'open' }
  /** A child did not start: the others go, then the supervisor. */
  | { readonly kind: 'fail_open'; readonly reason: ExitReason }
  /** `retry`: start the group later rather than now. */
  | { readonly kind: 'restart'; readonly pivot: Child; retry: Retry | undefined }
  | { readonly kind: 'start_child'; readonly child: Child; readonly to: ReplyTo }
  | { readonly kind: 'terminate_child'; readonly child: Child; readonly to: ReplyTo }
  | { readonly kind: 'restart_child'; readonly child: Child; readonly to: ReplyTo }
  | { readonly kind: 'close'; readonly reason: ExitReason; readonly opening: boolean }

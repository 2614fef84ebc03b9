import type {
  Command,
  IdReusePolicy,
  MessageEvent,
  Outcome,
  ParentClosePolicy,
  Pid,
  RetryPolicy,
  WireError,
} from '@daruma/protocol'

/**
 * The facts of one workflow, in the order in which its partition took them. This union is a format: journals written
 * with it are read for ever, so fields are added, never given another meaning, and `journalVersion` grows when an old
 * reader could no longer understand a new journal. docs/log-format.md tells the versions apart.
 */
export const journalVersion = 2

export type JournalEvent = Started | Turn | Queued | AttemptFailed | Settled | Watched | Closed

/** A run was accepted. First event of each run. */
export interface Started {
  readonly kind: 'started'
  readonly atMs: number
  readonly run: number
  /** The run before went on as this one. */
  readonly continued?: boolean
  /** It begins with the first turns of an earlier run, whose pending children it takes over. */
  readonly resetOf?: { readonly run: number; readonly turns: number }
  /** Registry id of the program. */
  readonly type: string
  readonly args: readonly unknown[]
  /** Everything random in the run grows from it. */
  readonly seed: string
  /** Engine behaviour that the run was begun under; see gates.ts. */
  readonly gates: number
  /** The caller's own id of the start: the same one again is the same start. */
  readonly requestId?: string
  readonly parent?: ParentLink
  readonly context?: Readonly<Record<string, unknown>>
  readonly memo?: Readonly<Record<string, unknown>>
  readonly searchAttributes?: Readonly<Record<string, unknown>>
  readonly idReuse?: IdReusePolicy
  /** Instants, not durations: G6. */
  readonly notBeforeMs?: number
  readonly runDeadlineMs?: number
  readonly executionDeadlineMs?: number
  readonly retry?: RetryPolicy
  /** Of the workflow, by its own retry policy; absent: the first. */
  readonly attempt?: number
  readonly cron?: string
  readonly timeZone?: string
  /** Given with the start, or unread by the run before: they come before anything sent later. */
  readonly messages?: readonly MessageWake[]
  /** Ids of the messages that the runs before took last, so that one of them that is sent again is dropped (G5). */
  readonly seen?: readonly string[]
}

export interface ParentLink {
  readonly pid: Pid
  readonly run: number
  /** The parent's command that asked for this child. */
  readonly id: number
  readonly closePolicy: ParentClosePolicy
}

/**
 * One run of the program from wake to idle, with what it asked: one entry, so that a chain of n activities costs
 * n + O(1) entries.
 */
export interface Turn {
  readonly kind: 'turn'
  /** What `now` answered throughout the turn. Never goes back within a run. */
  readonly atMs: number
  readonly wake: Wake
  readonly commands: readonly RecordedCommand[]
  readonly end?: ProgramEnd
}

export type Wake =
  | { readonly kind: 'start' }
  | { readonly kind: 'completed'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WireError }
  | MessageWake
  /** The end of the child that command `id` spawned. */
  | { readonly kind: 'exit'; readonly id: number; readonly from: Pid; readonly result: Outcome }
  | { readonly kind: 'cancel'; readonly from: Pid | undefined; readonly reason: string | undefined }
  /** Accepted by the program's validator; the id counts once in a run. */
  | { readonly kind: 'update'; readonly updateId: string; readonly name: string; readonly args: readonly unknown[] }
  /** The event that was queued as number `index` of the run (startup messages come first), counted from 0. */
  | { readonly kind: 'queued'; readonly index: number }

export interface MessageWake extends MessageEvent {
  /** The sender's id of the message; the same one again is dropped. */
  readonly messageId?: string
}

export interface RecordedCommand {
  /** Counts up from 1 in a run; 0 for `version`, which may come and go without moving the others. */
  readonly id: number
  readonly command: Command
  /** sleep: the instant. */
  readonly fireAtMs?: number
  /** spawn, exec: the child. */
  readonly child?: Pid
  /** version: the answer. */
  readonly answer?: number
}

/** Taken, not yet given to the program: it is not running (stuck, or its code is not here). */
export interface Queued {
  readonly kind: 'queued'
  readonly atMs: number
  readonly wake: Exclude<Wake, { kind: 'start' } | { kind: 'queued' }>
}

/** An attempt of a call failed and another will follow, not before `nextAtMs`. */
export interface AttemptFailed {
  readonly kind: 'attempt_failed'
  readonly atMs: number
  readonly id: number
  /** The attempt that failed, from 1. */
  readonly attempt: number
  readonly error: WireError
  readonly nextAtMs: number
  readonly heartbeat?: unknown
}

/** What leaves the workflow and answers nothing to it (sends, exits, notices) reached its target: not to be repeated. */
export interface Settled {
  readonly kind: 'settled'
  /** Keys of outgoing effects; see head.ts. */
  readonly keys: readonly string[]
}

/** Another workflow's start met this one and waits for its end like a parent, without its close policy. */
export interface Watched {
  readonly kind: 'watched'
  readonly watcher: ParentLink
}

/** An end that the engine decided, without the program. */
export interface Closed {
  readonly kind: 'closed'
  readonly atMs: number
  readonly end: EngineEnd
}

export type ProgramEnd =
  /** `next`: of this run only. Another follows, by cron or by the workflow's retry policy, right behind in the same commit. */
  | { readonly kind: 'completed'; readonly value: unknown; readonly next?: true }
  | { readonly kind: 'failed'; readonly error: WireError; readonly next?: true }
  | { readonly kind: 'canceled'; readonly error: WireError }
  /** Goes on as a new run, which stands right behind in the same commit. */
  | { readonly kind: 'continued' }

export type EngineEnd =
  /** Only where the run could not be recorded: an entry beyond the size that the log takes. */
  | { readonly kind: 'failed'; readonly error: WireError }
  /** Before its code ran. */
  | { readonly kind: 'canceled'; readonly error: WireError }
  | { readonly kind: 'terminated'; readonly error: WireError }
  | { readonly kind: 'timed_out'; readonly error: WireError }

export type End = ProgramEnd | EngineEnd

/** True for the end of a run that is not the end of its workflow. */
export function isFollowed(end: End): boolean {
  return end.kind === 'continued' || ('next' in end && end.next === true)
}

/** What an end means to whoever waits for it. */
export function outcomeOf(end: Exclude<End, { kind: 'continued' }>): Outcome {
  return end.kind === 'completed' ? { value: end.value } : { error: end.error }
}

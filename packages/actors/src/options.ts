import type { ExitReason, Home, Pid } from '@daruma/protocol'
import type { Actor } from './actor.ts'

/** What happens to a user's message when the mailbox holds `limit` of them. Notices always get in. STABLE. */
export interface MailboxOptions {
  readonly limit: number
  /** `reject` (default): the sender gets a `MailboxFull`. The others drop one, and report it as a dead letter. */
  readonly overflow?: 'reject' | 'drop_oldest' | 'drop_newest'
}

/** How a process is to live. STABLE. */
export interface ProcessOptions {
  /** Registered before the process runs. Taken: `spawn` throws already_exists with the holder in its details. */
  readonly name?: string
  /** For people, instead of the behavior's own name. */
  readonly label?: string
  /** Links with the spawning process, atomically (rule 18). Only where there is one: `ctx.spawn`. */
  readonly link?: boolean
  readonly mailbox?: MailboxOptions
  /** Exits are trapped from the first moment. */
  readonly trapExits?: boolean
  /** How long a `terminate` that awaits may take. Default 5_000. */
  readonly terminateMs?: number
  /**
   * Hibernates when no message has come for so long. Default: never by itself.
   * @throws AppError invalid - straight-line code has its state in variables, and nothing can make that smaller
   */
  readonly hibernateAfterMs?: number
  /** Under which host name of this node the pid is known. Default: the system's own. */
  readonly home?: Home
}

export interface StartTime {
  /** An `init` that has not answered after this long is killed. Default: it has all the time it wants. */
  readonly startMs?: number
}

export interface SpawnOptions<A = undefined> extends ProcessOptions {
  /** What `init` or the straight-line code is given. */
  readonly args?: A
}

export interface StartOptions<A = undefined> extends SpawnOptions<A>, StartTime {}

/** How a synchronous start came out (rules 26, 37, 38). STABLE. */
export type StartOutcome<M = unknown> =
  | { readonly kind: 'started'; readonly pid: Actor<M> }
  /** `init` answered `next.ignore`. */
  | { readonly kind: 'ignored' }
  /** The process is gone, its name free, no exit notice is on its way. A time-out is an error of kind timeout. */
  | { readonly kind: 'failed'; readonly reason: ExitReason }
  | { readonly kind: 'already_started'; readonly pid: Pid }

export interface CallOptions {
  /** Default 5_000; `Infinity` waits for ever. */
  readonly timeoutMs?: number
  /** Gives the call up; it then rejects with kind canceled. */
  readonly signal?: AbortSignal
}

/** `args` may be left out only where the behavior wants none. */
export type WithArgs<A, O> = undefined extends A
  ? [options?: O & { readonly args?: A }]
  : [options: O & { readonly args: A }]

/** Options where the type of the arguments is no longer of interest. */
export type AnyStartOptions = StartOptions<unknown>

import type { Pid } from './ids.ts'
import type { Outcome } from './program.ts'

/** Who a program speaks to: a pid, or a registered name. */
export type Destination = Pid | string

/** All instants and durations in milliseconds; every field absent means the default of WORKFLOWS.md section 4. */
export interface RetryPolicy {
  readonly initialIntervalMs?: number
  readonly backoffCoefficient?: number
  readonly maximumIntervalMs?: number
  /** 0: no limit. */
  readonly maximumAttempts?: number
  /** Kinds of error that end the retries at once. */
  readonly nonRetryableKinds?: readonly string[]
}

export interface CallOptions {
  readonly startToCloseMs?: number
  readonly scheduleToCloseMs?: number
  readonly scheduleToStartMs?: number
  readonly heartbeatMs?: number
  readonly retry?: RetryPolicy
  readonly taskQueue?: string
  readonly cancellation?: 'try' | 'wait' | 'abandon'
  /** Values that the callee can read; merged over the caller's own. */
  readonly context?: Readonly<Record<string, unknown>>
}

export type IdConflictPolicy = 'use_existing' | 'fail' | 'terminate_existing'
export type IdReusePolicy = 'allow_duplicate' | 'allow_duplicate_failed_only' | 'reject_duplicate'
export type ParentClosePolicy = 'terminate' | 'cancel' | 'abandon'

export interface SpawnOptions {
  readonly monitor?: boolean
  readonly link?: boolean
  /** Registered for the process; for a workflow its id, unless `workflowId` is given. */
  readonly name?: string
  /** Delivered before anything sent later. */
  readonly messages?: readonly { readonly topic: string; readonly payload: readonly unknown[] }[]
  readonly context?: Readonly<Record<string, unknown>>
  readonly workflowId?: string
  readonly idConflict?: IdConflictPolicy
  readonly idReuse?: IdReusePolicy
  readonly parentClose?: ParentClosePolicy
  readonly executionTimeoutMs?: number
  readonly runTimeoutMs?: number
  readonly startDelayMs?: number
  /** Of a workflow as a whole: a run that fails is followed by another with the same input. Default: none. */
  readonly retry?: RetryPolicy
  /** A cron line: a run begins at each of its instants, after the one before has ended. Cancel it to end it. */
  readonly cronSchedule?: string
  /** IANA name for `cronSchedule`; default UTC. */
  readonly timeZone?: string
  /** What a cancelled `exec` means to the child: asked to stop (default), asked and waited for, or left alone. */
  readonly cancellation?: 'try' | 'wait' | 'abandon'
  readonly memo?: Readonly<Record<string, unknown>>
  readonly searchAttributes?: Readonly<Record<string, unknown>>
}

/**
 * What a program may ask for. The core is closed; `request` is the one open form, answered by a handler that the app names.
 * Commands are plain data: a workflow host journals them before it performs them.
 */
export type Command =
  /** A function (an activity, in a workflow). Completes with its result. */
  | {
      readonly kind: 'call'
      readonly target: string
      readonly args: readonly unknown[]
      readonly options?: CallOptions
    }
  /** Completes with null, not before `durationMs` have passed. */
  | { readonly kind: 'sleep'; readonly durationMs: number }
  /** Answered at once: null, or not_found. */
  | {
      readonly kind: 'send'
      readonly to: Destination
      readonly topic: string
      readonly payload: readonly unknown[]
    }
  /** Answered at once with the pid. */
  | {
      readonly kind: 'spawn'
      readonly target: string
      readonly host: string
      readonly args: readonly unknown[]
      readonly options?: SpawnOptions
    }
  /** Spawn and wait: completes with the result of the process, or its error. */
  | {
      readonly kind: 'exec'
      readonly target: string
      readonly host: string
      readonly args: readonly unknown[]
      readonly options?: SpawnOptions
    }
  /** `cancel` asks (an event the target can handle), `terminate` does not. Answered at once. */
  | {
      readonly kind: 'exit'
      readonly to: Destination
      readonly mode: 'terminate' | 'cancel'
      readonly reason?: string
    }
  | { readonly kind: 'link'; readonly to: Destination }
  | { readonly kind: 'unlink'; readonly to: Destination }
  | { readonly kind: 'monitor'; readonly to: Destination }
  | { readonly kind: 'unmonitor'; readonly to: Destination }
  /** Answered at once with null. On: a linked peer's failure is an event, not one's own end. */
  | { readonly kind: 'trap_links'; readonly on: boolean }
  /** Gives up a pending call, sleep or exec: it then completes with an error of kind canceled. Answered at once. */
  | { readonly kind: 'abandon'; readonly id: number }
  /** Answered at once with a number that is fixed for the run. */
  | { readonly kind: 'version'; readonly change: string; readonly min: number; readonly max: number }
  /** The result of an update that the program took. Workflows only; answered at once. */
  | { readonly kind: 'reply'; readonly updateId: string; readonly result: Outcome }
  | {
      readonly kind: 'attributes'
      readonly search?: Readonly<Record<string, unknown>>
      readonly memo?: Readonly<Record<string, unknown>>
    }
  /** The open form. Answered at once or later, as the handler does. */
  | { readonly kind: 'request'; readonly handler: string; readonly input: unknown }

export type CommandKind = Command['kind']

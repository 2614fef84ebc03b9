import type { IdConflictPolicy, IdReusePolicy, Outcome, Pid, RetryPolicy, WireError } from '@daruma/protocol'
import type { MessageWake, ParentLink } from './events.ts'

/** What may be asked of the owner of a partition. Plain data: it comes by a call, over the wire, or through the inbox. */
export type PartitionRequest =
  | StartRequest
  | { readonly kind: 'message'; readonly workflowId: string; readonly message: MessageWake }
  | {
      readonly kind: 'cancel'
      readonly workflowId: string
      readonly from?: Pid
      readonly reason?: string
      readonly run?: number
    }
  | { readonly kind: 'terminate'; readonly workflowId: string; readonly reason?: string; readonly run?: number }
  | UpdateRequest
  /** The end of a child, told by the owner of the child until it is acknowledged. */
  | {
      readonly kind: 'child_end'
      readonly workflowId: string
      readonly run: number
      readonly id: number
      readonly from: Pid
      readonly result: Outcome
    }

/** Answered when the update is accepted, or completed. One that comes again by its id meets the first. */
export interface UpdateRequest {
  readonly kind: 'update'
  readonly workflowId: string
  readonly updateId: string
  readonly name: string
  readonly args: readonly unknown[]
  readonly waitFor: 'accepted' | 'completed'
}

export interface StartRequest {
  readonly kind: 'start'
  readonly workflowId: string
  readonly type: string
  readonly args: readonly unknown[]
  readonly conflict: IdConflictPolicy
  readonly reuse: IdReusePolicy
  readonly requestId?: string
  readonly parent?: ParentLink
  readonly context?: Readonly<Record<string, unknown>>
  readonly memo?: Readonly<Record<string, unknown>>
  readonly searchAttributes?: Readonly<Record<string, unknown>>
  readonly messages?: readonly MessageWake[]
  readonly startDelayMs?: number
  readonly runTimeoutMs?: number
  readonly executionTimeoutMs?: number
  readonly retry?: RetryPolicy
  readonly cron?: string
  readonly timeZone?: string
}

/** Given when the commit that holds the request's consequence is acknowledged, never before. */
export type PartitionAnswer =
  | { readonly kind: 'started'; readonly run: number; readonly created: boolean }
  | { readonly kind: 'taken' }
  /** `result`: absent while it is accepted and not completed. */
  | { readonly kind: 'updated'; readonly result?: Outcome }
  | { readonly kind: 'refused'; readonly error: WireError }

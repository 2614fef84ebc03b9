import type { AppError, Clock, Codec, Inbox, Log, Logger, Pid, ProgramFactory, Rng } from '@daruma/protocol'
import type { ActivityExecutor } from './activity.ts'
import type { CheckpointOptions } from './checkpoint.ts'
import type { HistoryLimits } from './limits.ts'
import type { Observer } from './observer.ts'
import type { Outside } from './outside.ts'
import type { Retention } from './retention.ts'

export interface PartitionOptions {
  /** The name of the partition's log. */
  readonly name: string
  readonly taskQueue: string
  /** This life of this node. */
  readonly node: string
  readonly log: Log
  readonly inbox?: Inbox
  readonly codec: Codec
  /** Time of workflows: what `now` says and when timers fire. */
  readonly clock: Clock
  /** Time of the machine: timeouts of attempts, waits between tries. */
  readonly machineClock: Clock
  readonly rng: Rng
  readonly logger: Logger
  readonly programs: (type: string) => ProgramFactory | undefined
  readonly executor: ActivityExecutor
  readonly outside: Outside
  readonly pidOf: (host: string, workflowId: string) => Pid
  readonly selfPid: (workflowId: string) => Pid
  readonly observe: Observer
  readonly maxResident: number
  readonly maxCommitBytes: number
  readonly maxConcurrentActivities: number
  readonly checkpoint: CheckpointOptions
  readonly retention: Retention
  readonly limits: HistoryLimits
  readonly onFenced: (error: AppError) => void
}

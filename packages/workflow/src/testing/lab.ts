import { AppError, fromWire, type Logger, type Outcome, type ProgramFactory } from '@daruma/protocol'
import { MemoryInbox, MemoryLog, MemorySnapshots, SimClock, type FaultPlan } from '@daruma/protocol/testing'
import type { ActivityExecutor, ActivityTask } from '../activity.ts'
import type { FunctionDefinition, WorkflowDefinition } from '../define.ts'
import { WorkflowDirectory, type ProcessSide } from '../directory.ts'
import { WorkflowEngine, type StartOptions, type WorkflowEngineOptions } from '../engine.ts'
import { FunctionExecutor } from '../functions.ts'
import { microtasksDry } from '../microtasks.ts'
import type { Notice } from '../observer.ts'

export interface LabOptions {
  readonly workflows?: readonly WorkflowDefinition<never, unknown>[]
  readonly functions?: readonly FunctionDefinition<never, unknown>[]
  /** Programs that are not written in TypeScript, by type. */
  readonly programs?: Readonly<Record<string, ProgramFactory>>
  readonly processes?: ProcessSide
  readonly partitions?: number
  readonly logger?: Logger
  /** 0: every workflow is rebuilt by replay for each of its turns. */
  readonly maxResident?: number
  readonly maxRecordBytes?: number
  readonly maxConcurrentActivities?: number
  readonly checkpoint?: WorkflowEngineOptions['checkpoint']
  readonly retention?: WorkflowEngineOptions['retention']
  readonly limits?: WorkflowEngineOptions['limits']
}

/** One execution of a function, as the outside world would count it. */
export interface Execution {
  readonly target: string
  readonly key: string
  readonly attempt: number
  readonly args: readonly unknown[]
}

/**
 * Workflows on a simulated clock and a memory log that survives crashes: a month passes in milliseconds.
 * What the functions did to the outside is in `executions`, over all lives.
 */
export class WorkflowLab {
  readonly clock = new SimClock()
  readonly executions: Execution[] = []
  readonly notices: Notice[] = []
  readonly options: LabOptions
  #log: MemoryLog
  #inbox = new MemoryInbox()
  readonly #snapshots = new MemorySnapshots()
  #engine: WorkflowEngine | undefined
  #programs = new Map<string, ProgramFactory>()

  constructor(options: LabOptions) {
    this.options = options
    this.#log = new MemoryLog({
      clock: this.clock,
      ...(options.maxRecordBytes === undefined ? {} : { maxRecordBytes: options.maxRecordBytes }),
    })
    for (const definition of options.workflows ?? []) this.define(definition)
    for (const [type, factory] of Object.entries(options.programs ?? {})) this.#programs.set(type, factory)
  }

  /** New code for a workflow type, as a deployment brings it. */
  define(definition: WorkflowDefinition<never, unknown>): void {
    this.#programs.set(definition.name, definition.create)
  }

  undefine(type: string): void {
    this.#programs.delete(type)
  }

  get log(): MemoryLog {
    return this.#log
  }

  get inbox(): MemoryInbox {
    return this.#inbox
  }

  get engine(): WorkflowEngine {
    if (this.#engine === undefined) throw new AppError('unavailable', 'the lab is not open')
    return this.#engine
  }

  /** Begins a life. `faults` meet the operations of its log. */
  async open(faults?: FaultPlan): Promise<WorkflowEngine> {
    this.#log = this.#log.reopen({ faults: faults ?? ((): undefined => undefined) })
    const functions = new FunctionExecutor(this.options.functions ?? [])
    const executor: ActivityExecutor = {
      execute: (task: ActivityTask) => {
        this.executions.push({ target: task.target, key: task.idempotencyKey, attempt: task.attempt, args: task.args })
        return functions.execute(task)
      },
    }
    const {
      logger,
      maxResident,
      maxConcurrentActivities,
      checkpoint,
      retention,
      limits,
      partitions = 1,
      processes,
    } = this.options
    this.#engine = await this.settle(
      WorkflowEngine.open({
        taskQueue: 'lab',
        storage: { log: this.#log, snapshots: this.#snapshots, inbox: (this.#inbox = this.#inbox.reopen()) },
        programs: (type) => this.#programs.get(type),
        executor,
        directory: new WorkflowDirectory(processes),
        partitions,
        clock: this.clock,
        machineClock: this.clock,
        observe: (notice) => this.notices.push(notice),
        ...(logger === undefined ? {} : { logger }),
        ...(maxResident === undefined ? {} : { maxResident }),
        ...(checkpoint === undefined ? {} : { checkpoint }),
        ...(retention === undefined ? {} : { retention }),
        ...(limits === undefined ? {} : { limits }),
        ...(maxConcurrentActivities === undefined ? {} : { maxConcurrentActivities }),
      }),
    )
    return this.#engine
  }

  /** The node dies as by SIGKILL: nothing more is stored, what was stored stays. */
  crash(): void {
    this.#log.crash()
    this.#engine?.abandon()
    this.#engine = undefined
  }

  /** Lets everything happen that needs no time. */
  async idle(): Promise<void> {
    const quietRounds = 20
    for (let quiet = 0, round = 0; quiet < quietRounds && round < 10_000; round++) {
      await microtasksDry()
      quiet = this.#engine?.isBusy === true ? 0 : quiet + 1
    }
  }

  /** Waits for a promise, moving time to the next timer whenever nothing else can happen. Gives up after `maxTimers`. */
  async settle<T>(promise: Promise<T>, maxTimers = 2_000): Promise<T> {
    let settled = false
    const watched = promise.finally(() => {
      settled = true
    })
    watched.catch(() => undefined)
    for (let fired = 0; fired < maxTimers; fired++) {
      await this.idle()
      if (settled || !this.clock.advanceToNext()) break
    }
    await this.idle()
    if (!settled) throw new AppError('timeout', 'the lab came to rest, and what was awaited did not happen')
    return watched
  }

  async start(type: string, input?: unknown, options: StartOptions = {}): Promise<string> {
    const pid = await this.settle(this.engine.start(type, input === undefined ? [] : [input], options))
    return String(pid.id)
  }

  ended(workflowId: string): Promise<Outcome> {
    return this.settle(this.engine.ended(workflowId))
  }

  /** The result of a workflow; throws its error. */
  async result(workflowId: string): Promise<unknown> {
    const { value, error } = await this.ended(workflowId)
    if (error !== undefined) throw fromWire(error)
    return value
  }
}

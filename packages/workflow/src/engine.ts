import {
  AppError,
  fromWire,
  hash32,
  Home,
  msgpackCodec,
  parseDurationMs,
  Pid,
  silentLogger,
  systemClock,
  systemRng,
  uuidFrom,
  type Clock,
  type Codec,
  type Inbox,
  type Leases,
  type Log,
  type Logger,
  type NodeId,
  type Outcome,
  type ProgramFactory,
  type Rng,
  type Snapshots,
  type SpawnOptions,
} from '@daruma/protocol'
import type { ActivityExecutor } from './activity.ts'
import type { WorkflowDirectory, WorkflowHost } from './directory.ts'
import type { JournalEvent } from './events.ts'
import type { Description } from './head.ts'
import type { Observer } from './observer.ts'
import { Ownership } from './ownership.ts'
import type { Partition, PartitionOptions } from './partition.ts'
import type { PartitionAnswer, PartitionRequest, StartRequest } from './requests.ts'

/** Where the journals of one task queue live. */
export interface WorkflowStorage {
  readonly log: Log
  readonly snapshots: Snapshots
  readonly inbox?: Inbox
  /** Absent: this node is the only one that may open the storage. */
  readonly leases?: Leases
}

export interface WorkflowEngineOptions {
  /** Workflows of one task queue share their partitions. */
  readonly taskQueue: string
  readonly storage: WorkflowStorage
  readonly programs: (type: string) => ProgramFactory | undefined
  readonly executor: ActivityExecutor
  readonly directory: WorkflowDirectory
  /** First part of the pids of its workflows; default "workflows". */
  readonly client?: string
  /** Second part of the pids; default: the task queue. */
  readonly host?: string
  /** The same over restarts of one node: it gets its partitions back at once. Default "node". */
  readonly node?: string
  /** Counts only when the task queue is new; afterwards what was stored then holds. Default 8. */
  readonly partitions?: number
  readonly clock?: Clock
  readonly machineClock?: Clock
  readonly rng?: Rng
  readonly logger?: Logger
  readonly codec?: Codec
  readonly observe?: Observer
  /** Programs kept in memory per partition; beyond it idle ones are dropped and rebuilt by replay. Default 10_000. */
  readonly maxResident?: number
  /** Default 512 KiB. */
  readonly maxCommitBytes?: number
  /** Per partition; calls beyond it wait. Default 1_000. */
  readonly maxConcurrentActivities?: number
  /** How long a partition of a node that fell silent stays its own; default 10 s. */
  readonly leaseMs?: number
}

/** `id`: given by the caller, so that a second start meets the first. */
export interface StartOptions extends SpawnOptions {
  readonly id?: string
  /** The same again is the same start, and answers alike. */
  readonly requestId?: string
  /** Whose startup messages they are. */
  readonly from?: Pid
}

const slots = 1_024

/**
 * The workflows of one task queue on this node.
 *
 * A resolved `start`, `send`, `cancel` or `terminate` stands in the log, with the durability that the log names.
 */
export class WorkflowEngine implements WorkflowHost {
  readonly taskQueue: string
  readonly host: string
  readonly #home: Home
  readonly #rng: Rng
  readonly #partitions: readonly Ownership[]
  readonly #directory: WorkflowDirectory

  /** Resolves when every partition that is free is owned and read. @throws as Partition.open */
  static async open(options: WorkflowEngineOptions): Promise<WorkflowEngine> {
    const count = await partitionCount(options.storage.snapshots, options.taskQueue, options.partitions ?? 8)
    const engine = new WorkflowEngine(options, count)
    options.directory.add(engine)
    try {
      await Promise.all(engine.#partitions.map((ownership) => ownership.begin()))
    } catch (error) {
      await engine.close()
      throw error
    }
    return engine
  }

  private constructor(options: WorkflowEngineOptions, count: number) {
    const { taskQueue, host = taskQueue, client = 'workflows', node = 'node', rng = systemRng() } = options
    this.taskQueue = taskQueue
    this.host = host
    this.#home = new Home(client as NodeId, 0, host)
    this.#rng = rng
    this.#directory = options.directory
    const machineClock = options.machineClock ?? systemClock()
    const shared: Omit<PartitionOptions, 'name' | 'onFenced' | 'node'> = {
      taskQueue,
      log: options.storage.log,
      ...(options.storage.inbox === undefined ? {} : { inbox: options.storage.inbox }),
      codec: options.codec ?? msgpackCodec(),
      clock: options.clock ?? machineClock,
      machineClock,
      rng,
      logger: options.logger ?? silentLogger,
      programs: options.programs,
      executor: options.executor,
      outside: options.directory,
      pidOf: (wanted, workflowId) =>
        options.directory.find(wanted)?.pidOf(workflowId) ?? new Pid(new Home(client as NodeId, 0, wanted), workflowId),
      selfPid: (workflowId) => this.pidOf(workflowId),
      observe: options.observe ?? ((): void => undefined),
      maxResident: options.maxResident ?? 10_000,
      maxCommitBytes: options.maxCommitBytes ?? 512 * 1_024,
      maxConcurrentActivities: options.maxConcurrentActivities ?? 1_000,
    }
    this.#partitions = Array.from(
      { length: count },
      (_, index) =>
        new Ownership({
          name: `${taskQueue}.${index}`,
          node,
          leases: options.storage.leases,
          leaseMs: options.leaseMs ?? 10_000,
          partition: shared,
        }),
    )
  }

  pidOf(workflowId: string): Pid {
    return new Pid(this.#home, workflowId)
  }

  async submit(request: PartitionRequest): Promise<PartitionAnswer> {
    return this.#partition(request.workflowId).submit(request)
  }

  /**
   * Starts a workflow, or meets the one that runs under its id (`idConflict`, default `use_existing` for a given id).
   *
   * @throws AppError already_exists - the id is taken and the policy says so
   * @throws AppError not_found - nobody knows `type` here
   */
  async start(type: string, args: readonly unknown[], options: StartOptions = {}): Promise<Pid> {
    const given = options.id ?? options.workflowId ?? options.name
    const workflowId = given ?? uuidFrom(this.#rng)
    const answer = await this.submit(startRequest(type, args, workflowId, given !== undefined, options))
    if (answer.kind === 'refused') throw fromWire(answer.error)
    return this.pidOf(workflowId)
  }

  /** Delivers a message exactly once, if `messageId` is given also when it is sent again. */
  async send(
    workflowId: string,
    topic: string,
    payload: readonly unknown[],
    options: { messageId?: string; from?: Pid } = {},
  ): Promise<void> {
    const { messageId, from } = options
    const message = {
      kind: 'message' as const,
      from,
      topic,
      payload,
      ...(messageId === undefined ? {} : { messageId }),
    }
    raise(await this.submit({ kind: 'message', workflowId, message }))
  }

  async cancel(workflowId: string, reason?: string): Promise<void> {
    raise(await this.submit({ kind: 'cancel', workflowId, ...(reason === undefined ? {} : { reason }) }))
  }

  async terminate(workflowId: string, reason?: string): Promise<void> {
    raise(await this.submit({ kind: 'terminate', workflowId, ...(reason === undefined ? {} : { reason }) }))
  }

  /** The end of a workflow, its result or its error. */
  ended(workflowId: string): Promise<Outcome> {
    return this.#partition(workflowId).ended(workflowId)
  }

  describe(workflowId: string): Description | undefined {
    return this.#partition(workflowId).describe(workflowId)
  }

  *list(): IterableIterator<Description> {
    for (const ownership of this.#partitions) if (ownership.owned !== undefined) yield* ownership.owned.list()
  }

  history(workflowId: string): Promise<JournalEvent[]> {
    return this.#partition(workflowId).history(workflowId)
  }

  query(workflowId: string, name: string, args: readonly unknown[] = []): Promise<unknown> {
    return this.#partition(workflowId).query(workflowId, name, args)
  }

  retryStuck(workflowId?: string): void {
    for (const ownership of this.#partitions) ownership.owned?.retryStuck(workflowId)
  }

  /** Programs are running or being rebuilt at this moment: more will happen without time passing. */
  get isBusy(): boolean {
    return this.#partitions.some(({ owned }) => owned?.isBusy === true)
  }

  /** Hands the partitions over: what was taken is stored, nothing runs after it. */
  async close(): Promise<void> {
    this.#directory.remove(this)
    await Promise.all(this.#partitions.map((ownership) => ownership.end()))
  }

  /** Stops as a crash would: what is not stored is lost, and whoever waits is told so. For tests and for a node that must die. */
  abandon(): void {
    this.#directory.remove(this)
    const error = new AppError('unavailable', 'this node stopped', undefined, { retryable: true })
    for (const ownership of this.#partitions) ownership.abandon(error)
  }

  #partition(workflowId: string): Partition {
    const ownership = this.#partitions[(hash32(workflowId) % slots) % this.#partitions.length]!
    if (ownership.owned !== undefined) return ownership.owned
    throw new AppError(
      'unavailable',
      `workflow ${workflowId}: its partition ${ownership.name} is owned by ${ownership.holder ?? 'nobody yet'}`,
      undefined,
      {
        retryable: true,
      },
    )
  }
}

function startRequest(
  type: string,
  args: readonly unknown[],
  workflowId: string,
  isGiven: boolean,
  options: StartOptions,
): StartRequest {
  return {
    kind: 'start',
    workflowId,
    type,
    args,
    conflict: options.idConflict ?? (isGiven ? 'use_existing' : 'fail'),
    reuse: options.idReuse ?? 'allow_duplicate',
    ...(options.requestId === undefined ? {} : { requestId: options.requestId }),
    ...(options.context === undefined ? {} : { context: options.context }),
    ...(options.memo === undefined ? {} : { memo: options.memo }),
    ...(options.searchAttributes === undefined ? {} : { searchAttributes: options.searchAttributes }),
    ...(options.startDelayMs === undefined ? {} : { startDelayMs: parseDurationMs(options.startDelayMs) }),
    ...(options.runTimeoutMs === undefined ? {} : { runTimeoutMs: options.runTimeoutMs }),
    ...(options.executionTimeoutMs === undefined ? {} : { executionTimeoutMs: options.executionTimeoutMs }),
    ...(options.messages === undefined
      ? {}
      : {
          messages: options.messages.map(({ topic, payload }) => ({
            kind: 'message' as const,
            from: options.from,
            topic,
            payload,
          })),
        }),
  }
}

function raise(answer: PartitionAnswer): void {
  if (answer.kind === 'refused') throw fromWire(answer.error)
}

/** How many partitions the task queue was created with: ids hash over them, so the first number holds. */
async function partitionCount(snapshots: Snapshots, taskQueue: string, wanted: number): Promise<number> {
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > slots) {
    throw new AppError(
      'invalid',
      `task queue ${taskQueue}: ${wanted} partitions asked for; give a whole number from 1 to ${slots}`,
    )
  }
  const key = `task-queue/${taskQueue}/partitions`
  const stored = await snapshots.get(key)
  if (stored !== undefined) return Number(Buffer.from(stored).toString('utf8'))
  await snapshots.put(key, Buffer.from(String(wanted), 'utf8'))
  return wanted
}

import {
  AppError,
  findUnsendable,
  fromWire,
  hash32,
  isAppError,
  Home,
  msgpackCodec,
  parseDurationMs,
  Pid,
  silentLogger,
  systemClock,
  systemRng,
  uuidFrom,
  type CancelTimer,
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
import { raiseRefusal } from './answers.ts'
import { checkpointDefaults, type CheckpointOptions } from './checkpoint.ts'
import type { WorkflowDirectory, WorkflowHost } from './directory.ts'
import type { JournalEvent } from './events.ts'
import type { Description } from './head.ts'
import { matchesFilter, type ListFilter } from './filter.ts'
import { historyLimitDefaults, type HistoryLimits } from './limits.ts'
import type { Observer } from './observer.ts'
import { mayGive, whomToAsk, type Holdings } from './balance.ts'
import {
  forwardedRequest,
  isRepeatable,
  isSurelyNotDone,
  notOwner,
  type Forward,
  type ForwardedRequest,
} from './forward.ts'
import { Ownership } from './ownership.ts'
import type { Partition } from './partition.ts'
import type { PartitionOptions } from './partition-options.ts'
import { ownProgram } from './schedule.ts'
import { Schedules } from './schedules.ts'
import type { PartitionAnswer, PartitionRequest, StartRequest } from './requests.ts'
import { retentionDefaults, type Retention } from './retention.ts'

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
  readonly checkpoint?: Partial<CheckpointOptions>
  readonly retention?: Partial<Retention>
  readonly limits?: Partial<HistoryLimits>
  /** How long a partition of a node that fell silent stays its own; default 10 s. */
  readonly leaseMs?: number
  /** Ways to the same task queue on other nodes. Absent: what another node owns is refused as unavailable. */
  readonly forward?: Forward
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
  readonly schedules: Schedules
  readonly #home: Home
  readonly #rng: Rng
  readonly #partitions: readonly Ownership[]
  readonly #directory: WorkflowDirectory
  readonly #machineClock: Clock
  readonly #forward: Forward | undefined
  readonly #leaseMs: number
  #balancing: CancelTimer | undefined
  #closed = false

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
    engine.#balanceLater(0)
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
    const clock = options.clock ?? machineClock
    this.schedules = new Schedules(this, () => clock.wallMs())
    this.#machineClock = machineClock
    this.#forward = options.forward
    this.#leaseMs = options.leaseMs ?? 10_000
    const shared: Omit<PartitionOptions, 'name' | 'onFenced' | 'node'> = {
      taskQueue,
      log: options.storage.log,
      ...(options.storage.inbox === undefined ? {} : { inbox: options.storage.inbox }),
      codec: options.codec ?? msgpackCodec(),
      clock,
      machineClock,
      rng,
      logger: options.logger ?? silentLogger,
      programs: (type) => ownProgram(type) ?? options.programs(type),
      executor: options.executor,
      outside: options.directory,
      pidOf: (wanted, workflowId) =>
        options.directory.find(wanted)?.pidOf(workflowId) ?? new Pid(new Home(client as NodeId, 0, wanted), workflowId),
      selfPid: (workflowId) => this.pidOf(workflowId),
      observe: options.observe ?? ((): void => undefined),
      maxResident: options.maxResident ?? 10_000,
      maxCommitBytes: options.maxCommitBytes ?? 512 * 1_024,
      maxConcurrentActivities: options.maxConcurrentActivities ?? 1_000,
      checkpoint: { ...checkpointDefaults, ...options.checkpoint },
      retention: { ...retentionDefaults, ...options.retention },
      limits: { ...historyLimitDefaults, ...options.limits },
    }
    this.#partitions = Array.from(
      { length: count },
      (_, index) =>
        new Ownership({
          name: `${taskQueue}.${index}`,
          node,
          leases: options.storage.leases,
          leaseMs: this.#leaseMs,
          partition: shared,
        }),
    )
  }

  pidOf(workflowId: string): Pid {
    return new Pid(this.#home, workflowId)
  }

  async submit(request: PartitionRequest): Promise<PartitionAnswer> {
    if (this.#forward === undefined) return this.#partition(request.workflowId).submit(request)
    const forwarded: ForwardedRequest = { kind: 'submit', request }
    return this.#reach(request.workflowId, forwarded, (partition) => partition.submit(request))
  }

  /** Whether the workflow's journal is this node's at this moment. */
  owns(workflowId: string): boolean {
    return this.#ownershipOf(workflowId).owned !== undefined
  }

  /** How many partitions this node owns, and who owns the others. */
  get ownership(): { readonly owned: number; readonly partitions: number; readonly others: Holdings } {
    const others = new Map<string, number>()
    let owned = 0
    for (const { owned: mine, holder } of this.#partitions) {
      if (mine !== undefined) owned++
      else if (holder !== undefined) others.set(holder, (others.get(holder) ?? 0) + 1)
    }
    return { owned, partitions: this.#partitions.length, others }
  }

  /**
   * Answers what another node forwarded; see Forward.
   *
   * @throws AppError unavailable - this node does not own it (any more), and nothing was done
   */
  async answer(input: unknown): Promise<unknown> {
    const request = forwardedRequest(input)
    if (request === undefined) throw new AppError('invalid', `task queue ${this.taskQueue}: not a forwarded request`)
    if (request.kind === 'yield') {
      const ownership = this.#partitions.find(({ name }) => name === request.partition)
      if (ownership?.owned === undefined || !mayGive(this.ownership.owned, request.owned)) return false
      await ownership.give()
      return true
    }
    const workflowId = request.kind === 'submit' ? request.request.workflowId : request.workflowId
    const { owned, name, holder } = this.#ownershipOf(workflowId)
    if (owned === undefined) throw notOwner(`workflow ${workflowId}: partition ${name}`, holder)
    switch (request.kind) {
      case 'submit':
        return owned.submit(request.request)
      case 'ended':
        return owned.ended(workflowId)
      case 'describe':
        return owned.describe(workflowId)
      case 'history':
        return owned.history(workflowId)
      case 'query':
        return owned.query(workflowId, request.name, request.args)
    }
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
    raiseRefusal(answer)
    return this.pidOf(workflowId)
  }

  /** Delivers a message exactly once, if `messageId` is given also when it is sent again. */
  async send(
    workflowId: string,
    topic: string,
    payload: readonly unknown[],
    options: { messageId?: string; from?: Pid } = {},
  ): Promise<void> {
    // On its way to another node the answer may be lost: with an id the same message again meets the first.
    const { messageId = this.owns(workflowId) ? undefined : uuidFrom(this.#rng), from } = options
    const message = {
      kind: 'message' as const,
      from,
      topic,
      payload,
      ...(messageId === undefined ? {} : { messageId }),
    }
    raiseRefusal(await this.submit({ kind: 'message', workflowId, message }))
  }

  async cancel(workflowId: string, reason?: string): Promise<void> {
    raiseRefusal(await this.submit({ kind: 'cancel', workflowId, ...(reason === undefined ? {} : { reason }) }))
  }

  /**
   * Asks a workflow for a change, and resolves with what its handler answered; with `waitFor: 'accepted'` at once when
   * it is recorded that the workflow took it. The same `updateId` again is the same update, whatever became of it.
   *
   * @throws AppError - what its validator refused it with: nothing of it is in the journal then; or its handler failed with
   * @throws AppError not_found - no such workflow, it has ended, takes no such update, or ended before it was completed
   */
  async update(
    workflowId: string,
    name: string,
    args: readonly unknown[] = [],
    options: { readonly updateId?: string; readonly waitFor?: 'accepted' | 'completed' } = {},
  ): Promise<unknown> {
    const { updateId = uuidFrom(this.#rng), waitFor = 'completed' } = options
    const problem = findUnsendable(args, 'args')
    if (problem !== undefined)
      throw new AppError('invalid', `update ${name}: ${problem}`, undefined, { retryable: false })
    const answer = await this.submit({ kind: 'update', workflowId, updateId, name, args, waitFor })
    raiseRefusal(answer)
    if (answer.kind !== 'updated' || answer.result === undefined) return undefined
    if (answer.result.error !== undefined) throw fromWire(answer.result.error)
    return answer.result.value
  }

  async terminate(workflowId: string, reason?: string): Promise<void> {
    raiseRefusal(await this.submit({ kind: 'terminate', workflowId, ...(reason === undefined ? {} : { reason }) }))
  }

  /** The end of a workflow, its result or its error. */
  ended(workflowId: string): Promise<Outcome> {
    return this.#reach(workflowId, { kind: 'ended', workflowId }, (partition) => partition.ended(workflowId))
  }

  /** Of a workflow of this node. @throws AppError unavailable - its partition is another node's */
  describe(workflowId: string): Description | undefined {
    return this.#partition(workflowId).describe(workflowId)
  }

  /** The same, wherever its partition is. */
  async find(workflowId: string): Promise<Description | undefined> {
    const described = this.#reach(workflowId, { kind: 'describe', workflowId }, async (partition) =>
      partition.describe(workflowId),
    )
    return (await described) ?? undefined
  }

  /** The workflows whose partitions this node owns, in no order. */
  *list(filter: ListFilter = {}): IterableIterator<Description> {
    for (const { owned } of this.#partitions) {
      if (owned === undefined) continue
      for (const found of owned.list()) if (matchesFilter(found, filter)) yield found
    }
  }

  history(workflowId: string): Promise<JournalEvent[]> {
    return this.#reach(workflowId, { kind: 'history', workflowId }, (partition) => partition.history(workflowId))
  }

  query(workflowId: string, name: string, args: readonly unknown[] = []): Promise<unknown> {
    return this.#reach(workflowId, { kind: 'query', workflowId, name, args }, (partition) =>
      partition.query(workflowId, name, args),
    )
  }

  retryStuck(workflowId?: string): void {
    for (const ownership of this.#partitions) ownership.owned?.retryStuck(workflowId)
  }

  /**
   * Begins a new run that has the first `toTurn` turns of the current one, and runs on from there: also of a workflow
   * that has ended. Functions whose results are in those turns are not executed again; messages that came later are
   * delivered again. Resolves with the number of the new run when it is stored.
   *
   * @throws AppError invalid - there is no such turn
   * @throws AppError conflict - the workflow is at work at this moment; ask again
   */
  async reset(workflowId: string, toTurn: number): Promise<number> {
    return this.#partition(workflowId).reset(workflowId, toTurn)
  }

  /** Writes what counts forward and trims the logs of all owned partitions, before it is time. Resolves when it is done. */
  async checkpoint(): Promise<void> {
    await Promise.all(this.#partitions.flatMap(({ owned }) => owned?.checkpoint() ?? []))
  }

  /** Programs are running or being rebuilt at this moment: more will happen without time passing. */
  get isBusy(): boolean {
    return this.#partitions.some(({ owned }) => owned?.isBusy === true)
  }

  /** Hands the partitions over: what was taken is stored, nothing runs after it. */
  async close(): Promise<void> {
    this.#closed = true
    this.#balancing?.()
    await Promise.all(this.#partitions.map((ownership) => ownership.end()))
    // Not before: to those that still run, a host that is not there would be an answer, and what they ask for be lost.
    this.#directory.remove(this)
  }

  /** Stops as a crash would: what is not stored is lost, and whoever waits is told so. For tests and for a node that must die. */
  abandon(): void {
    this.#closed = true
    this.#balancing?.()
    this.#directory.remove(this)
    const error = new AppError('unavailable', 'this node stopped', undefined, { retryable: true })
    for (const ownership of this.#partitions) ownership.abandon(error)
  }

  #partition(workflowId: string): Partition {
    const { owned, name, holder } = this.#ownershipOf(workflowId)
    if (owned !== undefined) return owned
    throw notOwner(`workflow ${workflowId}: its partition ${name}`, holder)
  }

  #ownershipOf(workflowId: string): Ownership {
    return this.#partitions[(hash32(workflowId) % slots) % this.#partitions.length]!
  }

  /**
   * Where the partition is, at last: here, or at its owner. While it changes hands this waits, for two lease periods at
   * most. What was sent and not answered is asked again only if the same again meets the first.
   */
  async #reach<T>(
    workflowId: string,
    request: ForwardedRequest,
    local: (partition: Partition) => Promise<T>,
  ): Promise<T> {
    const ownership = this.#ownershipOf(workflowId)
    const untilMs = this.#machineClock.monotonicMs() + 2 * this.#leaseMs
    for (;;) {
      const { owned, holder, name } = ownership
      if (this.#forward === undefined || this.#closed) return local(this.#partition(workflowId))
      try {
        if (owned !== undefined) return await local(owned)
        if (holder !== undefined) return (await this.#forward(holder, this.taskQueue, request)) as T
      } catch (error) {
        // Here: the partition left while it was asked. There: the node, or the partition from it.
        const isLost = isAppError(error, 'unavailable') && isRepeatable(request) && ownership.owned !== owned
        const isLostThere = owned === undefined && isAppError(error, 'unavailable') && isRepeatable(request)
        if (!isSurelyNotDone(error) && !isLost && !isLostThere) throw error
      }
      // Whoever waits for an end has all the time there is.
      if (request.kind !== 'ended' && this.#machineClock.monotonicMs() >= untilMs) {
        throw notOwner(`workflow ${workflowId}: its partition ${name}`, ownership.holder)
      }
      await ownership.change(100)
    }
  }

  // Balance

  #balanceLater(delayMs: number): void {
    if (this.#closed || this.#forward === undefined) return
    this.#balancing = this.#machineClock.after(delayMs, () => {
      void this.#balance()
        .catch(() => undefined)
        .then(() => this.#balanceLater(this.#leaseMs / 2))
    })
  }

  /** Asks richer nodes for partitions, one after the other, until nobody is two apart. */
  async #balance(): Promise<void> {
    while (!this.#closed) {
      const { owned, others } = this.ownership
      const rich = whomToAsk(owned, others)
      const wanted = this.#partitions.find(({ owned: mine, holder }) => mine === undefined && holder === rich)
      if (rich === undefined || wanted === undefined) return
      const request: ForwardedRequest = { kind: 'yield', partition: wanted.name, owned }
      if ((await this.#forward!(rich, this.taskQueue, request)) !== true) return
      await wanted.begin()
      if (wanted.owned === undefined) return
    }
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
    ...(options.retry === undefined ? {} : { retry: options.retry }),
    ...(options.cronSchedule === undefined ? {} : { cron: options.cronSchedule }),
    ...(options.timeZone === undefined ? {} : { timeZone: options.timeZone }),
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

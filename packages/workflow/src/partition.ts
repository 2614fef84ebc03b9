import {
  AppError,
  toWire,
  uuidFrom,
  type CancelTimer,
  type Clock,
  type Codec,
  type Consumption,
  type Inbox,
  type Log,
  type Logger,
  type Outcome,
  type Pid,
  type ProgramFactory,
  type Rng,
  type Step,
  type WireError,
} from '@daruma/protocol'
import type { ActivityExecutor } from './activity.ts'
import { Carrier } from './carrier.ts'
import { CommitChain } from './chain.ts'
import { Checkpointer, type CheckpointOptions } from './checkpoint.ts'
import { decodeEvent, type Entry } from './commit.ts'
import {
  isFollowed,
  outcomeOf,
  type End,
  type EngineEnd,
  type JournalEvent,
  type MessageWake,
  type Started,
  type Turn,
  type Wake,
} from './events.ts'
import { currentGates } from './gates.ts'
import { parseCron } from './cron.ts'
import { describeHead, Head, type Description } from './head.ts'
import { decideStart } from './identity.ts'
import { describeMismatch, type JournalMismatch } from './mismatch.ts'
import type { Observer } from './observer.ts'
import type { Outside } from './outside.ts'
import { maxPayloadBytes, tooLarge } from './payload.ts'
import { Performer } from './performer.ts'
import { JournalReader } from './journal.ts'
import { tooLong, type HistoryLimits } from './limits.ts'
import { recoverHeads, type Recovered } from './recover.ts'
import type { PartitionAnswer, PartitionRequest, StartRequest, UpdateRequest } from './requests.ts'
import { forkJournal } from './reset.ts'
import { isExpired, type Retention } from './retention.ts'
import { decideSuccessor, type Successor } from './successor.ts'
import { Resident, type SizedEvent } from './resident.ts'

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

/** Message ids that a run hands on to the next. A run itself knows all of its own. */
const rememberedIds = 1_000

/** A journal that stands in more commits than this is written together when it is read. */
const maxScattered = 8

/** One event that waits for the program, and who waits for it to be recorded. */
interface Waking {
  readonly wake: Wake
  readonly onAnswer: ((answer: PartitionAnswer) => void) | undefined
}

/** A workflow of this partition, running or not. */
class Slot {
  readonly head: Head
  resident: Resident | undefined
  state: 'cold' | 'loading' | 'idle' | 'ready' | 'running' = 'cold'
  /** Events that are not acknowledged yet. */
  unstored = 0
  /** Its current run was given its start. Until then what comes for it is only recorded. */
  hasBegun = false
  #errands: Errands | undefined

  constructor(head: Head) {
    this.head = head
  }

  get hasWakes(): boolean {
    return this.#errands !== undefined && this.#errands.wakes.length > 0
  }

  get wakes(): Waking[] {
    return this.#open().wakes
  }

  get waiters(): Errands['waiters'] {
    return this.#open().waiters
  }

  get updateWaiters(): Errands['updateWaiters'] {
    return this.#open().updateWaiters
  }

  set updateWaiters(waiters: Errands['updateWaiters']) {
    this.#open().updateWaiters = waiters
  }

  get missed(): JournalEvent[] {
    return this.#open().missed
  }

  set missed(events: JournalEvent[]) {
    this.#open().missed = events
  }

  get seen(): Set<string> | undefined {
    return this.#errands?.seen
  }

  set seen(ids: Set<string> | undefined) {
    if (ids !== undefined || this.#errands !== undefined) this.#open().seen = ids
  }

  /** Nobody wants anything of it for now: most sleep, and there are many. */
  rest(): void {
    const open = this.#errands
    if (open === undefined || open.seen !== undefined) return
    if (open.wakes.length + open.waiters.length + open.updateWaiters.length === 0) this.#errands = undefined
  }

  #open(): Errands {
    return (this.#errands ??= { wakes: [], waiters: [], updateWaiters: [], missed: [], seen: undefined })
  }
}

/** What goes on around a workflow that is not simply asleep. */
interface Errands {
  readonly wakes: Waking[]
  readonly waiters: ((end: Exclude<End, { kind: 'continued' }>) => void)[]
  updateWaiters: { readonly updateId: string; readonly answer: (answer: PartitionAnswer) => void }[]
  /** Recorded while it was loading. */
  missed: JournalEvent[]
  /** Message ids that its journal holds. Known while it is not cold. */
  seen: Set<string> | undefined
}

const taken: PartitionAnswer = { kind: 'taken' }

/**
 * One owned partition: takes requests, runs the workflows that they wake, records what comes of it in group commits,
 * and lets the performer act on what is recorded.
 *
 * Invariants
 * - P1 In memory the heads stand at the end of all that was added to the chain; outside, nothing shows before it is
 *   stored: answers and effects hang on `onStored`.
 * - P2 A workflow runs one turn at a time; its wakes are taken in the order in which they came.
 * - P3 Nothing is answered `taken` that is not recorded: what a closing workflow did not take is refused.
 * - P4 Nothing is refused on the word of memory alone: that the log ends here is looked up first.
 */
export class Partition {
  readonly #options: PartitionOptions
  readonly #slots: Map<string, Slot>
  readonly #chain: CommitChain
  readonly #maxPayloadBytes: number
  readonly #performer: Performer
  readonly #reader: JournalReader
  readonly #carrier: Carrier
  readonly #checkpointer: Checkpointer
  /** Above every run of every workflow that was forgotten. */
  #runFloor: number
  readonly #ready: Slot[] = []
  readonly #resident = new Set<Slot>()
  #busy = 0
  #loading = 0
  #scheduled = false
  #closed = false
  #consumption: Consumption | undefined
  readonly #slices = new Set<CancelTimer>()

  /**
   * Claims the partition, reads it, and goes on with what is open.
   *
   * @throws AppError invalid - the log is damaged or of a newer version; the text says where
   * @throws AppError unavailable - the log cannot be reached
   */
  static async open(options: PartitionOptions): Promise<Partition> {
    let self: Partition | undefined
    const chain = await CommitChain.claim({
      ...options,
      partition: options.name,
      clock: options.machineClock,
      onFenced: (error) => self?.drop(error),
      onCommit: () => self?.committed(),
    })
    const { log, name, codec, logger, observe } = options
    observe({ kind: 'claimed', partition: name, epoch: chain.epoch })
    const recovered = await recoverHeads(log, name, { from: chain.from, until: chain.seq }, codec, logger)
    self = new Partition(options, chain, recovered)
    observe({
      kind: 'recovered',
      partition: name,
      open: recovered.open,
      closed: recovered.heads.size - recovered.open,
      events: recovered.events,
    })
    try {
      self.#resume()
      await self.#consume()
    } catch (error) {
      self.drop(self.#gone()) // it would run on, and nobody would know of it
      throw error
    }
    return self
  }

  private constructor(options: PartitionOptions, chain: CommitChain, recovered: Recovered) {
    this.#options = options
    this.#chain = chain
    this.#runFloor = recovered.runFloor
    this.#slots = new Map()
    for (const [id, head] of recovered.heads) this.#slots.set(id, new Slot(head))
    this.#reader = new JournalReader(options.log, options.name, options.codec)
    this.#carrier = new Carrier(chain, this.#reader, options.codec)
    this.#checkpointer = new Checkpointer({
      ...options,
      partition: options.name,
      chain,
      carrier: this.#carrier,
      when: options.checkpoint,
      recovered: { bytes: recovered.bytes, commits: recovered.commits, carriedBytes: recovered.carriedBytes },
      heads: () => Array.from(this.#slots.values(), ({ head }) => head),
      forget: (head) => this.#forget(head),
      runFloor: () => this.#runFloor,
    })
    this.#maxPayloadBytes = maxPayloadBytes(chain.maxEntryBytes)
    this.#performer = new Performer({
      ...options,
      maxPayloadBytes: this.#maxPayloadBytes,
      wake: (head, wake) => this.#wakeRun(head, wake),
      record: (head, event, onStored) => this.#recordFor(head, event, onStored),
      close: (head, end) => this.#closeRun(head, end),
    })
  }

  /** A commit of this partition is stored. */
  committed(): void {
    this.#checkpointer.consider()
  }

  /** Answers when the consequence of the request is stored. Never rejects while the partition is owned. */
  async submit(request: PartitionRequest): Promise<PartitionAnswer> {
    if (this.#closed) throw this.#gone()
    return new Promise((resolve, reject) => {
      this.#unanswered.add(reject)
      const settle = (given: PartitionAnswer): void => {
        this.#unanswered.delete(reject)
        resolve(given)
      }
      let isAtOnce = true
      const answer = (given: PartitionAnswer): void => {
        // What no commit of its own vouches for might be the word of an owner that was taken over and does not know (P4).
        const isUnproven = isAtOnce || given.kind === 'refused' || (given.kind === 'started' && !given.created)
        if (isUnproven) void this.#chain.confirm().then(() => settle(given))
        else settle(given)
      }
      try {
        this.#take(this.#fitting(request), answer)
        isAtOnce = false
      } catch (error) {
        this.#unanswered.delete(reject)
        reject(error as Error)
      }
      this.#schedule()
    })
  }

  readonly #unanswered = new Set<(error: Error) => void>()

  #gone(): AppError {
    return new AppError('unavailable', `partition ${this.#options.name} is not owned by this node`, undefined, {
      retryable: true,
    })
  }

  /**
   * The request, if the journal can take it. The end of a child has to be told in any case.
   *
   * @throws AppError invalid - it is too large
   */
  #fitting(request: PartitionRequest): PartitionRequest {
    const what = `${request.kind} of workflow ${request.workflowId}`
    const error = tooLarge(this.#options.codec, request, what, this.#maxPayloadBytes)
    if (error === undefined) return request
    if (request.kind === 'child_end') return { ...request, result: { error } }
    throw new AppError('invalid', error.message, undefined, { retryable: false })
  }

  #take(request: PartitionRequest, answer: (answer: PartitionAnswer) => void): void {
    const slot = this.#slots.get(request.workflowId)
    if (request.kind === 'start') return this.#start(slot, request, answer)
    if (slot === undefined || this.#isExpired(slot))
      return answer(refused('not_found', `no workflow ${request.workflowId}`))
    const { head } = slot
    switch (request.kind) {
      case 'message':
        if (!head.isOpen && request.message.messageId !== undefined)
          return this.#lateMessage(slot, request.message, answer)
        return this.#wake(slot, request.message, answer)
      case 'cancel':
        if (request.run !== undefined && request.run !== head.run) return answer(taken)
        if (head.cancelAsked) return void this.#chain.barrier().then(() => answer(taken))
        if (head.isOpen && head.turns === 0 && !slot.hasBegun) {
          // No code has run that could clean up.
          const error: WireError = { kind: 'canceled', message: request.reason ?? 'canceled', retryable: false }
          return this.#close(slot, { kind: 'canceled', error }, () => answer(taken))
        }
        return this.#wake(slot, { kind: 'cancel', from: request.from, reason: request.reason }, answer)
      case 'terminate': {
        if (!head.isOpen) return answer(refusedClosed(head))
        if (request.run !== undefined && request.run !== head.run) return answer(taken)
        const reason = request.reason ?? 'terminated'
        const error: WireError = { kind: 'canceled', message: reason, retryable: false }
        return this.#close(slot, { kind: 'terminated', error }, () => answer(taken))
      }
      case 'update':
        return this.#update(slot, request, answer)
      case 'child_end':
        if (!head.isOpen || head.run !== request.run || !head.pending.has(request.id)) return answer(taken)
        return this.#wake(slot, childWake(head, request.id, request.from, request.result), answer)
    }
  }

  /** A repeat meets the update that it repeats, also one that has completed (trap 26). */
  #update(slot: Slot, request: UpdateRequest, answer: (answer: PartitionAnswer) => void): void {
    const { updateId, name, args } = request
    const onAnswer = (given: PartitionAnswer): void =>
      given.kind === 'refused' ? answer(given) : this.#updateTaken(slot, request, answer)
    if (slot.head.updates.has(updateId)) void this.#chain.barrier().then(() => onAnswer(taken))
    else this.#wake(slot, { kind: 'update', updateId, name, args }, onAnswer)
  }

  #updateTaken(slot: Slot, request: UpdateRequest, answer: (answer: PartitionAnswer) => void): void {
    const { updateId, waitFor } = request
    const result = slot.head.updates.get(updateId)
    if (result !== undefined) void this.#chain.barrier().then(() => answer({ kind: 'updated', result }))
    else if (waitFor === 'accepted') answer({ kind: 'updated' })
    else if (!slot.head.isOpen) answer(refused('not_found', unfinishedUpdate(slot.head, updateId)))
    else slot.updateWaiters.push({ updateId, answer })
  }

  #tellUpdates(slot: Slot, turn: Turn): void {
    for (const { command } of turn.commands) {
      if (command.kind !== 'reply') continue
      const { updateId, result } = command
      const told = slot.updateWaiters.filter((waiter) => waiter.updateId === updateId)
      slot.updateWaiters = slot.updateWaiters.filter((waiter) => waiter.updateId !== updateId)
      for (const { answer } of told) answer({ kind: 'updated', result })
    }
    if (turn.end !== undefined) this.#refuseUpdates(slot)
  }

  #refuseUpdates(slot: Slot): void {
    for (const { updateId, answer } of slot.updateWaiters.splice(0))
      answer(refused('not_found', unfinishedUpdate(slot.head, updateId)))
  }

  #start(slot: Slot | undefined, request: StartRequest, answer: (answer: PartitionAnswer) => void): void {
    const isKnown = slot !== undefined && !this.#isExpired(slot)
    const known = isKnown
      ? { run: slot.head.run, status: slot.head.status, requestId: slot.head.started.requestId }
      : undefined
    const decision = decideStart(known, request, Math.max(this.#runFloor, (slot?.head.run ?? 0) + 1))
    if (decision.kind === 'refuse') {
      return answer(refused('already_exists', `workflow ${request.workflowId} ${decision.reason}`))
    }
    if (decision.kind === 'use_existing') return this.#join(slot!, request, decision.isRepeat, answer)
    if (this.#options.programs(request.type) === undefined) {
      return answer({
        kind: 'refused',
        error: {
          kind: 'not_found',
          message: `no workflow type ${request.type} on task queue ${this.#options.taskQueue}`,
          retryable: true,
        },
      })
    }
    let firstMs: number | undefined
    try {
      firstMs = firstTickMs(request, this.#options.clock.wallMs())
    } catch (error) {
      return answer({ kind: 'refused', error: toWire(error) })
    }
    if (decision.kind === 'replace') {
      const error: WireError = { kind: 'canceled', message: 'replaced by a new start', retryable: false }
      this.#close(slot!, { kind: 'terminated', error })
    }
    this.#begin(slot, this.#started(request, decision.run, firstMs), request.workflowId, () =>
      answer({ kind: 'started', run: decision.run, created: true }),
    )
  }

  /** A start that met the running one: its messages are delivered, its parent waits with the others. */
  #join(slot: Slot, request: StartRequest, isRepeat: boolean, answer: (answer: PartitionAnswer) => void): void {
    const { head } = slot
    const run = head.run
    if (!isRepeat) {
      for (const message of request.messages ?? []) this.#wake(slot, message, undefined)
      if (request.parent !== undefined) this.#record(slot, { kind: 'watched', watcher: request.parent })
    }
    void this.#chain.barrier().then(() => answer({ kind: 'started', run, created: false }))
  }

  #started(request: StartRequest, run: number, notBeforeMs: number | undefined): Started {
    const atMs = this.#options.clock.wallMs()
    return {
      kind: 'started',
      atMs,
      run,
      type: request.type,
      args: request.args,
      seed: uuidFrom(this.#options.rng),
      gates: currentGates,
      ...(request.requestId === undefined ? {} : { requestId: request.requestId }),
      ...(request.parent === undefined ? {} : { parent: request.parent }),
      ...(request.context === undefined ? {} : { context: request.context }),
      ...(request.memo === undefined ? {} : { memo: request.memo }),
      ...(request.searchAttributes === undefined ? {} : { searchAttributes: request.searchAttributes }),
      ...(request.messages === undefined ? {} : { messages: request.messages }),
      ...(request.retry === undefined ? {} : { retry: request.retry }),
      ...(request.cron === undefined ? {} : { cron: request.cron }),
      ...(request.timeZone === undefined ? {} : { timeZone: request.timeZone }),
      ...(notBeforeMs === undefined ? {} : { notBeforeMs }),
      ...(request.runTimeoutMs === undefined ? {} : { runDeadlineMs: (notBeforeMs ?? atMs) + request.runTimeoutMs }),
      ...(request.executionTimeoutMs === undefined
        ? {}
        : { executionDeadlineMs: (notBeforeMs ?? atMs) + request.executionTimeoutMs }),
    }
  }

  #begin(known: Slot | undefined, started: Started, workflowId: string, onStored?: () => void): void {
    const slot = known ?? new Slot(new Head(workflowId, started))
    if (known === undefined) this.#slots.set(workflowId, slot)
    slot.resident = undefined
    slot.state = 'cold'
    slot.hasBegun = false
    this.#record(slot, started, onStored)
    this.#performer.armRun(slot.head)
    if (started.notBeforeMs === undefined) this.#firstWakes(slot)
  }

  /** What a run that has not run yet is given: its start, then what came with it. */
  #firstWakes(slot: Slot): void {
    slot.hasBegun = true
    slot.wakes.push({ wake: { kind: 'start' }, onAnswer: undefined })
    slot.head.queued.forEach((_, index) => slot.wakes.push({ wake: { kind: 'queued', index }, onAnswer: undefined }))
    this.#activate(slot)
  }

  // --- wakes -------------------------------------------------------------------------------------------------------

  #wake(slot: Slot, wake: Wake, onAnswer: ((answer: PartitionAnswer) => void) | undefined): void {
    if (!slot.head.isOpen) return onAnswer?.(refusedClosed(slot.head))
    slot.wakes.push({ wake, onAnswer })
    if (slot.head.turns === 0 && !slot.hasBegun) this.#queueWakes(slot)
    else this.#activate(slot)
  }

  /** To a workflow that has ended: one that it took while it ran was taken, whoever asks again (G5). */
  #lateMessage(slot: Slot, message: MessageWake, answer: (answer: PartitionAnswer) => void): void {
    const { head } = slot
    void this.#stored(head.workflow).then(
      (journal) =>
        answer(seenIds(startOf(head, journal), journal).has(message.messageId!) ? taken : refusedClosed(head)),
      () => answer(refusedClosed(head)),
    )
  }

  /** The performer's wakes: for a run, which may have ended meanwhile. */
  #wakeRun(head: Head, wake: Wake): void {
    if (this.#closed) return
    const slot = this.#slots.get(head.workflow)
    if (slot === undefined || slot.head !== head) return
    if (wake.kind === 'start') this.#firstWakes(slot)
    else this.#wake(slot, wake, undefined)
    this.#schedule()
  }

  #activate(slot: Slot): void {
    if (slot.head.stuck !== undefined) return this.#queueWakes(slot)
    if (slot.state === 'idle') {
      slot.state = 'ready'
      this.#ready.push(slot)
    } else if (slot.state === 'cold') {
      slot.state = 'loading'
      this.#loading++
      void this.#load(slot).finally(() => this.#loading--)
    }
  }

  /** A stuck workflow takes its mail unread: recorded now, given to the program when its code is right again. */
  #queueWakes(slot: Slot): void {
    for (const { wake, onAnswer } of slot.wakes.splice(0)) {
      if (wake.kind === 'start' || wake.kind === 'queued') continue // stands in the journal already
      if (wake.kind === 'update') {
        // Only its code can say whether it would take it.
        onAnswer?.(refused('unavailable', `workflow ${slot.head.workflow} does not run now`, true))
        continue
      }
      if (isRepeat(slot, wake)) void this.#chain.barrier().then(() => onAnswer?.(taken))
      else this.#record(slot, { kind: 'queued', atMs: this.#now(slot), wake }, () => onAnswer?.(taken))
      if (wake.kind === 'message' && wake.messageId !== undefined) slot.seen?.add(wake.messageId)
    }
  }

  #now(slot: Slot): number {
    return Math.max(this.#options.clock.wallMs(), slot.head.lastAtMs)
  }

  // --- loading -----------------------------------------------------------------------------------------------------

  async #load(slot: Slot): Promise<void> {
    const { head } = slot
    try {
      const journal = isFresh(head) ? [] : await this.#readJournal(slot)
      const started = startOf(head, journal)
      slot.seen = seenIds(started, journal)
      const create = this.#options.programs(head.started.type)
      if (create === undefined) return this.#stick(slot, `no code for workflow type ${head.started.type} on this node`)
      const resident = new Resident(started, create(), {
        self: this.#options.selfPid(head.workflow),
        taskQueue: this.#options.taskQueue,
        logger: this.#options.logger,
        pidOf: this.#options.pidOf,
        limits: this.#options.limits,
        onFault: (error) => this.#closeRun(head, { kind: 'failed', error }),
      })
      if (journal.length > 0) {
        await resident.replay(journal)
        if (resident.mismatch !== undefined) return this.#stickMismatch(slot, resident.mismatch)
        this.#options.observe({ kind: 'replayed', workflow: head.workflow, run: head.run, turns: head.turns })
      }
      for (const event of slot.missed) if (event.kind !== 'turn' && event.kind !== 'started') resident.note(event)
      if (this.#closed || !head.isOpen || slot.state !== 'loading') return resident.stop()
      slot.resident = resident
      this.#resident.add(slot)
      slot.state = 'idle'
      if (slot.wakes.length > 0) this.#activate(slot)
      this.#schedule()
    } catch (error) {
      if (this.#closed) return
      if (error instanceof AppError && (error.kind === 'unavailable' || error.kind === 'timeout')) {
        // The log does not answer now; the workflow waits, nothing of it is lost.
        slot.state = 'cold'
        this.#later(1_000, () => this.#activate(slot))
        return
      }
      this.#stick(slot, `its journal cannot be read: ${(error as Error).message}`)
    }
  }

  /** The journal of a workflow that is to run. One that was scattered over many commits is written together (trap 32). */
  async #readJournal(slot: Slot): Promise<SizedEvent[]> {
    await this.#chain.barrier()
    const { head } = slot
    const { run, workflow } = head
    const { name, codec } = this.#options
    const after = this.#chain.seq
    slot.missed = []
    const entries = await this.#reader.raw(workflow, run, () => head.seqs)
    const scattered = new Set(entries.map(({ seq }) => seq)).size
    const loose = entries.filter(({ carried }) => !carried).length
    if (scattered > maxScattered && loose * 2 >= entries.length) this.#carrier.gather(head, run, entries, after)
    return entries.map(({ bytes, seq }) => ({
      event: decodeEvent(codec, { workflow, run, bytes }, { partition: name, seq }),
      bytes: bytes.length,
    }))
  }

  #isExpired({ head }: Slot): boolean {
    return isExpired(head, this.#options.clock.wallMs(), this.#options.retention)
  }

  /** What is known of a workflow, unless it ended too long ago. */
  #known(workflowId: string): Slot | undefined {
    const slot = this.#slots.get(workflowId)
    return slot === undefined || this.#isExpired(slot) ? undefined : slot
  }

  #forget(head: Head): boolean {
    const slot = this.#slots.get(head.workflow)
    if (slot?.head !== head || head.isOpen || head.owes || slot.unstored > 0 || slot.state !== 'cold') return false
    this.#slots.delete(head.workflow)
    this.#runFloor = Math.max(this.#runFloor, head.run + 1)
    return true
  }

  #stickMismatch(slot: Slot, mismatch: JournalMismatch): void {
    this.#stick(slot, describeMismatch(mismatch), mismatch)
  }

  #stick(slot: Slot, reason: string, mismatch?: JournalMismatch): void {
    const { head } = slot
    head.stuck = mismatch === undefined ? { reason } : { reason, mismatch }
    const { seen } = slot
    this.#unload(slot)
    slot.seen = seen // its mail is still taken, and each letter once
    this.#options.logger.log('error', `workflow ${head.workflow} is stuck: ${reason}`, { workflow: head.workflow })
    this.#options.observe({
      kind: 'stuck',
      workflow: head.workflow,
      reason,
      ...(mismatch === undefined ? {} : { mismatch }),
    })
    this.#queueWakes(slot)
    this.#schedule()
  }

  /** Tries stuck workflows again: their code may be right now. All of them, or the one that is named. */
  retryStuck(workflowId?: string): void {
    for (const slot of this.#slots.values()) {
      const { head } = slot
      if (head.stuck === undefined || (workflowId !== undefined && workflowId !== head.workflow)) continue
      if (head.stuck.isPoisoned === true) continue // no code heals it
      head.stuck = undefined
      if (head.turns === 0) this.#firstWakes(slot)
      else this.#deliverQueued(slot)
      this.#activate(slot)
    }
    this.#schedule()
  }

  #deliverQueued(slot: Slot): void {
    slot.head.queued.forEach((wake, index) => {
      if (wake !== undefined) slot.wakes.push({ wake: { kind: 'queued', index }, onAnswer: undefined })
    })
  }

  #unload(slot: Slot): void {
    slot.resident?.stop()
    slot.resident = undefined
    slot.seen = undefined
    slot.state = 'cold'
    slot.rest()
    this.#resident.delete(slot)
  }

  // --- turns -------------------------------------------------------------------------------------------------------

  #schedule(): void {
    if (this.#scheduled || this.#closed) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#closed) return
    for (let slot = this.#ready.shift(); slot !== undefined; slot = this.#ready.shift()) this.#turn(slot)
    // Turns that end in a moment leave in the same commit.
    if (this.#busy === 0) this.#chain.flush()
  }

  #turn(slot: Slot): void {
    if (slot.state !== 'ready') return
    const waking = this.#nextWake(slot)
    if (waking === undefined) {
      slot.state = 'idle'
      return this.#evict()
    }
    slot.state = 'running'
    let step: Step | Promise<Step>
    try {
      step = slot.resident!.begin(waking.wake, this.#options.clock.wallMs())
    } catch (error) {
      step = { kind: 'failed', error: { kind: 'internal', message: `program broke: ${(error as Error).message}` } }
    }
    this.#stepped(slot, waking, step)
  }

  #stepped(slot: Slot, waking: Waking, step: Step | Promise<Step>): void {
    if (step instanceof Promise) {
      this.#busy++
      void step.then((answered) => {
        this.#busy--
        if (!this.#closed) this.#finish(slot, waking, answered)
      })
      return
    }
    this.#finish(slot, waking, step)
  }

  /** The next wake that is news to the workflow. A completion that was recorded before, or a message that it has, is not. */
  #nextWake(slot: Slot): Waking | undefined {
    for (let waking = slot.wakes.shift(); waking !== undefined; waking = slot.wakes.shift()) {
      const { wake, onAnswer } = waking
      let answer = taken
      if (!isRepeat(slot, wake)) {
        const error = wake.kind === 'update' ? slot.resident!.refusalOf(wake.name, wake.args) : undefined
        if (error === undefined) return waking
        answer = { kind: 'refused', error } // nothing of it is recorded
      }
      if (onAnswer !== undefined) void this.#chain.barrier().then(() => onAnswer(answer))
    }
    return undefined
  }

  #finish(slot: Slot, waking: Waking, step: Step): void {
    const resident = slot.resident
    if (resident === undefined || slot.state !== 'running') return void waking.onAnswer?.(refusedClosed(slot.head))
    if (step.kind === 'preempted') {
      // Others first; the turn stays open.
      this.#later(0, () => {
        if (slot.resident === resident) this.#stepped(slot, waking, resident.proceed())
      })
      return
    }
    const finished = resident.finish(step)
    if (finished === undefined) {
      slot.wakes.unshift(waking)
      return this.#stickMismatch(slot, resident.mismatch!)
    }
    if (waking.wake.kind === 'message' && waking.wake.messageId !== undefined) slot.seen?.add(waking.wake.messageId)
    const successor = this.#successorOf(slot, finished)
    const turn = successor === undefined ? finished : asFollowed(finished)
    const bytes = this.#recordTurn(slot, turn, waking.onAnswer)
    if (bytes === undefined) return
    resident.sized(bytes)
    if (turn.end === undefined && this.#failTooLong(slot)) return
    if (turn.end === undefined) {
      slot.state = 'ready'
      this.#ready.push(slot)
    } else if (turn.end.kind === 'continued') {
      this.#goOn(slot, step as Extract<Step, { kind: 'become' }>)
    } else if (successor !== undefined) {
      this.#goOn(slot, { kind: 'become', target: undefined, args: slot.head.started.args }, successor)
    } else {
      this.#ended(slot)
    }
    this.#schedule()
  }

  #failTooLong(slot: Slot): boolean {
    const error = slot.head.isOpen ? tooLong(slot.head, this.#options.limits) : undefined
    if (error !== undefined) this.#close(slot, { kind: 'failed', error })
    return error !== undefined
  }

  /** The bytes of the recorded turn; undefined when it is larger than the log takes, which ends the workflow. */
  #recordTurn(slot: Slot, turn: Turn, onAnswer: Waking['onAnswer']): number | undefined {
    const bytes = this.#chain.encode(turn)
    if (bytes.length > this.#chain.maxEntryBytes) {
      const error: WireError = {
        kind: 'invalid',
        message: `one turn of ${bytes.length} bytes cannot be recorded: the log takes ${this.#chain.maxEntryBytes}; pass large data by reference`,
        retryable: false,
      }
      this.#close(slot, { kind: 'failed', error }, () => onAnswer?.(taken))
      return undefined
    }
    this.#store(slot, turn, bytes, () => {
      onAnswer?.(taken)
      this.#tellUpdates(slot, turn)
      if (turn.end !== undefined && turn.end.kind !== 'continued' && !isFollowed(turn.end))
        this.#tellWaiters(slot, turn.end)
    })
    return bytes.length
  }

  /** The run after one that a cancellation reached is none, whatever its code made of it. */
  #successorOf({ head }: Slot, { end, wake, atMs }: Turn): Successor | undefined {
    return end === undefined || head.cancelAsked || wake.kind === 'cancel'
      ? undefined
      : decideSuccessor(head.started, end, atMs)
  }

  /** continue-as-new, cron and retries of the workflow: the next run stands right behind the end of this one, and inherits what nobody read. */
  #goOn(slot: Slot, step: Extract<Step, { kind: 'become' }>, successor?: Successor): void {
    const { head } = slot
    const { started } = head
    const unread = slot.resident!.unread() as readonly MessageWake[]
    const queued = head.queued.filter((wake): wake is MessageWake => wake?.kind === 'message')
    const waiting = slot.wakes.splice(0)
    const arrived = waiting.flatMap(({ wake }) => (wake.kind === 'message' && !isRepeat(slot, wake) ? [wake] : []))
    const messages = [...unread, ...queued, ...arrived]
    const seen = [...(slot.seen ?? [])].slice(-rememberedIds)
    this.#performer.leaveRun(head)
    this.#unload(slot)
    const atMs = this.#now(slot)
    const next: Started = {
      kind: 'started',
      continued: true,
      atMs,
      run: head.run + 1,
      type: step.target ?? started.type,
      args: step.args,
      seed: uuidFrom(this.#options.rng),
      gates: currentGates,
      ...(started.requestId === undefined ? {} : { requestId: started.requestId }),
      ...(started.parent === undefined ? {} : { parent: started.parent }),
      ...(started.context === undefined ? {} : { context: started.context }),
      ...(started.retry === undefined ? {} : { retry: started.retry }),
      ...(started.cron === undefined ? {} : { cron: started.cron }),
      ...(started.timeZone === undefined ? {} : { timeZone: started.timeZone }),
      ...successor,
      ...(started.executionDeadlineMs === undefined ? {} : { executionDeadlineMs: started.executionDeadlineMs }),
      ...(started.runDeadlineMs === undefined
        ? {}
        : {
            runDeadlineMs:
              (successor?.notBeforeMs ?? atMs) +
              (started.runDeadlineMs - Math.max(started.notBeforeMs ?? 0, started.atMs)),
          }),
      ...(messages.length === 0 ? {} : { messages }),
      ...(seen.length === 0 ? {} : { seen }),
    }
    const error = tooLarge(this.#options.codec, next, 'what the next run begins with', this.#chain.maxEntryBytes)
    if (error !== undefined) {
      for (const { onAnswer } of waiting) onAnswer?.(refusedClosed(head))
      return this.#close(slot, { kind: 'failed', error })
    }
    this.#begin(slot, next, head.workflow, () => {
      for (const { wake, onAnswer } of waiting)
        if (wake.kind !== 'update') onAnswer?.(wake.kind === 'message' ? taken : refusedClosed(head))
    })
    for (const waking of waiting) {
      if (waking.wake.kind === 'cancel') slot.wakes.push({ wake: waking.wake, onAnswer: undefined })
      if (waking.wake.kind === 'update') slot.wakes.push(waking)
    }
    if (!slot.hasBegun) this.#queueWakes(slot)
  }

  // --- ends --------------------------------------------------------------------------------------------------------

  #closeRun(head: Head, end: EngineEnd): void {
    const slot = this.#slots.get(head.workflow)
    if (slot?.head === head && head.isOpen) this.#close(slot, end)
  }

  /** An end without the program. */
  #close(slot: Slot, end: EngineEnd, onStored?: () => void): void {
    this.#record(slot, { kind: 'closed', atMs: this.#now(slot), end }, () => {
      onStored?.()
      this.#tellWaiters(slot, end)
    })
    this.#ended(slot)
    this.#schedule()
  }

  /** In memory, at once: what has not been taken is refused (P3). */
  #ended(slot: Slot): void {
    this.#performer.leaveRun(slot.head)
    this.#unload(slot)
    for (const { onAnswer } of slot.wakes.splice(0)) onAnswer?.(refusedClosed(slot.head))
  }

  #tellWaiters(slot: Slot, end: Exclude<End, { kind: 'continued' }>): void {
    this.#refuseUpdates(slot)
    for (const waiter of slot.waiters.splice(0)) waiter(end)
    slot.rest()
  }

  // --- recording ---------------------------------------------------------------------------------------------------

  #recordFor(head: Head, event: JournalEvent, onStored?: () => void): void {
    const slot = this.#slots.get(head.workflow)
    if (this.#closed || slot?.head !== head) return
    this.#record(slot, event, onStored)
    this.#schedule()
  }

  #record(slot: Slot, event: JournalEvent, onStored?: () => void): void {
    this.#store(slot, event, this.#chain.encode(event), onStored)
    if (event.kind === 'turn' || event.kind === 'started') return
    if (slot.resident !== undefined) slot.resident.note(event)
    else if (slot.state === 'loading') slot.missed.push(event)
    this.#failTooLong(slot)
  }

  #store(slot: Slot, event: JournalEvent, bytes: Uint8Array, onStored?: () => void): void {
    const { head } = slot
    const effects = head.apply(event) // P1
    head.bytes += bytes.length
    slot.unstored++
    const run = head.run
    const entry: Entry = { workflow: head.workflow, run, bytes }
    this.#chain.add(entry, (seq) => {
      slot.unstored--
      if (head.run === run) head.stand(seq)
      this.#options.observe({ kind: 'recorded', workflow: head.workflow, run, event })
      onStored?.()
      for (const effect of effects) this.#performer.perform(head, effect)
      if (slot.state === 'idle') this.#evict()
    })
  }

  #evict(): void {
    if (this.#resident.size <= this.#options.maxResident) return
    for (const slot of this.#resident) {
      if (this.#resident.size <= this.#options.maxResident) return
      if (slot.state === 'idle' && slot.unstored === 0 && !slot.hasWakes) this.#unload(slot)
    }
  }

  // --- life --------------------------------------------------------------------------------------------------------

  /** After a take-over: everything that is open goes on where the log says. */
  #resume(): void {
    for (const slot of this.#slots.values()) {
      const { head } = slot
      if (head.isOpen) {
        this.#performer.armRun(head)
        if (head.stuck?.isPoisoned === true) continue
        if (head.turns > 0) this.#deliverQueued(slot)
        else if (head.started.notBeforeMs === undefined) this.#firstWakes(slot)
        if (slot.hasWakes) this.#activate(slot)
      }
      for (const effect of head.pending.values()) this.#performer.performAgain(head, effect)
      if (head.owes) for (const outgoing of head.outbox.values()) this.#performer.performAgain(head, outgoing)
    }
    this.#schedule()
  }

  async #consume(): Promise<void> {
    const { inbox, name, codec, logger } = this.#options
    if (inbox === undefined) return
    const consumption = await inbox.consume(name, (message) => {
      void (async () => {
        try {
          const answer = await this.submit(codec.decode(message.bytes) as PartitionRequest)
          if (answer.kind === 'refused')
            logger.log('warn', `inbox of ${name}: ${answer.error.message}`, { messageId: message.messageId })
          await message.ack() // trap 7: only now
        } catch (error) {
          logger.log('warn', `inbox of ${name}: ${(error as Error).message}`, { messageId: message.messageId })
          if (error instanceof AppError && error.kind === 'invalid') await message.ack()
        }
      })()
    })
    if (this.#closed) await consumption.stop()
    else this.#consumption = consumption
  }

  #later(delayMs: number, act: () => void): void {
    const cancel = this.#options.machineClock.after(delayMs, () => {
      this.#slices.delete(cancel)
      if (!this.#closed) act()
    })
    this.#slices.add(cancel)
  }

  /** Stops gracefully: what was taken is stored, then nothing more is. Attempts under way are abandoned, not failed. */
  async close(): Promise<void> {
    this.#checkpointer.stop()
    await this.#consumption?.stop()
    this.#performer.flushSettled()
    this.#chain.flush()
    await this.#chain.settled()
    this.drop(this.#gone())
  }

  /** Lets everything go without running a line more: this node is not the owner any longer. */
  drop(error: AppError): void {
    if (this.#closed) return
    this.#closed = true
    this.#checkpointer.stop()
    this.#chain.close()
    this.#performer.stop()
    for (const cancel of this.#slices) cancel()
    for (const slot of [...this.#resident]) this.#unload(slot)
    // Its commit may be stored all the same: whoever asked has to ask the next owner, and must not take this for a no.
    const unanswered = new AppError('unavailable', error.message, undefined, { retryable: true, cause: error })
    for (const reject of this.#unanswered) reject(unanswered)
    this.#unanswered.clear()
    void this.#consumption?.stop()
    if (error.kind === 'conflict') {
      this.#options.observe({ kind: 'fenced', partition: this.#options.name, reason: error.message })
    }
    // Whatever else stopped it but its owner: who takes it for owned must learn of it.
    if (error.kind !== 'unavailable') this.#options.onFenced(error)
  }

  /** Programs are running or being rebuilt at this moment. */
  get isBusy(): boolean {
    return this.#busy > 0 || this.#loading > 0
  }

  // --- reading -----------------------------------------------------------------------------------------------------

  describe(workflowId: string): Description | undefined {
    const slot = this.#known(workflowId)
    return slot && describeHead(slot.head)
  }

  *list(): IterableIterator<Description> {
    for (const slot of this.#slots.values()) if (!this.#isExpired(slot)) yield describeHead(slot.head)
  }

  /** The events of the current run, as they are stored. */
  async history(workflowId: string): Promise<JournalEvent[]> {
    return (await this.#stored(workflowId)).map(({ event }) => event)
  }

  async #stored(workflowId: string): Promise<SizedEvent[]> {
    const { head } = this.#existing(workflowId)
    await this.#chain.barrier()
    if (head.journalGone) {
      throw new AppError(
        'not_found',
        `workflow ${workflowId} has ended (${head.status}) and its journal is not kept any longer, only its end`,
      )
    }
    return this.#reader.events(workflowId, head.run, () => head.seqs)
  }

  #existing(workflowId: string): Slot {
    const slot = this.#known(workflowId)
    if (slot === undefined) throw new AppError('not_found', `no workflow ${workflowId}`)
    return slot
  }

  /**
   * Forks the run before its turn `toTurn` (from 0) into a new one and answers its number. A crash on the way leaves the
   * old run as it was.
   *
   * @throws AppError invalid - there is no such turn
   * @throws AppError conflict - the workflow does not stand still long enough to be read
   */
  async reset(workflowId: string, toTurn: number): Promise<number> {
    const slot = this.#existing(workflowId)
    const { head } = slot
    const journal = await this.#stored(workflowId)
    const isStill = slot.unstored === 0 && journal.length === head.events && !this.#carrier.isCarrying(head)
    if (!isStill || slot.state === 'running' || slot.state === 'loading') {
      throw new AppError('conflict', `workflow ${workflowId} is at work just now; try again`, undefined, {
        retryable: true,
      })
    }
    const after = this.#chain.seq
    const { started, events } = forkJournal(
      journal.map(({ event }) => event),
      toTurn,
      this.#now(slot),
    )
    this.#performer.leaveRun(head)
    this.#unload(slot)
    const wanted = new Set(events.flatMap((event) => (event.kind === 'turn' ? event.commands.map(({ id }) => id) : [])))
    const released = head.isOpen ? head.releaseChildren((id) => wanted.has(id)) : []
    const bytes = this.#fork(slot, started, events)
    slot.state = 'loading' // nothing runs before the new run is written (T1 of the carrier's head)
    await this.#carrier.begin(head, bytes, after)
    slot.state = 'cold'
    if (!head.isOpen || head.run !== started.run) return started.run
    this.#performer.armRun(head)
    for (const outgoing of released) this.#performer.perform(head, outgoing)
    for (const effect of head.pending.values()) this.#performer.performAgain(head, effect)
    if (head.turns > 0) {
      slot.hasBegun = true
      this.#deliverQueued(slot)
    } else this.#firstWakes(slot)
    if (slot.hasWakes) this.#activate(slot)
    this.#schedule()
    return started.run
  }

  /** The head as the forked journal leaves it; what the old run sent has been sent. */
  #fork(slot: Slot, started: Started, events: readonly JournalEvent[]): Uint8Array[] {
    const { head } = slot
    const bytes: Uint8Array[] = []
    const take = (event: JournalEvent): void => {
      const encoded = this.#chain.encode(event)
      head.apply(event)
      head.bytes += encoded.length
      bytes.push(encoded)
    }
    take(started)
    for (const event of events) take(event)
    const prefix = `${head.run}/`
    const sent = Array.from(head.outbox, ([key]) => key).filter((key) => key.startsWith(prefix))
    if (sent.length > 0) take({ kind: 'settled', keys: sent })
    return bytes
  }

  /** Writes what counts forward and trims the rest, now and not when it is time. */
  checkpoint(): Promise<void> {
    return this.#checkpointer.run()
  }

  /** Resolves with the end of the workflow; at once if it has ended and that is stored. */
  async ended(workflowId: string): Promise<Outcome> {
    const slot = this.#existing(workflowId)
    if (slot.head.end !== undefined) {
      await this.#chain.barrier()
      return outcomeOf(slot.head.end)
    }
    return new Promise((resolve, reject) => {
      this.#unanswered.add(reject)
      slot.waiters.push((end) => {
        this.#unanswered.delete(reject)
        resolve(outcomeOf(end))
      })
    })
  }

  /** Asks a fresh replica of the workflow, rebuilt from what is stored: no condition wakes, nothing is written (trap 27). */
  async query(workflowId: string, name: string, args: readonly unknown[]): Promise<unknown> {
    const { head } = this.#existing(workflowId)
    const create = this.#options.programs(head.started.type)
    if (create === undefined)
      throw new AppError('unavailable', `no code for workflow type ${head.started.type} on this node`)
    const journal = await this.#stored(workflowId)
    const replica = new Resident(startOf(head, journal), create(), {
      self: this.#options.selfPid(workflowId),
      taskQueue: this.#options.taskQueue,
      logger: this.#options.logger,
      pidOf: this.#options.pidOf,
      limits: this.#options.limits,
    })
    try {
      await replica.replay(journal)
      if (replica.mismatch !== undefined) throw new AppError('conflict', describeMismatch(replica.mismatch))
      return replica.query(name, args)
    } finally {
      replica.stop()
    }
  }
}

function asFollowed(turn: Turn): Turn {
  const { end } = turn
  return end?.kind === 'completed' || end?.kind === 'failed' ? { ...turn, end: { ...end, next: true } } : turn
}

/** Of a start that is delayed, or that waits for the first instant of its cron line. @throws AppError invalid */
function firstTickMs({ startDelayMs, cron, timeZone }: StartRequest, nowMs: number): number | undefined {
  const earliestMs = nowMs + (startDelayMs ?? 0)
  if (cron === undefined) return startDelayMs === undefined ? undefined : earliestMs
  const firstMs = parseCron(cron, timeZone).next(earliestMs)
  if (firstMs === undefined) throw new AppError('invalid', `cron line "${cron}" has no instant left`)
  return firstMs
}

function isRepeat(slot: Slot, wake: Wake): boolean {
  switch (wake.kind) {
    case 'completed':
    case 'failed':
    case 'exit':
      return !slot.head.pending.has(wake.id)
    case 'message':
      return wake.messageId !== undefined && hasSeen(slot, wake.messageId)
    case 'queued':
      return slot.head.queued[wake.index] === undefined
    case 'start':
      return slot.head.turns > 0
    case 'update':
      return slot.head.updates.has(wake.updateId)
    case 'cancel':
      return false
  }
}

/** Known without its journal where nothing of it was delivered yet. */
function hasSeen({ seen, head }: Slot, id: string): boolean {
  if (seen !== undefined) return seen.has(id)
  const isQueued = head.queued.some((wake) => wake?.kind === 'message' && wake.messageId === id)
  return head.turns === 0 && (isQueued || head.started.seen?.includes(id) === true)
}

/** It has only just been started, here: there is nothing to read back. */
function isFresh(head: Head): boolean {
  return head.events === 1 && head.queued.length === (head.started.messages?.length ?? 0)
}

/** As it stands in the journal; a head that was carried does not hold all of it. */
function startOf(head: Head, [first]: readonly SizedEvent[]): Started {
  return first?.event.kind === 'started' ? first.event : head.started
}

function seenIds(started: Started, journal: readonly SizedEvent[]): Set<string> {
  const seen = new Set<string>()
  const see = (wake: Wake): void => {
    if (wake.kind === 'message' && wake.messageId !== undefined) seen.add(wake.messageId)
  }
  for (const id of started.seen ?? []) seen.add(id)
  for (const message of started.messages ?? []) see(message)
  for (const { event } of journal) if (event.kind === 'turn' || event.kind === 'queued') see(event.wake)
  return seen
}

function childWake(head: Head, id: number, from: Pid, result: Outcome): Wake {
  if (head.pending.get(id)?.command.kind === 'spawn') return { kind: 'exit', id, from, result }
  return result.error === undefined
    ? { kind: 'completed', id, value: result.value ?? null }
    : { kind: 'failed', id, error: result.error }
}

function refused(kind: WireError['kind'], message: string, retryable = false): PartitionAnswer {
  return { kind: 'refused', error: { kind, message, retryable } }
}

function unfinishedUpdate(head: Head, updateId: string): string {
  return `workflow ${head.workflow}: its run ended before update ${updateId} completed`
}

function refusedClosed(head: Head): PartitionAnswer {
  return refused('not_found', `workflow ${head.workflow} has ended (${head.status})`)
}

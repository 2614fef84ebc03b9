import {
  AppError,
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
import { CommitChain } from './chain.ts'
import { decodeEvent, decodeCommit, type Entry } from './commit.ts'
import {
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
import { describeHead, Head, type Description } from './head.ts'
import { decideStart } from './identity.ts'
import { describeMismatch, type JournalMismatch } from './mismatch.ts'
import type { Observer } from './observer.ts'
import type { Outside } from './outside.ts'
import { Performer } from './performer.ts'
import { recoverHeads } from './recover.ts'
import type { PartitionAnswer, PartitionRequest, StartRequest } from './requests.ts'
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
  readonly onFenced: (error: AppError) => void
}

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
  readonly wakes: Waking[] = []
  /** Message ids that its journal holds. Known while it is not cold. */
  seen: Set<string> | undefined
  /** Recorded while it was loading. */
  missed: JournalEvent[] = []
  /** Events that are not acknowledged yet. */
  unstored = 0
  waiters: ((end: Exclude<End, { kind: 'continued' }>) => void)[] = []

  constructor(head: Head) {
    this.head = head
  }
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
 */
export class Partition {
  readonly #options: PartitionOptions
  readonly #slots: Map<string, Slot>
  readonly #chain: CommitChain
  readonly #performer: Performer
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
    const { chain, epoch, claimSeq } = await CommitChain.claim({
      ...options,
      partition: options.name,
      clock: options.machineClock,
      onFenced: (error) => self?.drop(error),
    })
    options.observe({ kind: 'claimed', partition: options.name, epoch })
    const heads = await recoverHeads(options.log, options.name, claimSeq, options.codec, options.logger)
    self = new Partition(options, chain, heads.heads)
    options.observe({
      kind: 'recovered',
      partition: options.name,
      open: heads.open,
      closed: heads.heads.size - heads.open,
      events: heads.events,
    })
    self.#resume()
    await self.#consume()
    return self
  }

  private constructor(options: PartitionOptions, chain: CommitChain, heads: Map<string, Head>) {
    this.#options = options
    this.#chain = chain
    this.#slots = new Map([...heads].map(([id, head]) => [id, new Slot(head)]))
    this.#performer = new Performer({
      ...options,
      wake: (head, wake) => this.#wakeRun(head, wake),
      record: (head, event) => this.#recordFor(head, event),
      close: (head, end) => this.#closeRun(head, end),
    })
  }

  /** Answers when the consequence of the request is stored. Never rejects while the partition is owned. */
  async submit(request: PartitionRequest): Promise<PartitionAnswer> {
    if (this.#closed) throw this.#gone()
    return new Promise((resolve, reject) => {
      this.#unanswered.add(reject)
      const answer = (given: PartitionAnswer): void => {
        this.#unanswered.delete(reject)
        resolve(given)
      }
      try {
        this.#take(request, answer)
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

  #take(request: PartitionRequest, answer: (answer: PartitionAnswer) => void): void {
    const slot = this.#slots.get(request.workflowId)
    if (request.kind === 'start') return this.#start(slot, request, answer)
    if (slot === undefined) return answer(refused('not_found', `no workflow ${request.workflowId}`))
    const { head } = slot
    switch (request.kind) {
      case 'message':
        return this.#wake(slot, request.message, answer)
      case 'cancel':
        if (request.run !== undefined && request.run !== head.run) return answer(taken)
        if (head.cancelAsked) return void this.#chain.barrier().then(() => answer(taken))
        return this.#wake(slot, { kind: 'cancel', from: request.from, reason: request.reason }, answer)
      case 'terminate': {
        if (!head.isOpen) return answer(refusedClosed(head))
        if (request.run !== undefined && request.run !== head.run) return answer(taken)
        const reason = request.reason ?? 'terminated'
        const error: WireError = { kind: 'canceled', message: reason, retryable: false }
        return this.#close(slot, { kind: 'terminated', error }, () => answer(taken))
      }
      case 'child_end':
        if (!head.isOpen || head.run !== request.run || !head.pending.has(request.id)) return answer(taken)
        return this.#wake(slot, childWake(head, request.id, request.from, request.result), answer)
    }
  }

  #start(slot: Slot | undefined, request: StartRequest, answer: (answer: PartitionAnswer) => void): void {
    const known = slot && { run: slot.head.run, status: slot.head.status, requestId: slot.head.started.requestId }
    const decision = decideStart(known, request)
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
    if (decision.kind === 'replace') {
      const error: WireError = { kind: 'canceled', message: 'replaced by a new start', retryable: false }
      this.#close(slot!, { kind: 'terminated', error })
    }
    this.#begin(slot, this.#started(request, decision.run), request.workflowId, () =>
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

  #started(request: StartRequest, run: number): Started {
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
      ...(request.startDelayMs === undefined ? {} : { notBeforeMs: atMs + request.startDelayMs }),
      ...(request.runTimeoutMs === undefined ? {} : { runDeadlineMs: atMs + request.runTimeoutMs }),
      ...(request.executionTimeoutMs === undefined ? {} : { executionDeadlineMs: atMs + request.executionTimeoutMs }),
    }
  }

  #begin(known: Slot | undefined, started: Started, workflowId: string, onStored?: () => void): void {
    const slot = known ?? new Slot(new Head(workflowId, started))
    if (known === undefined) this.#slots.set(workflowId, slot)
    slot.resident = undefined
    slot.state = 'cold'
    this.#record(slot, started, onStored)
    this.#performer.armRun(slot.head)
    if (started.notBeforeMs === undefined) this.#firstWakes(slot)
  }

  /** What a run that has not run yet is given: its start, then what came with it. */
  #firstWakes(slot: Slot): void {
    slot.wakes.push({ wake: { kind: 'start' }, onAnswer: undefined })
    slot.head.queued.forEach((_, index) => slot.wakes.push({ wake: { kind: 'queued', index }, onAnswer: undefined }))
    this.#activate(slot)
  }

  // --- wakes -------------------------------------------------------------------------------------------------------

  #wake(slot: Slot, wake: Wake, onAnswer: ((answer: PartitionAnswer) => void) | undefined): void {
    if (!slot.head.isOpen) return onAnswer?.(refusedClosed(slot.head))
    slot.wakes.push({ wake, onAnswer })
    this.#activate(slot)
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
      if (isRepeat(slot, wake)) void this.#chain.barrier().then(() => onAnswer?.(taken))
      else this.#record(slot, { kind: 'queued', atMs: this.#now(slot), wake }, () => onAnswer?.(taken))
    }
  }

  #now(slot: Slot): number {
    return Math.max(this.#options.clock.wallMs(), slot.head.lastAtMs)
  }

  // --- loading -----------------------------------------------------------------------------------------------------

  async #load(slot: Slot): Promise<void> {
    const { head } = slot
    try {
      const create = this.#options.programs(head.started.type)
      if (create === undefined) return this.#stick(slot, `no code for workflow type ${head.started.type} on this node`)
      const isNew = head.turns === 0 && head.events === 1
      const journal = isNew ? [] : await this.#readJournal(slot)
      slot.seen = seenIds(head.started, journal)
      const resident = new Resident(head.started, create(), {
        self: this.#options.selfPid(head.workflow),
        taskQueue: this.#options.taskQueue,
        logger: this.#options.logger,
        pidOf: this.#options.pidOf,
      })
      if (!isNew) {
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

  async #readJournal(slot: Slot): Promise<SizedEvent[]> {
    await this.#chain.barrier()
    const { head } = slot
    slot.missed = []
    return this.#readEvents(head.workflow, head.run, [...head.seqs])
  }

  async #readEvents(workflow: string, run: number, seqs: readonly number[]): Promise<SizedEvent[]> {
    const { log, name, codec } = this.#options
    const events: SizedEvent[] = []
    for (const seq of seqs) {
      const record = await log.get(name, seq)
      if (record === undefined) {
        throw new AppError('internal', `log ${name}, sequence ${seq}: gone, though workflow ${workflow} stands in it`)
      }
      const commit = decodeCommit(codec, record.bytes, { partition: name, seq })
      if (commit.kind === 'claimed') continue
      for (const entry of commit.entries) {
        if (entry.workflow !== workflow || entry.run !== run) continue
        events.push({ event: decodeEvent(codec, entry, { partition: name, seq }), bytes: entry.bytes.length })
      }
    }
    return events
  }

  #stickMismatch(slot: Slot, mismatch: JournalMismatch): void {
    this.#stick(slot, describeMismatch(mismatch), mismatch)
  }

  #stick(slot: Slot, reason: string, mismatch?: JournalMismatch): void {
    const { head } = slot
    head.stuck = mismatch === undefined ? { reason } : { reason, mismatch }
    this.#unload(slot)
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
      if (!isRepeat(slot, waking.wake)) return waking
      const { onAnswer } = waking
      if (onAnswer !== undefined) void this.#chain.barrier().then(() => onAnswer(taken))
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
    const turn = resident.finish(step)
    if (turn === undefined) {
      slot.wakes.unshift(waking)
      return this.#stickMismatch(slot, resident.mismatch!)
    }
    if (waking.wake.kind === 'message' && waking.wake.messageId !== undefined) slot.seen?.add(waking.wake.messageId)
    const bytes = this.#recordTurn(slot, turn, waking.onAnswer)
    if (bytes === undefined) return
    resident.sized(bytes)
    if (turn.end === undefined) {
      slot.state = 'ready'
      this.#ready.push(slot)
    } else if (turn.end.kind === 'continued') {
      this.#goOn(slot, step as Extract<Step, { kind: 'become' }>)
    } else {
      this.#ended(slot)
    }
    this.#schedule()
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
      if (turn.end !== undefined && turn.end.kind !== 'continued') this.#tellWaiters(slot, turn.end)
    })
    return bytes.length
  }

  /** continue-as-new: the next run stands right behind the end of this one, and inherits what nobody read. */
  #goOn(slot: Slot, step: Extract<Step, { kind: 'become' }>): void {
    const { head } = slot
    const { started } = head
    const unread = slot.resident!.unread() as readonly MessageWake[]
    const queued = head.queued.filter((wake): wake is MessageWake => wake?.kind === 'message')
    const waiting = slot.wakes.splice(0)
    const arrived = waiting.flatMap(({ wake }) => (wake.kind === 'message' && !isRepeat(slot, wake) ? [wake] : []))
    const messages = [...unread, ...queued, ...arrived]
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
      ...(started.executionDeadlineMs === undefined ? {} : { executionDeadlineMs: started.executionDeadlineMs }),
      ...(started.runDeadlineMs === undefined ? {} : { runDeadlineMs: atMs + (started.runDeadlineMs - started.atMs) }),
      ...(messages.length === 0 ? {} : { messages }),
    }
    this.#begin(slot, next, head.workflow, () => {
      for (const { wake, onAnswer } of waiting) onAnswer?.(wake.kind === 'message' ? taken : refusedClosed(head))
    })
    for (const { wake } of waiting) if (wake.kind === 'cancel') slot.wakes.push({ wake, onAnswer: undefined })
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
    for (const waiter of slot.waiters.splice(0)) waiter(end)
  }

  // --- recording ---------------------------------------------------------------------------------------------------

  #recordFor(head: Head, event: JournalEvent): void {
    const slot = this.#slots.get(head.workflow)
    if (this.#closed || slot?.head !== head) return
    this.#record(slot, event)
    this.#schedule()
  }

  #record(slot: Slot, event: JournalEvent, onStored?: () => void): void {
    this.#store(slot, event, this.#chain.encode(event), onStored)
    if (event.kind === 'turn' || event.kind === 'started') return
    if (slot.resident !== undefined) slot.resident.note(event)
    else if (slot.state === 'loading') slot.missed.push(event)
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
      if (head.run === run && head.seqs.at(-1) !== seq) head.seqs.push(seq)
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
      if (slot.state === 'idle' && slot.unstored === 0 && slot.wakes.length === 0) this.#unload(slot)
    }
  }

  // --- life --------------------------------------------------------------------------------------------------------

  /** After a take-over: everything that is open goes on where the log says. */
  #resume(): void {
    for (const slot of this.#slots.values()) {
      const { head } = slot
      if (head.isOpen) {
        this.#performer.armRun(head)
        if (head.turns > 0) this.#deliverQueued(slot)
        else if (head.started.notBeforeMs === undefined) this.#firstWakes(slot)
        if (slot.wakes.length > 0) this.#activate(slot)
      }
      for (const effect of head.pending.values()) this.#performer.performAgain(head, effect)
      for (const outgoing of head.outbox.values()) this.#performer.performAgain(head, outgoing)
    }
    this.#schedule()
  }

  async #consume(): Promise<void> {
    const { inbox, name, codec, logger } = this.#options
    if (inbox === undefined) return
    this.#consumption = await inbox.consume(name, (message) => {
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
    this.#chain.close()
    this.#performer.stop()
    for (const cancel of this.#slices) cancel()
    for (const slot of [...this.#resident]) this.#unload(slot)
    for (const reject of this.#unanswered) reject(error)
    this.#unanswered.clear()
    void this.#consumption?.stop()
    if (error.kind === 'conflict') {
      this.#options.observe({ kind: 'fenced', partition: this.#options.name, reason: error.message })
      this.#options.onFenced(error)
    }
  }

  /** Programs are running or being rebuilt at this moment. */
  get isBusy(): boolean {
    return this.#busy > 0 || this.#loading > 0
  }

  // --- reading -----------------------------------------------------------------------------------------------------

  describe(workflowId: string): Description | undefined {
    const slot = this.#slots.get(workflowId)
    return slot && describeHead(slot.head)
  }

  *list(): IterableIterator<Description> {
    for (const { head } of this.#slots.values()) yield describeHead(head)
  }

  /** The events of the current run, as they are stored. */
  async history(workflowId: string): Promise<JournalEvent[]> {
    const slot = this.#slots.get(workflowId)
    if (slot === undefined) throw new AppError('not_found', `no workflow ${workflowId}`)
    await this.#chain.barrier()
    const { head } = slot
    return (await this.#readEvents(workflowId, head.run, [...head.seqs])).map(({ event }) => event)
  }

  /** Resolves with the end of the workflow; at once if it has ended and that is stored. */
  async ended(workflowId: string): Promise<Outcome> {
    const slot = this.#slots.get(workflowId)
    if (slot === undefined) throw new AppError('not_found', `no workflow ${workflowId}`)
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
    const slot = this.#slots.get(workflowId)
    if (slot === undefined) throw new AppError('not_found', `no workflow ${workflowId}`)
    const { head } = slot
    const create = this.#options.programs(head.started.type)
    if (create === undefined)
      throw new AppError('unavailable', `no code for workflow type ${head.started.type} on this node`)
    await this.#chain.barrier()
    const journal = await this.#readEvents(workflowId, head.run, [...head.seqs])
    const replica = new Resident(head.started, create(), {
      self: this.#options.selfPid(workflowId),
      taskQueue: this.#options.taskQueue,
      logger: this.#options.logger,
      pidOf: this.#options.pidOf,
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

function isRepeat(slot: Slot, wake: Wake): boolean {
  switch (wake.kind) {
    case 'completed':
    case 'failed':
    case 'exit':
      return !slot.head.pending.has(wake.id)
    case 'message':
      return wake.messageId !== undefined && slot.seen?.has(wake.messageId) === true
    case 'queued':
      return slot.head.queued[wake.index] === undefined
    case 'start':
      return slot.head.turns > 0
    case 'cancel':
      return false
  }
}

function seenIds(started: Started, journal: readonly SizedEvent[]): Set<string> {
  const seen = new Set<string>()
  const see = (wake: Wake): void => {
    if (wake.kind === 'message' && wake.messageId !== undefined) seen.add(wake.messageId)
  }
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

function refused(kind: WireError['kind'], message: string): PartitionAnswer {
  return { kind: 'refused', error: { kind, message, retryable: false } }
}

function refusedClosed(head: Head): PartitionAnswer {
  return refused('not_found', `workflow ${head.workflow} has ended (${head.status})`)
}

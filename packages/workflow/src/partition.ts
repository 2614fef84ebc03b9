import { AppError, type Consumption, type Outcome } from '@daruma/protocol'
import { Carrier } from './carrier.ts'
import { CommitChain } from './chain.ts'
import { Checkpointer } from './checkpoint.ts'
import { outcomeOf, type JournalEvent } from './events.ts'
import { takeFork } from './fork.ts'
import { describeHead, type Description, type Head } from './head.ts'
import { consumeInbox } from './intake.ts'
import { JournalReader } from './journal.ts'
import { Lifetime } from './lifetime.ts'
import { contextOf, noCode } from './loader.ts'
import type { PartitionOptions } from './partition-options.ts'
import { maxPayloadBytes } from './payload.ts'
import { Performer } from './performer.ts'
import { Reception } from './reception.ts'
import { Recorder } from './recorder.ts'
import { recoverHeads, type Recovered } from './recover.ts'
import { askReplica } from './replica.ts'
import type { PartitionAnswer, PartitionRequest } from './requests.ts'
import { forkJournal } from './reset.ts'
import { Residents } from './residents.ts'
import { isExpired } from './retention.ts'
import { RunQueue } from './run-queue.ts'
import { RunReader, startOf } from './run-reader.ts'
import { nowOf, Slot } from './slot.ts'
import { Turns } from './turns.ts'
import { Unanswered } from './unanswered.ts'
import { Waker } from './waker.ts'

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
  readonly #slots = new Map<string, Slot>()
  readonly #chain: CommitChain
  readonly #life: Lifetime
  readonly #unanswered = new Unanswered()
  readonly #residents: Residents
  readonly #performer: Performer
  readonly #carrier: Carrier
  readonly #checkpointer: Checkpointer
  readonly #runs: RunReader
  readonly #queue: RunQueue
  readonly #recorder: Recorder
  readonly #waker: Waker
  readonly #turns: Turns
  readonly #reception: Reception
  /** Above every run of every workflow that was forgotten. */
  #runFloor: number
  #consumption: Consumption | undefined

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
    const { name: partition, codec, log } = options
    this.#options = options
    this.#chain = chain
    this.#runFloor = recovered.runFloor
    for (const [id, head] of recovered.heads) this.#slots.set(id, new Slot(head))
    this.#life = new Lifetime(options.machineClock)
    this.#residents = new Residents(options.maxResident)
    const reader = new JournalReader(log, partition, codec)
    this.#carrier = new Carrier(chain, reader, codec)
    this.#checkpointer = new Checkpointer({
      ...options,
      partition,
      chain,
      carrier: this.#carrier,
      when: options.checkpoint,
      recovered: { bytes: recovered.bytes, commits: recovered.commits, carriedBytes: recovered.carriedBytes },
      heads: () => Array.from(this.#slots.values(), ({ head }) => head),
      forget: (head) => this.#forget(head),
      runFloor: () => this.#runFloor,
    })
    this.#performer = new Performer({
      ...options,
      maxPayloadBytes: maxPayloadBytes(chain.maxEntryBytes),
      wake: (head, wake) => this.#waker.wakeRun(head, wake),
      record: (head, event, onStored) => this.#recorder.recordFor(head, event, onStored),
      close: (head, end) => this.#recorder.closeRun(head, end),
    })
    this.#queue = new RunQueue({
      life: this.#life,
      run: (slot) => this.#turns.run(slot),
      onDrained: () => {
        // Turns that end in a moment leave in the same commit.
        if (!this.#turns.isBusy) chain.flush()
      },
    })
    const shared = {
      ...options,
      life: this.#life,
      slots: this.#slots,
      chain,
      performer: this.#performer,
      residents: this.#residents,
      queue: this.#queue,
    }
    this.#runs = new RunReader({ name: partition, codec, chain, reader, carrier: this.#carrier })
    this.#recorder = new Recorder(shared)
    this.#waker = new Waker({ ...shared, context: options, recorder: this.#recorder, runs: this.#runs })
    this.#turns = new Turns({ ...shared, recorder: this.#recorder, waker: this.#waker })
    this.#reception = new Reception({
      ...shared,
      maxPayloadBytes: maxPayloadBytes(chain.maxEntryBytes),
      recorder: this.#recorder,
      runs: this.#runs,
      waker: this.#waker,
      isExpired: (slot) => this.#isExpired(slot),
      runFloor: () => this.#runFloor,
    })
  }

  /** A commit of this partition is stored. */
  committed(): void {
    this.#checkpointer.consider()
  }

  /** Answers when the consequence of the request is stored. Never rejects while the partition is owned. */
  async submit(request: PartitionRequest): Promise<PartitionAnswer> {
    if (this.#life.isOver) throw this.#gone()
    const answered = this.#unanswered.open<PartitionAnswer>((settle) => {
      let isAtOnce = true
      this.#reception.take(request, (given) => {
        // What no commit of its own vouches for might be the word of an owner that was taken over and does not know (P4).
        const isUnproven = isAtOnce || given.kind === 'refused' || (given.kind === 'started' && !given.created)
        if (isUnproven) void this.#chain.confirm().then(() => settle(given))
        else settle(given)
      })
      isAtOnce = false
    })
    this.#queue.schedule()
    return answered
  }

  /** Tries stuck workflows again: their code may be right now. All of them, or the one that is named. */
  retryStuck(workflowId?: string): void {
    this.#waker.retryStuck(workflowId)
  }

  /** Programs are running or being rebuilt at this moment. */
  get isBusy(): boolean {
    return this.#turns.isBusy || this.#waker.isLoading
  }

  // --- life --------------------------------------------------------------------------------------------------------

  /** After a take-over: everything that is open goes on where the log says. */
  #resume(): void {
    for (const slot of this.#slots.values()) {
      const { head } = slot
      if (head.isOpen) {
        this.#performer.armRun(head)
        if (head.stuck?.isPoisoned === true) continue
        if (head.turns > 0) this.#waker.deliverQueued(slot)
        else if (head.started.notBeforeMs === undefined) this.#waker.firstWakes(slot)
        if (slot.hasWakes) this.#waker.activate(slot)
      }
      for (const effect of head.pending.values()) this.#performer.performAgain(head, effect)
      if (head.owes) for (const outgoing of head.outbox.values()) this.#performer.performAgain(head, outgoing)
    }
    this.#queue.schedule()
  }

  async #consume(): Promise<void> {
    const { inbox } = this.#options
    if (inbox === undefined) return
    const consumption = await consumeInbox({
      ...this.#options,
      inbox,
      submit: (request) => this.submit(request),
    })
    if (this.#life.isOver) await consumption.stop()
    else this.#consumption = consumption
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
    if (this.#life.isOver) return
    this.#life.end()
    this.#checkpointer.stop()
    this.#chain.close()
    this.#performer.stop()
    this.#residents.unloadAll()
    // Its commit may be stored all the same: whoever asked has to ask the next owner, and must not take this for a no.
    this.#unanswered.reject(new AppError('unavailable', error.message, undefined, { retryable: true, cause: error }))
    void this.#consumption?.stop()
    if (error.kind === 'conflict') {
      this.#options.observe({ kind: 'fenced', partition: this.#options.name, reason: error.message })
    }
    // Whatever else stopped it but its owner: who takes it for owned must learn of it.
    if (error.kind !== 'unavailable') this.#options.onFenced(error)
  }

  #gone(): AppError {
    return new AppError('unavailable', `partition ${this.#options.name} is not owned by this node`, undefined, {
      retryable: true,
    })
  }

  // --- retention ---------------------------------------------------------------------------------------------------

  #isExpired({ head }: Slot): boolean {
    return isExpired(head, this.#options.clock.wallMs(), this.#options.retention)
  }

  /** What is known of a workflow, unless it ended too long ago. */
  #known(workflowId: string): Slot | undefined {
    const slot = this.#slots.get(workflowId)
    return slot === undefined || this.#isExpired(slot) ? undefined : slot
  }

  #existing(workflowId: string): Slot {
    const slot = this.#known(workflowId)
    if (slot === undefined) throw new AppError('not_found', `no workflow ${workflowId}`)
    return slot
  }

  #forget(head: Head): boolean {
    const slot = this.#slots.get(head.workflow)
    if (slot?.head !== head || head.isOpen || head.owes || slot.unstored > 0 || slot.state !== 'cold') return false
    this.#slots.delete(head.workflow)
    this.#runFloor = Math.max(this.#runFloor, head.run + 1)
    return true
  }

  /** Writes what counts forward and trims the rest, now and not when it is time. */
  checkpoint(): Promise<void> {
    return this.#checkpointer.run()
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
    return (await this.#runs.stored(this.#existing(workflowId).head)).map(({ event }) => event)
  }

  /** Resolves with the end of the workflow; at once if it has ended and that is stored. */
  async ended(workflowId: string): Promise<Outcome> {
    const slot = this.#existing(workflowId)
    if (slot.head.end !== undefined) {
      await this.#chain.barrier()
      return outcomeOf(slot.head.end)
    }
    return this.#unanswered.open<Outcome>((answer) => slot.waiters.push((end) => answer(outcomeOf(end))))
  }

  /** Asks a fresh replica of the workflow, rebuilt from what is stored: no condition wakes, nothing is written (trap 27). */
  async query(workflowId: string, name: string, args: readonly unknown[]): Promise<unknown> {
    const { head } = this.#existing(workflowId)
    const create = this.#options.programs(head.started.type)
    if (create === undefined) throw new AppError('unavailable', noCode(head))
    const journal = await this.#runs.stored(head)
    return askReplica(startOf(head, journal), journal, create(), contextOf(head, this.#options), { name, args })
  }

  // --- reset -------------------------------------------------------------------------------------------------------

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
    const journal = await this.#runs.stored(head)
    const isStill = slot.unstored === 0 && journal.length === head.events && !this.#carrier.isCarrying(head)
    if (!isStill || slot.state === 'running' || slot.state === 'loading') {
      throw new AppError('conflict', `workflow ${workflowId} is at work just now; try again`, undefined, {
        retryable: true,
      })
    }
    const after = this.#chain.seq
    const fork = forkJournal(
      journal.map(({ event }) => event),
      toTurn,
      nowOf(slot, this.#options.clock),
    )
    const { started, events } = fork
    this.#performer.leaveRun(head)
    this.#residents.unload(slot)
    const wanted = new Set(events.flatMap((event) => (event.kind === 'turn' ? event.commands.map(({ id }) => id) : [])))
    const released = head.isOpen ? head.releaseChildren((id) => wanted.has(id)) : []
    const bytes = takeFork(head, fork, this.#chain)
    slot.state = 'loading' // nothing runs before the new run is written (T1 of the carrier's head)
    await this.#carrier.begin(head, bytes, after)
    slot.state = 'cold'
    if (!head.isOpen || head.run !== started.run) return started.run
    this.#performer.armRun(head)
    for (const outgoing of released) this.#performer.perform(head, outgoing)
    for (const effect of head.pending.values()) this.#performer.performAgain(head, effect)
    if (head.turns > 0) {
      slot.hasBegun = true
      this.#waker.deliverQueued(slot)
    } else this.#waker.firstWakes(slot)
    if (slot.hasWakes) this.#waker.activate(slot)
    this.#queue.schedule()
    return started.run
  }
}

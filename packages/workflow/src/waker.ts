import type { Clock, Logger } from '@daruma/protocol'
import { refused, refusedClosed, taken, type Answer } from './answers.ts'
import type { CommitChain } from './chain.ts'
import type { Started, Wake } from './events.ts'
import { Head } from './head.ts'
import type { Lifetime } from './lifetime.ts'
import { Loader, type LoaderOptions } from './loader.ts'
import { describeMismatch, type JournalMismatch } from './mismatch.ts'
import type { Observer } from './observer.ts'
import type { Performer } from './performer.ts'
import type { Recorder } from './recorder.ts'
import type { Residents } from './residents.ts'
import type { RunQueue } from './run-queue.ts'
import { isRepeat, nowOf, Slot } from './slot.ts'

export interface WakerOptions extends Pick<LoaderOptions, 'runs' | 'programs' | 'context'> {
  readonly life: Lifetime
  readonly slots: Map<string, Slot>
  readonly chain: CommitChain
  readonly performer: Performer
  readonly recorder: Recorder
  readonly residents: Residents
  readonly queue: RunQueue
  readonly clock: Clock
  readonly logger: Logger
  readonly observe: Observer
}

/** Brings what comes for a workflow to its program, which it loads; to one that cannot run now, it is only recorded. */
export class Waker {
  readonly #options: WakerOptions
  readonly #loader: Loader

  constructor(options: WakerOptions) {
    this.#options = options
    this.#loader = new Loader({
      life: options.life,
      runs: options.runs,
      programs: options.programs,
      context: options.context,
      observe: options.observe,
      onLoaded: (slot, resident) => {
        slot.resident = resident
        options.residents.add(slot)
        slot.state = 'idle'
        if (slot.wakes.length > 0) this.activate(slot)
        options.queue.schedule()
      },
      onStuck: (slot, reason, mismatch) => this.#stick(slot, reason, mismatch),
      onUnavailable: (slot) => {
        slot.state = 'cold'
        options.life.later(1_000, () => this.activate(slot))
      },
      onFault: (head, error) => options.recorder.closeRun(head, { kind: 'failed', error }),
    })
  }

  get isLoading(): boolean {
    return this.#loader.isBusy
  }

  // --- runs --------------------------------------------------------------------------------------------------------

  begin(known: Slot | undefined, started: Started, workflowId: string, onStored?: () => void): void {
    const slot = known ?? new Slot(new Head(workflowId, started))
    if (known === undefined) this.#options.slots.set(workflowId, slot)
    slot.resident = undefined
    slot.state = 'cold'
    slot.hasBegun = false
    this.#options.recorder.record(slot, started, onStored)
    this.#options.performer.armRun(slot.head)
    if (started.notBeforeMs === undefined) this.firstWakes(slot)
  }

  /** What a run that has not run yet is given: its start, then what came with it. */
  firstWakes(slot: Slot): void {
    slot.hasBegun = true
    slot.wakes.push({ wake: { kind: 'start' }, onAnswer: undefined })
    slot.head.queued.forEach((_, index) => slot.wakes.push({ wake: { kind: 'queued', index }, onAnswer: undefined }))
    this.activate(slot)
  }

  /** What a run that has run is given first: the mail that nobody read. */
  deliverQueued(slot: Slot): void {
    slot.head.queued.forEach((wake, index) => {
      if (wake !== undefined) slot.wakes.push({ wake: { kind: 'queued', index }, onAnswer: undefined })
    })
  }

  // --- wakes -------------------------------------------------------------------------------------------------------

  wake(slot: Slot, wake: Wake, onAnswer: Answer | undefined): void {
    if (!slot.head.isOpen) return onAnswer?.(refusedClosed(slot.head))
    slot.wakes.push({ wake, onAnswer })
    if (slot.head.turns === 0 && !slot.hasBegun) this.queueWakes(slot)
    else this.activate(slot)
  }

  /** The performer's wakes: for a run, which may have ended meanwhile. */
  wakeRun(head: Head, wake: Wake): void {
    if (this.#options.life.isOver) return
    const slot = this.#options.slots.get(head.workflow)
    if (slot === undefined || slot.head !== head) return
    if (wake.kind === 'start') this.firstWakes(slot)
    else this.wake(slot, wake, undefined)
    this.#options.queue.schedule()
  }

  activate(slot: Slot): void {
    if (slot.head.stuck !== undefined) return this.queueWakes(slot)
    if (slot.state === 'idle') this.#options.queue.push(slot)
    else if (slot.state === 'cold') this.#loader.load(slot)
  }

  /** A stuck workflow takes its mail unread: recorded now, given to the program when its code is right again. */
  queueWakes(slot: Slot): void {
    const { chain, recorder, clock } = this.#options
    for (const { wake, onAnswer } of slot.wakes.splice(0)) {
      if (wake.kind === 'start' || wake.kind === 'queued') continue // stands in the journal already
      if (wake.kind === 'update') {
        // Only its code can say whether it would take it.
        onAnswer?.(refused('unavailable', `workflow ${slot.head.workflow} does not run now`, true))
        continue
      }
      if (isRepeat(slot, wake)) void chain.barrier().then(() => onAnswer?.(taken))
      else recorder.record(slot, { kind: 'queued', atMs: nowOf(slot, clock), wake }, () => onAnswer?.(taken))
      if (wake.kind === 'message' && wake.messageId !== undefined) slot.seen?.add(wake.messageId)
    }
  }

  // --- stuck -------------------------------------------------------------------------------------------------------

  stickMismatch(slot: Slot, mismatch: JournalMismatch): void {
    this.#stick(slot, describeMismatch(mismatch), mismatch)
  }

  #stick(slot: Slot, reason: string, mismatch?: JournalMismatch): void {
    const { head } = slot
    const { residents, logger, observe, queue } = this.#options
    head.stuck = mismatch === undefined ? { reason } : { reason, mismatch }
    const { seen } = slot
    residents.unload(slot)
    slot.seen = seen // its mail is still taken, and each letter once
    logger.log('error', `workflow ${head.workflow} is stuck: ${reason}`, { workflow: head.workflow })
    observe({ kind: 'stuck', workflow: head.workflow, reason, ...(mismatch === undefined ? {} : { mismatch }) })
    this.queueWakes(slot)
    queue.schedule()
  }

  /** Tries stuck workflows again: their code may be right now. All of them, or the one that is named. */
  retryStuck(workflowId?: string): void {
    for (const slot of this.#options.slots.values()) {
      const { head } = slot
      if (head.stuck === undefined || (workflowId !== undefined && workflowId !== head.workflow)) continue
      if (head.stuck.isPoisoned === true) continue // no code heals it
      head.stuck = undefined
      if (head.turns === 0) this.firstWakes(slot)
      else this.deliverQueued(slot)
      this.activate(slot)
    }
    this.#options.queue.schedule()
  }
}

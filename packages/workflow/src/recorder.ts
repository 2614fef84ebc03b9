import type { Clock } from '@daruma/protocol'
import { refusedClosed } from './answers.ts'
import type { CommitChain } from './chain.ts'
import type { Entry } from './commit.ts'
import type { EngineEnd, JournalEvent } from './events.ts'
import type { Head } from './head.ts'
import { tooLong, type HistoryLimits } from './limits.ts'
import type { Lifetime } from './lifetime.ts'
import type { Observer } from './observer.ts'
import type { Performer } from './performer.ts'
import type { Residents } from './residents.ts'
import type { RunQueue } from './run-queue.ts'
import { nowOf, type FinalEnd, type Slot } from './slot.ts'
import { refuseUpdates } from './updates.ts'

export interface RecorderOptions {
  readonly life: Lifetime
  readonly slots: ReadonlyMap<string, Slot>
  readonly chain: CommitChain
  readonly performer: Performer
  readonly residents: Residents
  readonly queue: RunQueue
  readonly clock: Clock
  readonly limits: HistoryLimits
  readonly observe: Observer
}

/** Writes what happens to the workflows of a partition, and ends those that end without their program. */
export class Recorder {
  readonly #options: RecorderOptions

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  // --- events ------------------------------------------------------------------------------------------------------

  /** For a workflow that may have been forgotten meanwhile. */
  recordFor(head: Head, event: JournalEvent, onStored?: () => void): void {
    const slot = this.#options.slots.get(head.workflow)
    if (this.#options.life.isOver || slot?.head !== head) return
    this.record(slot, event, onStored)
    this.#options.queue.schedule()
  }

  record(slot: Slot, event: JournalEvent, onStored?: () => void): void {
    this.store(slot, event, this.#options.chain.encode(event), onStored)
    if (event.kind === 'turn' || event.kind === 'started') return
    if (slot.resident !== undefined) slot.resident.note(event)
    else if (slot.state === 'loading') slot.missed.push(event)
    this.failTooLong(slot)
  }

  store(slot: Slot, event: JournalEvent, bytes: Uint8Array, onStored?: () => void): void {
    const { head } = slot
    const { chain, observe, performer, residents } = this.#options
    const effects = head.apply(event) // P1 of the partition
    head.bytes += bytes.length
    slot.unstored++
    const run = head.run
    const entry: Entry = { workflow: head.workflow, run, bytes }
    chain.add(entry, (seq) => {
      slot.unstored--
      if (head.run === run) head.stand(seq)
      observe({ kind: 'recorded', workflow: head.workflow, run, event })
      onStored?.()
      for (const effect of effects) performer.perform(head, effect)
      if (slot.state === 'idle') residents.evict()
    })
  }

  // --- ends --------------------------------------------------------------------------------------------------------

  /** For a run that may have ended meanwhile. */
  closeRun(head: Head, end: EngineEnd): void {
    const slot = this.#options.slots.get(head.workflow)
    if (slot?.head === head && head.isOpen) this.close(slot, end)
  }

  /** An end without the program. */
  close(slot: Slot, end: EngineEnd, onStored?: () => void): void {
    this.record(slot, { kind: 'closed', atMs: nowOf(slot, this.#options.clock), end }, () => {
      onStored?.()
      this.tellWaiters(slot, end)
    })
    this.ended(slot)
    this.#options.queue.schedule()
  }

  /** In memory, at once: what has not been taken is refused (P3 of the partition). */
  ended(slot: Slot): void {
    this.#options.performer.leaveRun(slot.head)
    this.#options.residents.unload(slot)
    for (const { onAnswer } of slot.wakes.splice(0)) onAnswer?.(refusedClosed(slot.head))
  }

  tellWaiters(slot: Slot, end: FinalEnd): void {
    refuseUpdates(slot)
    for (const waiter of slot.waiters.splice(0)) waiter(end)
    slot.rest()
  }

  failTooLong(slot: Slot): boolean {
    const error = slot.head.isOpen ? tooLong(slot.head, this.#options.limits) : undefined
    if (error !== undefined) this.close(slot, { kind: 'failed', error })
    return error !== undefined
  }
}

import type { Clock } from '@daruma/protocol'
import type { Answer } from './answers.ts'
import type { End, JournalEvent, Wake } from './events.ts'
import type { Head } from './head.ts'
import type { Resident } from './resident.ts'

/** One event that waits for the program, and who waits for it to be recorded. */
export interface Waking {
  readonly wake: Wake
  readonly onAnswer: Answer | undefined
}

/** How a workflow ended for good. */
export type FinalEnd = Exclude<End, { kind: 'continued' }>

/** A workflow of a partition, running or not. */
export class Slot {
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
  readonly waiters: ((end: FinalEnd) => void)[]
  updateWaiters: { readonly updateId: string; readonly answer: Answer }[]
  /** Recorded while it was loading. */
  missed: JournalEvent[]
  /** Message ids that its journal holds. Known while it is not cold. */
  seen: Set<string> | undefined
}

/** Time never goes back within a journal. */
export function nowOf({ head }: Slot, clock: Clock): number {
  return Math.max(clock.wallMs(), head.lastAtMs)
}

/** The workflow has it already: a completion that was recorded before, or a message that it was given. */
export function isRepeat(slot: Slot, wake: Wake): boolean {
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

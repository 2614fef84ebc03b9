import type { CancelTimer, Clock } from '@daruma/protocol'

/** What a deadline belongs to. */
export interface Expires {
  expire(): void
}

/** One armed instant. */
export class Deadline {
  readonly dueMs: number
  owner: Expires | undefined
  row: Row | undefined
  previous: Deadline | undefined = undefined
  next: Deadline | undefined = undefined

  constructor(dueMs: number, owner: Expires, row: Row) {
    this.dueMs = dueMs
    this.owner = owner
    this.row = row
  }
}

/** Deadlines of one duration: their order of arming is their order of expiry, so adding and removing are O(1). */
interface Row {
  readonly delayMs: number
  first: Deadline | undefined
  last: Deadline | undefined
  cancelClock: CancelTimer | undefined
}

/**
 * All of a system's timers. Durations repeat (the 5 s of calls, an actor's idle time), so each duration has a row with
 * one clock timer for its earliest member; a call's deadline costs two pointer writes and not a timer.
 */
export class Deadlines {
  readonly #clock: Clock
  /** Runs later in this turn of the event loop, so that a row which fills and empties a million times keeps its timer. */
  readonly #defer: (task: () => void) => void
  readonly #rows = new Map<number, Row>()
  #emptied: Row[] = []

  constructor(clock: Clock, defer: (task: () => void) => void) {
    this.#clock = clock
    this.#defer = defer
  }

  /** `owner.expire()` runs once, not before `delayMs` have passed, unless cancelled. */
  add(delayMs: number, owner: Expires): Deadline {
    let row = this.#rows.get(delayMs)
    if (row === undefined) {
      row = { delayMs, first: undefined, last: undefined, cancelClock: undefined }
      this.#rows.set(delayMs, row)
    }
    const deadline = new Deadline(this.#clock.monotonicMs() + Math.max(delayMs, 0), owner, row)
    const last = row.last
    if (last === undefined) row.first = deadline
    else {
      last.next = deadline
      deadline.previous = last
    }
    row.last = deadline
    if (row.cancelClock === undefined) this.#arm(row)
    return deadline
  }

  /** Milliseconds that were left, or false when it had expired or was cancelled before. */
  cancel(deadline: Deadline): number | false {
    if (!this.drop(deadline)) return false
    return Math.max(deadline.dueMs - this.#clock.monotonicMs(), 0)
  }

  /** `cancel` for those who do not care how much was left. */
  drop(deadline: Deadline): boolean {
    const row = deadline.row
    if (row === undefined) return false
    this.#remove(row, deadline)
    if (row.first === undefined) {
      if (this.#emptied.push(row) === 1) this.#defer(() => this.#sweep())
    }
    return true
  }

  #remove(row: Row, deadline: Deadline): void {
    const { previous, next } = deadline
    if (previous === undefined) row.first = next
    else previous.next = next
    if (next === undefined) row.last = previous
    else next.previous = previous
    deadline.row = deadline.owner = deadline.previous = deadline.next = undefined
  }

  #arm(row: Row): void {
    const delayMs = row.first!.dueMs - this.#clock.monotonicMs()
    row.cancelClock = this.#clock.after(Math.max(delayMs, 0), () => this.#fire(row))
  }

  #fire(row: Row): void {
    row.cancelClock = undefined
    const nowMs = this.#clock.monotonicMs()
    for (let first = row.first; first !== undefined && first.dueMs <= nowMs; first = row.first) {
      const owner = first.owner!
      this.#remove(row, first)
      owner.expire()
    }
    if (row.first === undefined) this.#forget(row)
    else if (row.cancelClock === undefined) this.#arm(row)
  }

  #sweep(): void {
    const emptied = this.#emptied
    this.#emptied = []
    for (const row of emptied) if (row.first === undefined) this.#forget(row)
  }

  #forget(row: Row): void {
    row.cancelClock?.()
    row.cancelClock = undefined
    if (this.#rows.get(row.delayMs) === row) this.#rows.delete(row.delayMs)
  }
}

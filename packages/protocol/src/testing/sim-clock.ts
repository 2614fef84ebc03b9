import type { CancelTimer, Clock } from '../clock.ts'

interface Armed {
  readonly dueMs: number
  readonly order: number
  readonly fire: () => void
}

/**
 * Time that moves only when told to. Timers due at one instant fire in the order in which they were armed,
 * each seeing the clock at its own due instant.
 */
export class SimClock implements Clock {
  #monotonicMs = 0
  #wallOffsetMs: number
  #order = 0
  readonly #armed = new Set<Armed>()

  constructor(startWallMs = Date.UTC(2026, 0, 1)) {
    this.#wallOffsetMs = startWallMs
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#monotonicMs
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  after(delayMs: number, fire: () => void): CancelTimer {
    const armed: Armed = { dueMs: this.#monotonicMs + Math.max(delayMs, 0), order: this.#order++, fire }
    this.#armed.add(armed)
    return () => (this.#armed.delete(armed) ? Math.max(armed.dueMs - this.#monotonicMs, 0) : false)
  }

  /** Moves time forward, firing what falls due on the way, timers armed by timers included. */
  advance(byMs: number): void {
    const untilMs = this.#monotonicMs + byMs
    for (let next = this.#earliest(); next !== undefined && next.dueMs <= untilMs; next = this.#earliest()) {
      this.#armed.delete(next)
      this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs)
      next.fire()
    }
    this.#monotonicMs = untilMs
  }

  /** Moves time to the earliest timer and fires it. False when none is armed. */
  advanceToNext(): boolean {
    const next = this.#earliest()
    if (next === undefined) return false
    this.advance(Math.max(next.dueMs - this.#monotonicMs, 0))
    return true
  }

  /** The wall clock steps, as when an operator sets it; monotonic time and timers do not notice. */
  stepWall(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.#armed.size
  }

  /** The monotonic instant of the earliest timer; undefined when none is armed. */
  get nextDueMs(): number | undefined {
    return this.#earliest()?.dueMs
  }

  #earliest(): Armed | undefined {
    let earliest: Armed | undefined
    for (const armed of this.#armed) {
      if (
        earliest === undefined ||
        armed.dueMs < earliest.dueMs ||
        (armed.dueMs === earliest.dueMs && armed.order < earliest.order)
      ) {
        earliest = armed
      }
    }
    return earliest
  }
}

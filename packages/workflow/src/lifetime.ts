import type { CancelTimer, Clock } from '@daruma/protocol'

/** Whether a partition is still this node's, and what it does later if it is. */
export class Lifetime {
  readonly #clock: Clock
  readonly #timers = new Set<CancelTimer>()
  #isOver = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isOver(): boolean {
    return this.#isOver
  }

  later(delayMs: number, act: () => void): void {
    const cancel = this.#clock.after(delayMs, () => {
      this.#timers.delete(cancel)
      if (!this.#isOver) act()
    })
    this.#timers.add(cancel)
  }

  /** What was to happen later does not. */
  end(): void {
    this.#isOver = true
    for (const cancel of this.#timers) cancel()
  }
}

import type { Lifetime } from './lifetime.ts'
import type { Slot } from './slot.ts'

export interface RunQueueOptions {
  readonly life: Lifetime
  readonly run: (slot: Slot) => void
  /** Everything that was ready has had its turn. */
  readonly onDrained: () => void
}

/** The workflows that have something to do, in the order in which it came. They run together in one microtask. */
export class RunQueue {
  readonly #options: RunQueueOptions
  readonly #ready: Slot[] = []
  #scheduled = false

  constructor(options: RunQueueOptions) {
    this.#options = options
  }

  push(slot: Slot): void {
    slot.state = 'ready'
    this.#ready.push(slot)
  }

  schedule(): void {
    if (this.#scheduled || this.#options.life.isOver) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    const { life, run, onDrained } = this.#options
    if (life.isOver) return
    for (let slot = this.#ready.shift(); slot !== undefined; slot = this.#ready.shift()) run(slot)
    onDrained()
  }
}

import type { Slot } from './slot.ts'

/** The workflows of a partition whose programs are in memory. Above `max` those that rest are let go, the oldest first. */
export class Residents {
  readonly #slots = new Set<Slot>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  add(slot: Slot): void {
    this.#slots.add(slot)
  }

  unload(slot: Slot): void {
    slot.resident?.stop()
    slot.resident = undefined
    slot.seen = undefined
    slot.state = 'cold'
    slot.rest()
    this.#slots.delete(slot)
  }

  evict(): void {
    if (this.#slots.size <= this.#max) return
    for (const slot of this.#slots) {
      if (this.#slots.size <= this.#max) return
      if (slot.state === 'idle' && slot.unstored === 0 && !slot.hasWakes) this.unload(slot)
    }
  }

  unloadAll(): void {
    for (const slot of [...this.#slots]) this.unload(slot)
  }
}

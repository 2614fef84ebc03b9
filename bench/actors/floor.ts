const smallestRing = 8

/** An actor of the floor: a function and a ring of messages. No links, no monitors, no end, no fairness, no promises. */
export abstract class FloorActor {
  items: unknown[] = new Array<unknown>(smallestRing)
  head = 0
  length = 0
  queued = false

  abstract receive(message: unknown): void
}

/**
 * The least that can be called actors in one thread: objects with a mailbox each, so that one at a time is possible, a ring of those
 * that have messages, and one loop that drains it, 64 messages at a turn.
 */
export class FloorLoop {
  #ring: (FloorActor | undefined)[] = new Array<FloorActor | undefined>(1_024)
  #head = 0
  #length = 0

  send(to: FloorActor, message: unknown): void {
    if (to.length === to.items.length) to.items = unrolled(to.items, to.head, (to.head = 0))
    to.items[(to.head + to.length++) & (to.items.length - 1)] = message
    if (to.queued) return
    to.queued = true
    if (this.#length === this.#ring.length) this.#ring = unrolled(this.#ring, this.#head, (this.#head = 0))
    this.#ring[(this.#head + this.#length++) & (this.#ring.length - 1)] = to
  }

  drain(): void {
    while (this.#length > 0) {
      const actor = this.#ring[this.#head]!
      this.#ring[this.#head] = undefined
      this.#head = (this.#head + 1) & (this.#ring.length - 1)
      this.#length--
      for (let budget = 64; actor.length > 0 && budget > 0; budget--) {
        const message = actor.items[actor.head]
        actor.items[actor.head] = undefined
        actor.head = (actor.head + 1) & (actor.items.length - 1)
        actor.length--
        actor.receive(message)
      }
      actor.queued = false
      if (actor.length > 0) this.#requeue(actor)
    }
  }

  #requeue(actor: FloorActor): void {
    actor.queued = true
    if (this.#length === this.#ring.length) this.#ring = unrolled(this.#ring, this.#head, (this.#head = 0))
    this.#ring[(this.#head + this.#length++) & (this.#ring.length - 1)] = actor
  }
}

/** A full ring in one of twice the size, from its head on. */
function unrolled<T>(items: T[], head: number, _reset: number): T[] {
  const grown = new Array<T>(items.length * 2)
  for (let at = 0; at < items.length; at++) grown[at] = items[(head + at) & (items.length - 1)]!
  return grown
}

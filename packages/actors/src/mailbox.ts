import { Special } from './notice.ts'

const smallestChunk = 8
/** Just large enough to live among V8's large objects: a backlog that survives collections is then not copied by them. */
const largestChunk = 16_384
/** A chunk that an idle process may keep. */
const idleChunk = 32

class Chunk {
  readonly items: unknown[]
  start = 0
  end = 0
  next: Chunk | undefined = undefined

  constructor(capacity: number) {
    this.items = new Array<unknown>(capacity)
  }
}

/**
 * One FIFO for all that a process can see. The oldest item has a slot of its own, so that a process with one message
 * at a time owns no array; the others stand in chunks that double up to 16,384, so that a backlog is never copied and
 * the millionth message costs what the tenth did.
 *
 * A process extends it, instead of having one: that is one object, 32 bytes and one cache line less per actor.
 */
export class Mailbox {
  /** All that waits. */
  length = 0
  /** How many of these are `Special`. Zero lets the process skip looking at what it takes. */
  specials = 0
  /** How many of these are notices, which no limit counts. */
  notices = 0
  #oldest: unknown = undefined
  #head: Chunk | undefined = undefined
  #tail: Chunk | undefined = undefined

  put(message: unknown): void {
    if (this.length++ === 0) this.#oldest = message
    else this.append(message)
  }

  putSpecial(item: Special): void {
    this.specials++
    if (!item.bounded) this.notices++
    if (this.length++ === 0) this.#oldest = item
    else this.append(item)
  }

  /** The oldest item. The caller knows that there is one. */
  shift(): unknown {
    const item = this.#oldest
    if (--this.length === 0) this.#oldest = undefined
    else this.#oldest = this.shiftChunk()
    if (this.specials > 0) this.uncount(item)
    return item
  }

  /**
   * Takes the first item, in arrival order, that `matches`; the others keep their order (rule 30).
   * `from`: how many of the oldest items are known not to match. Undefined when none matches; a found item comes boxed
   * because any value may be a message.
   */
  take(matches: (item: unknown) => boolean, from = 0): { readonly item: unknown } | undefined {
    if (this.length === 0) return undefined
    if (from === 0 && matches(this.#oldest)) return { item: this.shift() }
    let skip = Math.max(from - 1, 0)
    let previous: Chunk | undefined
    for (let chunk = this.#head; chunk !== undefined; previous = chunk, chunk = chunk.next) {
      const size = chunk.end - chunk.start
      if (skip >= size) {
        skip -= size
        continue
      }
      for (let at = chunk.start + skip; at < chunk.end; at++) {
        const item = chunk.items[at]
        if (!matches(item)) continue
        this.cut(chunk, at, previous)
        this.length--
        this.uncount(item)
        return { item }
      }
      skip = 0
    }
    return undefined
  }

  /** Everything that waits, oldest first. For looking, never on the hot path. */
  *items(): Iterable<unknown> {
    if (this.length > 0) yield this.#oldest
    for (let chunk = this.#head; chunk !== undefined; chunk = chunk.next) {
      for (let at = chunk.start; at < chunk.end; at++) yield chunk.items[at]
    }
  }

  /** Gives back room that a burst left behind. Called when the process goes idle. */
  trim(): void {
    if (this.length === 0 && this.#head !== undefined && this.#head.items.length > idleChunk) {
      this.#head = this.#tail = undefined
    }
  }

  /** Gives back all room while nothing waits. */
  shrink(): void {
    if (this.length === 0) this.#head = this.#tail = undefined
  }

  /** Room for so many items beyond the oldest, used or not. */
  get capacity(): number {
    let capacity = 0
    for (let chunk = this.#head; chunk !== undefined; chunk = chunk.next) capacity += chunk.items.length
    return capacity
  }

  clear(): void {
    this.length = this.specials = this.notices = 0
    this.#oldest = this.#head = this.#tail = undefined
  }

  // TypeScript's `private`, not JavaScript's: a private method costs every instance a word, and each process has one.

  private uncount(item: unknown): void {
    if (!(item instanceof Special)) return
    this.specials--
    if (!item.bounded) this.notices--
  }

  private append(item: unknown): void {
    let tail = this.#tail
    if (tail === undefined) tail = this.#head = this.#tail = new Chunk(smallestChunk)
    else if (tail.end === tail.items.length) {
      tail = tail.next = this.#tail = new Chunk(Math.min(tail.items.length * 2, largestChunk))
    }
    tail.items[tail.end++] = item
  }

  private shiftChunk(): unknown {
    const head = this.#head!
    const item = head.items[head.start]
    head.items[head.start++] = undefined
    if (head.start === head.end) {
      if (head.next === undefined) head.start = head.end = 0
      else this.#head = head.next
    }
    return item
  }

  /** Closes the gap inside one chunk: at most one chunk's moves, towards the side where the order is kept cheaply. */
  private cut(chunk: Chunk, at: number, previous: Chunk | undefined): void {
    const { items } = chunk
    if (chunk === this.#head) {
      items.copyWithin(chunk.start + 1, chunk.start, at)
      items[chunk.start++] = undefined
    } else {
      items.copyWithin(at, at + 1, chunk.end)
      items[--chunk.end] = undefined
    }
    if (chunk.start < chunk.end) return
    if (chunk.next === undefined && previous === undefined) chunk.start = chunk.end = 0
    else if (previous === undefined) this.#head = chunk.next
    else {
      previous.next = chunk.next
      if (chunk.next === undefined) this.#tail = previous
    }
  }
}

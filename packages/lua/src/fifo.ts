/** A queue whose cost per item does not grow with its length. */
export class Fifo<T> {
  #items: T[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    if (this.#head >= this.#items.length) return undefined
    const item = this.#items[this.#head]
    // The slot must not pin what was taken.
    this.#items[this.#head++] = undefined as T
    if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** What is queued, oldest first; the queue keeps it. */
  toArray(): T[] {
    return this.#items.slice(this.#head)
  }

  clear(): void {
    this.#items = []
    this.#head = 0
  }
}

/**
 * A map that is nearly always empty or holds one thing, and costs a pointer then: there is one per sleeping workflow.
 * In the order of insertion, like a Map, which it becomes with the second entry.
 */
export class Few<K, V> {
  #key: K | undefined
  #value: V | undefined
  #many: Map<K, V> | undefined
  #size = 0

  get size(): number {
    return this.#many?.size ?? this.#size
  }

  has(key: K): boolean {
    return this.#many?.has(key) ?? (this.#size === 1 && this.#key === key)
  }

  get(key: K): V | undefined {
    if (this.#many !== undefined) return this.#many.get(key)
    return this.#size === 1 && this.#key === key ? this.#value : undefined
  }

  set(key: K, value: V): void {
    if (this.#many !== undefined) {
      this.#many.set(key, value)
    } else if (this.#size === 0 || this.#key === key) {
      this.#key = key
      this.#value = value
      this.#size = 1
    } else {
      this.#many = new Map([
        [this.#key as K, this.#value as V],
        [key, value],
      ])
    }
  }

  delete(key: K): boolean {
    if (this.#many === undefined) {
      if (!this.has(key)) return false
      this.clear()
      return true
    }
    const had = this.#many.delete(key)
    if (this.#many.size === 0) this.clear()
    return had
  }

  clear(): void {
    this.#many = undefined
    this.#key = undefined
    this.#value = undefined
    this.#size = 0
  }

  *[Symbol.iterator](): IterableIterator<[K, V]> {
    if (this.#many !== undefined) yield* this.#many
    else if (this.#size === 1) yield [this.#key as K, this.#value as V]
  }

  *values(): IterableIterator<V> {
    for (const [, value] of this) yield value
  }
}

/** What `Few` and arrays show while there is nothing: shared, so never written to. */
export const none: readonly never[] = Object.freeze([])

/** A binary heap of instants. Equal instants come out in the order of `order`, which the caller counts up. */
export interface Due {
  readonly atMs: number
  readonly order: number
}

export class TimerHeap<T extends Due> {
  readonly #heap: T[] = []

  get size(): number {
    return this.#heap.length
  }

  /** The earliest, left where it is. */
  peek(): T | undefined {
    return this.#heap[0]
  }

  push(item: T): void {
    const heap = this.#heap
    let at = heap.push(item) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (isEarlier(heap[parent]!, item)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = item
  }

  pop(): T | undefined {
    const heap = this.#heap
    const earliest = heap[0]
    const last = heap.pop()
    if (earliest === undefined || last === undefined || heap.length === 0) return earliest
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isEarlier(heap[child + 1]!, heap[child]!)) child++
      if (isEarlier(last, heap[child]!)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return earliest
  }
}

function isEarlier(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

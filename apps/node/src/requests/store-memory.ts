import { AppError, type Clock } from '@daruma/protocol'
import type { StoreEntry } from '@daruma/lua'
import { refusePut, type EntryStore, type ListOptions, type Listing, type PutOptions } from './entry-store.ts'

interface Slot {
  readonly value: unknown
  readonly version: string
  /** Monotonic; Infinity: never. */
  readonly dueMs: number
}

export interface MemoryStoreLimits {
  readonly maxSize: number
  /** How often keys whose time is over are swept out; 0: never. They cannot be read either way. */
  readonly cleanupIntervalMs: number
}

/** Entries of one `store.memory`. Sweeping is done by those who write: an idle store costs no timer. */
export class MemoryStore implements EntryStore {
  readonly id: string
  readonly #clock: Clock
  readonly #limits: () => MemoryStoreLimits
  readonly #slots = new Map<string, Slot>()
  #lastVersion = 0
  #sweptMs: number

  /** `limits` are asked for at each write: they may change while the store lives. */
  constructor(id: string, clock: Clock, limits: () => MemoryStoreLimits) {
    this.id = id
    this.#clock = clock
    this.#limits = limits
    this.#sweptMs = clock.monotonicMs()
  }

  get(key: string): StoreEntry | undefined {
    const slot = this.#live(key)
    return slot === undefined ? undefined : { key, value: slot.value, version: slot.version }
  }

  /** @throws AppError unavailable - a new key, and the store is full */
  put(key: string, value: unknown, options: PutOptions = {}): StoreEntry {
    const before = this.#live(key)
    refusePut(this.id, key, before?.version, options)
    if (before === undefined) this.#makeRoom()
    const version = String(++this.#lastVersion)
    const dueMs = options.ttlMs === undefined || options.ttlMs === 0 ? Infinity : this.#nowMs + options.ttlMs
    this.#slots.set(key, { value, version, dueMs })
    return { key, value, version }
  }

  delete(key: string): boolean {
    const existed = this.#live(key) !== undefined
    this.#slots.delete(key)
    return existed
  }

  list({ prefix = '', after, limit }: ListOptions): Listing {
    const keys = [...this.#slots.keys()]
      .filter((key) => key.startsWith(prefix) && (after === undefined || key > after) && this.#live(key) !== undefined)
      .toSorted((a, b) => (a < b ? -1 : 1))
    const items = keys.slice(0, limit).map((key) => this.get(key)!)
    return { items, cursor: items.at(-1)?.key ?? '', hasMore: keys.length > items.length }
  }

  /** Keys in memory, those included whose time is over but that nobody swept out yet. */
  get size(): number {
    return this.#slots.size
  }

  get #nowMs(): number {
    return this.#clock.monotonicMs()
  }

  #live(key: string): Slot | undefined {
    const slot = this.#slots.get(key)
    return slot === undefined || slot.dueMs <= this.#nowMs ? undefined : slot
  }

  #makeRoom(): void {
    const { maxSize, cleanupIntervalMs } = this.#limits()
    const isFull = this.#slots.size >= maxSize
    if (isFull || (cleanupIntervalMs > 0 && this.#nowMs - this.#sweptMs >= cleanupIntervalMs)) this.#sweep()
    if (this.#slots.size < maxSize) return
    throw new AppError(
      'unavailable',
      `store ${this.id} is full: it holds its max_size of ${maxSize} keys; delete some, or give keys a ttl`,
      { maxSize },
      { retryable: true },
    )
  }

  #sweep(): void {
    const nowMs = this.#nowMs
    this.#sweptMs = nowMs
    for (const [key, slot] of this.#slots) if (slot.dueMs <= nowMs) this.#slots.delete(key)
  }
}

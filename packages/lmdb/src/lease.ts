import { AppError, type Clock, type HeldLease, type LeaseAnswer, type Leases } from '@daruma/protocol'
import type { Database } from 'lmdb'
import type { Environment, Key } from './environment.ts'

interface Entry {
  readonly lease: HeldLease
  untilMs: number
}

type Watcher = (holder: string | undefined) => void

/**
 * Who holds what within the one process that has the folder. Holders of an earlier process are dead, since the folder was free:
 * only the fence counter outlives it, on disk before a lease is given (E2).
 */
export class LeaseTable {
  readonly environment: Environment
  readonly #clock: Clock
  readonly #fences: Database<number, Key>
  readonly #held = new Map<string, Entry>()
  readonly #watchers = new Map<string, Set<Watcher>>()

  constructor(environment: Environment, clock: Clock) {
    this.environment = environment
    this.#clock = clock
    this.#fences = environment.openJson('fences')
  }

  async acquire(key: string, holder: string, ttlMs: number): Promise<LeaseAnswer> {
    const taken = this.#taken(key, holder)
    if (taken !== undefined) return taken
    const fence = await this.environment.write(() => {
      const next = (this.#fences.get('last') ?? 0) + 1
      this.#fences.putSync('last', next)
      return next
    })
    // Others may have come in between; the number that was drawn is then lost, which E2 allows.
    const overtaken = this.#taken(key, holder)
    if (overtaken !== undefined) return overtaken
    const former = this.#held.get(key)?.lease.holder
    const lease: HeldLease = { key, holder, fence, ttlMs }
    this.#held.set(key, { lease, untilMs: this.#clock.monotonicMs() + ttlMs })
    if (former !== holder) this.#notify(key, holder)
    return { kind: 'held', lease }
  }

  renew(lease: HeldLease): boolean {
    const current = this.#held.get(lease.key)
    if (current?.lease.fence !== lease.fence) return false
    current.untilMs = this.#clock.monotonicMs() + lease.ttlMs
    return true
  }

  release(lease: HeldLease): void {
    if (this.#held.get(lease.key)?.lease.fence !== lease.fence) return
    this.#held.delete(lease.key)
    this.#notify(lease.key, undefined)
  }

  watch(key: string, watcher: Watcher): () => void {
    const watchers = this.#watchers.get(key) ?? new Set()
    this.#watchers.set(key, watchers.add(watcher))
    return () => void watchers.delete(watcher)
  }

  #taken(key: string, holder: string): LeaseAnswer | undefined {
    const current = this.#held.get(key)
    if (current === undefined || current.lease.holder === holder) return undefined
    const leftMs = current.untilMs - this.#clock.monotonicMs()
    return leftMs > 0 ? { kind: 'taken', holder: current.lease.holder, leftMs } : undefined
  }

  #notify(key: string, holder: string | undefined): void {
    for (const watcher of this.#watchers.get(key) ?? []) queueMicrotask(() => watcher(holder))
  }
}

/** Leases among the nodes of one process. The folder's own lock keeps other processes out. */
export class LmdbLeases implements Leases {
  readonly #table: LeaseTable
  readonly #watching = new Set<() => void>()
  #closed = false

  constructor(table: LeaseTable) {
    this.#table = table
  }

  async acquire(key: string, holder: string, ttlMs: number): Promise<LeaseAnswer> {
    this.#assertOpen()
    return this.#table.acquire(key, holder, ttlMs)
  }

  async renew(lease: HeldLease): Promise<boolean> {
    this.#assertOpen()
    return this.#table.renew(lease)
  }

  async release(lease: HeldLease): Promise<void> {
    this.#assertOpen()
    this.#table.release(lease)
  }

  async watch(key: string, onChange: Watcher): Promise<() => void> {
    this.#assertOpen()
    const unwatch = this.#table.watch(key, (holder) => {
      if (this.#watching.has(stop)) onChange(holder)
    })
    const stop = (): void => {
      this.#watching.delete(stop)
      unwatch()
    }
    this.#watching.add(stop)
    return stop
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const stop of [...this.#watching]) stop()
  }

  #assertOpen(): void {
    if (this.#closed) throw new AppError('unavailable', 'these leases were closed')
    this.#table.environment.assertOpen()
  }
}

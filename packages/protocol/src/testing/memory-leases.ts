import type { HeldLease, LeaseAnswer, Leases } from '../lease.ts'
import { MemoryHandle, type Fault, type MemoryOptions } from './faults.ts'

interface Entry {
  readonly lease: HeldLease
  untilMs: number
}

type Watcher = (holder: string | undefined) => void

class LeaseTable {
  readonly held = new Map<string, Entry>()
  readonly watchers = new Map<string, Set<Watcher>>()
  lastFence = 0

  notify(key: string, holder: string | undefined): void {
    for (const watcher of this.watchers.get(key) ?? []) queueMicrotask(() => watcher(holder))
  }
}

/** Leases in memory, with faults to order. Expiry goes by the clock of the handle that asks, so share one clock. */
export class MemoryLeases implements Leases {
  readonly #options: MemoryOptions
  readonly #handle: MemoryHandle
  readonly #watching = new Set<() => void>()
  #table = new LeaseTable()

  constructor(options: MemoryOptions = {}) {
    this.#options = options
    this.#handle = new MemoryHandle(options)
  }

  /** Another handle on the same table: a second node, or the first one after `crash`. */
  reopen(options: MemoryOptions = {}): MemoryLeases {
    const leases = new MemoryLeases({ ...this.#options, ...options })
    leases.#table = this.#table
    return leases
  }

  /** Leases stay held until they run out, as after the death of a process. */
  crash(): void {
    this.#end('crashed')
  }

  failNext(fault: Fault, operation?: 'acquire' | 'renew' | 'release' | 'watch'): void {
    this.#handle.failNext(fault, operation)
  }

  async acquire(key: string, holder: string, ttlMs: number): Promise<LeaseAnswer> {
    return this.#handle.perform('acquire', key, (): LeaseAnswer => {
      const nowMs = this.#handle.clock.monotonicMs()
      const current = this.#table.held.get(key)
      if (current !== undefined && current.lease.holder !== holder && current.untilMs > nowMs) {
        return { kind: 'taken', holder: current.lease.holder, leftMs: current.untilMs - nowMs }
      }
      const lease: HeldLease = { key, holder, fence: ++this.#table.lastFence, ttlMs } // E2, E3
      this.#table.held.set(key, { lease, untilMs: nowMs + ttlMs })
      if (current?.lease.holder !== holder) this.#table.notify(key, holder)
      return { kind: 'held', lease }
    })
  }

  async renew(lease: HeldLease): Promise<boolean> {
    return this.#handle.perform('renew', lease.key, () => {
      const current = this.#table.held.get(lease.key)
      if (current?.lease.fence !== lease.fence) return false
      current.untilMs = this.#handle.clock.monotonicMs() + lease.ttlMs
      return true
    })
  }

  async release(lease: HeldLease): Promise<void> {
    await this.#handle.perform('release', lease.key, () => {
      if (this.#table.held.get(lease.key)?.lease.fence !== lease.fence) return
      this.#table.held.delete(lease.key)
      this.#table.notify(lease.key, undefined)
    })
  }

  async watch(key: string, onChange: Watcher): Promise<() => void> {
    return this.#handle.perform('watch', key, () => {
      const watcher: Watcher = (holder) => {
        if (this.#watching.has(stop)) onChange(holder)
      }
      const stop = (): void => {
        this.#watching.delete(stop)
        this.#table.watchers.get(key)?.delete(watcher)
      }
      this.#watching.add(stop)
      const watchers = this.#table.watchers.get(key)
      if (watchers === undefined) this.#table.watchers.set(key, new Set([watcher]))
      else watchers.add(watcher)
      return stop
    })
  }

  async close(): Promise<void> {
    this.#end('closed')
  }

  #end(how: 'closed' | 'crashed'): void {
    this.#handle.end(how)
    for (const stop of [...this.#watching]) stop()
  }
}

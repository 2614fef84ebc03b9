import type { Snapshots } from '../log.ts'
import { MemoryHandle, copyOf, type Fault, type MemoryOptions } from './faults.ts'

/** Snapshots in memory, with faults to order. Bytes are copied in and out. */
export class MemorySnapshots implements Snapshots {
  readonly #options: MemoryOptions
  readonly #handle: MemoryHandle
  #content = new Map<string, Uint8Array>()

  constructor(options: MemoryOptions = {}) {
    this.#options = options
    this.#handle = new MemoryHandle(options)
  }

  /** Another handle on the same content: a second node, or the first one after `crash`. */
  reopen(options: MemoryOptions = {}): MemorySnapshots {
    const snapshots = new MemorySnapshots({ ...this.#options, ...options })
    snapshots.#content = this.#content
    return snapshots
  }

  crash(): void {
    this.#handle.end('crashed')
  }

  failNext(fault: Fault, operation?: 'get' | 'put' | 'delete'): void {
    this.#handle.failNext(fault, operation)
  }

  get size(): number {
    return this.#content.size
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.#handle.perform('get', key, () => {
      const bytes = this.#content.get(key)
      return bytes && copyOf(bytes)
    })
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const given = copyOf(bytes)
    await this.#handle.perform('put', key, () => {
      this.#content.set(key, given)
    })
  }

  async delete(key: string): Promise<void> {
    await this.#handle.perform('delete', key, () => {
      this.#content.delete(key)
    })
  }
}

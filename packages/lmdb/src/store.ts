import type { Clock } from '@daruma/protocol'
import type { Database } from 'lmdb'
import { assertName, type Bytes, type Environment, type Key } from './environment.ts'

/** Values by key, kept on disk. A write is durable when it resolves. */
export interface KeyValueStore {
  get(key: string): Promise<Uint8Array | undefined>
  /** `ttlMs`: gone after that time, by the wall clock, also across restarts. Default: stays. */
  put(key: string, bytes: Uint8Array, options?: { readonly ttlMs?: number }): Promise<void>
  /** True: it was there. */
  delete(key: string): Promise<boolean>
  has(key: string): Promise<boolean>
}

const sweptPerPut = 16
/** In front of each value: when it ends, milliseconds of the wall clock; Infinity: never. */
const headBytes = 8

/** The stores of one environment; those of different names do not see each other's keys. */
export class Stores {
  readonly #environment: Environment
  readonly #clock: Clock
  readonly #values: Bytes
  /** [when it ends, store, key]. May name a value that was replaced: the value's own head decides. */
  readonly #byEnd: Database<boolean, Key>

  constructor(environment: Environment, clock: Clock) {
    this.#environment = environment
    this.#clock = clock
    this.#values = environment.openBytes('store')
    this.#byEnd = environment.openJson('store-by-end')
  }

  open(name: string): KeyValueStore {
    assertName('store name', name)
    return {
      get: async (key) => this.#get(name, key)?.subarray(headBytes),
      has: async (key) => this.#get(name, key) !== undefined,
      put: async (key, bytes, options = {}) => this.#put(name, key, bytes, options.ttlMs),
      delete: (key) =>
        this.#environment.write(() => {
          const was = this.#get(name, key)
          this.#values.removeSync([name, key])
          return was !== undefined
        }),
    }
  }

  #get(name: string, key: string): Buffer | undefined {
    this.#environment.assertOpen()
    const value = this.#values.get([name, key])
    return value === undefined || value.readDoubleBE(0) <= this.#clock.wallMs() ? undefined : value
  }

  async #put(name: string, key: string, bytes: Uint8Array, ttlMs: number | undefined): Promise<void> {
    assertName('key', key)
    const endMs = ttlMs === undefined ? Infinity : this.#clock.wallMs() + ttlMs
    const value = Buffer.allocUnsafe(headBytes + bytes.length)
    value.writeDoubleBE(endMs, 0)
    value.set(bytes, headBytes)
    await this.#environment.write(() => {
      this.#sweep()
      this.#values.putSync([name, key], value)
      if (endMs !== Infinity) this.#byEnd.putSync([endMs, name, key], true)
    })
  }

  #sweep(): void {
    const nowMs = this.#clock.wallMs()
    for (const index of [...this.#byEnd.getKeys({ start: [0], end: [nowMs], limit: sweptPerPut })]) {
      const [, name, key] = index as [number, string, string]
      const value = this.#values.get([name, key])
      if (value !== undefined && value.readDoubleBE(0) <= nowMs) this.#values.removeSync([name, key])
      this.#byEnd.removeSync(index)
    }
  }
}

import { AppError, msgpackCodec, type Codec, type Rng } from '@daruma/protocol'
import type { StoreEntry } from '@daruma/lua'
import type { KeyValueStore } from '@daruma/lmdb'
import { refusePut, type EntryStore, type ListOptions, type Listing, type PutOptions } from './entry-store.ts'

interface Stored {
  readonly value: unknown
  readonly version: string
}

/**
 * Entries of one `store.kv` over a durable key-value store, which this node alone writes. Changes of a store are made one
 * after the other, so that a condition still holds when its write is made.
 */
export class KvStore implements EntryStore {
  readonly id: string
  readonly #open: () => Promise<KeyValueStore>
  readonly #rng: Rng
  readonly #codec: Codec = msgpackCodec()
  #last: Promise<unknown> = Promise.resolve()

  /** `open` is called for each access: it answers the same store each time, or why it cannot be opened. */
  constructor(id: string, open: () => Promise<KeyValueStore>, rng: Rng) {
    this.id = id
    this.#open = open
    this.#rng = rng
  }

  async get(key: string): Promise<StoreEntry | undefined> {
    const stored = await this.#read(key)
    return stored === undefined ? undefined : { key, ...stored }
  }

  /** Resolves when it is durable. */
  put(key: string, value: unknown, options: PutOptions = {}): Promise<StoreEntry> {
    return this.#inTurn(async () => {
      if (options.onlyIfAbsent === true || options.ifVersion !== undefined) {
        refusePut(this.id, key, (await this.#read(key))?.version, options)
      }
      // Not a count: a key that was deleted and made again must not come back under a version that somebody holds.
      const version = Buffer.from(this.#rng.bytes(8)).toString('hex')
      const bytes = this.#codec.encode({ value, version } satisfies Stored)
      const { ttlMs } = options
      await (await this.#open()).put(key, bytes, ttlMs === undefined || ttlMs === 0 ? {} : { ttlMs })
      return { key, value, version }
    })
  }

  delete(key: string): Promise<boolean> {
    return this.#inTurn(async () => (await this.#open()).delete(key))
  }

  list(_options: ListOptions): Listing {
    throw new AppError(
      'unavailable',
      `${this.id}: the keys of a store.kv cannot be listed; keep a list of them`,
      undefined,
      {
        retryable: false,
      },
    )
  }

  async #read(key: string): Promise<Stored | undefined> {
    const bytes = await (await this.#open()).get(key)
    return bytes === undefined ? undefined : (this.#codec.decode(bytes) as Stored)
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(change)
    this.#last = turn.catch(() => undefined)
    return turn
  }
}

import { AppError } from '@daruma/protocol'
import { nearHint, viewOf, type Entry, type Registry } from '@daruma/registry'
import type { KeyValueStore } from '@daruma/lmdb'
import type { StoreEntry } from '@daruma/lua'
import type { NodeParts } from '../parts.ts'
import type { EntryStore } from './entry-store.ts'
import { KvStore } from './store-kv.ts'
import { MemoryStore, type MemoryStoreLimits } from './store-memory.ts'
import type { RequestHandlers } from './table.ts'

/** Where durable stores are kept; each name has keys of its own. */
export interface KeyValueStores {
  /** Rejects with unavailable when it cannot be opened. */
  keyValue(name: string): Promise<KeyValueStore>
}

export type StoreParts = Pick<NodeParts, 'registry' | 'clock' | 'rng'> & { readonly stores: KeyValueStores }

const defaultPage = 100
const maxPage = 1_000

export function storeRequests(parts: StoreParts): RequestHandlers {
  const room = new StoreRoom(parts)
  return {
    'store.open': ({ store }) => {
      room.find(store)
      return null
    },
    'store.get': ({ store, key }) => after(found(room.find(store), key), ({ value }) => value),
    'store.entry': ({ store, key }) => found(room.find(store), key),
    'store.set': ({ store, key, value, ttlMs }) =>
      after(room.find(store).put(key, value, ttlMs === undefined ? {} : { ttlMs }), () => null),
    'store.put': ({ store, key, value, ...options }) => room.find(store).put(key, value, options),
    'store.has': ({ store, key }) => after(room.find(store).get(key), (entry) => entry !== undefined),
    'store.delete': ({ store, key }) => room.find(store).delete(key),
    'store.list': ({ store, limit = defaultPage, ...options }) => {
      if (!(limit >= 1)) throw new AppError('invalid', `store.list: a limit must be at least 1, not ${limit}`)
      return room.find(store).list({ ...options, limit: Math.min(limit, maxPage) })
    },
  }
}

function found(store: EntryStore, key: string): StoreEntry | Promise<StoreEntry> {
  return after(store.get(key), (entry) => {
    if (entry !== undefined) return entry
    throw new AppError('not_found', `${store.id} has no "${key}"`, { key }, { retryable: false })
  })
}

/** What is there at once is answered at once: a store in memory costs its programs no turn. */
function after<T, R>(value: T | Promise<T>, then: (value: T) => R): R | Promise<R> {
  return value instanceof Promise ? value.then(then) : then(value)
}

/** The stores of an app, each made when it is first asked for; what was in memory goes with its entry. */
class StoreRoom {
  readonly #parts: StoreParts
  readonly #open = new Map<string, { readonly kind: string; readonly store: EntryStore }>()

  constructor(parts: StoreParts) {
    this.#parts = parts
    parts.registry.watch(({ deleted }) => {
      for (const entry of deleted) this.#open.delete(entry.id)
    })
  }

  /** @throws AppError not_found - no such store */
  find(id: string): EntryStore {
    const entry = this.#parts.registry.get(id)
    if (entry === undefined || !entry.kind.startsWith('store.')) throw noStore(this.#parts.registry, id, entry)
    const known = this.#open.get(id)
    if (known !== undefined && known.kind === entry.kind) return known.store
    const store = this.#make(entry)
    this.#open.set(id, { kind: entry.kind, store })
    return store
  }

  #make(entry: Entry): EntryStore {
    const { registry, clock, rng, stores } = this.#parts
    switch (entry.kind) {
      case 'store.memory': {
        const limits = (): MemoryStoreLimits => viewOf(registry.get(entry.id) ?? entry, 'store.memory')
        return new MemoryStore(entry.id, clock, limits)
      }
      case 'store.kv':
      case 'store.kv.raft':
      case 'store.kv.crdt': {
        const { namespace } = viewOf(entry, 'store.kv', 'store.kv.raft', 'store.kv.crdt')
        return new KvStore(entry.id, () => stores.keyValue(namespace ?? entry.id), rng)
      }
      default:
        throw noStore(registry, entry.id, entry)
    }
  }
}

function noStore(registry: Registry, id: string, entry: Entry | undefined): AppError {
  const known = registry.entries().filter(({ kind }) => kind.startsWith('store.'))
  const near = nearHint(
    id,
    known.map((store) => store.id),
  )
  const hint = entry === undefined ? (near === undefined ? '' : `; ${near}`) : `: it is a ${entry.kind}`
  return new AppError('not_found', `no store ${id}${hint}`, undefined, { retryable: false })
}

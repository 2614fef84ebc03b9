import type { HostFunction, HostResult, LuaValue } from '../engine.ts'
import { sessionOf } from '../session.ts'
import { HostObject, hostClass, toData, type HostMethod } from '../value.ts'
import { invalid, isTable, optional, requireInteger, requireName, requireNumber, requireText } from './support/args.ts'
import { failWith, fallible, type LuaModule } from './support/module.ts'
import { ask, type StoreEntry } from './requests.ts'

interface StoreState {
  readonly id: string
  isReleased: boolean
}

type Method = (store: string, ctx: Parameters<HostFunction>[0], args: readonly LuaValue[]) => HostResult

const method =
  (run: Method): HostMethod<StoreState> =>
  ({ state }, ctx, args) => {
    try {
      if (state.isReleased) throw invalid(`store ${state.id} was released`)
      return run(state.id, ctx, args)
    } catch (error) {
      return failWith(error)
    }
  }

const keyOf = (value: LuaValue): string => requireName(value, 'store: key')

function ttl(value: LuaValue): { ttlMs?: number } {
  const seconds = optional(value, requireNumber, 'store: ttl')
  if (seconds === undefined || seconds === 0) return {}
  if (!(seconds > 0)) throw invalid(`store: ttl must not be negative, got ${seconds}`)
  return { ttlMs: seconds * 1_000 }
}

const entryTable = ({ key, value, version }: StoreEntry): Record<string, unknown> => ({ key, value, version })

const storeClass = hostClass<StoreState>({
  name: 'store',
  methods: {
    get: method((store, ctx, [key]) => ask(sessionOf(ctx), 'store.get', { store, key: keyOf(key) })),
    entry: method((store, ctx, [key]) =>
      ask(sessionOf(ctx), 'store.entry', { store, key: keyOf(key) }, (entry) => [entryTable(entry)]),
    ),
    set: method((store, ctx, [key, value, seconds]) =>
      ask(sessionOf(ctx), 'store.set', { store, key: keyOf(key), value: toData(value), ...ttl(seconds) }, () => [true]),
    ),
    put: method((store, ctx, [key, value, options]) => {
      const table = isTable(options) ? options : undefined
      const onlyIfAbsent = table?.get('only_if_absent') === true
      const ifVersion = optional(table?.get('if_version'), requireText, 'put: if_version')
      if (onlyIfAbsent && ifVersion !== undefined)
        throw invalid('put: only_if_absent and if_version exclude each other')
      const input = {
        store,
        key: keyOf(key),
        value: toData(value),
        ...ttl(table?.get('ttl')),
        ...(onlyIfAbsent ? { onlyIfAbsent } : {}),
        ...(ifVersion === undefined ? {} : { ifVersion }),
      }
      return ask(sessionOf(ctx), 'store.put', input, (entry) => [entryTable(entry)])
    }),
    has: method((store, ctx, [key]) => ask(sessionOf(ctx), 'store.has', { store, key: keyOf(key) })),
    delete: method((store, ctx, [key]) => ask(sessionOf(ctx), 'store.delete', { store, key: keyOf(key) })),
    list: method((store, ctx, [options]) => {
      const table = isTable(options) ? options : undefined
      const prefix = optional(table?.get('prefix'), requireText, 'list: prefix')
      const after = optional(table?.get('after'), requireText, 'list: after')
      const limit = optional(table?.get('limit'), requireInteger, 'list: limit')
      const input = {
        store,
        ...(prefix === undefined ? {} : { prefix }),
        ...(after === undefined ? {} : { after }),
        ...(limit === undefined ? {} : { limit }),
      }
      return ask(sessionOf(ctx), 'store.list', input, ({ items, cursor, hasMore }) => [
        { items: items.map(entryTable), cursor, has_more: hasMore },
      ])
    }),
    release: ({ state }) => {
      const wasHeld = !state.isReleased
      state.isReleased = true
      return [wasHeld]
    },
  },
  tostring: ({ state }) => `store(${state.id})`,
})

export const storeModule: LuaModule = {
  name: 'store',
  summary: 'Key-value stores of the app.',
  deterministic: false,
  spec: {
    get: fallible((ctx, [id]) => {
      const store = requireName(id, 'store.get: id')
      return ask(sessionOf(ctx), 'store.open', { store }, () => [
        new HostObject(storeClass, { id: store, isReleased: false }),
      ])
    }),
  },
  docs: {
    'store.get(id) -> store | nil, error': 'A store entry.',
    'store:get(key) -> value | nil, error': 'NotFound when it is not there (any more).',
    'store:set(key, value, ttl?) -> true | nil, error': 'ttl in seconds; 0 or nothing: for ever.',
    'store:has(key), store:delete(key) -> boolean | nil, error': '',
    'store:entry(key) -> {key, value, version} | nil, error': '',
    'store:put(key, value, {ttl, only_if_absent, if_version}?) -> entry | nil, error': 'AlreadyExists, Conflict.',
    'store:list({prefix, after, limit}?) -> {items, cursor, has_more} | nil, error': 'In the order of keys.',
    'store:release() -> boolean': 'Later calls are Invalid.',
  },
}

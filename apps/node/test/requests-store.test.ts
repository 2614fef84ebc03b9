import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLmdb } from '@daruma/lmdb'
import { entry } from '@daruma/registry/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { storeRequests } from '../src/requests/store.ts'
import { World, type Asker } from './requests-world.ts'

const entries = [
  entry('app:memory', 'store.memory', { max_size: 3 }),
  entry('app:disk', 'store.kv', { namespace: 'orders' }),
  entry('app:other', 'registry.entry', {}),
]

async function storeWorld(): Promise<{ world: World; asker: Asker }> {
  const world = new World(entries)
  const folder = mkdtempSync(join(tmpdir(), 'daruma-store-'))
  const lmdb = await openLmdb(folder, { clock: world.clock })
  onTestFinished(async () => {
    await lmdb.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const asker = await world.asker(
    storeRequests({ ...world.parts, stores: { keyValue: async (name) => lmdb.store(name) } }),
  )
  return { world, asker }
}

describe.each(['app:memory', 'app:disk'])('what every store does: %s', (store) => {
  test('a value is there until it is deleted', async () => {
    const { later, failure } = (await storeWorld()).asker
    expect(await failure('store.get', { store, key: 'k' })).toBe('not_found')
    await later('store.set', { store, key: 'k', value: { a: [1, 'two'] } })
    expect(await later('store.get', { store, key: 'k' })).toEqual({ a: [1, 'two'] })
    expect(await later('store.has', { store, key: 'k' })).toBe(true)
    expect(await later('store.delete', { store, key: 'k' })).toBe(true)
    expect(await later('store.delete', { store, key: 'k' })).toBe(false)
    expect(await later('store.has', { store, key: 'k' })).toBe(false)
  })

  test('a value with a ttl cannot be read when its time is over', async () => {
    const { world, asker } = await storeWorld()
    await asker.later('store.set', { store, key: 'k', value: 1, ttlMs: 1_000 })
    world.clock.advance(999)
    expect(await asker.later('store.get', { store, key: 'k' })).toBe(1)
    world.clock.advance(1)
    expect(await asker.failure('store.get', { store, key: 'k' })).toBe('not_found')
  })

  test('a put under a condition is made only where the condition holds', async () => {
    const { later, failure } = (await storeWorld()).asker
    const first = await later('store.put', { store, key: 'k', value: 1, onlyIfAbsent: true })
    expect(await failure('store.put', { store, key: 'k', value: 2, onlyIfAbsent: true })).toBe('already_exists')
    const second = await later('store.put', { store, key: 'k', value: 2, ifVersion: first.version })
    expect(await failure('store.put', { store, key: 'k', value: 3, ifVersion: first.version })).toBe('conflict')
    expect(await later('store.entry', { store, key: 'k' })).toEqual({ key: 'k', value: 2, version: second.version })
  })

  test('a version is not given twice, also not to a key that is made anew', async () => {
    const { later, failure } = (await storeWorld()).asker
    const { version } = await later('store.put', { store, key: 'k', value: 1 })
    await later('store.delete', { store, key: 'k' })
    expect(await failure('store.put', { store, key: 'k', value: 2, ifVersion: version })).toBe('conflict')
    await later('store.put', { store, key: 'k', value: 2 })
    expect(await failure('store.put', { store, key: 'k', value: 3, ifVersion: version })).toBe('conflict')
  })

  test('of puts under the same version at once, one is made', async () => {
    const { later, failure } = (await storeWorld()).asker
    const { version } = await later('store.put', { store, key: 'k', value: 0 })
    const outcomes = await Promise.all(
      [1, 2, 3].map((value) => failure('store.put', { store, key: 'k', value, ifVersion: version })),
    )
    expect(outcomes.toSorted()).toEqual(['conflict', 'conflict', 'no failure'])
  })
})

describe('store.memory', () => {
  const store = 'app:memory'

  test('a full store refuses new keys, takes old ones, and makes room of what is over', async () => {
    const { world, asker } = await storeWorld()
    for (const key of ['a', 'b']) asker.ask('store.set', { store, key, value: 1 })
    asker.ask('store.set', { store, key: 'c', value: 1, ttlMs: 10 })
    expect(await asker.failure('store.set', { store, key: 'd', value: 1 })).toBe('unavailable')
    asker.ask('store.set', { store, key: 'a', value: 2 })
    world.clock.advance(10)
    expect(asker.ask('store.set', { store, key: 'd', value: 1 })).toBe(null)
  })

  test('keys are listed in their order, page by page', async () => {
    const { ask } = (await storeWorld()).asker
    for (const key of ['b/2', 'a/1', 'b/1']) ask('store.set', { store, key, value: key })
    const page = ask('store.list', { store, prefix: 'b/', limit: 1 })
    expect(page).toMatchObject({ items: [{ key: 'b/1' }], cursor: 'b/1', hasMore: true })
    const next = ask('store.list', { store, prefix: 'b/', limit: 1, after: page.cursor })
    expect(next).toMatchObject({ items: [{ key: 'b/2' }], cursor: 'b/2', hasMore: false })
  })

  test('its content goes with its entry', async () => {
    const { world, asker } = await storeWorld()
    asker.ask('store.set', { store, key: 'k', value: 1 })
    const boot = world.registry.currentVersion()
    world.registry.changes().delete(store).apply()
    expect(await asker.failure('store.get', { store, key: 'k' })).toBe('not_found')
    world.registry.applyVersion(boot)
    expect(asker.ask('store.has', { store, key: 'k' })).toBe(false)
  })
})

test('the keys of a store.kv cannot be listed, and that is said', async () => {
  const { asker } = await storeWorld()
  expect(await asker.failure('store.list', { store: 'app:disk' })).toBe('unavailable')
})

test.each(['app:nothing', 'app:other'])('opening %s is not_found', async (store) => {
  const { asker } = await storeWorld()
  expect(await asker.failure('store.open', { store })).toBe('not_found')
})

test('Lua: a store in memory', async () => {
  const { world } = await storeWorld()
  const source = `local store = require("store")
  return function()
    local s = store.get("app:memory")
    s:set("k", { n = 1 }, 60)
    local _, missing = s:get("none")
    local _, unknown = store.get("app:memoria")
    return { s:get("k").n, s:has("k"), missing:kind(), tostring(unknown) }
  end`
  const groups = storeRequests({ ...world.parts, stores: { keyValue: () => Promise.reject(new Error('unused')) } })
  expect(await world.run(source, ['store'], groups)).toEqual([
    1,
    true,
    'NotFound',
    'no store app:memoria; did you mean app:memory?',
  ])
})

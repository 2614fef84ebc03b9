import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLmdb, type LmdbStore } from '@daruma/lmdb'
import { SimClock, bytesOf, textOf } from '@daruma/protocol/testing'
import { temporaryFolder } from '@daruma/lmdb/testing'

let folder: string
let remove: () => void
let clock: SimClock
let lmdb: LmdbStore

beforeEach(async () => {
  ;({ folder, remove } = temporaryFolder())
  clock = new SimClock()
  lmdb = await openLmdb(folder, { clock })
})

afterEach(async () => {
  await lmdb.close()
  remove()
})

describe('the key-value store', () => {
  test('gives back what was put, until it is deleted', async () => {
    const store = lmdb.store('app:cache')
    expect([await store.get('k'), await store.has('k'), await store.delete('k')]).toEqual([undefined, false, false])
    await store.put('k', bytesOf('one'))
    await store.put('k', bytesOf('two'))
    expect([textOf(await store.get('k')), await store.has('k')]).toEqual(['two', true])
    expect([await store.delete('k'), await store.has('k')]).toEqual([true, false])
  })

  test('stores of different names do not see each other', async () => {
    await lmdb.store('a').put('k', bytesOf('of a'))
    expect(await lmdb.store('b').get('k')).toBeUndefined()
    expect(await lmdb.store('b').delete('k')).toBe(false)
    expect(textOf(await lmdb.store('a').get('k'))).toBe('of a')
  })

  test('a value with a time to live is there until that time, and gone from then on', async () => {
    const store = lmdb.store('s')
    await store.put('k', bytesOf('x'), { ttlMs: 1_000 })
    clock.advance(999)
    expect(await store.has('k')).toBe(true)
    clock.advance(1)
    expect([await store.has('k'), await store.get('k'), await store.delete('k')]).toEqual([false, undefined, false])
  })

  test('a put without time to live over one with keeps the new value beyond the old end', async () => {
    const store = lmdb.store('s')
    await store.put('k', bytesOf('short'), { ttlMs: 1_000 })
    await store.put('k', bytesOf('stays'))
    clock.advance(5_000)
    await store.put('other', bytesOf('this put sweeps'))
    expect(textOf(await store.get('k'))).toBe('stays')
  })

  test('time goes on for it while the folder is closed', async () => {
    await lmdb.store('s').put('k', bytesOf('x'), { ttlMs: 1_000 })
    await lmdb.store('s').put('stays', bytesOf('y'))
    await lmdb.close()
    clock.advance(2_000)
    lmdb = await openLmdb(folder, { clock })
    expect(await lmdb.store('s').has('k')).toBe(false)
    expect(textOf(await lmdb.store('s').get('stays'))).toBe('y')
  })
})

test('a message id is forgotten when its time is over, and then stored again', async () => {
  await lmdb.inbox.deliver('p', 'id', bytesOf('1'))
  clock.advance(119_999)
  await lmdb.inbox.deliver('p', 'id', bytesOf('2'))
  clock.advance(1)
  await lmdb.inbox.deliver('p', 'id', bytesOf('3'))
  const texts: (string | undefined)[] = []
  await new Promise<void>((resolve) => {
    void lmdb.inbox.consume('p', ({ bytes }) => {
      texts.push(textOf(bytes))
      if (texts.length === 2) resolve()
    })
  })
  expect(texts).toEqual(['1', '3'])
})

test('more messages than a consumer may leave unacknowledged come as it acknowledges', async () => {
  await Promise.all(Array.from({ length: 1_200 }, (_, at) => lmdb.inbox.deliver('p', `${at}`, bytesOf(`${at}`))))
  let count = 0
  await new Promise<void>((resolve) => {
    void lmdb.inbox.consume('p', (message) => {
      count += 1
      void message.ack()
      if (count === 1_200) resolve()
    })
  })
  expect(count).toBe(1_200)
})

test('a name too long for a key is refused as invalid', async () => {
  await expect(lmdb.log.append('x'.repeat(801), 0, bytesOf('no'))).rejects.toMatchObject({ kind: 'invalid' })
  await expect(lmdb.inbox.deliver('p', 'x'.repeat(801), bytesOf('no'))).rejects.toMatchObject({ kind: 'invalid' })
  await expect(lmdb.snapshots.put('ü'.repeat(401), bytesOf('no'))).rejects.toMatchObject({ kind: 'invalid' })
})

test('close finishes the appends that were asked for before it', async () => {
  const appends = Array.from({ length: 50 }, (_, at) => lmdb.log.append(`p${at}`, 0, bytesOf('x')))
  await lmdb.close()
  for (const answer of await Promise.all(appends)) expect(answer.kind).toBe('appended')
  await expect(lmdb.log.append('p0', 1, bytesOf('late'))).rejects.toMatchObject({ kind: 'unavailable' })
  lmdb = await openLmdb(folder, { clock })
  expect(await lmdb.log.last('p49')).toMatchObject({ seq: 1 })
})

test('trimmed records, acknowledged messages and deleted snapshots stay gone when the folder is opened again', async () => {
  for (let seq = 0; seq < 5; seq++) await lmdb.log.append('p', seq, bytesOf(`${seq}`))
  await lmdb.log.trim('p', 3)
  await lmdb.snapshots.put('k', bytesOf('x'))
  await lmdb.snapshots.delete('k')
  await lmdb.inbox.deliver('p', '1', bytesOf('1'))
  await new Promise<void>((resolve) => {
    void lmdb.inbox.consume('p', (message) => void message.ack().then(resolve))
  })
  await lmdb.close()
  lmdb = await openLmdb(folder, { clock })
  const seqs: number[] = []
  for await (const { seq } of lmdb.log.scan('p', 0)) seqs.push(seq)
  expect(seqs).toEqual([4, 5])
  expect(await lmdb.snapshots.get('k')).toBeUndefined()
  await lmdb.inbox.deliver('p', '1', bytesOf('the same id is remembered'))
  await lmdb.inbox.deliver('p', '2', bytesOf('2'))
  const first = await new Promise((resolve) => {
    void lmdb.inbox.consume('p', ({ messageId }) => resolve(messageId))
  })
  expect(first).toBe('2')
})

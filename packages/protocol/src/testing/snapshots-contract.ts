import assert from 'node:assert/strict'
import type { Snapshots } from '../log.ts'
import { awkwardNames, bytesOf, textOf, type ContractCase, type PortHarness } from './contract.ts'

export type SnapshotsHarness = PortHarness<Snapshots>

export const snapshotsContract: readonly ContractCase<SnapshotsHarness>[] = [
  {
    title: 'a key that was never put is undefined, and deleting it does nothing',
    async run({ open }) {
      const snapshots = await open()
      assert.equal(await snapshots.get('never'), undefined)
      await snapshots.delete('never')
      assert.equal(await snapshots.get('never'), undefined)
    },
  },
  {
    title: 'put replaces what was there, delete removes it, and it can be put again',
    async run({ open }) {
      const snapshots = await open()
      const other = await open()
      await snapshots.put('key', bytesOf('one'))
      await snapshots.put('key', bytesOf('two'))
      assert.equal(textOf(await other.get('key')), 'two')
      await other.delete('key')
      assert.equal(await snapshots.get('key'), undefined)
      await snapshots.put('key', bytesOf('three'))
      assert.equal(textOf(await snapshots.get('key')), 'three')
    },
  },
  {
    title: 'sizes from nothing to megabytes come back unchanged, and may replace each other',
    async run({ open }) {
      const snapshots = await open()
      for (const size of [0, 1, 3_000_000, 10, 1_500_000]) {
        const bytes = Uint8Array.from({ length: size }, (_, at) => at * 7 + (at >>> 8))
        await snapshots.put('size', bytes)
        const got = await snapshots.get('size')
        assert.deepEqual([got?.length, Buffer.compare(got!, bytes)], [size, 0])
      }
      await snapshots.delete('size')
      assert.equal(await snapshots.get('size'), undefined)
    },
  },
  {
    title: 'keys are independent, whatever they are made of',
    async run({ open }) {
      const snapshots = await open()
      for (const name of awkwardNames) await snapshots.put(`names:${name}`, bytesOf(name))
      for (const name of awkwardNames) assert.equal(textOf(await snapshots.get(`names:${name}`)), name)
      await snapshots.delete('names:a')
      assert.equal(textOf(await snapshots.get('names:A')), 'A')
    },
  },
  {
    title: 'what was stored does not change when the given or a returned array is written to',
    async run({ open }) {
      const snapshots = await open()
      const given = bytesOf('kept')
      await snapshots.put('copies', given)
      given.fill(0)
      const first = await snapshots.get('copies')
      assert.equal(textOf(first), 'kept')
      first?.fill(0)
      assert.equal(textOf(await snapshots.get('copies')), 'kept')
    },
  },
  {
    title: 'snapshots survive a restart, the newest of each key',
    async run({ open, restart }) {
      const before = await open()
      await before.put('stays', bytesOf('old'))
      await before.put('stays', bytesOf('new'))
      await restart()
      assert.equal(textOf(await (await open()).get('stays')), 'new')
    },
  },
]

import assert from 'node:assert/strict'
import type { HeldLease, LeaseAnswer, Leases } from '../lease.ts'
import { assertRejects, awkwardNames, type ContractCase, type PortHarness } from './contract.ts'

export interface LeasesHarness extends PortHarness<Leases> {
  /** Lets time pass for the store: a simulated clock, or waiting where the clock is a server's. */
  pass(durationMs: number): Promise<void>
}

const longMs = 60_000
/** Long enough for some round trips, short enough to wait for. */
const shortMs = 400

async function held(answer: Promise<LeaseAnswer>): Promise<HeldLease> {
  const given = await answer
  assert.ok(given.kind === 'held', `expected held, found ${JSON.stringify(given)}`)
  return given.lease
}

export const leasesContract: readonly ContractCase<LeasesHarness>[] = [
  {
    title: 'E1: the first to acquire holds; others are told who does and for how long',
    async run({ open }) {
      const [one, two] = [await open(), await open()]
      const lease = await held(one.acquire('first', 'ann', longMs))
      assert.deepEqual([lease.key, lease.holder, lease.ttlMs], ['first', 'ann', longMs])
      const answer = await two.acquire('first', 'bob', longMs)
      assert.ok(answer.kind === 'taken' && answer.holder === 'ann', JSON.stringify(answer))
      assert.ok(answer.leftMs > longMs - 10_000 && answer.leftMs <= longMs, String(answer.leftMs))
    },
  },
  {
    title: 'E1: of many that acquire a free key at once, exactly one holds',
    async run({ open }) {
      const handles = [await open(), await open(), await open()]
      for (let round = 0; round < 10; round++) {
        const answers = await Promise.all(
          Array.from({ length: 6 }, (_, at) => handles[at % 3]!.acquire(`race-${round}`, `node-${at}`, longMs)),
        )
        const winners = answers.filter(({ kind }) => kind === 'held')
        assert.equal(winners.length, 1, JSON.stringify(answers))
      }
    },
  },
  {
    title: 'E1: a lease that ran out is free for others, and its old holder cannot renew it any more',
    async run({ open, pass }) {
      const [one, two] = [await open(), await open()]
      const lost = await held(one.acquire('expiry', 'ann', shortMs))
      await pass(shortMs + 50)
      const lease = await held(two.acquire('expiry', 'bob', longMs))
      assert.ok(lease.fence > lost.fence)
      assert.equal(await one.renew(lost), false)
      await one.release(lost)
      assert.equal((await one.acquire('expiry', 'ann', longMs)).kind, 'taken')
    },
  },
  {
    title: 'E1: renewing keeps a lease beyond its first end',
    async run({ open, pass }) {
      const [one, two] = [await open(), await open()]
      const lease = await held(one.acquire('renewed', 'ann', shortMs))
      for (let round = 0; round < 3; round++) {
        await pass(shortMs * 0.6)
        assert.equal(await one.renew(lease), true)
      }
      assert.equal((await two.acquire('renewed', 'bob', shortMs)).kind, 'taken')
    },
  },
  {
    title: 'E2: the fence grows with every change of holder',
    async run({ open }) {
      const leases = await open()
      let lastFence = 0
      for (const holder of ['ann', 'bob', 'ann', 'cid']) {
        const lease = await held(leases.acquire('fences', holder, longMs))
        assert.ok(lease.fence > lastFence)
        lastFence = lease.fence
        await leases.release(lease)
      }
    },
  },
  {
    title: 'E3: the same holder that acquires again gets it at once with a new fence, and its former lease is lost',
    async run({ open }) {
      const [before, after] = [await open(), await open()]
      const first = await held(before.acquire('again', 'ann', longMs))
      const second = await held(after.acquire('again', 'ann', longMs))
      assert.ok(second.fence > first.fence)
      assert.equal(await before.renew(first), false)
      await before.release(first)
      assert.equal(await after.renew(second), true)
    },
  },
  {
    title: 'a released lease is free at once; releasing it again does nothing',
    async run({ open }) {
      const [one, two] = [await open(), await open()]
      const lease = await held(one.acquire('released', 'ann', longMs))
      await one.release(lease)
      assert.equal(await one.renew(lease), false)
      const next = await held(two.acquire('released', 'bob', longMs))
      await one.release(lease)
      assert.equal(await two.renew(next), true)
    },
  },
  {
    title: 'keys are independent, whatever they are made of',
    async run({ open }) {
      const leases = await open()
      for (const name of awkwardNames) await held(leases.acquire(`names:${name}`, `of ${name}`, longMs))
      for (const name of awkwardNames) {
        const answer = await leases.acquire(`names:${name}`, 'other', longMs)
        assert.ok(answer.kind === 'taken' && answer.holder === `of ${name}`, JSON.stringify(answer))
      }
    },
  },
  {
    title: 'a watcher hears of each change of holder, not of renewals, and of nothing after it stopped',
    async run({ open }) {
      const leases = await open()
      const heard: (string | undefined)[] = []
      let wake = (): void => undefined
      const stop = await leases.watch('watched', (holder) => {
        heard.push(holder)
        wake()
      })
      const hearing = async (count: number): Promise<void> => {
        while (heard.length < count) await new Promise<void>((resolve) => (wake = resolve))
      }
      const lease = await held(leases.acquire('watched', 'ann', longMs))
      await hearing(1)
      assert.equal(await leases.renew(lease), true)
      await held(leases.acquire('unwatched', 'eve', longMs))
      await leases.release(lease)
      await hearing(2)
      await leases.release(await held(leases.acquire('watched', 'bob', longMs)))
      await hearing(4)
      stop()
      await held(leases.acquire('watched', 'cid', longMs))
      assert.deepEqual(heard, ['ann', undefined, 'bob', undefined])
    },
  },
  {
    title: 'E2, E3: after a restart of the store the same holder is back at once, with a higher fence',
    async run({ open, restart }) {
      const before = await held((await open()).acquire('restart', 'ann', longMs))
      await restart()
      const after = await held((await open()).acquire('restart', 'ann', longMs))
      assert.ok(after.fence > before.fence)
    },
  },
  {
    title: 'closed leases reject as unavailable, and what they held stays held',
    async run({ open }) {
      const [one, two] = [await open(), await open()]
      await held(one.acquire('closed', 'ann', longMs))
      await one.close()
      await assertRejects(one.acquire('closed', 'ann', longMs), 'unavailable')
      assert.equal((await two.acquire('closed', 'bob', longMs)).kind, 'taken')
    },
  },
]

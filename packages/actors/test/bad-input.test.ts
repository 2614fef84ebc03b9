import { exitKill, silentLogger } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { createSystem, next, type Behavior, type SystemEvent } from '../src/index.ts'
import { withSystem } from './rule.ts'

/** Throws as soon as anybody asks what it is. */
const hostile = {
  get kind(): string {
    throw new Error('do not look at me')
  },
}

/** Throws as soon as anybody asks whether it is a promise. */
const hostileAnswer: object = new Proxy(
  {},
  {
    get: () => {
      throw new Error('do not wait for me')
    },
  },
)

/** Says that it is a promise, and throws when it is awaited. */
const hostilePromise: object = new Proxy(
  {},
  {
    get: (_target, key) => {
      if (key !== 'then') return undefined
      return () => {
        throw new Error('cannot wait')
      }
    },
  },
)

describe('bad input', () => {
  test(
    'bad: a message that throws when it is looked at is reported as one that cannot be read, and harms nobody else',
    withSystem(async (t) => {
      const crashing = t.system.spawn({
        receive: () => {
          throw new Error('ouch')
        },
      } satisfies Behavior)
      const picky = t.system.spawn({ receive: () => next.unhandled } satisfies Behavior)
      t.system.send(crashing, hostile)
      t.system.send(picky, hostile)
      await t.expectExit(crashing, 'error')
      const [crash] = t.events.filter((event) => event.kind === 'crashed')
      expect(crash).toMatchObject({ report: { messageKind: 'object that cannot be read' } })
      expect(t.deadLetters).toHaveLength(1)
      expect(t.system.isAlive(picky)).toBe(true)
      await expect(t.system.call(crashing, hostile)).rejects.toMatchObject({ kind: 'not_found' })
    }),
  )
  test(
    'bad: an answer that throws when it is looked at, or when it is awaited, is a crash of its own process only',
    withSystem(async (t) => {
      for (const answer of [hostileAnswer, hostilePromise]) {
        const pid = t.system.spawn({ receive: () => answer as never } satisfies Behavior)
        t.system.send(pid, 1)
        await t.expectExit(pid, 'error')
      }
      const body = t.system.spawn(() => hostilePromise)
      await t.expectExit(body, 'error')
    }),
  )
  test.each([
    ['a number', 42],
    ['null', null],
    ['a plain object', { kind: 'state', state: 1 }],
    ['next.ignore outside of init', next.ignore],
    ['a function', () => next.same],
  ])('a handler that answers %s crashes, and so does one whose promise brings it', async (_name, answer) => {
    await withSystem(async (t) => {
      const at = t.system.spawn({ receive: () => answer as never } satisfies Behavior)
      const later = t.system.spawn({ receive: () => Promise.resolve(answer as never) } satisfies Behavior)
      for (const pid of [at, later]) {
        t.system.send(pid, 1)
        expect(await t.expectExit(pid, 'error')).toMatchObject({
          error: { kind: 'internal', message: expect.stringContaining('answered nonsense') },
        })
      }
    })()
  })
  test(
    'bad: an init whose promise never settles shows as parked, holds up nobody, and can be killed',
    withSystem(async (t) => {
      const start = t.system.tryStart({
        name: 'stuck',
        init: () => new Promise<null>(() => undefined),
        receive: () => next.same,
      } satisfies Behavior<unknown, null>)
      await t.runUntilIdle()
      const [pid] = t.system.processes()
      expect(t.system.processInfo(pid!)).toMatchObject({ behavior: 'stuck', status: 'parked' })
      t.system.exit(pid!, exitKill)
      expect(await start).toEqual({ kind: 'failed', reason: { kind: 'killed' } })
    }),
  )
  test(
    'bad: a snapshot that throws leaves the state out of process info, and is logged',
    withSystem(async (t) => {
      const pid = t.system.spawn({
        name: 'shy',
        receive: () => next.same,
        snapshot: () => {
          throw new Error('no photographs')
        },
      } satisfies Behavior)
      await t.runUntilIdle()
      expect(t.system.processInfo(pid)).toMatchObject({ behavior: 'shy', state: undefined })
      expect(t.logs).toMatchObject([{ level: 'warn', message: expect.stringContaining('could not show itself') }])
    }),
  )
})

describe('what a console sees', () => {
  test(
    'info: a tracer that throws is turned off and logged, and nobody else notices',
    withSystem(async (t) => {
      let told = 0
      t.system.trace(() => {
        told++
        throw new Error('trace me not')
      })
      const probe = await t.probe()
      t.system.send(probe.pid, 1)
      t.system.send(probe.pid, 2)
      await t.runUntilIdle()
      expect([told, probe.received]).toEqual([1, [1, 2]])
      expect(t.logs).toMatchObject([{ level: 'error', message: expect.stringContaining('tracer threw') }])
    }),
  )
  test(
    'info: the behavior in process info is the current one after next.become',
    withSystem(async (t) => {
      const second: Behavior<string, null> = { name: 'butterfly', receive: () => next.same }
      const first: Behavior<string, null> = {
        name: 'caterpillar',
        init: () => null,
        receive: () => next.become(second, null),
      }
      const pid = t.system.spawn(first)
      await t.runUntilIdle()
      expect(t.system.processInfo(pid)!.behavior).toBe('caterpillar')
      t.system.send(pid, 'change')
      await t.runUntilIdle()
      expect(t.system.processInfo(pid)!.behavior).toBe('butterfly')
    }),
  )
  test(
    'info: the memory estimate grows with mailbox, links, monitors and timers, and shrinks with them',
    withSystem(async (t) => {
      const probe = await t.probe<string>()
      const before = t.system.processInfo(probe.pid)!.memory
      const sleeper: Behavior = { receive: () => next.same }
      const peers = [probe.ctx.spawnLink(sleeper), probe.ctx.spawnLink(sleeper)]
      const refs = peers.map((peer) => probe.ctx.monitor(peer))
      const timer = probe.ctx.after(1_000, 'late')
      t.system.suspend(probe.pid)
      for (let at = 0; at < 100; at++) t.system.send(probe.pid, 'wait')
      const full = t.system.processInfo(probe.pid)!.memory
      for (const part of ['mailboxBytes', 'linkBytes', 'monitorBytes', 'ownedBytes'] as const) {
        expect({ part, bytes: full[part] }).toSatisfy(({ bytes }: { bytes: number }) => bytes > before[part])
      }
      t.system.resume(probe.pid)
      timer.cancel()
      for (const ref of refs) probe.ctx.demonitor(ref)
      for (const peer of peers) probe.ctx.unlink(peer)
      await t.runUntilIdle()
      const { mailboxBytes, ...rest } = t.system.processInfo(probe.pid)!.memory
      expect(mailboxBytes).toBeLessThan(full.mailboxBytes)
      expect(rest).toMatchObject({ linkBytes: 0, monitorBytes: 0, ownedBytes: 0 })
    }),
  )
  test('events: a crash that nobody watches and nobody logs is still an end with its reason', async () => {
    await using system = createSystem({ logger: silentLogger })
    const crash: Behavior = {
      receive: () => {
        throw new Error('alone')
      },
    }
    const pid = system.spawn(crash)
    system.send(pid, hostile)
    expect(await system.exited(pid)).toMatchObject({ kind: 'error', error: { message: 'alone' } })
    const events: SystemEvent['kind'][] = []
    const leave = system.events.subscribe((event) => void events.push(event.kind))
    const watched = system.spawn(crash)
    system.send(watched, 1)
    await system.exited(watched)
    leave()
    expect(events).toContain('crashed')
  })
})

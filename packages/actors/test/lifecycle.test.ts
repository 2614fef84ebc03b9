import { exitKill, exitNormal, exitShutdown, type ExitReason } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { next, type Behavior, type Notice } from '../src/index.ts'
import type { TestSystem } from '../src/testing.ts'
import { withSystem } from './rule.ts'

const sleeper: Behavior = { name: 'sleeper', receive: () => next.same }
const withInit = (init: NonNullable<Behavior<unknown, unknown>['init']>): Behavior<unknown, unknown> => ({
  name: 'starting',
  init,
  receive: () => next.same,
})

describe('init', () => {
  test(
    '37: start answers only after init, even one that awaits',
    withSystem(async (t) => {
      let ready = false
      const start = t.system.tryStart(
        withInit(async () => {
          await new Promise<void>((resolve) => t.clock.after(100, resolve))
          ready = true
        }),
      )
      await t.advance(99)
      expect(ready).toBe(false)
      await t.advance(1)
      expect(await start).toMatchObject({ kind: 'started' })
      expect(ready).toBe(true)
    }),
  )
  test(
    '37: an init that stops, ignores or throws is an outcome of its own',
    withSystem(async (t) => {
      const reason: ExitReason = { kind: 'custom', value: 'no licence' }
      expect(await t.system.tryStart(withInit(() => next.stop(reason)))).toEqual({ kind: 'failed', reason })
      expect(await t.system.tryStart(withInit(() => next.ignore))).toEqual({ kind: 'ignored' })
      const thrown = await t.system.tryStart(
        withInit(() => {
          throw new Error('no disk')
        }),
      )
      expect(thrown).toMatchObject({ kind: 'failed', reason: { kind: 'error', error: { message: 'no disk' } } })
      expect(t.system.size).toBe(0)
    }),
  )
  test(
    '37: start that is not started rejects, and the error holds the outcome',
    withSystem(async (t) => {
      await expect(t.system.start(withInit(() => next.ignore))).rejects.toMatchObject({
        kind: 'unavailable',
        details: { outcome: { kind: 'ignored' } },
      })
    }),
  )
  test(
    '37: an init that takes too long is killed, and the start fails with timeout',
    withSystem(async (t) => {
      const start = t.system.tryStart(
        withInit(() => new Promise(() => undefined)),
        { startMs: 50, name: 'slow' },
      )
      await t.advance(50)
      expect(await start).toMatchObject({ kind: 'failed', reason: { kind: 'error', error: { kind: 'timeout' } } })
      expect(t.system.size).toBe(0)
      expect(t.system.whereis('slow')).toBeUndefined()
    }),
  )
  test(
    '38: a failed linked start leaves no exit notice with a starter that traps',
    withSystem(async (t) => {
      const probe = await t.probe()
      for (const init of [
        () => next.stop({ kind: 'custom', value: 1 }),
        () => next.ignore,
        () => {
          throw new Error('x')
        },
      ]) {
        await probe.ctx.tryStart(withInit(init as () => never), { link: true, name: 'child' })
        expect(t.system.whereis('child')).toBeUndefined()
      }
      await t.runUntilIdle()
      expect(probe.received).toEqual([])
      expect(t.system.processInfo(probe.pid)!.links).toEqual([])
    }),
  )
  test(
    '39: handleContinue after init runs before any message, even one that init sent to itself',
    withSystem(async (t) => {
      const order: unknown[] = []
      const pid = t.system.spawn({
        init: (ctx) => {
          ctx.send(ctx.self, 'message')
          return next.continue('continue', null)
        },
        receive: (_ctx, message) => void order.push(message),
        handleContinue: (_ctx, value) => void order.push(value),
      } satisfies Behavior<unknown, null>)
      t.system.send(pid, 'sent before')
      await t.runUntilIdle()
      expect(order).toEqual(['continue', 'sent before', 'message'])
    }),
  )
  test(
    '39: an idle notice comes after the idle time, and any message cancels it',
    withSystem(async (t) => {
      const got: unknown[] = []
      const pid = t.system.spawn({
        init: () => next.idleAfter(100, null),
        receive: (_ctx, message) => {
          got.push(message)
          return message === 'again' ? next.idleAfter(100) : next.same
        },
        notice: (_ctx, notice) => void got.push(notice.kind),
      } satisfies Behavior<string, null>)
      await t.advance(99)
      t.system.send(pid, 'again')
      await t.advance(99)
      expect(got).toEqual(['again'])
      await t.advance(1)
      expect(got).toEqual(['again', 'idle'])
      t.system.send(pid, 'again')
      t.system.send(pid, 'and stay')
      await t.advance(1_000)
      expect(got).toEqual(['again', 'idle', 'again', 'and stay'])
    }),
  )
  test(
    '39: next.yield lets other processes run before handleContinue, but no message of its own',
    withSystem(async (t) => {
      const order: string[] = []
      const chunked = (name: string): Behavior<string, number> => ({
        init: () => next.continue(0, 0),
        handleContinue: (_ctx, value) => {
          order.push(`${name}${String(value)}`)
          return (value as number) < 2 ? next.yield((value as number) + 1) : next.same
        },
        receive: (_ctx, message) => void order.push(`${name}:${message}`),
      })
      const [a] = [t.system.spawn(chunked('a')), t.system.spawn(chunked('b'))]
      t.system.send(a, 'm')
      await t.runUntilIdle()
      expect(order).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'b2', 'a:m'])
    }),
  )
})

describe('terminate', () => {
  const watched = (
    t: TestSystem,
    log: string[],
    extra: Partial<Behavior<string, null>> = {},
  ): Behavior<string, null> => ({
    name: 'watched',
    init: () => null,
    receive(_ctx, message) {
      if (message === 'stop') return next.stop({ kind: 'custom', value: 'asked' })
      if (message === 'crash') throw new Error('ouch')
      return next.same
    },
    terminate: (_ctx, reason) => void log.push(`terminate ${reason.kind}`),
    release: (_state, reason) => void log.push(`release ${reason.kind}`),
    ...extra,
  })

  test(
    '40: terminate runs on next.stop',
    withSystem(async (t) => {
      const log: string[] = []
      t.system.send(t.system.spawn(watched(t, log)), 'stop')
      await t.runUntilIdle()
      expect(log).toEqual(['terminate custom', 'release custom'])
    }),
  )
  test(
    '40: terminate runs on a crash in a handler',
    withSystem(async (t) => {
      const log: string[] = []
      t.system.send(t.system.spawn(watched(t, log)), 'crash')
      await t.runUntilIdle()
      expect(log).toEqual(['terminate error', 'release error'])
    }),
  )
  test(
    '40: terminate runs on the parent’s exit signal if exits are trapped',
    withSystem(async (t) => {
      const log: string[] = []
      const pid = t.system.spawn(watched(t, log), { trapExits: true })
      await t.runUntilIdle()
      t.system.exit(pid, exitShutdown)
      await t.expectExit(pid, 'shutdown')
      expect(log).toEqual(['terminate shutdown', 'release shutdown'])
    }),
  )
  test(
    '40: terminate does not run on a kill; release does',
    withSystem(async (t) => {
      const log: string[] = []
      const pid = t.system.spawn(watched(t, log), { trapExits: true })
      await t.runUntilIdle()
      t.system.exit(pid, exitKill)
      await t.expectExit(pid, 'killed')
      expect(log).toEqual(['release killed'])
    }),
  )
  test(
    '40: terminate does not run on an exit signal that is not trapped; release does',
    withSystem(async (t) => {
      const log: string[] = []
      const pid = t.system.spawn(watched(t, log))
      await t.runUntilIdle()
      t.system.exit(pid, exitShutdown)
      await t.expectExit(pid, 'shutdown')
      expect(log).toEqual(['release shutdown'])
    }),
  )
  test(
    '40: a terminate that throws makes its error the reason',
    withSystem(async (t) => {
      const pid = t.system.spawn(
        watched(t, [], {
          terminate: () => {
            throw new Error('while leaving')
          },
        }),
      )
      t.system.send(pid, 'stop')
      expect(await t.expectExit(pid, 'error')).toMatchObject({ error: { message: 'while leaving' } })
    }),
  )
  test(
    '40: a terminate that awaits is waited for, up to terminateMs',
    withSystem(async (t) => {
      const slow = (settleMs: number): Behavior<string, null> =>
        watched(t, [], { terminate: () => new Promise<void>((resolve) => t.clock.after(settleMs, resolve)) })
      const [good, bad] = [t.system.spawn(slow(30)), t.system.spawn(slow(3_000), { terminateMs: 100 })]
      t.system.send(good, 'stop')
      t.system.send(bad, 'stop')
      await t.advance(29)
      expect(t.system.processInfo(good)!.status).toBe('ending')
      await t.advance(1)
      expect(t.system.isAlive(good)).toBe(false)
      await t.advance(69)
      expect(t.system.isAlive(bad)).toBe(true)
      await t.advance(1)
      await t.expectExit(bad, 'custom')
      expect(t.logs.some((record) => record.message.includes('terminate did not settle'))).toBe(true)
    }),
  )
  test(
    '40: a kill ends a process whose terminate hangs',
    withSystem(async (t) => {
      const pid = t.system.spawn(watched(t, [], { terminate: () => new Promise<void>(() => undefined) }))
      t.system.send(pid, 'stop')
      await t.runUntilIdle()
      t.system.exit(pid, exitShutdown)
      expect(await t.exitOf(pid)).toBeUndefined()
      t.system.exit(pid, exitKill)
      await t.expectExit(pid, 'killed')
    }),
  )
  test(
    '41: a parent’s exit stops a trapping behavior with that reason, without a notice',
    withSystem(async (t) => {
      const notices: Notice[] = []
      const parent = await t.probe()
      const pid = parent.ctx.spawn(watched(t, [], { notice: (_ctx, notice) => void notices.push(notice) }), {
        trapExits: true,
      })
      await t.runUntilIdle()
      parent.ctx.exit(pid, { kind: 'custom', value: 'closing' })
      await t.expectExit(pid, { kind: 'custom', value: 'closing' })
      expect(notices).toEqual([])
    }),
  )
  test(
    '41: another linked process’s exit is a notice to a trapping behavior',
    withSystem(async (t) => {
      const notices: Notice[] = []
      const peer = await t.probe()
      const pid = t.system.spawn(watched(t, [], { notice: (_ctx, notice) => void notices.push(notice) }), {
        trapExits: true,
      })
      peer.ctx.link(pid)
      t.system.exit(peer.pid, exitKill)
      await t.runUntilIdle()
      expect(notices).toMatchObject([{ kind: 'exit', from: peer.pid, reason: { kind: 'killed' } }])
      expect(t.system.isAlive(pid)).toBe(true)
    }),
  )
  test(
    '41: a parent’s exit comes in order: what was sent before is handled first',
    withSystem(async (t) => {
      const seen: string[] = []
      const pid = t.system.spawn(watched(t, [], { receive: (_ctx, message) => void seen.push(message) }), {
        trapExits: true,
      })
      t.system.send(pid, 'first')
      t.system.exit(pid, exitNormal)
      await t.expectExit(pid, 'normal')
      expect(seen).toEqual(['first'])
    }),
  )
})

describe('bad behaviour', () => {
  test(
    'bad: a handler that answers nonsense crashes with a text that shows the answer',
    withSystem(async (t) => {
      const pid = t.system.spawn({ name: 'odd', receive: () => ({ answer: 42 }) as never } satisfies Behavior)
      t.system.send(pid, 1)
      expect(await t.expectExit(pid, 'error')).toMatchObject({
        error: { message: expect.stringMatching(/odd .* \{ answer: 42 \}/) },
      })
    }),
  )
  test(
    'bad: a message that the behavior declares unknown is logged and a dead letter; it lives on',
    withSystem(async (t) => {
      const pid = t.system.spawn({ name: 'picky', receive: () => next.unhandled } satisfies Behavior)
      t.system.send(pid, { kind: 'riddle' })
      await t.runUntilIdle()
      expect(t.deadLetters).toEqual([{ kind: 'riddle' }])
      expect(t.logs).toMatchObject([{ level: 'warn', message: expect.stringContaining('"riddle"') }])
      expect(t.system.isAlive(pid)).toBe(true)
    }),
  )
  test(
    'bad: next.continue without a handleContinue crashes and says so',
    withSystem(async (t) => {
      const pid = t.system.spawn({ receive: () => next.continue(1) } satisfies Behavior)
      t.system.send(pid, 1)
      expect(await t.expectExit(pid, 'error')).toMatchObject({
        error: { message: expect.stringContaining('handleContinue') },
      })
    }),
  )
  test(
    'bad: a release that throws is logged and changes nothing',
    withSystem(async (t) => {
      const pid = t.system.spawn({
        receive: () => next.same,
        release: () => {
          throw new Error('sticky')
        },
      } satisfies Behavior)
      await t.runUntilIdle()
      t.system.exit(pid, exitKill)
      await t.expectExit(pid, 'killed')
      expect(t.logs).toMatchObject([{ level: 'error', message: expect.stringContaining('release threw') }])
    }),
  )
})

describe('the side door', () => {
  test(
    'info: process info shows status, mailbox, reductions, links, monitors, behavior, ancestry and state',
    withSystem(async (t) => {
      const parent = await t.probe()
      const counter: Behavior<number, number> = {
        name: 'counter',
        init: () => 0,
        receive: (_ctx, by, sum) => next.state(sum + by),
        snapshot: (sum) => sum,
      }
      const pid = parent.ctx.spawnLink(counter, { name: 'abacus' })
      parent.ctx.monitor(pid)
      for (const by of [1, 2, 3]) t.system.send(pid, by)
      await t.runUntilIdle()
      expect(t.system.processInfo(pid)).toEqual({
        pid,
        name: 'abacus',
        behavior: 'counter',
        status: 'waiting',
        mailboxLength: 0,
        reductions: 3,
        memory: { mailboxBytes: expect.any(Number), linkBytes: 0, monitorBytes: 0, ownedBytes: 230, processBytes: 510 },
        trapExits: false,
        links: [parent.pid],
        monitors: [],
        monitoredBy: [parent.pid],
        parent: parent.pid,
        ancestors: [parent.pid, t.system.root],
        state: 6,
      })
      expect(t.system.processInfo(parent.pid)!.monitors).toEqual([pid])
      expect(t.system.tree()).toMatchObject([{ pid: parent.pid, children: [{ pid, name: 'abacus', children: [] }] }])
    }),
  )
  test(
    'info: a suspended process takes no message until it is resumed, but can be killed',
    withSystem(async (t) => {
      const seen: unknown[] = []
      const pid = t.system.spawn({ receive: (_ctx, message) => void seen.push(message) } satisfies Behavior)
      await t.runUntilIdle()
      t.system.suspend(pid)
      t.system.send(pid, 1)
      await t.runUntilIdle()
      expect(seen).toEqual([])
      expect(t.system.processInfo(pid)).toMatchObject({ status: 'suspended', mailboxLength: 1 })
      t.system.resume(pid)
      await t.runUntilIdle()
      expect(seen).toEqual([1])
      t.system.suspend(pid)
      t.system.exit(pid, exitKill)
      await t.expectExit(pid, 'killed')
    }),
  )
  test(
    'info: a tracer sees every send and receive until it is taken away',
    withSystem(async (t) => {
      const trace: unknown[] = []
      const pid = t.system.spawn(sleeper)
      await t.runUntilIdle()
      t.system.trace((event) => trace.push([event.kind, event.message]))
      t.system.send(pid, 'a')
      await t.runUntilIdle()
      t.system.trace(undefined)
      t.system.send(pid, 'b')
      await t.runUntilIdle()
      expect(trace).toEqual([
        ['send', 'a'],
        ['receive', 'a'],
      ])
    }),
  )
  test(
    'info: a cancel is a notice; without a handler for it the process stops with shutdown',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(sleeper)
      await t.runUntilIdle()
      t.system.cancel(pid, 'lunch')
      await t.expectExit(pid, { kind: 'shutdown', detail: 'lunch' })
      t.system.cancel(probe.pid, 'tea')
      expect(await probe.next()).toMatchObject({ kind: 'cancel', reason: 'tea' })
    }),
  )
  test(
    'info: the context’s AbortSignal aborts when the process ends',
    withSystem(async (t) => {
      let signal: AbortSignal | undefined
      const pid = t.system.spawn(withInit((ctx) => void (signal = ctx.signal)))
      await t.runUntilIdle()
      expect(signal!.aborted).toBe(false)
      t.system.exit(pid, exitKill)
      expect(signal!.aborted).toBe(true)
    }),
  )
})

describe('a system', () => {
  test(
    'system: shutdown asks the newest first, waits, kills what is late, and refuses new processes',
    withSystem(async (t) => {
      const log: string[] = []
      const polite = (name: string): Behavior<unknown, null> => ({
        init: () => null,
        receive: () => next.same,
        terminate: () => void log.push(name),
      })
      t.system.spawn(polite('first'), { trapExits: true })
      t.system.spawn(polite('second'), { trapExits: true })
      const stubborn = t.system.spawn(
        { seesParentExit: true, receive: () => next.same, notice: () => next.same },
        { trapExits: true },
      )
      await t.runUntilIdle()
      const stopping = t.system.shutdown({ deadlineMs: 100 })
      await t.advance(99)
      expect(log).toEqual([])
      await t.advance(1)
      await stopping
      expect(await t.exitOf(stubborn)).toEqual({ kind: 'killed' })
      expect(t.system.size).toBe(0)
      expect(() => t.system.spawn(sleeper)).toThrow(/shut down/)
    }),
  )
  test(
    'system: two systems of one JavaScript process do not reach into each other',
    withSystem(async (t) => {
      await using other = new (await import('../src/testing.ts')).TestSystem({ node: 'other' })
      const seen: unknown[] = []
      const pid = t.system.spawn({ receive: (_ctx, message) => void seen.push(message) } satisfies Behavior)
      other.system.send(pid, 'hello')
      await t.runUntilIdle()
      expect(seen).toEqual([])
      expect(other.deadLetters).toEqual(['hello'])
    }),
  )
})

import fc from 'fast-check'
import { exitKill, isAppError } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { isNotice, type Behavior, type BodyContext, type MailboxFull } from '../src/index.ts'
import { Mailbox } from '../src/mailbox.ts'
import { withSystem } from './rule.ts'

describe('receive', () => {
  test(
    '30: a selective receive takes the first match in arrival order and leaves the others in theirs',
    withSystem(async (t) => {
      const pid = t.system.spawn(async (ctx: BodyContext<number>) => {
        const taken: unknown[] = []
        taken.push(await ctx.receive((m): m is number => typeof m === 'number' && m > 2))
        for (let at = 0; at < 3; at++) taken.push(await ctx.receive())
        return taken
      })
      for (const message of [1, 2, 3, 4]) t.system.send(pid, message)
      expect(await t.exitOf(pid)).toMatchObject({ value: [3, 1, 2, 4] })
    }),
  )
  test(
    '30: a receive that waits takes what matches when it comes, past what does not',
    withSystem(async (t) => {
      const pid = t.system.spawn(async (ctx: BodyContext<string>) => [
        await ctx.receive((m) => m === 'b'),
        await ctx.receive(),
      ])
      t.system.send(pid, 'a')
      await t.runUntilIdle()
      t.system.send(pid, 'b')
      expect(await t.exitOf(pid)).toMatchObject({ value: ['b', 'a'] })
    }),
  )
  test(
    '30: a timeout of 0 looks at the mailbox first',
    withSystem(async (t) => {
      const pid = t.system.spawn(async (ctx: BodyContext<string>) => [
        await ctx.receive({ timeoutMs: 0 }),
        await ctx.receive({ timeoutMs: 0 }),
      ])
      t.system.send(pid, 'here')
      expect(await t.exitOf(pid)).toMatchObject({ value: ['here', undefined] })
    }),
  )
  test(
    '30: a receive gives undefined after its timeout',
    withSystem(async (t) => {
      const pid = t.system.spawn(async (ctx) => [
        await ctx.receive((m) => m === 'x', { timeoutMs: 50 }),
        t.clock.monotonicMs(),
      ])
      await t.advance(60)
      expect(await t.exitOf(pid)).toMatchObject({ value: [undefined, 50] })
    }),
  )
  test(
    '30: a receive ends with canceled when its AbortSignal aborts',
    withSystem(async (t) => {
      const abort = new AbortController()
      const pid = t.system.spawn((ctx) => ctx.receive({ signal: abort.signal }))
      await t.runUntilIdle()
      abort.abort()
      expect(await t.exitOf(pid)).toMatchObject({ kind: 'error', error: { kind: 'canceled' } })
    }),
  )
  test(
    '30: two receives of one process at a time are refused',
    withSystem(async (t) => {
      const pid = t.system.spawn((ctx) => Promise.all([ctx.receive(), ctx.receive()]))
      expect(await t.exitOf(pid)).toMatchObject({ kind: 'error', error: { kind: 'invalid' } })
    }),
  )
  test(
    '30: notices stand in the same order as messages',
    withSystem(async (t) => {
      const pid = t.system.spawn(async (ctx) => {
        const { pid: child } = ctx.spawnMonitor(() => undefined)
        ctx.send(ctx.self, 'before')
        ctx.exit(child, exitKill)
        ctx.send(ctx.self, 'after')
        const kinds: unknown[] = []
        for (let at = 0; at < 3; at++) {
          const message = await ctx.receive()
          kinds.push(isNotice(message) ? message.kind : message)
        }
        return kinds
      })
      expect(await t.exitOf(pid)).toMatchObject({ value: ['before', 'down', 'after'] })
    }),
  )
  test(
    '31: handlers of one process never overlap, even when they await',
    withSystem(async (t) => {
      const log: string[] = []
      const worker: Behavior<number> = {
        async receive(_ctx, message) {
          log.push(`begin ${message}`)
          await new Promise<void>((resolve) => t.clock.after(10 - message, resolve))
          log.push(`end ${message}`)
        },
      }
      const pid = t.system.spawn(worker)
      for (const message of [1, 2, 3]) t.system.send(pid, message)
      await t.advance(100)
      expect(log).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2', 'begin 3', 'end 3'])
    }),
  )
  test(
    '31: a handler that awaits holds up nobody else',
    withSystem(async (t) => {
      const probe = await t.probe()
      const stuck = t.system.spawn({ receive: () => new Promise<void>(() => undefined) })
      t.system.send(stuck, 'x')
      const echo = t.system.spawn({ receive: (ctx, message) => void ctx.send(probe.pid, message) } satisfies Behavior)
      t.system.send(echo, 'y')
      expect(await probe.next()).toBe('y')
    }),
  )
  test(
    '31: a promise that never settles shows as parked and can be killed',
    withSystem(async (t) => {
      const stuck = t.system.spawn({ name: 'stuck', receive: () => new Promise<void>(() => undefined) })
      t.system.send(stuck, 1)
      t.system.send(stuck, 2)
      await t.runUntilIdle()
      expect(t.system.processInfo(stuck)).toMatchObject({ behavior: 'stuck', status: 'parked', mailboxLength: 1 })
      t.system.exit(stuck, exitKill)
      await t.expectExit(stuck, 'killed')
    }),
  )
  test(
    '31: code that goes on after its process has ended cannot act as it',
    withSystem(async (t) => {
      let outcome: unknown
      const pid = t.system.spawn(async (ctx) => {
        try {
          await ctx.receive()
        } catch {
          try {
            ctx.send(ctx.self, 'zombie')
          } catch (error) {
            outcome = error
          }
        }
      })
      await t.runUntilIdle()
      t.system.exit(pid, exitKill)
      await t.runUntilIdle()
      expect(isAppError(outcome, 'canceled')).toBe(true)
    }),
  )
})

describe('bounded mailboxes', () => {
  const stuck: Behavior<unknown> = { receive: () => new Promise<void>(() => undefined) }

  test(
    'bound: reject gives the message back to the sender as a value, and never throws',
    withSystem(async (t) => {
      const pid = t.system.spawn(stuck, { mailbox: { limit: 1 } })
      t.system.send(pid, 0)
      await t.runUntilIdle()
      expect(t.system.send(pid, 1)).toBeUndefined()
      const full = t.system.send(pid, { kind: 'extra' })
      expect(full).toEqual({
        kind: 'mailbox_full',
        to: pid,
        message: { kind: 'extra' },
        limit: 1,
      } satisfies MailboxFull)
    }),
  )
  test(
    'bound: reject fails a call with rate_limited at once',
    withSystem(async (t) => {
      const pid = t.system.spawn(stuck, { mailbox: { limit: 1 } })
      t.system.send(pid, 0)
      await t.runUntilIdle()
      t.system.send(pid, 1)
      await expect(t.system.call(pid, 'ask')).rejects.toSatisfy(
        (error) => isAppError(error, 'rate_limited') && error.retryable === true,
      )
    }),
  )
  test(
    'bound: drop_oldest makes room, and the oldest is a dead letter',
    withSystem(async (t) => {
      const seen: unknown[] = []
      const pid = t.system.spawn({ receive: (_ctx, m) => void seen.push(m) } satisfies Behavior, {
        mailbox: { limit: 2, overflow: 'drop_oldest' },
      })
      for (const message of [1, 2, 3, 4]) expect(t.system.send(pid, message)).toBeUndefined()
      await t.runUntilIdle()
      expect(seen).toEqual([3, 4])
      expect(t.deadLetters).toEqual([1, 2])
    }),
  )
  test(
    'bound: drop_newest keeps what waits, and the newest is a dead letter',
    withSystem(async (t) => {
      const seen: unknown[] = []
      const pid = t.system.spawn({ receive: (_ctx, m) => void seen.push(m) } satisfies Behavior, {
        mailbox: { limit: 2, overflow: 'drop_newest' },
      })
      for (const message of [1, 2, 3, 4]) expect(t.system.send(pid, message)).toBeUndefined()
      await t.runUntilIdle()
      expect(seen).toEqual([1, 2])
      expect(t.deadLetters).toEqual([3, 4])
    }),
  )
  test(
    'bound: exits, downs and timeouts always get in, in their order',
    withSystem(async (t) => {
      const got: unknown[] = []
      const pid = t.system.spawn(
        {
          init: (ctx) => {
            ctx.spawnMonitor((child) => child.sleep(5))
            ctx.startTimer(7)
            return null
          },
          receive: async (_ctx, m) => {
            got.push(m)
            await new Promise<void>((resolve) => t.clock.after(10, resolve))
          },
          notice: (_ctx, notice) => void got.push(notice.kind),
        } satisfies Behavior<unknown, null>,
        { mailbox: { limit: 1 }, trapExits: true },
      )
      const probe = await t.probe()
      t.system.send(pid, 'a')
      await t.runUntilIdle()
      t.system.send(pid, 'b')
      probe.ctx.exit(pid, { kind: 'shutdown' })
      await t.advance(50)
      expect(got).toEqual(['a', 'b', 'exit', 'down', 'timeout'])
    }),
  )
})

describe('the mailbox itself', () => {
  test('behaves like a plain list under any mix of push, shift and selective take', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ op: fc.constant('push' as const), value: fc.nat(9) }) },
      { weight: 3, arbitrary: fc.record({ op: fc.constant('shift' as const), value: fc.nat(9) }) },
      { weight: 2, arbitrary: fc.record({ op: fc.constant('take' as const), value: fc.nat(9) }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('trim' as const), value: fc.nat(9) }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), fc.integer({ min: 0, max: 3_000 }), (steps, backlog) => {
        const mailbox = new Mailbox()
        const model: number[] = []
        const push = (value: number): void => {
          mailbox.put(value)
          model.push(value)
        }
        for (let at = 0; at < backlog; at++) push(at % 10)
        for (const { op, value } of steps) {
          if (op === 'push') push(value)
          else if (op === 'trim') mailbox.trim()
          else if (op === 'shift') {
            if (model.length > 0) expect(mailbox.shift()).toBe(model.shift())
          } else {
            const at = model.indexOf(value)
            const taken = mailbox.take((item) => item === value)
            expect(taken?.item).toBe(at < 0 ? undefined : model.splice(at, 1)[0])
          }
          expect(mailbox.length).toBe(model.length)
          expect(mailbox.notices).toBe(0)
        }
        expect([...mailbox.items()]).toEqual(model)
      }),
      { numRuns: 60 },
    )
  })
  test('a take that skips what is known not to match finds the same', () => {
    const mailbox = new Mailbox()
    for (let at = 0; at < 5_000; at++) mailbox.put(at)
    for (const [from, wanted] of [
      [0, 0],
      [1, 4_000],
      [3_000, 4_500],
      [4_996, 4_999],
    ] as const) {
      expect(mailbox.take((item) => item === wanted, from)).toEqual({ item: wanted })
    }
    expect(mailbox.length).toBe(4_996)
  })
})

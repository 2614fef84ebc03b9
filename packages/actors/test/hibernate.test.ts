import { exitKill } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { next, type Behavior, type Request } from '../src/index.ts'
import type { TestSystem } from '../src/testing.ts'
import { withSystem } from './rule.ts'

/** A total that is kept, and a table that can be made from it again. */
interface Sums {
  readonly total: number
  readonly table: readonly number[] | undefined
}
type Message = number | 'sleep' | 'leave'

const tableOf = (total: number): readonly number[] => Array.from({ length: total }, (_unused, at) => at)

function summing(log: string[], extra: Partial<Behavior<Message, Sums>> = {}): Behavior<Message, Sums> {
  return {
    name: 'summing',
    init: () => ({ total: 0, table: [] }),
    receive(_ctx, message, state) {
      log.push(`${message}${state.table === undefined ? ' without table' : ''}`)
      if (message === 'sleep') return next.hibernate()
      if (message === 'leave') return next.passivate
      const total = state.total + message
      return next.state({ total, table: tableOf(total) })
    },
    hibernate(_ctx, state) {
      log.push('hibernate')
      return { total: state.total, table: undefined }
    },
    wake(_ctx, kept) {
      log.push('wake')
      return { total: kept.total, table: tableOf(kept.total) }
    },
    snapshot: (state) => state.table?.length,
    ...extra,
  }
}

const infoOf = (t: TestSystem, pid: Parameters<TestSystem['system']['processInfo']>[0]) => t.system.processInfo(pid)!

describe('hibernation', () => {
  test(
    'sleep: next.hibernate lets the behavior drop what it can rebuild, and wake runs before the next message',
    withSystem(async (t) => {
      const log: string[] = []
      const pid = t.system.spawn(summing(log))
      t.system.send(pid, 3)
      t.system.send(pid, 'sleep')
      await t.runUntilIdle()
      expect(infoOf(t, pid)).toMatchObject({ status: 'hibernating', state: undefined, reductions: 2 })
      t.system.send(pid, 4)
      await t.runUntilIdle()
      expect(infoOf(t, pid)).toMatchObject({ status: 'waiting', state: 7, reductions: 3 })
      expect(log).toEqual(['3', 'sleep', 'hibernate', 'wake', '4'])
    }),
  )
  test(
    'sleep: what is already waiting is handled first, without a sleep',
    withSystem(async (t) => {
      const log: string[] = []
      const pid = t.system.spawn(summing(log))
      t.system.send(pid, 'sleep')
      t.system.send(pid, 1)
      await t.runUntilIdle()
      expect(log).toEqual(['sleep', '1'])
      expect(infoOf(t, pid).status).toBe('waiting')
    }),
  )
  test(
    'sleep: a message that hibernate sends to itself is handled after wake',
    withSystem(async (t) => {
      const log: string[] = []
      const hibernate: Behavior<Message, Sums>['hibernate'] = (ctx, state) => {
        if (state.total === 0) ctx.send(ctx.self, 5)
        return { ...state, table: undefined }
      }
      const pid = t.system.spawn(summing(log, { hibernate }))
      t.system.send(pid, 'sleep')
      await t.runUntilIdle()
      expect(log).toEqual(['sleep', 'wake', '5'])
    }),
  )
  test(
    'sleep: hibernateAfterMs without a message hibernates, and any message begins that time anew',
    withSystem(async (t) => {
      const log: string[] = []
      const pid = t.system.spawn(summing(log), { hibernateAfterMs: 100 })
      await t.advance(60)
      t.system.send(pid, 1)
      await t.advance(99)
      expect(log).toEqual(['1'])
      await t.advance(1)
      expect(log).toEqual(['1', 'hibernate'])
      expect(infoOf(t, pid).status).toBe('hibernating')
      await t.advance(1_000)
      t.system.send(pid, 2)
      await t.advance(100)
      expect(log).toEqual(['1', 'hibernate', 'wake', '2', 'hibernate'])
      expect(t.clock.nextDueMs).toBeUndefined()
    }),
  )
  test(
    'sleep: the mailbox of one that hibernates holds no storage',
    withSystem(async (t) => {
      const pid = t.system.spawn({ receive: () => next.same } satisfies Behavior, { hibernateAfterMs: 10 })
      t.system.suspend(pid)
      for (let at = 0; at < 1_000; at++) t.system.send(pid, at)
      expect(infoOf(t, pid).memory.mailboxBytes).toBeGreaterThan(8_000)
      t.system.resume(pid)
      await t.advance(9)
      for (let at = 0; at < 5; at++) t.system.send(pid, at)
      await t.runUntilIdle()
      expect(infoOf(t, pid).memory.mailboxBytes).toBeGreaterThan(0)
      await t.advance(10)
      expect(infoOf(t, pid)).toMatchObject({ status: 'hibernating', memory: { mailboxBytes: 0 } })
    }),
  )
  test(
    'sleep: a wake that awaits holds up this process only, and messages keep their order',
    withSystem(async (t) => {
      const log: string[] = []
      const wake: Behavior<Message, Sums>['wake'] = async (_ctx, kept) => {
        await new Promise<void>((resolve) => t.clock.after(50, resolve))
        log.push('rebuilt')
        return { total: kept.total, table: tableOf(kept.total) }
      }
      const pid = t.system.spawn(summing(log, { wake }))
      t.system.send(pid, 'sleep')
      await t.runUntilIdle()
      t.system.send(pid, 1)
      t.system.send(pid, 2)
      await t.advance(49)
      expect(infoOf(t, pid).status).toBe('parked')
      await t.advance(1)
      expect(log).toEqual(['sleep', 'hibernate', 'rebuilt', '1', '2'])
    }),
  )
  test(
    'sleep: a notice wakes like a message, and a call is answered',
    withSystem(async (t) => {
      const echo: Behavior<Request<'ask', string>, { readonly awake: boolean }> = {
        init: () => next.hibernate({ awake: true }),
        receive: (ctx, message, state) => ctx.reply(message, state.awake ? 'awake' : 'asleep'),
        notice: (_ctx, notice, state) => next.stop({ kind: 'custom', value: [notice.kind, state.awake] }),
        hibernate: () => ({ awake: false }),
        wake: () => ({ awake: true }),
      }
      const [asked, told] = [t.system.spawn(echo), t.system.spawn(echo)]
      await t.runUntilIdle()
      expect(infoOf(t, told).status).toBe('hibernating')
      expect(await t.system.call(asked, 'ask')).toBe('awake')
      t.system.cancel(told)
      await t.expectExit(told, { kind: 'custom', value: ['cancel', true] })
    }),
  )
  test(
    'sleep: one that is killed in its sleep is released with what it kept',
    withSystem(async (t) => {
      const released: unknown[] = []
      const pid = t.system.spawn(summing([], { release: (state) => void released.push(state) }))
      t.system.send(pid, 7)
      t.system.send(pid, 'sleep')
      await t.runUntilIdle()
      t.system.exit(pid, exitKill)
      await t.expectExit(pid, 'killed')
      expect(released).toEqual([{ total: 7, table: undefined }])
    }),
  )
  test(
    'sleep: a hibernate or wake that throws, or a hibernate that answers later, is a crash',
    withSystem(async (t) => {
      const fail = (text: string) => () => {
        throw new Error(text)
      }
      const cases: [Partial<Behavior<Message, Sums>>, string][] = [
        [{ hibernate: fail('cannot sleep') }, 'cannot sleep'],
        [{ wake: fail('cannot wake') }, 'cannot wake'],
        [{ wake: () => Promise.reject(new Error('woke too late')) }, 'woke too late'],
        [{ hibernate: (() => Promise.resolve()) as never }, 'must answer at once'],
      ]
      for (const [extra, text] of cases) {
        const pid = t.system.spawn(summing([], extra))
        t.system.send(pid, 'sleep')
        await t.runUntilIdle()
        t.system.send(pid, 1)
        expect(await t.expectExit(pid, 'error')).toMatchObject({ error: { message: expect.stringContaining(text) } })
      }
    }),
  )
  test(
    'sleep: one that is suspended hibernates when it is resumed, unless a message is waiting',
    withSystem(async (t) => {
      const log: string[] = []
      const pid = t.system.spawn(summing(log), { hibernateAfterMs: 10 })
      await t.runUntilIdle()
      t.system.suspend(pid)
      await t.advance(20)
      expect(log).toEqual([])
      t.system.send(pid, 1)
      t.system.resume(pid)
      await t.runUntilIdle()
      expect(log).toEqual(['1'])
      t.system.suspend(pid)
      await t.advance(20)
      t.system.resume(pid)
      await t.runUntilIdle()
      expect(log).toEqual(['1', 'hibernate'])
    }),
  )
  test(
    'sleep: straight-line code is refused hibernateAfterMs, since its state is in its variables',
    withSystem((t) => {
      const spawn = () => t.system.spawn(async () => undefined, { hibernateAfterMs: 10, name: 'line' })
      expect(spawn).toThrow(/cannot hibernate/)
      expect(t.system.whereis('line')).toBeUndefined()
      expect(t.system.size).toBe(0)
    }),
  )
  test(
    'sleep: next.passivate ends with shutdown and the detail passivated, unless something is waiting',
    withSystem(async (t) => {
      const log: string[] = []
      const pid = t.system.spawn(summing(log, { terminate: () => void log.push('terminate') }))
      t.system.send(pid, 'leave')
      t.system.send(pid, 1)
      await t.runUntilIdle()
      expect(log).toEqual(['leave', '1'])
      t.system.send(pid, 'leave')
      await t.expectExit(pid, { kind: 'shutdown', detail: 'passivated' })
      expect(log).toEqual(['leave', '1', 'leave', 'terminate'])
      expect(t.events.filter((event) => event.kind === 'crashed')).toEqual([])
    }),
  )
  test(
    'sleep: an idle notice that is answered with next.passivate ends a process that nobody needs',
    withSystem(async (t) => {
      const pid = t.system.spawn({
        init: () => next.idleAfter(1_000, null),
        receive: () => next.idleAfter(1_000),
        notice: (_ctx, notice) => (notice.kind === 'idle' ? next.passivate : next.same),
      } satisfies Behavior<unknown, null>)
      await t.advance(900)
      t.system.send(pid, 'still needed')
      await t.advance(999)
      expect(t.system.isAlive(pid)).toBe(true)
      await t.advance(1)
      await t.expectExit(pid, { kind: 'shutdown', detail: 'passivated' })
    }),
  )
})

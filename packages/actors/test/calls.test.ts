import { AppError, exitKill, exitNormal, isAppError } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { next, type Behavior, type From, type Request } from '../src/index.ts'
import { withSystem } from './rule.ts'

type Ask =
  Request<{ readonly kind: 'echo'; readonly value: number }, number> | Request<{ readonly kind: 'never' }, string>

const echo: Behavior<Ask, null> = {
  name: 'echo',
  init: () => null,
  receive(ctx, message) {
    if (message.kind === 'echo') ctx.reply(message, message.value)
    return next.same
  },
}

const caught = (promise: Promise<unknown>): Promise<AppError> =>
  promise.then(
    () => Promise.reject(new Error('no')),
    (e) => e,
  )

describe('calls', () => {
  test(
    '32: a call gives the reply',
    withSystem(async (t) => {
      const pid = t.system.spawn(echo)
      expect(await t.system.call(pid, { kind: 'echo', value: 7 })).toBe(7)
    }),
  )
  test(
    '32: a call to a dead pid or an unknown name fails at once with not_found',
    withSystem(async (t) => {
      const pid = t.system.spawn(() => undefined)
      await t.runUntilIdle()
      expect(await caught(t.system.call(pid, 'x'))).toMatchObject({
        kind: 'not_found',
        details: { reason: { kind: 'noproc' } },
      })
      expect(await caught(t.system.call('nobody', 'x'))).toMatchObject({ kind: 'not_found' })
    }),
  )
  test(
    '32: a callee that ends during the call fails it at once with its reason, even normal',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(echo)
      const answer = caught(probe.ctx.call(pid, { kind: 'never' }))
      await t.runUntilIdle()
      t.system.exit(pid, exitKill)
      expect(await answer).toMatchObject({ kind: 'unavailable', details: { reason: { kind: 'killed' } } })
      const quitter = t.system.spawn({ receive: () => next.stop(exitNormal) } satisfies Behavior)
      expect(await caught(t.system.call(quitter, 'x'))).toMatchObject({ details: { reason: { kind: 'normal' } } })
      expect(t.clock.monotonicMs()).toBe(0)
    }),
  )
  test(
    '32: the error of a call names the request’s kind and the callee, and keeps the callee’s error as its cause',
    withSystem(async (t) => {
      const crasher: Behavior<Ask> = {
        receive() {
          throw new AppError('conflict', 'no seats left')
        },
      }
      const pid = t.system.spawn(crasher)
      const error = await caught(t.system.call(pid, { kind: 'never' }))
      expect(error.message).toContain('"never"')
      expect(error.message).toContain(String(pid))
      expect(isAppError(error.cause, 'conflict')).toBe(true)
    }),
  )
  test(
    '33: a call times out after 5 s by default, in the caller only',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(echo)
      const answer = caught(probe.ctx.call(pid, { kind: 'never' }))
      await t.advance(4_999)
      expect(t.system.processInfo(pid)!.status).toBe('waiting')
      await t.advance(1)
      expect(await answer).toMatchObject({ kind: 'timeout', retryable: true })
      expect(t.system.isAlive(pid)).toBe(true)
    }),
  )
  test(
    '33: a reply that comes too late is dropped, not left in a mailbox',
    withSystem(async (t) => {
      const probe = await t.probe()
      let from: From | undefined
      const pid = t.system.spawn({
        receive: (ctx, message) => {
          from = ctx.replyTo(message)
        },
      } satisfies Behavior)
      const answer = caught(probe.ctx.call(pid, 'x', { timeoutMs: 10 }))
      await t.advance(10)
      expect(await answer).toMatchObject({ kind: 'timeout' })
      from!.reply('late')
      await t.runUntilIdle()
      expect(probe.received).toEqual([])
      expect(t.deadLetters).toEqual([])
    }),
  )
  test(
    '34: a call to oneself fails at once',
    withSystem(async (t) => {
      const probe = await t.probe()
      expect(await caught(probe.ctx.call(probe.pid, 'x'))).toMatchObject({ kind: 'invalid' })
    }),
  )
  test(
    '35: the reply may come later and from another process',
    withSystem(async (t) => {
      const clerk: Behavior<From<string>> = { receive: (ctx, from) => from.reply(`from ${ctx.self}`) }
      const helper = t.system.spawn(clerk)
      const front: Behavior<unknown, null> = {
        init: () => null,
        receive(ctx, message) {
          ctx.sendAfter(helper, 100, ctx.replyTo(message) as From<string>)
          return next.same
        },
      }
      const answer = t.system.call(t.system.spawn(front), 'x')
      await t.advance(100)
      expect(await answer).toBe(`from ${helper}`)
    }),
  )
  test(
    '35: only the first reply counts, and fail rejects the call',
    withSystem(async (t) => {
      const pid = t.system.spawn({
        receive(ctx, message) {
          const from = ctx.replyTo(message)
          from.fail(new AppError('rate_limited', 'slow down'))
          from.reply('too late')
        },
      } satisfies Behavior)
      expect(await caught(t.system.call(pid, 'x'))).toMatchObject({ kind: 'rate_limited' })
    }),
  )
  test(
    '35: a reply to a message that was merely sent goes nowhere',
    withSystem(async (t) => {
      const pid = t.system.spawn({ receive: (ctx, message) => ctx.reply(message, 'fine') } satisfies Behavior)
      t.system.send(pid, { kind: 'hello' })
      expect(await t.exitOf(pid)).toBeUndefined()
    }),
  )
  test(
    '35: a reply to another request than the one in hand is refused',
    withSystem(async (t) => {
      const pid = t.system.spawn({ receive: (ctx) => ctx.reply({ kind: 'other' }, 1) } satisfies Behavior)
      expect(await caught(t.system.call(pid, 'x'))).toMatchObject({ cause: { kind: 'invalid' } })
    }),
  )
  test(
    '36: cast never reports a missing target',
    withSystem(async (t) => {
      const probe = await t.probe()
      probe.ctx.cast('nobody', 1)
      const pid = t.system.spawn(() => undefined)
      await t.runUntilIdle()
      probe.ctx.cast(pid, 2)
      expect(t.deadLetters).toEqual([1, 2])
    }),
  )
  test(
    '32: an AbortSignal gives a call up with canceled',
    withSystem(async (t) => {
      const pid = t.system.spawn(echo)
      const abort = new AbortController()
      const answer = caught(t.system.call(pid, { kind: 'never' }, { signal: abort.signal }))
      await t.runUntilIdle()
      abort.abort(new Error('enough'))
      expect(await answer).toMatchObject({ kind: 'canceled', cause: { message: 'enough' } })
      expect(t.clock.pending).toBe(0)
    }),
  )
  test(
    '32: a caller that ends leaves nothing behind at its callee',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(echo)
      const answer = caught(probe.ctx.call(pid, { kind: 'never' }))
      await t.runUntilIdle()
      t.system.exit(probe.pid, exitKill)
      expect(await answer).toMatchObject({ kind: 'canceled' })
      expect(t.clock.pending).toBe(0)
    }),
  )
  test(
    '32: straight-line code answers what it has just received',
    withSystem(async (t) => {
      const pid = t.system.spawn(async (ctx) => {
        const first = await ctx.receive()
        const from = ctx.replyTo(first)
        const second = await ctx.receive()
        ctx.reply(second, 2)
        from.reply(1)
      })
      expect(await Promise.all([t.system.call(pid, 'a'), t.system.call(pid, 'b')])).toEqual([1, 2])
    }),
  )
  test(
    '32: a call that nobody awaits does no harm when its caller ends',
    withSystem(async (t) => {
      const target = t.system.spawn(echo)
      const pid = t.system.spawn({ receive: (ctx) => void ctx.call(target, { kind: 'never' }) } satisfies Behavior)
      t.system.send(pid, 1)
      await t.runUntilIdle()
      t.system.exit(pid, exitKill)
      await t.runUntilIdle()
      expect(t.system.isAlive(target)).toBe(true)
    }),
  )
})

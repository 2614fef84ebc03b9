import { isAppError } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { next, type Actor, type Behavior, type Request } from '../src/index.ts'
import { choicesOf, everyInterleaving, TestSystem } from '../src/testing.ts'
import { withSystem } from './rule.ts'

type Store = Request<{ readonly kind: 'read' }, number> | { readonly kind: 'write'; readonly value: number }

const store: Behavior<Store, number> = {
  name: 'store',
  init: () => 0,
  receive(ctx, message, value) {
    if (message.kind === 'write') return next.state(message.value)
    ctx.reply(message, value)
    return next.same
  },
  snapshot: (value) => value,
}

/** Reads, then writes one more: right only if nobody gets in between. */
const increment = (t: TestSystem, target: Actor<Store>): Actor =>
  t.system.spawn(async (ctx) => {
    const value = await ctx.call(target, { kind: 'read' })
    ctx.send(target, { kind: 'write', value: value + 1 })
  })

async function lostUpdate(t: TestSystem): Promise<void> {
  const target = t.system.spawn(store)
  increment(t, target)
  increment(t, target)
  await t.runUntilIdle()
  expect(t.system.processInfo(target)!.state).toBe(2)
}

describe('the test kit', () => {
  test('everyInterleaving finds a lost update, and its choices repeat it', async () => {
    const error: unknown = await everyInterleaving(lostUpdate).catch((thrown: unknown) => thrown)
    expect(isAppError(error, 'conflict')).toBe(true)
    const { choices } = (error as { details: { choices: number[] } }).details
    const again = new TestSystem({ choose: choicesOf(choices) })
    await expect(lostUpdate(again)).rejects.toThrow('expected 1 to be 2')
  })
  test('everyInterleaving runs all orders of a program that is right, and says how many', async () => {
    const seen = new Set<string>()
    const { runs, complete } = await everyInterleaving(async (t) => {
      const order: unknown[] = []
      const log = t.system.spawn({ receive: (_ctx, message) => void order.push(message) } satisfies Behavior)
      for (const name of ['a', 'b', 'c']) t.system.spawn((ctx) => void ctx.send(log, name))
      await t.runUntilIdle()
      seen.add(order.join(''))
    })
    expect(complete).toBe(true)
    expect([...seen].sort()).toEqual(['abc', 'acb', 'bac', 'bca', 'cab', 'cba'])
    expect(runs).toBeGreaterThanOrEqual(6)
  })
  test('everyInterleaving never changes the order of what one process sends another', async () => {
    await everyInterleaving(async (t) => {
      const order: unknown[] = []
      const log = t.system.spawn({ receive: (_ctx, message) => void order.push(message) } satisfies Behavior)
      t.system.spawn((ctx) => [1, 2].forEach((at) => ctx.send(log, at)))
      t.system.spawn((ctx) => [11, 12].forEach((at) => ctx.send(log, at)))
      await t.runUntilIdle()
      expect(order.filter((at) => (at as number) < 10)).toEqual([1, 2])
      expect(order.filter((at) => (at as number) > 10)).toEqual([11, 12])
    })
  })
  test('the same seed gives the same run, another seed another', async () => {
    const orderOf = async (seed: string): Promise<string> => {
      const t = new TestSystem({ seed })
      const order: number[] = []
      for (let at = 0; at < 20; at++) t.system.spawn(() => void order.push(at))
      await t.runUntilIdle()
      return order.join(',')
    }
    expect(await orderOf('one')).toBe(await orderOf('one'))
    expect(await orderOf('one')).not.toBe(await orderOf('two'))
  })
  test(
    'kit: expectExit says what it expected and what it found',
    withSystem(async (t) => {
      const alive = t.system.spawn(store)
      const ended = t.system.spawn(() => undefined)
      await expect(t.expectExit(alive, 'normal')).rejects.toThrow(/to end with normal; it is waiting/)
      await expect(t.expectExit(ended, 'killed')).rejects.toThrow(/to end with killed; it ended with normal/)
    }),
  )
  test(
    'kit: a probe that gets nothing says so at once',
    withSystem(async (t) => {
      const probe = await t.probe()
      await expect(probe.next()).rejects.toThrow(/got nothing/)
    }),
  )
  test(
    'events: births, deaths, crashes and dead letters are events; a listener can leave',
    withSystem(async (t) => {
      const kinds: string[] = []
      const leave = t.system.events.subscribe((event) => void kinds.push(event.kind))
      const pid = t.system.spawn(() => {
        throw new Error('x')
      })
      await t.runUntilIdle()
      t.system.send(pid, 1)
      leave()
      t.system.send(pid, 2)
      expect(kinds).toEqual(['spawned', 'crashed', 'exited', 'dead_letter'])
    }),
  )
  test(
    'events: they can be read by for await',
    withSystem(async (t) => {
      const kinds: string[] = []
      const reading = (async () => {
        for await (const event of t.system.events) {
          kinds.push(event.kind)
          if (event.kind === 'exited') break
        }
      })()
      t.system.spawn(() => undefined)
      await reading
      expect(kinds).toEqual(['spawned', 'exited'])
      expect(t.deadLetters).toEqual([])
    }),
  )
})

import { exitKill } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { next, type Behavior } from '../src/index.ts'
import { withSystem } from './rule.ts'

const sleeper: Behavior = { name: 'sleeper', receive: () => next.same }

describe('timers', () => {
  test(
    '27: a message that is sent later arrives when it is due and not before',
    withSystem(async (t) => {
      const probe = await t.probe()
      probe.ctx.after(100, 'ding')
      await t.advance(99)
      expect(probe.received).toEqual([])
      await t.advance(1)
      expect(probe.received).toEqual(['ding'])
    }),
  )
  test(
    '27: a timer to a pid is cancelled when that process ends',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(sleeper)
      const timer = probe.ctx.sendAfter(pid, 100, 'ding')
      t.system.exit(pid, exitKill)
      expect(timer.cancel()).toBe(false)
      expect(t.clock.pending).toBe(0)
    }),
  )
  test(
    '27: a timer to a name finds the holder when it is due; nobody there is silent',
    withSystem(async (t) => {
      const probe = await t.probe()
      probe.ctx.sendAfter('later', 100, 1)
      probe.ctx.sendAfter('never', 100, 2)
      await t.advance(50)
      const holder = await t.probe('later')
      await t.advance(50)
      expect(holder.received).toEqual([1])
      expect(t.logs).toEqual([])
    }),
  )
  test(
    '27: a timer outlives the process that set it, if it is for another',
    withSystem(async (t) => {
      const [setter, target] = [await t.probe(), await t.probe()]
      setter.ctx.sendAfter(target.pid, 100, 'still')
      t.system.exit(setter.pid, exitKill)
      await t.advance(100)
      expect(target.received).toEqual(['still'])
    }),
  )
  test(
    '28: cancel gives the time left and then nothing comes; afterwards it gives false',
    withSystem(async (t) => {
      const probe = await t.probe()
      const timer = probe.ctx.after(100, 'ding')
      await t.advance(30)
      expect(timer.cancel()).toBe(70)
      expect(timer.cancel()).toBe(false)
      await t.advance(100)
      expect(probe.received).toEqual([])
    }),
  )
  test(
    '28: cancel of one that fired gives false, and its message is in the mailbox',
    withSystem(async (t) => {
      const probe = await t.probe()
      const timer = probe.ctx.after(100, 'ding')
      await t.advance(100)
      expect(timer.cancel()).toBe(false)
      expect(probe.received).toEqual(['ding'])
    }),
  )
  test(
    '28: a timeout notice carries the reference of its timer',
    withSystem(async (t) => {
      const probe = await t.probe()
      const ref = probe.ctx.startTimer(10, 'tea')
      await t.advance(10)
      expect(await probe.next()).toMatchObject({ kind: 'timeout', ref, value: 'tea' })
    }),
  )
  test(
    '29: timers do not notice a step of the wall clock',
    withSystem(async (t) => {
      const probe = await t.probe()
      probe.ctx.after(100, 'ding')
      t.clock.stepWall(-3_600_000)
      await t.advance(100)
      expect(probe.received).toEqual(['ding'])
    }),
  )
  test(
    '29: an interval fires at whole multiples of its period',
    withSystem(async (t) => {
      const probe = await t.probe<number>()
      const at: number[] = []
      const ticker: Behavior<string, null> = {
        init: (ctx) => {
          ctx.interval(10, 'tick')
          return null
        },
        receive: () => void at.push(t.clock.monotonicMs()),
      }
      probe.ctx.spawn(ticker)
      await t.advance(35)
      expect(at).toEqual([10, 20, 30])
    }),
  )
  test(
    '29: an interval neither drifts nor piles up while its target is slow',
    withSystem(async (t) => {
      const at: number[] = []
      const slow: Behavior<string, null> = {
        init: (ctx) => {
          ctx.interval(10, 'tick')
          return null
        },
        async receive() {
          at.push(t.clock.monotonicMs())
          if (at.length === 1) await new Promise<void>((resolve) => t.clock.after(33, resolve))
        },
      }
      t.system.spawn(slow)
      await t.advance(65)
      // The tick of 20 waits until 43; those of 30 and 40 are left out; then the raster goes on.
      expect(at).toEqual([10, 43, 50, 60])
    }),
  )
  test(
    '29: a cancelled interval stops',
    withSystem(async (t) => {
      const probe = await t.probe()
      const timer = probe.ctx.interval(10, 'tick')
      await t.advance(25)
      expect(timer.cancel()).toBe(5)
      await t.advance(50)
      expect(probe.received).toEqual(['tick', 'tick'])
    }),
  )
  test(
    '29: a timer for an instant of the wall clock fires then, or at once if it has passed',
    withSystem(async (t) => {
      const probe = await t.probe()
      probe.ctx.at(t.clock.wallMs() + 50, 'future')
      probe.ctx.at(t.clock.wallMs() - 50, 'past')
      await t.advance(0)
      expect(probe.received).toEqual(['past'])
      await t.advance(50)
      expect(probe.received).toEqual(['past', 'future'])
    }),
  )
})

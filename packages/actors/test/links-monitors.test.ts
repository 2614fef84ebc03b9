import { exitKill, exitNormal, isAppError, Pid, Ref, type ExitReason } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { next, type Behavior } from '../src/index.ts'
import { withSystem } from './rule.ts'

const boom: ExitReason = { kind: 'custom', value: 'boom' }
const sleeper: Behavior = { name: 'sleeper', receive: () => next.same }

describe('order', () => {
  test(
    '11: messages, exits and downs from one process arrive in the order in which it caused them',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(async (ctx) => {
        await ctx.receive()
        ctx.link(probe.pid)
        ctx.send(probe.pid, 1)
        ctx.exit(probe.pid, boom)
        ctx.send(probe.pid, 2)
        ctx.stop(exitNormal)
      })
      probe.ctx.monitor(pid)
      t.system.send(pid, 'go')
      await t.runUntilIdle()
      expect(
        probe.received.map((m) => (typeof m === 'object' && m !== null ? (m as { kind: string }).kind : m)),
      ).toEqual([1, 'exit', 2, 'exit', 'down'])
    }),
  )
  test(
    '12: what a process sent before its death arrives before its down',
    withSystem(async (t) => {
      const probe = await t.probe()
      probe.ctx.spawnMonitor((ctx) => {
        for (let at = 0; at < 3; at++) ctx.send(probe.pid, at)
      })
      await t.runUntilIdle()
      expect(probe.received).toMatchObject([0, 1, 2, { kind: 'down' }])
    }),
  )
  test(
    '12: a monitor after a kill by the same process says noproc, and the pid is not alive',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(sleeper)
      probe.ctx.exit(pid, exitKill)
      expect(t.system.isAlive(pid)).toBe(false)
      const ref = probe.ctx.monitor(pid)
      expect(await probe.next()).toMatchObject({ kind: 'down', ref, from: pid, reason: { kind: 'noproc' } })
    }),
  )
  test(
    '13: whoever learns of a death finds the name free',
    withSystem(async (t) => {
      const probe = await t.probe()
      const taken: unknown[] = []
      const heir: Behavior<unknown, null> = {
        init: (ctx) => {
          ctx.monitor('throne')
          return null
        },
        receive: () => next.same,
        notice(ctx, notice) {
          if (notice.kind === 'down') ctx.register('throne')
          taken.push(ctx.whereis('throne'))
          return next.same
        },
      }
      const king = t.system.spawn(sleeper, { name: 'throne' })
      const pid = t.system.spawn(heir)
      await t.runUntilIdle()
      probe.ctx.exit(king, exitKill)
      await t.runUntilIdle()
      expect(taken).toEqual([pid])
    }),
  )
  test(
    '14: a message to a dead pid vanishes, and is a dead letter for those who watch',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(() => undefined)
      await t.expectExit(pid, 'normal')
      expect(probe.ctx.send(pid, 'hello?')).toBeUndefined()
      expect(t.deadLetters).toEqual(['hello?'])
    }),
  )
  test(
    '14: a send to a name that nobody holds throws not_found',
    withSystem(async (t) => {
      const probe = await t.probe()
      expect(() => probe.ctx.send('nobody', 1)).toThrow(/nobody holds the name "nobody"/)
    }),
  )
})

describe('links', () => {
  test(
    '15: a link is one per pair and two-way: linking twice is once, one unlink removes it',
    withSystem(async (t) => {
      const [a, b] = [await t.probe(), await t.probe()]
      a.ctx.link(b.pid)
      b.ctx.link(a.pid)
      a.ctx.link(b.pid)
      expect(t.system.processInfo(b.pid)!.links).toEqual([a.pid])
      b.ctx.unlink(a.pid)
      t.system.exit(a.pid, exitKill)
      await t.runUntilIdle()
      expect(b.received).toEqual([])
    }),
  )
  test(
    '15: a link with oneself is nothing',
    withSystem(async (t) => {
      const probe = await t.probe()
      probe.ctx.link(probe.pid)
      expect(t.system.processInfo(probe.pid)!.links).toEqual([])
    }),
  )
  test(
    '16: a link to a dead pid is an exit notice with noproc to one that traps',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(() => undefined)
      await t.runUntilIdle()
      probe.ctx.link(pid)
      expect(await probe.next()).toMatchObject({ kind: 'exit', from: pid, reason: { kind: 'noproc' } })
    }),
  )
  test(
    '16: a link to a dead pid throws not_found at one that does not trap',
    withSystem(async (t) => {
      const probe = await t.probe()
      probe.ctx.trapExits = false
      const pid = t.system.spawn(() => undefined)
      await t.runUntilIdle()
      expect(() => probe.ctx.link(pid)).toThrow(/cannot link .* noproc/)
      expect(t.system.isAlive(probe.pid)).toBe(true)
    }),
  )
  test(
    '17: after unlink no exit comes from that link, though one may already be queued',
    withSystem(async (t) => {
      const probe = await t.probe()
      const [early, late] = [probe.ctx.spawnLink(sleeper), probe.ctx.spawnLink(sleeper)]
      t.system.exit(early, exitKill)
      probe.ctx.unlink(early)
      probe.ctx.unlink(late)
      t.system.exit(late, exitKill)
      await t.runUntilIdle()
      expect(probe.received).toMatchObject([{ kind: 'exit', from: early }])
      expect(probe.received).toHaveLength(1)
    }),
  )
  test(
    '18: spawnLink and spawnMonitor leave no moment in which the child could die unnoticed',
    withSystem(async (t) => {
      const probe = await t.probe()
      const linked = probe.ctx.spawnLink(() => undefined)
      const { pid, ref } = probe.ctx.spawnMonitor(() => undefined)
      t.system.exit(linked, exitKill)
      t.system.exit(pid, exitKill)
      expect(await probe.next()).toMatchObject({ kind: 'exit', from: linked, reason: { kind: 'killed' } })
      expect(await probe.next()).toMatchObject({ kind: 'down', ref, reason: { kind: 'killed' } })
    }),
  )
})

describe('monitors', () => {
  test(
    '19: each monitor has its own reference and brings its own down, in order',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(sleeper)
      const refs = [probe.ctx.monitor(pid), probe.ctx.monitor(pid), probe.ctx.monitor(pid)]
      t.system.exit(pid, boom)
      await t.runUntilIdle()
      expect(probe.received.map((down) => (down as { ref: unknown }).ref)).toEqual(refs)
    }),
  )
  test(
    '19: a monitor is one-way: the end of the watcher does not touch the watched',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(sleeper)
      probe.ctx.monitor(pid)
      t.system.exit(probe.pid, exitKill)
      await t.runUntilIdle()
      expect(t.system.isAlive(pid)).toBe(true)
      expect(t.system.processInfo(pid)!.monitoredBy).toEqual([])
    }),
  )
  test(
    '20: monitoring a dead pid does not throw: a down with noproc comes',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(() => undefined)
      await t.runUntilIdle()
      const ref = probe.ctx.monitor(pid)
      expect(await probe.next()).toMatchObject({ kind: 'down', ref, from: pid, reason: { kind: 'noproc' } })
    }),
  )
  test(
    '20: monitoring a name that nobody holds does not throw: a down with noproc and the name comes',
    withSystem(async (t) => {
      const probe = await t.probe()
      const ref = probe.ctx.monitor('nobody')
      expect(await probe.next()).toMatchObject({ kind: 'down', ref, name: 'nobody', reason: { kind: 'noproc' } })
    }),
  )
  test(
    '21: a monitor by name reports the name and stays with the process that held it then',
    withSystem(async (t) => {
      const probe = await t.probe()
      const first = t.system.spawn(sleeper, { name: 'king' })
      const ref = probe.ctx.monitor('king')
      t.system.unregister('king')
      const second = t.system.spawn(sleeper, { name: 'king' })
      t.system.exit(second, exitKill)
      await t.runUntilIdle()
      expect(probe.received).toEqual([])
      t.system.exit(first, exitKill)
      expect(await probe.next()).toMatchObject({ kind: 'down', ref, name: 'king' })
    }),
  )
  test(
    '22: demonitor stops future downs, twice is fine',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(sleeper)
      const ref = probe.ctx.monitor(pid)
      probe.ctx.demonitor(ref)
      probe.ctx.demonitor(ref)
      t.system.exit(pid, exitKill)
      await t.runUntilIdle()
      expect(probe.received).toEqual([])
    }),
  )
  test(
    '22: demonitor leaves a queued down, demonitor with flush removes it',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(sleeper)
      const [kept, flushed] = [probe.ctx.monitor(pid), probe.ctx.monitor(pid)]
      t.system.exit(pid, exitKill)
      probe.ctx.demonitor(kept)
      probe.ctx.demonitor(flushed, { flush: true })
      await t.runUntilIdle()
      expect(probe.received).toMatchObject([{ kind: 'down', ref: kept }])
      expect(probe.received).toHaveLength(1)
    }),
  )
  test(
    '22: demonitor with somebody else’s reference has no effect',
    withSystem(async (t) => {
      const [owner, stranger] = [await t.probe(), await t.probe()]
      const pid = t.system.spawn(sleeper)
      const ref = owner.ctx.monitor(pid)
      stranger.ctx.demonitor(ref, { flush: true })
      t.system.exit(pid, exitKill)
      expect(await owner.next()).toMatchObject({ kind: 'down', ref })
    }),
  )
  test(
    '22: a copy of a reference, as it comes back from elsewhere, serves as well',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(sleeper)
      const { node, incarnation, serial } = probe.ctx.monitor(pid)
      probe.ctx.demonitor(new Ref(node, incarnation, serial))
      t.system.exit(pid, exitKill)
      await t.runUntilIdle()
      expect(probe.received).toEqual([])
    }),
  )
  test(
    '23: a pid of a node that cannot be reached: links and monitors say noconnection, sends are dead letters',
    withSystem(async (t) => {
      await using other = new (await import('../src/testing.ts')).TestSystem({ node: 'elsewhere' })
      const far = new Pid(other.system.home, 7)
      const probe = await t.probe()
      const noconnection = { kind: 'noconnection', node: 'elsewhere' }
      probe.ctx.link(far)
      expect(await probe.next()).toMatchObject({ kind: 'exit', from: far, reason: noconnection })
      const ref = probe.ctx.monitor(far)
      expect(await probe.next()).toMatchObject({ kind: 'down', ref, reason: noconnection })
      probe.ctx.send(far, 'lost')
      expect(t.deadLetters).toEqual(['lost'])
      await expect(probe.ctx.call(far, 'ask')).rejects.toSatisfy((error) => isAppError(error, 'unavailable'))
    }),
  )
})

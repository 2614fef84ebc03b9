import { AppError, exitKill, exitNormal, exitShutdown, type ExitReason } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { ExitNotice, next, type Behavior } from '../src/index.ts'
import { decideExit } from '../src/exit-signals.ts'
import { withSystem } from './rule.ts'

const boom: ExitReason = { kind: 'custom', value: 'boom' }
const sleeper: Behavior = { name: 'sleeper', receive: () => next.same }

describe('the table of exit signals', () => {
  test.each([
    ['explicit kill, not trapped: ends with killed', false, exitKill, false, false, 'killed'],
    ['explicit kill, trapped: ends with killed all the same', true, exitKill, false, false, 'killed'],
    ['kill along a link, not trapped: ends with kill, unchanged', false, exitKill, true, false, 'kill'],
    ['kill along a link, trapped: a notice', true, exitKill, true, false, 'deliver'],
    ['explicit normal, not trapped: ignored', false, exitNormal, false, false, 'ignore'],
    ['explicit normal, trapped: a notice', true, exitNormal, false, false, 'deliver'],
    ['explicit normal to oneself, not trapped: ends with normal', false, exitNormal, false, true, 'normal'],
    ['explicit normal to oneself, trapped: a notice', true, exitNormal, false, true, 'deliver'],
    ['normal along a link, not trapped: ignored', false, exitNormal, true, false, 'ignore'],
    ['normal along a link, trapped: a notice', true, exitNormal, true, false, 'deliver'],
    ['explicit shutdown, not trapped: ends with shutdown', false, exitShutdown, false, false, 'shutdown'],
    ['explicit shutdown, trapped: a notice', true, exitShutdown, false, false, 'deliver'],
    ['any other reason, not trapped: ends with that reason', false, boom, true, false, 'custom'],
    ['any other reason, trapped: a notice', true, boom, true, false, 'deliver'],
  ] as const)('%s', (_row, traps, reason, link, own, outcome) => {
    const verdict = decideExit(traps, { reason, link, own })
    expect(verdict.kind === 'end' ? verdict.reason.kind : verdict.kind).toBe(outcome)
  })
})

describe('how a process ends', () => {
  test(
    '1: straight-line code that returns ends with normal and what it returned',
    withSystem(async (t) => {
      const pid = t.system.spawn(() => 42)
      expect(await t.exitOf(pid)).toEqual({ kind: 'normal', value: 42 })
    }),
  )
  test(
    '1: ctx.stop ends with the reason it is given',
    withSystem(async (t) => {
      const pid = t.system.spawn((ctx) => ctx.stop(boom))
      expect(await t.exitOf(pid)).toEqual(boom)
    }),
  )
  test(
    '1: a thrown error ends with error, its kind and its stack',
    withSystem(async (t) => {
      const pid = t.system.spawn(() => {
        throw new AppError('conflict', 'two hats')
      })
      expect(await t.exitOf(pid)).toMatchObject({
        kind: 'error',
        error: { kind: 'conflict', message: 'two hats', stack: expect.stringContaining('exit-signals.test') },
      })
    }),
  )
  test(
    '1: a thrown value that is no error ends with error internal and its text',
    withSystem(async (t) => {
      const pid = t.system.spawn(() => Promise.reject('just text'))
      expect(await t.exitOf(pid)).toEqual({ kind: 'error', error: { kind: 'internal', message: 'just text' } })
    }),
  )
  test(
    '2: an explicit normal from another process is dropped without a trap',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = t.system.spawn(sleeper)
      probe.ctx.exit(pid, exitNormal)
      expect(await t.exitOf(pid)).toBeUndefined()
    }),
  )
  test(
    '2: an explicit normal from another process is a notice with a trap',
    withSystem(async (t) => {
      const [probe, other] = [await t.probe(), await t.probe()]
      other.ctx.exit(probe.pid, exitNormal)
      expect(await probe.next()).toMatchObject({ kind: 'exit', from: other.pid, reason: exitNormal, link: false })
    }),
  )
  test(
    '3: an explicit normal to oneself ends the sender, and no surrounding try prevents it',
    withSystem(async (t) => {
      let after = false
      const pid = t.system.spawn((ctx) => {
        try {
          ctx.exit(ctx.self, exitNormal)
          after = true
        } catch {
          // The process is gone already.
        }
        return 'survived'
      })
      expect(await t.exitOf(pid)).toEqual(exitNormal)
      expect(after).toBe(false)
    }),
  )
  test(
    '4: kill cannot be trapped, and links and monitors see killed',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = probe.ctx.spawnLink(sleeper, { trapExits: true })
      const ref = probe.ctx.monitor(pid)
      t.system.exit(pid, exitKill)
      expect(await probe.next()).toMatchObject({ kind: 'exit', from: pid, reason: { kind: 'killed' }, link: true })
      expect(await probe.next()).toMatchObject({ kind: 'down', ref, reason: { kind: 'killed' } })
    }),
  )
  test(
    '5: a peer that itself ended with kill passes kill along the link, where it can be trapped',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = probe.ctx.spawnLink((ctx) => ctx.stop(exitKill))
      expect(await probe.next()).toMatchObject({ kind: 'exit', from: pid, reason: { kind: 'kill' } })
    }),
  )
  test(
    '5: kill along a link ends a peer that does not trap with kill, not killed',
    withSystem(async (t) => {
      const pid = t.system.spawn(async (ctx) => {
        ctx.spawnLink((child) => child.stop(exitKill))
        await ctx.receive()
      })
      expect(await t.exitOf(pid)).toEqual(exitKill)
    }),
  )
  test(
    '6: a linked peer that ends normally does not harm one that does not trap',
    withSystem(async (t) => {
      const pid = t.system.spawn(async (ctx) => {
        ctx.spawnLink(() => undefined)
        await ctx.receive()
      })
      expect(await t.exitOf(pid)).toBeUndefined()
    }),
  )
  test(
    '6: a linked peer that ends normally is a notice to one that traps',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = probe.ctx.spawnLink(() => 'bye')
      expect(await probe.next()).toMatchObject({ kind: 'exit', from: pid, reason: { kind: 'normal', value: 'bye' } })
    }),
  )
  test(
    '7: a reason travels unchanged along a chain of ten thousand links',
    withSystem(async (t) => {
      const chain: Behavior<unknown, undefined, number> = {
        init: (ctx, depth) => void (depth > 0 ? ctx.spawnLink(chain, { args: depth - 1 }) : ctx.stop(boom)),
        receive: () => next.same,
      }
      const probe = await t.probe()
      const first = probe.ctx.spawnLink(chain, { args: 10_000 })
      expect(await probe.next()).toMatchObject({ kind: 'exit', from: first, reason: boom })
      expect(t.system.size).toBe(1)
    }),
  )
  test(
    '8: whether to trap is decided when the signal arrives',
    withSystem(async (t) => {
      const [probe, killer] = [await t.probe(), await t.probe()]
      killer.ctx.exit(probe.pid, boom)
      expect(await probe.next()).toBeInstanceOf(ExitNotice)
      probe.ctx.trapExits = false
      killer.ctx.exit(probe.pid, boom)
      await t.expectExit(probe.pid, boom)
    }),
  )
  test(
    '9: of two exit signals the first reason wins',
    withSystem(async (t) => {
      const [probe, killer] = [await t.probe(), await t.probe()]
      const pid = t.system.spawn(sleeper)
      probe.ctx.monitor(pid)
      killer.ctx.exit(pid, boom)
      killer.ctx.exit(pid, exitKill)
      expect(await probe.next()).toMatchObject({ kind: 'down', reason: boom })
      await t.runUntilIdle()
      expect(probe.received).toEqual([])
    }),
  )
  test(
    '10: normal, shutdown and shutdown with a detail end quietly',
    withSystem(async (t) => {
      t.system.spawn((ctx) => ctx.stop(exitNormal))
      t.system.spawn((ctx) => ctx.stop(exitShutdown))
      t.system.spawn((ctx) => ctx.stop({ kind: 'shutdown', detail: 'lunch' }))
      await t.runUntilIdle()
      expect(t.events.filter((event) => event.kind === 'crashed')).toEqual([])
      expect(t.logs).toEqual([])
    }),
  )
  test(
    '10: any other end of its own is a crash, reported with behavior, name, ancestry and message',
    withSystem(async (t) => {
      const parent = await t.probe()
      const crasher: Behavior<{ kind: 'jump' }, null> = {
        name: 'crasher',
        init: () => null,
        receive() {
          throw new Error('splash')
        },
      }
      const pid = parent.ctx.spawn(crasher, { name: 'daredevil' })
      t.system.send(pid, { kind: 'jump' })
      await t.expectExit(pid, 'error')
      const [event] = t.events.filter((candidate) => candidate.kind === 'crashed')
      expect(event).toMatchObject({
        report: {
          pid,
          name: 'daredevil',
          behavior: 'crasher',
          ancestors: [parent.pid, t.system.root],
          messageKind: '"jump"',
        },
      })
      expect(t.logs).toMatchObject([{ level: 'error', message: expect.stringContaining('splash') }])
    }),
  )
  test(
    '10: an end by somebody else’s exit signal is no crash of its own',
    withSystem(async (t) => {
      const pid = t.system.spawn(sleeper)
      t.system.exit(pid, boom)
      await t.expectExit(pid, boom)
      expect(t.logs).toEqual([])
    }),
  )
})

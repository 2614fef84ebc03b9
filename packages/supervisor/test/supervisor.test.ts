import { next } from '@daruma/actors'
import { exitKill, exitNormal, exitShutdown, isAppError } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import {
  deleteChild,
  dynamicSupervisor,
  formatTree,
  getChildSpec,
  restartChild,
  startChild,
  startSupervisor,
  supervisionTree,
  supervisor,
  terminateChild,
  whichChildren,
} from '../src/index.ts'
import type { ChildSpec } from '../src/index.ts'
import { unstable } from '../src/testing.ts'
import { Stage } from './stage.ts'

describe('start and stop', () => {
  test('42: children start in list order, each after the one before has acknowledged its init', async () => {
    await using stage = new Stage()
    const children = [stage.child('a', { starts: [50] }), stage.child('b'), stage.child('c', { starts: [10] })]
    const starting = startSupervisor(stage.system, { children })
    await stage.test.advance(49)
    expect(stage.log).toEqual([])
    await stage.test.advance(1)
    expect(stage.log).toEqual(['start a', 'start b'])
    await stage.test.advance(10)
    expect(stage.log).toEqual(['start a', 'start b', 'start c'])
    await starting
  })

  test('42: children stop one at a time, in reverse', async () => {
    await using stage = new Stage()
    const top = await stage.top({
      children: [stage.child('a'), stage.child('b', { stop: 30 }), stage.child('c', { stop: 20 })],
    })
    stage.system.exit(top, exitShutdown)
    await stage.test.advance(20)
    expect(stage.took()).toEqual(['end c shutdown'])
    await stage.test.advance(30)
    expect(stage.took()).toEqual(['end b shutdown', 'end a shutdown'])
    await stage.test.expectExit(top, exitShutdown)
  })

  test('43: a child that fails to start stops those before it in reverse, and the start fails with its id and reason', async () => {
    await using stage = new Stage()
    const children = [stage.child('a'), stage.child('b'), stage.child('c', { starts: ['throw'] }), stage.child('d')]
    const outcome = await stage.run(stage.system.tryStart(supervisor({ children }), { name: 'top' }))
    expect(stage.log).toEqual(['start a', 'start b', 'fail c', 'end b shutdown', 'end a shutdown'])
    expect(outcome).toMatchObject({
      kind: 'failed',
      reason: {
        kind: 'shutdown',
        detail: {
          kind: 'failed_to_start_child',
          id: 'c',
          reason: { kind: 'error', error: { message: 'c does not start' } },
        },
      },
    })
    expect(stage.system.whereis('top')).toBeUndefined()
    expect(stage.reportsOf('start_error')).toHaveLength(1)
  })

  test('43: a child that does not acknowledge its start within startTimeoutMs is killed and has failed to start', async () => {
    await using stage = new Stage()
    const children = [stage.child('a'), stage.child('b', { starts: ['hang'], startTimeoutMs: 500 })]
    const starting = stage.system.tryStart(supervisor({ children }))
    await stage.test.advance(500)
    expect(await starting).toMatchObject({
      kind: 'failed',
      reason: { detail: { id: 'b', reason: { kind: 'error', error: { kind: 'timeout' } } } },
    })
    expect(stage.system.processes()).toEqual([])
  })

  test('44: bad values are refused by name before any child starts, all of them at once', async () => {
    await using stage = new Stage()
    const children = [
      stage.child('a'),
      { ...stage.child('b'), shutdownMs: -1 },
      { ...stage.child('a'), restart: 'often' as never },
    ]
    const refused = (): unknown => supervisor({ intensity: -1, children })
    expect(refused).toThrow(
      /intensity: .*\n.*children\[1\].shutdownMs: .*\n.*children\[2\].restart: .*\n.*children\[2\].id: /,
    )
    expect(stage.log).toEqual([])
  })

  test('44: the defaults are one_for_one, 1 restart in 5,000 ms, permanent, worker, 5,000 ms to stop, infinity for supervisors', async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: [stage.child('a'), { id: 's', start: supervisor({ children: [] }) }] })
    expect(stage.system.processInfo(top)?.state).toMatchObject({
      strategy: 'one_for_one',
      intensity: 1,
      periodMs: 5_000,
    })
    expect(await stage.run(getChildSpec(stage.system, top, 'a'))).toMatchObject({
      restart: 'permanent',
      type: 'worker',
      shutdownMs: 5_000,
      significant: false,
    })
    expect(await stage.run(getChildSpec(stage.system, top, 's'))).toMatchObject({
      type: 'supervisor',
      shutdownMs: 'infinity',
    })
  })

  test('45: a child whose init is ignored keeps its spec without a process; a temporary one is dropped', async () => {
    await using stage = new Stage()
    const top = await stage.top({
      children: [
        stage.child('a', { starts: ['ignore'] }),
        stage.child('b', { starts: ['ignore'], restart: 'temporary' }),
      ],
    })
    expect(await stage.which(top)).toMatchObject([{ id: 'a', phase: 'stopped', pid: undefined }])
    expect(await stage.run(restartChild(stage.system, top, 'a'))).toMatchObject({ kind: 'started' })
    const late = stage.child('c', { starts: ['ignore'], restart: 'temporary' })
    expect(await stage.run(startChild(stage.system, top, late))).toEqual({ kind: 'started', pid: undefined })
    expect(await stage.phases(top)).toEqual({ a: 'running' })
  })

  test('46: a child that ignores shutdown is killed after its shutdown time', async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: [stage.child('a', { stop: 'ignore', shutdownMs: 2_000 })] })
    stage.system.exit(top, exitShutdown)
    await stage.test.advance(1_999)
    expect(stage.log).toEqual([])
    await stage.test.advance(1)
    expect(stage.log).toEqual(['end a killed'])
    await stage.test.expectExit(top, exitShutdown)
  })

  test('46: brutal_kill kills at once, even a child that traps exits', async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: [stage.child('a', { stop: 'ignore', shutdownMs: 'brutal_kill' })] })
    stage.system.exit(top, exitShutdown)
    await stage.test.expectExit(top, exitShutdown)
    expect(stage.log).toEqual(['end a killed'])
    expect(stage.reportsOf('shutdown_error')).toEqual([])
  })

  test('46: infinity waits as long as it takes', async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: [stage.child('a', { stop: 3_600_000, shutdownMs: 'infinity' })] })
    stage.system.exit(top, exitShutdown)
    await stage.test.advance(3_599_999)
    expect(stage.system.isAlive(top)).toBe(true)
    await stage.test.advance(1)
    await stage.test.expectExit(top, exitShutdown)
  })

  test('46: a child that unlinked itself is stopped all the same, since the wait is by a monitor', async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: [stage.child('a'), stage.child('b', { stop: 'unlink' })] })
    stage.system.exit(top, exitShutdown)
    await stage.test.expectExit(top, exitShutdown)
    expect(stage.log).toEqual(['end b shutdown', 'end a shutdown'])
  })

  const wrong = { kind: 'custom', value: 'wrong' } as const
  const detailed = { kind: 'shutdown', detail: 'so' } as const
  test.each([
    ['permanent', 'normal while it is stopped makes a shutdown error, and the shutdown goes on', exitNormal, 1],
    ['permanent', 'shutdown and a detail while it is stopped makes a shutdown error', detailed, 1],
    ['permanent', 'another reason while it is stopped makes a shutdown error', wrong, 1],
    ['transient', 'normal while it is stopped makes no shutdown error', exitNormal, 0],
    ['transient', 'shutdown and a detail while it is stopped makes no shutdown error', detailed, 0],
    ['transient', 'another reason while it is stopped makes a shutdown error', wrong, 1],
    ['temporary', 'normal while it is stopped makes no shutdown error', exitNormal, 0],
    ['temporary', 'another reason while it is stopped makes a shutdown error', wrong, 1],
  ] as const)('47: a %s child that ends with %s', async (restart, _title, stop, errors) => {
    await using stage = new Stage()
    const top = await stage.top({ children: [stage.child('a'), stage.child('b', { restart, stop })] })
    stage.system.exit(top, exitShutdown)
    await stage.test.expectExit(top, exitShutdown)
    expect(stage.reportsOf('shutdown_error').map(({ child, reason }) => [child, reason])).toEqual(
      Array.from({ length: errors }, () => ['b', stop]),
    )
    expect(stage.log.at(-1)).toBe('end a shutdown')
  })

  test('49: killing a supervisor leaves no orphans: its children die with killed, its supervisors stop theirs in order', async () => {
    await using stage = new Stage()
    const inner = supervisor({ children: [stage.child('x'), stage.child('y')] })
    const top = await stage.top({ children: [stage.child('a'), { id: 's', start: inner }] })
    stage.system.exit(top, exitKill)
    await stage.test.runUntilIdle()
    expect(stage.system.processes()).toEqual([])
    expect(stage.log).toEqual(['end a killed', 'end y shutdown', 'end x shutdown'])
  })
})

describe('half-started', () => {
  test('49: a supervisor whose parent is killed while its children start stops those that run and kills the one that starts', async () => {
    await using stage = new Stage()
    const inner = supervisor({ children: [stage.child('x'), stage.child('y', { starts: ['hang'] })] })
    const outer = { id: 'outer', start: supervisor({ children: [{ id: 'inner', start: inner }] }) }
    void startSupervisor(stage.system, { children: [outer] }).catch(() => undefined)
    await stage.test.runUntilIdle()
    const [top, middle] = stage.system.processes()
    stage.system.exit(middle!, exitKill)
    await stage.test.runUntilIdle()
    expect(stage.took()).toEqual(['start x', 'end x shutdown'])
    expect(stage.system.isAlive(top!)).toBe(false)
    expect(stage.system.processes()).toEqual([])
  })
})

describe('other ends', () => {
  const trap = {
    kind: 'start_child' as const,
    get spec(): never {
      throw new Error('trap')
    },
  }

  test('a supervisor that is asked politely to end stops its children first', async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: stage.abc() })
    stage.system.cancel(top, 'night')
    await stage.test.expectExit(top, { kind: 'shutdown', detail: 'night' })
    expect(stage.took()).toEqual(['end c shutdown', 'end b shutdown', 'end a shutdown'])
  })

  test('a supervisor that crashes itself stops its children first, in order and within their times', async () => {
    await using stage = new Stage()
    const children = [stage.child('a'), stage.child('b', { stop: 'ignore', shutdownMs: 300 }), stage.child('c')]
    const top = await stage.top({ children })
    stage.system.send(top, trap)
    await stage.test.advance(299)
    expect(stage.took()).toEqual(['end c shutdown'])
    await stage.test.advance(1)
    expect(stage.took()).toEqual(['end b killed', 'end a shutdown'])
    await stage.test.expectExit(top, 'error')
  })

  test('a supervisor that crashes while a child starts kills that one and stops the others', async () => {
    await using stage = new Stage()
    const children = [stage.child('a'), stage.child('b', { starts: ['ok', 'hang'] })]
    const top = await stage.top({ children })
    await stage.crash(top, 'b')
    stage.took()
    stage.system.send(top, trap)
    await stage.test.expectExit(top, 'error')
    expect(stage.took()).toEqual(['end a shutdown'])
    expect(stage.system.processes()).toEqual([])
  })
})

describe('restart', () => {
  test('50: a transient child that ended well keeps its spec without a process; a temporary one is forgotten', async () => {
    await using stage = new Stage()
    const top = await stage.top({
      children: [stage.child('a', { restart: 'transient' }), stage.child('b', { restart: 'temporary' })],
    })
    await stage.exit(top, 'a', exitNormal)
    await stage.crash(top, 'b')
    expect(await stage.phases(top)).toEqual({ a: 'stopped' })
  })

  test('51: as many restarts as the intensity are allowed within the period, counted per supervisor, not per child', async () => {
    await using stage = new Stage()
    const top = await stage.top({ intensity: 3, periodMs: 5_000, children: stage.abc() })
    for (const id of ['a', 'b', 'c']) await stage.crash(top, id)
    expect(stage.system.isAlive(top)).toBe(true)
    await stage.crash(top, 'a')
    await stage.test.expectExit(top, exitShutdown)
  })

  test('51: a restart is forgotten once it is more than the period in whole seconds ago', async () => {
    await using stage = new Stage()
    const top = await stage.top({ intensity: 1, periodMs: 5_000, children: stage.abc() })
    await stage.crash(top, 'a')
    await stage.test.advance(6_000)
    await stage.crash(top, 'a')
    await stage.test.advance(5_999)
    await stage.crash(top, 'a')
    await stage.test.expectExit(top, exitShutdown)
  })

  test('52: giving up stops all children in reverse and exits with shutdown, with a report', async () => {
    await using stage = new Stage()
    const top = await stage.top({ intensity: 0, children: stage.abc() })
    await stage.crash(top, 'b')
    await stage.test.expectExit(top, exitShutdown)
    expect(stage.log).toEqual(['end b internal: crash on demand', 'end c shutdown', 'end a shutdown'])
    expect(stage.reportsOf('escalation')).toMatchObject([{ child: 'b', supervisor: top, restartsInWindow: 1 }])
  })

  test.each([
    ['permanent', 'running', ['start x']],
    ['transient', 'stopped', []],
  ] as const)('52: a %s supervisor that gave up is %s afterwards under its parent', async (restart, phase, log) => {
    await using stage = new Stage()
    const inner = supervisor({ intensity: 0, children: [stage.child('x')] })
    const top = await stage.top({ children: [{ id: 's', start: inner, restart }] })
    const pid = await stage.pidOf(top, 's')
    stage.took()
    await stage.crash(pid as typeof top, 'x')
    expect(await stage.phases(top)).toEqual({ s: phase })
    expect(stage.took().slice(1)).toEqual(log)
  })

  test('53: a restart that fails in start is retried through the mailbox, and each try counts', async () => {
    await using stage = new Stage()
    const top = await stage.top({ intensity: 4, children: [stage.child('a', { starts: ['ok', 'throw', 'throw'] })] })
    await stage.crash(top, 'a')
    expect(stage.took().slice(1)).toEqual(['fail a', 'fail a', 'start a'])
    expect(stage.system.processInfo(top)?.state).toMatchObject({ restartsInWindow: 3 })
    expect(stage.reportsOf('start_error').map(({ nextDelayMs }) => nextDelayMs)).toEqual([0, 0])
  })

  test('53: while a start is retried the supervisor answers: the child is restarting, and terminate_child ends it', async () => {
    await using stage = new Stage()
    const child = stage.child('a', { starts: ['ok', 'throw', 'throw'], backoff: { initialMs: 1_000, jitter: 0 } })
    const top = await stage.top({ intensity: 9, children: [child] })
    await stage.crash(top, 'a')
    await stage.test.advance(1_000)
    expect(await stage.which(top)).toMatchObject([{ phase: 'restarting', pid: undefined, retryDelayMs: 2_000 }])
    expect(await stage.run(restartChild(stage.system, top, 'a'))).toEqual({ kind: 'restarting' })
    expect(await stage.run(terminateChild(stage.system, top, 'a'))).toEqual({ kind: 'ok' })
    await stage.test.advance(100_000)
    expect(await stage.phases(top)).toEqual({ a: 'stopped' })
  })

  test('53: a shutdown does not wait for a start that is retried', async () => {
    await using stage = new Stage()
    const child = stage.child('a', { starts: ['ok', 'throw'], backoff: { initialMs: 60_000 } })
    const top = await stage.top({ intensity: 9, children: [child] })
    await stage.crash(top, 'a')
    stage.system.exit(top, exitShutdown)
    await stage.test.expectExit(top, exitShutdown)
  })

  test.each([
    ['one_for_all', ['end c shutdown', 'end a shutdown', 'start a', 'start b', 'start c']],
    ['rest_for_one', ['end c shutdown', 'start b', 'start c']],
  ] as const)(
    '54: %s stops the others in reverse, then starts in order, and counts one restart',
    async (strategy, log) => {
      await using stage = new Stage()
      const top = await stage.top({ strategy, children: stage.abc() })
      await stage.crash(top, 'b')
      expect(stage.took().slice(1)).toEqual(log)
      expect(stage.system.processInfo(top)?.state).toMatchObject({ restartsInWindow: 1 })
    },
  )

  test('54: temporary siblings are stopped and not started', async () => {
    await using stage = new Stage()
    const children = [stage.child('a'), stage.child('b'), stage.child('t', { restart: 'temporary' })]
    const top = await stage.top({ strategy: 'one_for_all', children })
    await stage.crash(top, 'a')
    expect(stage.took()).toContain('end t shutdown')
    expect(await stage.phases(top)).toEqual({ a: 'running', b: 'running' })
  })

  test('55: if a sibling fails to start during a restart of all, those restarted are stopped again and the whole is retried', async () => {
    await using stage = new Stage()
    const children = [stage.child('a'), stage.child('b'), stage.child('c', { starts: ['ok', 'throw'] })]
    const top = await stage.top({ strategy: 'one_for_all', intensity: 2, children })
    await stage.crash(top, 'a')
    expect(stage.took().slice(3)).toEqual([
      ...['start a', 'start b', 'fail c'],
      ...['end b shutdown', 'end a shutdown'],
      ...['start a', 'start b', 'start c'],
    ])
  })

  test('56: a restarted child has a new pid, fresh state and an empty mailbox', async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: [stage.child('a')] })
    const before = await stage.pidOf(top, 'a')
    stage.system.send(before, { kind: 'add', amount: 7 })
    stage.system.send(before, { kind: 'crash' })
    stage.system.send(before, { kind: 'add', amount: 100 })
    await stage.test.runUntilIdle()
    const after = await stage.pidOf(top, 'a')
    expect(after).not.toBe(before)
    expect(await stage.run(stage.system.call(after, { kind: 'get' }))).toBe(0)
  })

  test('56: an exit from a process that is no longer a child is ignored', async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: [stage.child('a')] })
    const old = await stage.pidOf(top, 'a')
    // Stopped for good while its own end was already on its way.
    stage.system.send(old, { kind: 'crash' })
    await stage.run(terminateChild(stage.system, top, 'a'))
    await stage.run(deleteChild(stage.system, top, 'a'))
    expect(await stage.which(top)).toEqual([])
    expect(stage.system.isAlive(top)).toBe(true)
  })
})

describe('management', () => {
  test('57: terminate_child keeps the spec of a child that is not temporary, is idempotent and counts no restart', async () => {
    await using stage = new Stage()
    const top = await stage.top({
      intensity: 0,
      children: [stage.child('a'), stage.child('t', { restart: 'temporary' })],
    })
    for (let time = 0; time < 3; time++) {
      expect(await stage.run(terminateChild(stage.system, top, 'a'))).toEqual({ kind: 'ok' })
    }
    expect(await stage.run(terminateChild(stage.system, top, 't'))).toEqual({ kind: 'ok' })
    expect(await stage.run(terminateChild(stage.system, top, 't'))).toEqual({ kind: 'not_found' })
    expect(await stage.phases(top)).toEqual({ a: 'stopped' })
  })

  test('57: start_child under a known id answers already_started with the pid, or already_present', async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: [stage.child('a')] })
    const pid = await stage.pidOf(top, 'a')
    expect(await stage.run(startChild(stage.system, top, stage.child('a')))).toEqual({ kind: 'already_started', pid })
    await stage.run(terminateChild(stage.system, top, 'a'))
    expect(await stage.run(startChild(stage.system, top, stage.child('a')))).toEqual({ kind: 'already_present' })
  })

  test('57: start_child adds at the end; one that fails to start leaves nothing behind, a bad one names its problems', async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: [stage.child('a')] })
    expect(await stage.run(startChild(stage.system, top, stage.child('b')))).toMatchObject({ kind: 'started' })
    const broken = stage.child('c', { starts: ['throw'] })
    expect(await stage.run(startChild(stage.system, top, broken))).toMatchObject({
      kind: 'failed',
      reason: { kind: 'error' },
    })
    expect(await stage.run(startChild(stage.system, top, { ...stage.child('d'), shutdownMs: -1 }))).toMatchObject({
      kind: 'invalid',
      problems: [{ path: 'child.shutdownMs' }],
    })
    expect(await stage.phases(top)).toEqual({ a: 'running', b: 'running' })
    stage.took()
    stage.system.exit(top, exitShutdown)
    await stage.test.runUntilIdle()
    expect(stage.took()).toEqual(['end b shutdown', 'end a shutdown'])
  })

  test('57: delete_child and restart_child answer running, restarting or not_found, and else do it', async () => {
    await using stage = new Stage()
    const retried = stage.child('b', { starts: ['ok', 'throw'], backoff: { initialMs: 5_000 } })
    const top = await stage.top({ intensity: 5, children: [stage.child('a'), retried] })
    await stage.crash(top, 'b')
    const { system } = stage
    const both = async (id: string): Promise<unknown[]> => [
      await stage.run(restartChild(system, top, id)),
      await stage.run(deleteChild(system, top, id)),
    ]
    expect(await both('a')).toEqual([{ kind: 'running' }, { kind: 'running' }])
    expect(await both('b')).toEqual([{ kind: 'restarting' }, { kind: 'restarting' }])
    expect(await both('x')).toEqual([{ kind: 'not_found' }, { kind: 'not_found' }])
    await stage.run(terminateChild(system, top, 'a'))
    expect(await stage.run(restartChild(system, top, 'a'))).toMatchObject({ kind: 'started' })
    await stage.run(terminateChild(system, top, 'a'))
    expect(await stage.run(deleteChild(system, top, 'a'))).toEqual({ kind: 'ok' })
    expect(await stage.run(getChildSpec(system, top, 'a'))).toBeUndefined()
  })

  test('58: any_significant ends the supervisor with shutdown on the first significant child that ends by itself', async () => {
    await using stage = new Stage()
    const significant = { restart: 'transient', significant: true } as const
    const children = [stage.child('a'), stage.child('b', significant), stage.child('c', significant)]
    const top = await stage.top({ autoShutdown: 'any_significant', children })
    await stage.exit(top, 'b', exitNormal)
    await stage.test.expectExit(top, exitShutdown)
    expect(stage.log).toEqual(['end b normal', 'end c shutdown', 'end a shutdown'])
    expect(stage.reportsOf('auto_shutdown')).toMatchObject([{ child: 'b' }])
  })

  test('58: all_significant waits for the last significant child', async () => {
    await using stage = new Stage()
    const children = [
      stage.child('a'),
      stage.child('b', { restart: 'transient', significant: true }),
      stage.child('c', { restart: 'temporary', significant: true }),
    ]
    const top = await stage.top({ autoShutdown: 'all_significant', children })
    await stage.crash(top, 'c')
    expect(stage.system.isAlive(top)).toBe(true)
    await stage.exit(top, 'b', exitNormal)
    await stage.test.expectExit(top, exitShutdown)
  })

  test('58: a significant transient child that crashes is restarted and ends nothing; nor does one that is terminated', async () => {
    await using stage = new Stage()
    const children = [stage.child('a', { restart: 'transient', significant: true })]
    const top = await stage.top({ autoShutdown: 'any_significant', children })
    await stage.crash(top, 'a')
    expect(await stage.phases(top)).toEqual({ a: 'running' })
    await stage.run(terminateChild(stage.system, top, 'a'))
    expect(await stage.phases(top)).toEqual({ a: 'stopped' })
  })

  test('58: permanent and significant, significant under never, and significant on demand are refused', () => {
    const start = unstable('a')
    const refused = (make: () => unknown): boolean => {
      try {
        make()
        return false
      } catch (error) {
        return isAppError(error, 'invalid')
      }
    }
    const permanent = { id: 'a', start, significant: true }
    const transient = { ...permanent, restart: 'transient' } as const
    expect(refused(() => supervisor({ autoShutdown: 'any_significant', children: [permanent] }))).toBe(true)
    expect(refused(() => supervisor({ children: [transient] }))).toBe(true)
    expect(refused(() => supervisor({ autoShutdown: 'any_significant', children: [transient] }))).toBe(false)
    expect(refused(() => dynamicSupervisor({ child: transient }))).toBe(true)
  })

  test("59: the parent's exit signal stops a supervisor with that reason", async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: stage.abc() })
    const reason = { kind: 'custom', value: 'moving house' } as const
    stage.system.exit(top, reason)
    await stage.test.expectExit(top, reason)
    expect(stage.log).toEqual(['end c shutdown', 'end b shutdown', 'end a shutdown'])
  })

  test("59: a stranger's exit and unknown messages are logged and dropped", async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: stage.abc() })
    const stranger = await stage.test.probe()
    stranger.ctx.exit(top, exitShutdown)
    stage.system.send(top as never, { kind: 'good morning' } as never)
    stage.system.send(top as never, undefined as never)
    await stage.test.runUntilIdle()
    expect(await stage.phases(top)).toEqual({ a: 'running', b: 'running', c: 'running' })
    expect(stage.reportsOf('unexpected')).toMatchObject([{ pid: stranger.pid, reason: exitShutdown }])
    expect(stage.test.deadLetters).toHaveLength(2)
  })

  test('59: an exit signal that a living child sends to its supervisor is not its end', async () => {
    await using stage = new Stage()
    const rude = {
      init: () => 0,
      receive: (ctx: { parent: never; exit(to: never, reason: unknown): void }) => {
        ctx.exit(ctx.parent, { kind: 'custom', value: 'hey' })
        return next.same
      },
    }
    const top = await stage.top({ children: [{ id: 'a', start: rude as never }] })
    const pid = await stage.pidOf(top, 'a')
    stage.system.send(pid, 'now')
    await stage.test.runUntilIdle()
    expect(await stage.pidOf(top, 'a')).toBe(pid)
  })
})

describe('ours: backoff', () => {
  test('ours: a restart with backoff waits as a message to the supervisor, which answers meanwhile', async () => {
    await using stage = new Stage()
    const child = stage.child('a', { backoff: { initialMs: 200, factor: 3, jitter: 0 } })
    const top = await stage.top({ intensity: 9, children: [child, stage.child('b')] })
    for (const delayMs of [200, 600, 1_800]) {
      await stage.crash(top, 'a')
      expect(stage.reportsOf('crash').at(-1)).toMatchObject({ child: 'a', nextDelayMs: delayMs })
      await stage.test.advance(delayMs - 1)
      expect(await stage.phases(top)).toEqual({ a: 'restarting', b: 'running' })
      await stage.test.advance(1)
      expect(await stage.phases(top)).toEqual({ a: 'running', b: 'running' })
    }
  })

  test('ours: a child that ran for stableMs begins its backoff again', async () => {
    await using stage = new Stage()
    const child = stage.child('a', { backoff: { initialMs: 200, jitter: 0, stableMs: 10_000 } })
    const top = await stage.top({ intensity: 'unlimited', children: [child] })
    const delays: unknown[] = []
    for (const runMs of [0, 9_999, 10_000]) {
      await stage.test.advance(runMs)
      await stage.crash(top, 'a')
      const { nextDelayMs } = stage.reportsOf('crash').at(-1)!
      delays.push(nextDelayMs)
      await stage.test.advance(nextDelayMs!)
    }
    expect(delays).toEqual([200, 400, 200])
  })

  test('ours: after maxAttempts in a row a child is left without a process and reported; a terminal reason does the same at once', async () => {
    await using stage = new Stage()
    const backoff = { initialMs: 100, maxAttempts: 2 }
    const isTerminal: ChildSpec['isTerminal'] = (reason) => reason.kind === 'error'
    const top = await stage.top({
      intensity: 'unlimited',
      children: [stage.child('a', { backoff }), stage.child('b', { isTerminal })],
    })
    for (let attempt = 0; attempt < 3; attempt++) {
      await stage.crash(top, 'a')
      await stage.test.advance(1_000)
    }
    await stage.crash(top, 'b')
    expect(await stage.phases(top)).toEqual({ a: 'stopped', b: 'stopped' })
    expect(stage.reportsOf('exhausted').map(({ child }) => child)).toEqual(['a', 'b'])
    expect(await stage.run(restartChild(stage.system, top, 'a'))).toMatchObject({ kind: 'started' })
  })

  test('ours: a group that waits for a child which is then terminated goes on without it', async () => {
    await using stage = new Stage()
    const slow = stage.child('b', { backoff: { initialMs: 60_000 } })
    const top = await stage.top({ strategy: 'one_for_all', children: [stage.child('a'), slow, stage.child('c')] })
    await stage.crash(top, 'b')
    expect(await stage.phases(top)).toEqual({ a: 'restarting', b: 'restarting', c: 'restarting' })
    await stage.run(terminateChild(stage.system, top, 'b'))
    expect(await stage.phases(top)).toMatchObject({ a: 'running', c: 'running' })
  })

  test('ours: jitter spreads the delays of many children that crash together', async () => {
    await using stage = new Stage()
    const ids = Array.from({ length: 20 }, (_, at) => `w${at}`)
    const children = ids.map((id) => stage.child(id, { backoff: { initialMs: 1_000, jitter: 0.5 } }))
    const top = await stage.top({ intensity: 'unlimited', children })
    for (const { pid } of await stage.run(whichChildren(stage.system, top))) stage.system.send(pid!, { kind: 'crash' })
    await stage.test.runUntilIdle()
    const delays = stage.reportsOf('crash').map(({ nextDelayMs }) => nextDelayMs!)
    expect(new Set(delays).size).toBeGreaterThan(15)
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(500)
    expect(Math.max(...delays)).toBeLessThanOrEqual(1_500)
  })
})

describe('ours: in view', () => {
  test('ours: a supervisor that stops still answers which_children', async () => {
    await using stage = new Stage()
    const top = await stage.top({ children: [stage.child('a'), stage.child('b', { stop: 3_000 })] })
    stage.system.exit(top, exitShutdown)
    await stage.test.advance(1_000)
    expect(await stage.phases(top)).toEqual({ a: 'running', b: 'stopping' })
    await stage.test.advance(2_000)
    await stage.test.expectExit(top, exitShutdown)
  })

  test('ours: reports name supervisor, child, reason, restarts in the window and next delay', async () => {
    await using stage = new Stage()
    const child = stage.child('a', { starts: ['ok', 'throw'], backoff: { initialMs: 1_500, jitter: 0 } })
    const top = await stage.top({ intensity: 3, children: [child] }, 'kitchen')
    await stage.crash(top, 'a')
    await stage.test.advance(10_000)
    const crashed = { kind: 'error', error: { message: 'crash on demand' } }
    const failed = { kind: 'error', error: { message: 'a does not start' } }
    expect(stage.reports).toMatchObject([
      { kind: 'progress', name: 'kitchen', supervisor: top, child: 'a', reason: undefined, restartsInWindow: 0 },
      { kind: 'crash', child: 'a', reason: crashed, restartsInWindow: 1, nextDelayMs: 1_500 },
      { kind: 'start_error', child: 'a', reason: failed, restartsInWindow: 1, nextDelayMs: 3_000 },
      { kind: 'restart', child: 'a', restartsInWindow: 2, atWallMs: stage.test.clock.wallMs() - 5_500 },
    ])
    const line = stage.test.logs.find(({ message }) => message.startsWith('supervisor kitchen: crash'))
    expect(line?.message).toBe(
      'supervisor kitchen: crash of a: internal: crash on demand (1 in the window, again in 1.5s)',
    )
  })

  test('ours: the tree is there as data and as text, while a child waits for its restart, too', async () => {
    await using stage = new Stage()
    const inner = supervisor({
      strategy: 'rest_for_one',
      children: [stage.child('x', { backoff: { initialMs: 1_500, jitter: 0 } }), stage.child('y')],
    })
    const top = await stage.top({ children: [{ id: 'inner', start: inner }, stage.child('a')] })
    await stage.crash((await stage.pidOf(top, 'inner')) as typeof top, 'x')
    const tree = supervisionTree(stage.system, top)!
    expect(tree).toMatchObject({
      kind: 'supervisor',
      strategy: 'one_for_one',
      children: [
        {
          id: 'inner',
          supervisor: { strategy: 'rest_for_one', children: [{ id: 'x', retryDelayMs: 1_500 }, { id: 'y' }] },
        },
        { id: 'a', phase: 'running', supervisor: undefined },
      ],
    })
    expect(formatTree(tree).replace(/\{[^}]*\}/g, 'PID')).toBe(
      [
        'supervisor PID  one_for_one, 0 of 1 restarts in 5s',
        '├ inner  running PID  rest_for_one, 1 of 1 restarts in 5s',
        '│ ├ x  restarting  again after 1.5s  last end: internal: crash on demand',
        '│ └ y  restarting  last end: shutdown',
        '└ a  running PID',
      ].join('\n'),
    )
    expect(supervisionTree(stage.system, await stage.pidOf(top, 'a'))).toBeUndefined()
  })
})

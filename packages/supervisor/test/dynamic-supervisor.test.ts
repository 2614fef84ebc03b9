import type { NodeId } from '@daruma/protocol'
import { exitNormal, exitShutdown, Home, Pid, seededRng } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { completeChildSpec } from '../src/child-spec.ts'
import { createDynamicState, decideDynamic } from '../src/dynamic-strategy.ts'
import type { DynamicSupervisor, DynamicSupervisorSpec } from '../src/index.ts'
import {
  countChildren,
  startDynamicChild,
  startDynamicSupervisor,
  startWith,
  terminateDynamicChild,
  whichChildren,
} from '../src/index.ts'
import type { StartAct, StopAct } from '../src/testing.ts'
import { unstable } from '../src/testing.ts'
import { Stage } from './stage.ts'

interface Job {
  readonly id: string
  readonly starts?: readonly StartAct[]
  readonly stop?: StopAct
}

/** A dynamic supervisor whose children do what their arguments say, each start of each anew. */
async function onDemand(
  stage: Stage,
  spec: Omit<DynamicSupervisorSpec<Job>, 'child'> & {
    readonly child?: Partial<DynamicSupervisorSpec<Job>['child']>
  } = {},
): Promise<DynamicSupervisor<Job>> {
  const codes = new Map<string, ReturnType<typeof unstable>>()
  const start = startWith((job: Job) => {
    const code = codes.get(job.id) ?? unstable(job.id, { ...job, log: (line) => stage.log.push(line) })
    codes.set(job.id, code)
    return { start: code }
  })
  return stage.run(startDynamicSupervisor<Job>(stage.system, { ...spec, child: { start, ...spec.child } }))
}

async function add(stage: Stage, top: DynamicSupervisor<Job>, job: Job): Promise<Pid> {
  const reply = await stage.run(startDynamicChild(stage.system, top, job))
  if (reply.kind !== 'started') throw new Error(reply.kind)
  return reply.pid!
}

describe('children on demand', () => {
  test('48: all stop in parallel under one timer, and those that remain are killed when it expires', async () => {
    await using stage = new Stage()
    const top = await onDemand(stage, { child: { shutdownMs: 1_000 } })
    for (const stop of [300, 'ignore', 600, 'ignore'] as const) await add(stage, top, { id: String(stop), stop })
    stage.took()
    stage.system.exit(top, exitShutdown)
    await stage.test.advance(600)
    expect(stage.took()).toEqual(['end 300 shutdown', 'end 600 shutdown'])
    await stage.test.advance(399)
    expect(stage.took()).toEqual([])
    await stage.test.advance(1)
    expect(stage.took()).toEqual(['end ignore killed', 'end ignore killed'])
    await stage.test.expectExit(top, exitShutdown)
    // One report for both, since there may be a hundred thousand.
    expect(stage.reportsOf('shutdown_error')).toMatchObject([{ count: 2, reason: { kind: 'killed' } }])
  })

  test('48: brutal_kill kills all at once; infinity waits for the last', async () => {
    await using stage = new Stage()
    const brutal = await onDemand(stage, { child: { shutdownMs: 'brutal_kill' } })
    await add(stage, brutal, { id: 'a', stop: 'ignore' })
    stage.system.exit(brutal, exitShutdown)
    await stage.test.expectExit(brutal, exitShutdown)
    const patient = await onDemand(stage, { child: { shutdownMs: 'infinity' } })
    await add(stage, patient, { id: 'b', stop: 1_000_000 })
    stage.system.exit(patient, exitShutdown)
    await stage.test.advance(999_999)
    expect(stage.system.isAlive(patient)).toBe(true)
    await stage.test.advance(1)
    await stage.test.expectExit(patient, exitShutdown)
  })

  test.each([
    ['temporary', undefined],
    ['transient', 'arguments'],
    ['permanent', 'arguments'],
  ] as const)('60: a %s child keeps %s once it runs', (restart, kept) => {
    const child = completeChildSpec({ id: 'child', start: () => undefined, restart })
    const spec = { intensity: 3, periodMs: 5_000, maxChildren: Infinity, child }
    const state = createDynamicState(spec, seededRng('args'))
    decideDynamic(state, { kind: 'start_child', args: 'arguments', to: 'me' }, 0)
    const [row] = state.children
    expect(row!.args).toBe('arguments')
    const pid = new Pid(new Home('sim' as NodeId, 1, 'test'), 1)
    decideDynamic(state, { kind: 'started', child: row!, pid }, 0)
    expect(row!.args).toBe(kept)
  })

  test('60: ten times as many children cost ten times as much to start and stop, not a hundred times', async () => {
    await using stage = new Stage()
    const steps: number[] = []
    for (const count of [30, 300]) {
      const top = await onDemand(stage)
      let traced = 0
      stage.system.trace(() => traced++)
      for (let at = 0; at < count; at++) void startDynamicChild(stage.system, top, { id: 'x' })
      await stage.test.runUntilIdle()
      stage.system.exit(top, exitShutdown)
      await stage.test.expectExit(top, exitShutdown)
      stage.system.trace(undefined)
      steps.push(traced)
    }
    expect(steps[1]! / steps[0]!).toBeLessThan(10.5)
  })

  test('61: max_children counts those that are being restarted, too', async () => {
    await using stage = new Stage()
    const top = await onDemand(stage, { maxChildren: 2, child: { backoff: { initialMs: 5_000 } } })
    const first = await add(stage, top, { id: 'a' })
    await add(stage, top, { id: 'b' })
    stage.system.send(first, { kind: 'crash' })
    await stage.test.runUntilIdle()
    expect(await stage.run(countChildren(stage.system, top))).toMatchObject({ specs: 2, active: 1 })
    expect(await stage.run(startDynamicChild(stage.system, top, { id: 'c' }))).toEqual({
      kind: 'max_children',
      limit: 2,
    })
  })

  test('61: a dynamic supervisor allows 3 restarts in 5 s by default, all children together', async () => {
    await using stage = new Stage()
    const top = await onDemand(stage)
    for (const id of ['a', 'b', 'c', 'd']) {
      expect(stage.system.isAlive(top)).toBe(true)
      stage.system.send(await add(stage, top, { id }), { kind: 'crash' })
      await stage.test.runUntilIdle()
    }
    await stage.test.expectExit(top, exitShutdown)
  })

  test('a start that fails answers with the reason and leaves nothing; one that is ignored, without a pid', async () => {
    await using stage = new Stage()
    const top = await onDemand(stage)
    expect(await stage.run(startDynamicChild(stage.system, top, { id: 'a', starts: ['throw'] }))).toMatchObject({
      kind: 'failed',
      reason: { kind: 'error' },
    })
    expect(await stage.run(startDynamicChild(stage.system, top, { id: 'b', starts: ['ignore'] }))).toEqual({
      kind: 'started',
      pid: undefined,
    })
    expect(await stage.run(whichChildren(stage.system, top))).toEqual([])
  })

  test('a child that is slow to start keeps nobody waiting', async () => {
    await using stage = new Stage()
    const top = await onDemand(stage)
    const slow = startDynamicChild(stage.system, top, { id: 'slow', starts: [10_000] })
    await add(stage, top, { id: 'quick' })
    expect((await stage.run(whichChildren(stage.system, top))).map(({ phase }) => phase)).toEqual([
      'starting',
      'running',
    ])
    await stage.test.advance(10_000)
    expect(await slow).toMatchObject({ kind: 'started' })
  })

  test('a restart that fails is retried and counted; a transient child that ends well is forgotten', async () => {
    await using stage = new Stage()
    const top = await onDemand(stage, { child: { restart: 'transient' } })
    const pid = await add(stage, top, { id: 'a', starts: ['ok', 'throw'] })
    stage.system.send(pid, { kind: 'crash' })
    await stage.test.runUntilIdle()
    expect(stage.took()).toEqual(['start a', 'end a internal: crash on demand', 'fail a', 'start a'])
    expect(stage.system.processInfo(top)?.state).toMatchObject({ restartsInWindow: 2 })
    const [again] = await stage.run(whichChildren(stage.system, top))
    stage.system.send(again!.pid!, { kind: 'exit', reason: exitNormal })
    await stage.test.runUntilIdle()
    expect(await stage.run(whichChildren(stage.system, top))).toEqual([])
  })

  test('terminate_child stops one within its shutdown time, and two who ask are both told', async () => {
    await using stage = new Stage()
    const top = await onDemand(stage, { child: { shutdownMs: 700 } })
    const pid = await add(stage, top, { id: 'a', stop: 'ignore' })
    const answers = [terminateDynamicChild(stage.system, top, pid), terminateDynamicChild(stage.system, top, pid)]
    await stage.test.advance(700)
    expect(await Promise.all(answers)).toEqual([{ kind: 'ok' }, { kind: 'ok' }])
    expect(await stage.run(terminateDynamicChild(stage.system, top, pid))).toEqual({ kind: 'not_found' })
    expect(stage.reportsOf('shutdown_error')).toHaveLength(1)
  })

  test('a close kills what has not acknowledged its start and forgets what waits for its backoff', async () => {
    await using stage = new Stage()
    const top = await onDemand(stage, { child: { backoff: { initialMs: 60_000 } } })
    void startDynamicChild(stage.system, top, { id: 'half', starts: ['hang'] }).catch(() => undefined)
    stage.system.send(await add(stage, top, { id: 'a' }), { kind: 'crash' })
    await stage.test.runUntilIdle()
    stage.system.exit(top, exitShutdown)
    await stage.test.expectExit(top, exitShutdown)
    expect(stage.system.processes()).toEqual([])
  })
})

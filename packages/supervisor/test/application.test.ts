import { isAppError } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import type { ApplicationSpec } from '../src/index.ts'
import { startApplications, startLevels, startOrder } from '../src/index.ts'
import { Stage } from './stage.ts'

const app = (name: string, ...dependsOn: string[]): ApplicationSpec => ({ name, dependsOn, tree: { children: [] } })

describe('start order', () => {
  test('each comes after all it depends on, otherwise as listed', () => {
    const order = startOrder([app('web', 'store', 'auth'), app('auth', 'store'), app('log'), app('store', 'log')])
    expect(order.map(({ name }) => name)).toEqual(['log', 'store', 'auth', 'web'])
  })

  test('circles, unknown and double names are refused, all of them at once', () => {
    const make = (): unknown => startOrder([app('a', 'b'), app('b', 'a'), app('c', 'ghost'), app('c')])
    expect(make).toThrow(/c is listed twice\n.*a -> b -> a is a circle/)
    expect(make).toThrow(/cannot be ordered/)
  })
})

describe('applications', () => {
  const spec = (stage: Stage, name: string, child: object, ...dependsOn: string[]): ApplicationSpec => ({
    name,
    dependsOn,
    tree: { children: [stage.child(`${name} child`, child)] },
  })

  test('start in order and stop in reverse, each after the one before has ended', async () => {
    await using stage = new Stage()
    const specs = [spec(stage, 'web', { stop: 50 }, 'store'), spec(stage, 'store', {})]
    const apps = await stage.run(startApplications(stage.system, specs))
    expect(stage.took()).toEqual(['start store child', 'start web child'])
    expect(stage.system.whereis('web')).toBe(apps.running[1]!.root)
    const stopping = apps.stop()
    await stage.test.advance(49)
    expect(stage.log).toEqual([])
    await stage.test.advance(1)
    expect(await stopping).toBe(true)
    expect(stage.took()).toEqual(['end web child shutdown', 'end store child shutdown'])
  })

  test('parallel: those that need nothing of each other start and stop at the same time', async () => {
    await using stage = new Stage()
    const specs = [
      spec(stage, 'web', { stop: 10 }, 'auth', 'store'),
      spec(stage, 'auth', { starts: [100], stop: 100 }),
      spec(stage, 'store', { starts: [100], stop: 100 }),
    ]
    expect(startLevels(specs).map((level) => level.map(({ name }) => name))).toEqual([['auth', 'store'], ['web']])
    const starting = startApplications(stage.system, specs, { parallel: true })
    await stage.test.advance(100)
    const apps = await starting
    expect(stage.took()).toEqual(['start auth child', 'start store child', 'start web child'])
    const stopping = apps.stop()
    await stage.test.advance(110)
    expect(await stopping).toBe(true)
  })

  test('a kill cuts a stop short', async () => {
    await using stage = new Stage()
    const specs = [spec(stage, 'store', { stop: 'ignore', shutdownMs: 'infinity' })]
    const apps = await stage.run(startApplications(stage.system, specs))
    const stopping = apps.stop()
    await stage.test.advance(1_000)
    apps.kill()
    await stage.run(stopping)
    expect(stage.system.processes()).toEqual([])
  })

  test('what has not ended within the overall deadline is killed, the whole tree of it', async () => {
    await using stage = new Stage()
    const specs = [spec(stage, 'store', { stop: 'ignore', shutdownMs: 'infinity' }), spec(stage, 'web', {}, 'store')]
    const apps = await stage.run(startApplications(stage.system, specs))
    const stopping = apps.stop({ deadlineMs: 2_000 })
    await stage.test.advance(1_999)
    expect(stage.system.processes()).not.toEqual([])
    await stage.test.advance(1)
    expect(await stopping).toBe(false)
    expect(stage.system.processes()).toEqual([])
  })

  test('one that does not start stops those before it, and is named', async () => {
    await using stage = new Stage()
    const specs = [
      spec(stage, 'store', {}),
      spec(stage, 'web', { starts: ['throw'] }, 'store'),
      spec(stage, 'late', {}, 'web'),
    ]
    const error: unknown = await stage.run(startApplications(stage.system, specs)).catch((thrown: unknown) => thrown)
    expect(isAppError(error, 'unavailable') && error.details).toEqual({ name: 'web' })
    expect(stage.took()).toEqual(['start store child', 'fail web child', 'end store child shutdown'])
    expect(stage.system.processes()).toEqual([])
  })

  test('one whose children take longer than its startTimeoutMs does not start', async () => {
    await using stage = new Stage()
    const slow = { ...spec(stage, 'slow', { starts: [5_000] }), startTimeoutMs: 1_000 }
    const starting = startApplications(stage.system, [slow]).catch((thrown: unknown) => thrown)
    await stage.test.advance(1_000)
    expect(isAppError(await starting, 'unavailable')).toBe(true)
    expect(stage.system.processes()).toEqual([])
  })
})

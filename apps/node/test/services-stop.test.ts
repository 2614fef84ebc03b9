import { AppError } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { auto, Bench } from './services-bench.ts'

const chain = (): Bench =>
  new Bench([auto('db'), auto('web', { requires: ['db'] }), auto('ui', { requires: ['web'] }), auto('x')])

describe('stopping all services', () => {
  test('goes in reverse order, each after those that require it', async () => {
    const bench = chain()
    await bench.services.startAll()
    bench.news()
    const report = await bench.services.stopAll(30_000)
    expect(report).toMatchObject({ ok: true, problems: [] })
    expect(report.services.map(({ id, state }) => `${id} ${state}`)).toEqual([
      'app:ui stopped',
      'app:web stopped',
      'app:x stopped',
      'app:db stopped',
    ])
    expect(bench.news().filter((line) => line.startsWith('gone'))).toEqual([
      'gone app:ui',
      'gone app:x',
      'gone app:web',
      'gone app:db',
    ])
    expect(bench.clock.pending).toBe(0)
  })

  test('a service that does not stop is killed after its stop_timeout, and the others go on', async () => {
    const bench = new Bench([auto('db'), auto('web', { requires: ['db'], stop_timeout: '4s' })])
    await bench.services.startAll()
    bench.of('web').onStop = 'never'
    bench.news()
    const report = bench.services.stopAll(30_000)
    await bench.advance(3_999)
    expect(bench.news()).toEqual(['stop app:web'])
    await bench.advance(1)
    expect(bench.news()).toEqual(['killed app:web', 'stop app:db', 'gone app:db'])
    expect(await report).toMatchObject({
      ok: false,
      problems: ['app:web was killed: not stopped within 4s'],
      tookMs: 4_000,
    })
  })

  test('what still runs at the deadline is killed in the same order', async () => {
    const bench = chain()
    await bench.services.startAll()
    for (const name of ['ui', 'x']) bench.of(name).onStop = 'never'
    bench.news()
    const report = bench.services.stopAll(5_000)
    await bench.advance(5_000)
    expect(bench.news()).toEqual([
      'stop app:ui',
      'stop app:x',
      'killed app:ui',
      'killed app:web',
      'killed app:x',
      'killed app:db',
    ])
    expect((await report).problems).toHaveLength(4)
    expect((await report).problems[0]).toBe(
      'app:ui was killed: not stopped within the 5s that all services have together',
    )
  })

  test('a stop that fails ends in a kill', async () => {
    const bench = new Bench([auto('db')])
    await bench.services.startAll()
    bench.of('db').onStop = new AppError('internal', 'stuck')
    const { problems } = await bench.services.stopAll(30_000)
    expect(problems).toEqual(['app:db was killed: its stop failed: internal: stuck'])
    expect(bench.of('db').running).toBe(0)
  })

  test('a second call kills at once, and both are told the same', async () => {
    const bench = chain()
    await bench.services.startAll()
    bench.of('ui').onStop = 'never'
    const first = bench.services.stopAll(30_000)
    await bench.advance(1_000)
    const second = await bench.services.stopAll(30_000)
    expect(second.problems).toEqual([
      'app:ui was killed: stopped by force',
      'app:web was killed: stopped by force',
      'app:db was killed: stopped by force',
    ])
    expect((await first).problems).toEqual(second.problems)
    expect(bench.clock.monotonicMs()).toBe(1_000)
    expect(bench.clock.pending).toBe(0)
  })

  test('during the start, it ends the start too: nothing comes up afterwards', async () => {
    const bench = new Bench([auto('db', { stop_timeout: '2s' }), auto('web', { requires: ['db'] })])
    bench.of('db').onStart = ['never']
    const start = bench.services.startAll()
    await bench.settle()
    const stop = bench.services.stopAll(30_000)
    await bench.settle()
    bench.of('db').comeUp()
    expect((await stop).ok).toBe(true)
    expect((await start).problems).toEqual(['app:db is stopped', 'app:web is unknown'])
    expect(bench.news()).toEqual(['start app:db', 'abort app:db', 'up app:db', 'stop app:db', 'gone app:db'])
  })

  test('ends the wait for a restart', async () => {
    const bench = new Bench([auto('db')])
    bench.of('db').onStart = [new AppError('internal', 'boom')]
    await bench.services.startAll()
    expect((await bench.services.stopAll(30_000)).ok).toBe(true)
    await bench.advance(600_000)
    expect(bench.of('db').starts).toBe(1)
    expect(bench.stateOf('db')).toBe('stopped')
  })

  test('an end while it stops is a good stop, whatever the end', async () => {
    const bench = new Bench([auto('db')])
    await bench.services.startAll()
    bench.of('db').onStop = 'never'
    const report = bench.services.stopAll(30_000)
    bench.of('db').crash(new AppError('internal', 'interrupted'))
    expect(await report).toMatchObject({ ok: true, tookMs: 0 })
  })

  test('nothing starts afterwards', async () => {
    const bench = chain()
    await bench.services.startAll()
    await bench.services.stopAll(30_000)
    expect(() => bench.services.start('app:db')).toThrow('cannot start app:db: all services are being stopped')
    await bench.services.startAll()
    expect(bench.services.status().every(({ state }) => state === 'stopped')).toBe(true)
  })

  test('services that never ran stop at once', async () => {
    expect(await chain().services.stopAll(30_000)).toMatchObject({ ok: true, tookMs: 0 })
  })

  test('what cannot be killed is asked once, and has a second more', async () => {
    const bench = chain()
    const asked: number[] = []
    bench.of('db').start = () =>
      Promise.resolve({
        stop: (deadlineMs) => {
          asked.push(deadlineMs)
          return new Promise((resolve) => void bench.clock.after(600, resolve))
        },
      })
    await bench.services.startAll()
    const report = bench.services.stopAll(200)
    await bench.advance(200)
    expect(bench.stateOf('db')).toBe('stopped')
    let isOver = false
    void report.then(() => (isOver = true))
    await bench.advance(399)
    expect(isOver).toBe(false)
    await bench.advance(1)
    expect(isOver).toBe(true)
    expect(asked).toEqual([200])
    expect((await report).tookMs).toBe(200)
  })

  test('and is then left behind', async () => {
    const bench = new Bench([auto('db')])
    bench.of('db').onStart = ['never']
    void bench.services.startAll()
    const report = bench.services.stopAll(500)
    await bench.advance(1_500)
    expect((await report).problems).toHaveLength(1)
    bench.of('db').comeUp()
    await bench.settle()
    expect(bench.of('db').running).toBe(0)
  })
})

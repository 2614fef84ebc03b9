import { AppError } from '@daruma/protocol'
import { entry } from '@daruma/registry/testing'
import { describe, expect, test } from 'vitest'
import { auto, Bench, manual } from './services-bench.ts'

const boom = new AppError('internal', 'boom')
const never = new AppError('permission_denied', 'no licence', undefined, { retryable: false })

describe('start order', () => {
  test('what requires nothing starts at once and in parallel, the rest when what it requires runs', async () => {
    const bench = new Bench([auto('web', { requires: ['db', 'cache'] }), auto('cache'), auto('db')])
    bench.of('db').onStart = ['never']
    const report = bench.services.startAll()
    await bench.settle()
    expect(bench.news()).toEqual(['start app:cache', 'up app:cache', 'start app:db'])
    expect(bench.statusOf('web')).toMatchObject({
      state: 'unknown',
      waitsFor: 'app:db',
      lastReason: 'requires app:db, which is starting',
    })
    bench.of('db').comeUp()
    expect(await report).toMatchObject({ ok: true, problems: [] })
    expect(bench.news()).toEqual(['up app:db', 'start app:web', 'up app:web'])
  })

  test('a slow start holds up nobody who does not require it', async () => {
    const bench = new Bench([auto('slow'), auto('a'), auto('b', { requires: ['a'] })])
    bench.of('slow').onStart = ['never']
    void bench.services.startAll()
    await bench.settle()
    expect(bench.stateOf('b')).toBe('running')
    expect(bench.stateOf('slow')).toBe('starting')
  })

  test('references order like requires, also through entries that are no services', async () => {
    const code = entry('app:code', 'registry.entry', { lifecycle: { requires: ['db'] } })
    const bench = new Bench([
      entry('app:service', 'process.service', {
        process: 'code',
        host: 'processes',
        lifecycle: { auto_start: true, requires: ['middle'] },
      }),
      entry('app:middle', 'store.memory', { lifecycle: { requires: ['db'] } }),
      manual('db'),
      entry('app:processes', 'process.host'),
      code,
    ])
    await bench.services.startAll()
    expect(bench.news().filter((line) => line.startsWith('start'))).toEqual([
      'start app:db',
      'start app:processes',
      'start app:middle',
      'start app:service',
    ])
  })

  test('auto_start takes along what it requires, and nothing else', async () => {
    const bench = new Bench([auto('web', { requires: ['db'] }), manual('db'), manual('other')])
    const { services } = await bench.services.startAll()
    expect(services.map(({ id, state }) => [id, state])).toEqual([
      ['app:db', 'running'],
      ['app:web', 'running'],
    ])
    expect(bench.stateOf('other')).toBe('unknown')
  })

  test('entries that require each other are refused with the path', () => {
    const circle = [auto('a', { requires: ['b'] }), auto('b', { requires: ['a'] })]
    expect(() => new Bench(circle)).toThrow('entries require each other: app:a -> app:b -> app:a')
  })

  test('a service that did its work and ended well counts as there', async () => {
    const bench = new Bench([auto('migration'), auto('slow'), auto('web', { requires: ['migration', 'slow'] })])
    bench.of('slow').onStart = ['never']
    const report = bench.services.startAll()
    await bench.settle()
    bench.of('migration').finish()
    await bench.settle()
    bench.of('slow').comeUp()
    expect((await report).ok).toBe(true)
    expect(bench.statusOf('migration')).toMatchObject({ state: 'exited', finished: true })
    expect(bench.stateOf('web')).toBe('running')
  })

  test('an app without services has started at once', async () => {
    expect(await new Bench([]).services.startAll()).toEqual({ ok: true, services: [], problems: [], tookMs: 0 })
  })
})

describe('a start that fails', () => {
  test('for good: it is reported with its reason, and those that require it say why they do not start', async () => {
    const bench = new Bench([
      auto('db'),
      auto('web', { requires: ['db'] }),
      auto('ui', { requires: ['web'] }),
      auto('x'),
    ])
    bench.of('db').onStart = [never]
    const report = await bench.services.startAll()
    expect(report.ok).toBe(false)
    expect(report.problems).toEqual([
      'app:db is exited: permission_denied: no licence',
      'app:web does not start: requires app:db, which exited (permission_denied: no licence)',
      'app:ui does not start: requires app:db, which exited (permission_denied: no licence)',
    ])
    expect(bench.stateOf('x')).toBe('running')
    await bench.advance(600_000)
    expect(bench.of('db').starts).toBe(1)
    expect(bench.records.filter(({ level }) => level === 'error')).toEqual([
      { level: 'error', message: 'service app:db exited' },
    ])
  })

  test('for now: the boot goes on, and those that require it start when it runs after all', async () => {
    const bench = new Bench([auto('db'), auto('web', { requires: ['db'] })])
    bench.of('db').onStart = [boom, boom, 'well']
    const report = await bench.services.startAll()
    expect(report.problems).toEqual([
      'app:db failed, next attempt in 1s: internal: boom',
      'app:web does not start: requires app:db, which failed (internal: boom)',
    ])
    await bench.advance(999)
    expect(bench.of('db').starts).toBe(1)
    await bench.advance(1)
    expect(bench.of('db').starts).toBe(2)
    await bench.advance(1_999)
    expect(bench.stateOf('web')).toBe('unknown')
    await bench.advance(1)
    expect(bench.stateOf('web')).toBe('running')
    expect(bench.statusOf('db')).toMatchObject({ state: 'running', restarts: 2 })
  })

  test('a start that hangs fails after start_timeout, and what comes up later is killed', async () => {
    const bench = new Bench([auto('db', { start_timeout: '3s' })])
    bench.of('db').onStart = ['never', 'well']
    const report = bench.services.startAll()
    await bench.advance(3_000)
    expect((await report).problems).toEqual(['app:db failed, next attempt in 1s: timeout: not up within 3s'])
    expect((await report).tookMs).toBe(3_000)
    bench.of('db').comeUp()
    await bench.settle()
    expect(bench.news()).toEqual(['start app:db', 'abort app:db', 'up app:db', 'killed app:db'])
    await bench.advance(1_000)
    expect(bench.of('db').running).toBe(1)
  })

  test('a start that throws at once fails like any other', async () => {
    const bench = new Bench([auto('db')])
    bench.of('db').start = () => {
      throw boom
    }
    expect((await bench.services.startAll()).problems).toEqual(['app:db failed, next attempt in 1s: internal: boom'])
  })
})

describe('a run that fails', () => {
  test('is restarted after its backoff; those that require it stay up', async () => {
    const bench = new Bench([auto('db'), auto('web', { requires: ['db'] })])
    await bench.services.startAll()
    bench.of('db').crash(boom)
    await bench.settle()
    expect(bench.statusOf('db')).toMatchObject({
      state: 'failed',
      restarts: 1,
      lastReason: 'internal: boom',
      nextAttemptMs: bench.clock.wallMs() + 1_000,
    })
    await bench.advance(1_000)
    expect(bench.stateOf('db')).toBe('running')
    expect(bench.of('web').starts).toBe(1)
  })

  test.each([
    ['cancelled', new AppError('canceled', 'canceled')],
    ['terminated', new AppError('canceled', 'process was terminated', undefined, { retryable: false })],
    ['failed with an error marked not retryable', never],
  ])('is not restarted when it was %s', async (_title, error) => {
    const bench = new Bench([auto('db')])
    await bench.services.startAll()
    bench.of('db').crash(error)
    await bench.advance(600_000)
    expect(bench.statusOf('db')).toMatchObject({ state: 'exited', lastReason: `${error.kind}: ${error.message}` })
    expect(bench.statusOf('db').nextAttemptMs).toBeUndefined()
    expect(bench.of('db').starts).toBe(1)
  })

  test('is given up after max_attempts, and the status says so', async () => {
    const bench = new Bench([auto('db', { restart: { max_attempts: 1 } })])
    await bench.services.startAll()
    bench.of('db').onStart = [boom]
    bench.of('db').crash(boom)
    await bench.advance(1_000)
    expect(bench.statusOf('db')).toMatchObject({ state: 'failed', restarts: 1 })
    expect(bench.statusOf('db').nextAttemptMs).toBeUndefined()
    expect(bench.records.at(-1)).toEqual({ level: 'error', message: 'service app:db failed' })
    expect(bench.clock.pending).toBe(0)
  })

  test('waits with its restart until what it requires runs, without using up attempts', async () => {
    const bench = new Bench([auto('db'), auto('web', { requires: ['db'], restart: { max_attempts: 1 } })])
    await bench.services.startAll()
    bench.of('db').onStart = [boom, boom, boom, 'well']
    bench.of('db').starts = 0
    bench.of('db').crash(boom)
    bench.of('web').crash(boom)
    await bench.advance(6_999)
    expect(bench.statusOf('web')).toMatchObject({ state: 'failed', restarts: 1, waitsFor: 'app:db' })
    expect(bench.of('web').starts).toBe(1)
    await bench.advance(8_001)
    expect(bench.stateOf('db')).toBe('running')
    expect(bench.of('web').starts).toBe(2)
    expect(bench.stateOf('web')).toBe('running')
  })

  test('after a stable run begins a new series', async () => {
    const bench = new Bench([auto('db', { stable_threshold: '5s' })])
    await bench.services.startAll()
    for (let crash = 0; crash < 2; crash++) {
      bench.of('db').crash(boom)
      await bench.advance(2_000)
    }
    expect(bench.statusOf('db').restarts).toBe(2)
    await bench.advance(5_000)
    expect(bench.statusOf('db').restarts).toBe(0)
    bench.of('db').crash(boom)
    await bench.settle()
    expect(bench.statusOf('db')).toMatchObject({ restarts: 1, nextAttemptMs: bench.clock.wallMs() + 1_000 })
  })

  test('a run that ends well is not restarted', async () => {
    const bench = new Bench([auto('job')])
    await bench.services.startAll()
    bench.of('job').finish()
    await bench.advance(600_000)
    expect(bench.statusOf('job')).toMatchObject({ state: 'exited', finished: true, restarts: 0 })
    expect(bench.statusOf('job').lastReason).toBeUndefined()
  })
})

describe('by hand', () => {
  test('a start takes along what the service requires', async () => {
    const bench = new Bench([manual('web', { requires: ['db'] }), manual('db')])
    expect((await bench.services.start('app:web')).ok).toBe(true)
    expect(bench.news()).toEqual(['start app:db', 'up app:db', 'start app:web', 'up app:web'])
  })

  test('a start does not wait for the backoff, and begins a new series', async () => {
    const bench = new Bench([auto('db')])
    bench.of('db').onStart = [boom, 'well']
    await bench.services.startAll()
    expect((await bench.services.start('app:db')).ok).toBe(true)
    expect(bench.statusOf('db')).toMatchObject({ state: 'running', restarts: 0 })
    expect(bench.clock.pending).toBe(0)
  })

  test('what was refused, given up or finished starts again; what runs is left alone', async () => {
    const bench = new Bench([auto('a'), auto('b')])
    bench.of('a').onStart = [never, 'well']
    await bench.services.startAll()
    bench.of('b').finish()
    await bench.settle()
    await bench.services.start('app:a')
    await bench.services.start('app:b')
    await bench.services.start('app:b')
    expect(['a', 'b'].map((name) => [bench.stateOf(name), bench.of(name).starts])).toEqual([
      ['running', 2],
      ['running', 2],
    ])
  })

  test('those that wait for a service start when it is started by hand', async () => {
    const bench = new Bench([auto('db'), auto('web', { requires: ['db'] })])
    bench.of('db').onStart = [never, 'well']
    await bench.services.startAll()
    await bench.services.start('app:db')
    expect(bench.stateOf('web')).toBe('running')
  })

  test('a stop stops those that require the service first, and nothing restarts', async () => {
    const bench = new Bench([auto('db'), auto('web', { requires: ['db'] }), auto('x')])
    await bench.services.startAll()
    bench.news()
    const report = await bench.services.stop('app:db')
    expect(report.services.map(({ id }) => id)).toEqual(['app:web', 'app:db'])
    expect(bench.news()).toEqual(['stop app:web', 'gone app:web', 'stop app:db', 'gone app:db'])
    await bench.advance(600_000)
    expect(['db', 'web', 'x'].map((name) => bench.stateOf(name))).toEqual(['stopped', 'stopped', 'running'])
  })

  test('a start during a stop comes after it', async () => {
    const bench = new Bench([auto('db', { stop_timeout: '2s' })])
    await bench.services.startAll()
    bench.of('db').onStop = 'never'
    void bench.services.stop('app:db')
    const report = bench.services.start('app:db')
    await bench.advance(2_000)
    expect((await report).ok).toBe(true)
    expect(bench.news().slice(2)).toEqual(['stop app:db', 'killed app:db', 'start app:db', 'up app:db'])
  })

  test('a start comes after the close of what could not be killed', async () => {
    const bench = new Bench([manual('db', { stop_timeout: '2s' })])
    const done: string[] = []
    bench.of('db').start = () => {
      done.push(`start at ${bench.clock.monotonicMs()}`)
      return Promise.resolve({ stop: () => new Promise((resolve) => void bench.clock.after(5_000, resolve)) })
    }
    await bench.services.start('app:db')
    const stop = bench.services.stop('app:db')
    await bench.advance(2_000)
    expect((await stop).problems).toEqual(['app:db was killed: not stopped within 2s'])
    const start = bench.services.start('app:db')
    await bench.advance(3_000)
    expect((await start).ok).toBe(true)
    expect(done).toEqual(['start at 0', 'start at 5000'])
  })

  test('a name that is no service is told with the nearest one', () => {
    const bench = new Bench([auto('database')])
    expect(() => bench.services.start('app:databse')).toThrow('no service app:databse; did you mean app:database?')
    expect(() => bench.services.stop('nothing')).toThrow('no service nothing')
  })
})

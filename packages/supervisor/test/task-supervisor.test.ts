import type { BodyContext } from '@daruma/actors'
import { exitShutdown, isAppError } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import type { TaskSupervisor } from '../src/index.ts'
import { awaitTask, countChildren, startTask, streamTasks, taskSupervisor } from '../src/index.ts'
import { Stage } from './stage.ts'

const tasksOf = (stage: Stage, options = {}): Promise<TaskSupervisor> =>
  stage.run(stage.system.start(taskSupervisor(options)))
const nap =
  <R>(ms: number, value: R) =>
  async (ctx: BodyContext): Promise<R> => {
    await ctx.sleep(ms)
    return value
  }
const settledKind = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'fulfilled',
    (error: unknown) => (isAppError(error) ? error.kind : 'other'),
  )

describe('one task', () => {
  test('its value is what its function returns, at once or later', async () => {
    await using stage = new Stage()
    const tasks = await tasksOf(stage)
    const quick = await stage.run(startTask(stage.system, tasks, () => 42))
    expect(await stage.run(awaitTask(stage.system, quick))).toBe(42)
    const slow = await stage.run(startTask(stage.system, tasks, nap(1_000, 'done')))
    const value = awaitTask(stage.system, slow)
    await stage.test.advance(1_000)
    expect(await value).toBe('done')
  })

  test('61: an await that times out forgets the task, and nothing of it comes later', async () => {
    await using stage = new Stage()
    const tasks = await tasksOf(stage)
    const probe = await stage.test.probe()
    const task = await stage.run(startTask(probe.ctx, tasks, nap(10_000, 'late')))
    const waiting = settledKind(awaitTask(probe.ctx, task, 5_000))
    await stage.test.advance(5_000)
    expect(await waiting).toBe('timeout')
    await stage.test.advance(5_000)
    expect(await task.outcome).toEqual({ kind: 'returned', value: 'late' })
    expect(probe.received).toEqual([])
    expect(stage.test.deadLetters).toEqual([])
  })

  test('a crash rejects who awaits it and harms nobody who is not linked', async () => {
    await using stage = new Stage()
    const tasks = await tasksOf(stage)
    const task = await stage.run(
      startTask(stage.system, tasks, () => {
        throw new Error('no')
      }),
    )
    expect(await stage.run(settledKind(awaitTask(stage.system, task)))).toBe('unavailable')
    expect(stage.system.isAlive(tasks)).toBe(true)
    expect(stage.reportsOf('crash')).toMatchObject([{ child: 'task', nextDelayMs: undefined }])
  })

  test('linked: a crash of the task reaches its owner, and the end of the owner ends the task', async () => {
    await using stage = new Stage()
    const tasks = await tasksOf(stage)
    const probe = await stage.test.probe()
    const crashing = await stage.run(
      startTask(
        probe.ctx,
        tasks,
        () => {
          throw new Error('no')
        },
        { link: true },
      ),
    )
    await stage.test.runUntilIdle()
    expect(probe.received).toMatchObject([{ kind: 'exit', from: crashing.pid }])
    const lasting = await stage.run(startTask(probe.ctx, tasks, nap(1_000_000, 0), { link: true }))
    await stage.test.runUntilIdle()
    stage.system.exit(probe.pid, { kind: 'kill' })
    await stage.test.runUntilIdle()
    expect(stage.system.isAlive(lasting.pid)).toBe(false)
  })

  test('cancel stops it and aborts its signal; a second cancel is fine', async () => {
    await using stage = new Stage()
    const tasks = await tasksOf(stage)
    let aborted = false
    const task = await stage.run(
      startTask(stage.system, tasks, (ctx) => {
        ctx.signal.addEventListener('abort', () => (aborted = true))
        return ctx.sleep(1_000_000)
      }),
    )
    await stage.run(task.cancel())
    await stage.run(task.cancel())
    expect(aborted).toBe(true)
    expect(await task.outcome).toEqual({ kind: 'exited', reason: exitShutdown })
  })

  test('more than maxChildren is refused', async () => {
    await using stage = new Stage()
    const tasks = await tasksOf(stage, { maxChildren: 1 })
    await stage.run(startTask(stage.system, tasks, nap(1_000, 0)))
    expect(await stage.run(settledKind(startTask(stage.system, tasks, () => 0)))).toBe('rate_limited')
  })
})

describe('a stream of tasks', () => {
  const collect = async <T>(stream: AsyncIterable<T>): Promise<T[]> => {
    const all: T[] = []
    for await (const one of stream) all.push(one)
    return all
  }
  const drive = async <T>(stage: Stage, promise: Promise<T>): Promise<T> => {
    let done = false
    void promise.finally(() => (done = true)).catch(() => undefined)
    for (let step = 0; step < 200 && !done; step++) await stage.test.advance(10)
    return promise
  }

  test.each([
    [true, [0, 1, 2, 3]],
    [false, [1, 2, 3, 0]],
  ] as const)('ordered %s yields the results in the order %j', async (ordered, order) => {
    await using stage = new Stage()
    const tasks = await tasksOf(stage)
    const stream = streamTasks(stage.system, tasks, [90, 10, 20, 30], (ms, ctx) => nap(ms, ms)(ctx), { ordered })
    const results = await drive(stage, collect(stream))
    expect(results.map(({ at }) => at)).toEqual(order)
    expect(results.every(({ kind }) => kind === 'returned')).toBe(true)
  })

  test.each([true, false])('never runs more than maxConcurrency at once (ordered %s)', async (ordered) => {
    await using stage = new Stage()
    const tasks = await tasksOf(stage)
    let running = 0
    let most = 0
    const work = async (ms: number, ctx: BodyContext): Promise<void> => {
      most = Math.max(most, ++running)
      await ctx.sleep(ms)
      running--
    }
    const items = Array.from({ length: 20 }, (_, at) => 10 + (at % 4) * 20)
    const results = await drive(
      stage,
      collect(streamTasks(stage.system, tasks, items, work, { maxConcurrency: 3, ordered })),
    )
    expect(results).toHaveLength(20)
    expect(most).toBe(3)
  })

  test('a task that crashes or takes too long is one outcome among the others', async () => {
    await using stage = new Stage()
    const tasks = await tasksOf(stage)
    const work = async (item: string, ctx: BodyContext): Promise<string> => {
      if (item === 'crash') throw new Error('no')
      await ctx.sleep(item === 'slow' ? 10_000 : 10)
      return item
    }
    const stream = streamTasks(stage.system, tasks, ['a', 'crash', 'slow', 'b'], work, { timeoutMs: 100 })
    const results = await drive(stage, collect(stream))
    expect(results).toMatchObject([
      { kind: 'returned', value: 'a' },
      { kind: 'exited', reason: { kind: 'error' } },
      { kind: 'exited', reason: { kind: 'error', error: { kind: 'timeout' } } },
      { kind: 'returned', value: 'b' },
    ])
  })

  test('leaving the loop cancels what still runs and closes the source', async () => {
    await using stage = new Stage()
    const tasks = await tasksOf(stage)
    let closed = false
    function* source(): Generator<number> {
      try {
        for (let item = 0; ; item++) yield item
      } finally {
        closed = true
      }
    }
    const first = async (): Promise<number> => {
      for await (const { at } of streamTasks(stage.system, tasks, source(), (item, ctx) =>
        nap(10 + item * 1_000, item)(ctx),
      )) {
        return at
      }
      return -1
    }
    expect(await drive(stage, first())).toBe(0)
    expect(closed).toBe(true)
    expect(await stage.run(countChildren(stage.system, tasks))).toMatchObject({ active: 0 })
  })
})

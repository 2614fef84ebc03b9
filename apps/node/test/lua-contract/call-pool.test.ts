import { isAppError } from '@daruma/protocol'
import { SimClock } from '@daruma/protocol/testing'
import { expect, test } from 'vitest'
import { CallPool } from '../../src/hosts/call-pool.ts'

/** Calls that end when they are told to; `begun` has those that run or have run. */
function world() {
  const clock = new SimClock()
  const pool = new CallPool('app:f', clock)
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const run = (
    name: string,
    limits: { workers?: number; size?: number; maxSize?: number; buffer?: number },
    wait: { signal?: AbortSignal; timeoutMs?: number } = {},
  ): Promise<string> =>
    pool.run({ type: 'static', warmStart: false, ...limits }, wait, (waitedMs) => {
      begun.push(waitedMs === 0 ? name : `${name} after ${waitedMs}`)
      return new Promise((resolve) => ends.set(name, () => resolve(name)))
    })
  return { run, begun, clock, end: (name: string) => ends.get(name)!() }
}

test.each([{ workers: 2 }, { size: 2 }, { maxSize: 2 }])('with %o the third call waits for an end', async (limits) => {
  const { run, begun, end } = world()
  const calls = ['a', 'b', 'c', 'd'].map((name) => run(name, limits))
  expect(begun).toEqual(['a', 'b'])
  end('b')
  expect(await calls[1]).toBe('b')
  await Promise.resolve()
  expect(begun).toEqual(['a', 'b', 'c'])
  end('a')
  end('c')
  await calls[2]
  await Promise.resolve()
  expect(begun).toEqual(['a', 'b', 'c', 'd'])
})

test('without a limit every call runs at once, in the turn of its birth', () => {
  const { run, begun } = world()
  for (const name of ['a', 'b', 'c']) void run(name, {})
  expect(begun).toEqual(['a', 'b', 'c'])
})

test('more than the buffer holds are refused, and may be tried again', async () => {
  const { run } = world()
  const limits = { workers: 1, buffer: 1 }
  void run('a', limits)
  void run('b', limits)
  await expect(run('c', limits)).rejects.toMatchObject({ kind: 'rate_limited', retryable: true })
})

test('one that is canceled while it waits never runs, and makes room', async () => {
  const { run, begun, end } = world()
  const limits = { workers: 1, buffer: 1 }
  const first = run('a', limits)
  const abort = new AbortController()
  const second = run('b', limits, { signal: abort.signal })
  abort.abort()
  expect(isAppError(await second.catch((error: unknown) => error), 'canceled')).toBe(true)
  const third = run('c', limits)
  end('a')
  await first
  await Promise.resolve()
  expect(begun).toEqual(['a', 'c'])
  end('c')
  expect(await third).toBe('c')
})

test('a failed call gives its place up too', async () => {
  const pool = new CallPool('app:f', new SimClock())
  const limits = { type: 'static', warmStart: false, workers: 1 } as const
  await expect(pool.run(limits, {}, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await pool.run(limits, {}, () => Promise.resolve(1))).toBe(1)
})

test('one that waits for as long as it may is a timeout; one that gets its turn learns how long it waited', async () => {
  const { run, begun, end, clock } = world()
  const limits = { workers: 1 }
  const first = run('a', limits)
  const second = run('b', limits, { timeoutMs: 50 })
  const third = run('c', limits, { timeoutMs: 100 })
  clock.advance(60)
  await expect(second).rejects.toMatchObject({ kind: 'timeout' })
  end('a')
  await first
  await Promise.resolve()
  expect(begun).toEqual(['a', 'c after 60'])
  end('c')
  expect(await third).toBe('c')
})

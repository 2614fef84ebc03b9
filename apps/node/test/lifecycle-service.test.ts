import { describe, expect, test } from 'vitest'
import {
  decideService,
  factsOf,
  initialService,
  restartsAt,
  stateOf,
  type Failure,
  type ServiceEffect,
  type ServiceEvent,
  type ServicePolicy,
  type ServiceSnapshot,
  type ServiceState,
} from '../src/service-lifecycle.ts'

const policy: ServicePolicy = {
  startTimeoutMs: 10_000,
  stopTimeoutMs: 7_000,
  stableThresholdMs: 5_000,
  restart: { initialDelayMs: 1_000, maxDelayMs: 90_000, backoffFactor: 2, jitter: 0.1, maxAttempts: 0 },
}
const broken: Failure = { reason: 'internal: boom', isFinal: false }
const refused: Failure = { reason: 'invalid: never', isFinal: true }

const start: ServiceEvent = { type: 'start' }
const up: ServiceEvent = { type: 'up', nowMs: 0 }
const stop: ServiceEvent = { type: 'stop' }
const kill: ServiceEvent = { type: 'kill', reason: 'by force' }
const gone: ServiceEvent = { type: 'gone' }
const finished: ServiceEvent = { type: 'finished' }
const retryDue: ServiceEvent = { type: 'retry_due' }
const failed = (nowMs = 0, failure = broken): ServiceEvent => ({ type: 'failed', failure, nowMs, random: 0.5 })
const startTimeout: ServiceEvent = { type: 'start_timeout', nowMs: 10_000, random: 0.5 }
const stopTimeout: ServiceEvent = { type: 'stop_timeout' }
const stopFailed: ServiceEvent = { type: 'stop_failed', failure: broken }

/** The snapshot after these events, and what the last of them asked for. */
function after(events: readonly ServiceEvent[], with_: ServicePolicy = policy): [ServiceSnapshot, ServiceEffect[]] {
  let snapshot = initialService(with_)
  let effects: readonly ServiceEffect[] = []
  for (const event of events) [snapshot, effects] = decideService(snapshot, event)
  return [snapshot, [...effects]]
}

const arm = (event: 'start_timeout' | 'stop_timeout' | 'retry_due', delayMs: number): ServiceEffect => ({
  kind: 'arm',
  event,
  delayMs,
})
const disarm: ServiceEffect = { kind: 'disarm' }
const killRun: ServiceEffect = { kind: 'kill_run' }
const startRun: ServiceEffect = { kind: 'start_run' }
const stopRun = (deadlineMs: number): ServiceEffect => ({ kind: 'stop_run', deadlineMs })

describe('what each event makes of a service, and what is done then', () => {
  const grid: readonly [string, ServiceEvent[], ServiceState, ServiceEffect[]][] = [
    ['it is unknown until it is started', [], 'unknown', []],
    ['a start is bounded by start_timeout', [start], 'starting', [arm('start_timeout', 10_000), startRun]],
    ['it runs when its start is through', [start, up], 'running', [disarm]],
    ['a start that fails is tried again', [start, failed()], 'failed', [disarm, arm('retry_due', 1_000)]],
    [
      'a start that takes too long is killed and tried again',
      [start, startTimeout],
      'failed',
      [disarm, killRun, arm('retry_due', 1_000)],
    ],
    ['a start that fails for good is not', [start, failed(0, refused)], 'exited', [disarm]],
    ['a run that fails is tried again', [start, up, failed()], 'failed', [arm('retry_due', 1_000)]],
    ['a run that fails for good is not', [start, up, failed(0, refused)], 'exited', []],
    ['a run that ends well is over', [start, up, finished], 'exited', []],
    [
      'a restart is a start like the first',
      [start, failed(), retryDue],
      'starting',
      [disarm, arm('start_timeout', 10_000), startRun],
    ],
    ['a stop is bounded by stop_timeout', [start, up, stop], 'stopping', [arm('stop_timeout', 7_000), stopRun(7_000)]],
    [
      'a stop within less time has less',
      [start, up, { type: 'stop', withinMs: 500 }],
      'stopping',
      [arm('stop_timeout', 500), stopRun(500)],
    ],
    [
      'a stop within more time has no more',
      [start, up, { type: 'stop', withinMs: 60_000 }],
      'stopping',
      [arm('stop_timeout', 7_000), stopRun(7_000)],
    ],
    ['it is stopped when its run is gone', [start, up, stop, gone], 'stopped', [disarm]],
    ['a stop that takes too long ends in a kill', [start, up, stop, stopTimeout], 'stopped', [disarm, killRun]],
    ['a stop that fails ends in a kill', [start, up, stop, stopFailed], 'stopped', [disarm, killRun]],
    ['a start is stopped like a run', [start, stop], 'stopping', [disarm, arm('stop_timeout', 7_000), stopRun(7_000)]],
    ['a service that waits for its restart stops at once', [start, failed(), stop], 'stopped', [disarm]],
    ['a kill does not wait: starting', [start, kill], 'stopped', [disarm, killRun]],
    ['a kill does not wait: running', [start, up, kill], 'stopped', [killRun]],
    ['a kill does not wait: stopping', [start, up, stop, kill], 'stopped', [disarm, killRun]],
    ['a kill does not wait: retrying', [start, failed(), kill], 'stopped', [disarm]],
    ['a second stop changes nothing', [start, up, stop, stop], 'stopping', []],
    ['what was never started is not stopped', [stop], 'unknown', []],
    ['what is over stays as it ended', [start, up, finished, stop], 'exited', []],
  ]
  test.each(grid)('%s', (_title, events, state, effects) => {
    const [snapshot, asked] = after(events)
    expect(stateOf(snapshot)).toBe(state)
    expect(asked).toEqual(effects)
  })

  test.each([
    ['stopped', [start, up, stop, gone]],
    ['finished', [start, up, finished]],
    ['refused', [start, failed(0, refused)]],
    ['retrying', [start, failed()]],
  ] as const)('a start by order begins a new series: %s', (_title, events) => {
    const [snapshot] = after([...events, start])
    expect(stateOf(snapshot)).toBe('starting')
    expect(factsOf(snapshot)).toMatchObject({ restarts: 0, lastReason: undefined })
  })
})

describe('the restart policy', () => {
  const delaysOf = (with_: ServicePolicy, count: number, random = 0.5): number[] => {
    let [snapshot] = after([start], with_)
    const delays: number[] = []
    for (let attempt = 0; attempt < count; attempt++) {
      const [next, effects] = decideService(snapshot, { type: 'failed', failure: broken, nowMs: 0, random })
      delays.push(...effects.flatMap((effect) => (effect.kind === 'arm' ? [effect.delayMs] : [])))
      snapshot = decideService(next, retryDue)[0]
    }
    return delays
  }
  const restart = (fields: Partial<ServicePolicy['restart']>): ServicePolicy => ({
    ...policy,
    restart: { ...policy.restart, ...fields },
  })

  test('the wait grows by backoff_factor from initial_delay up to max_delay', () => {
    expect(delaysOf(policy, 9)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 90_000, 90_000])
    expect(delaysOf(restart({ initialDelayMs: 200, backoffFactor: 3, maxDelayMs: 1_000 }), 4)).toEqual([
      200, 600, 1_000, 1_000,
    ])
  })

  test('jitter makes it longer or shorter, never longer than max_delay', () => {
    expect(delaysOf(policy, 2, 0)).toEqual([900, 1_800])
    expect(delaysOf(restart({ jitter: 0.5 }), 2, 0.999_999)).toEqual([1_500, 3_000])
    expect(delaysOf(restart({ maxDelayMs: 1_000 }), 1, 0.999_999)).toEqual([1_000])
  })

  test('after max_attempts restarts in a row it is given up', () => {
    const limited = restart({ maxAttempts: 2 })
    expect(delaysOf(limited, 4)).toEqual([1_000, 2_000])
    const [snapshot, effects] = after([start, failed(), retryDue, failed(), retryDue, failed()], limited)
    expect(stateOf(snapshot)).toBe('failed')
    expect(factsOf(snapshot)).toMatchObject({ restarts: 2, lastReason: 'internal: boom' })
    expect(effects).toEqual([disarm])
  })

  test('a start that takes too long counts as an attempt', () => {
    const [snapshot, effects] = after([start, startTimeout, retryDue, startTimeout], restart({ maxAttempts: 1 }))
    expect(factsOf(snapshot)).toMatchObject({ restarts: 1, lastReason: 'timeout: not up within 10s' })
    expect(effects).toEqual([disarm, killRun])
  })

  test.each([
    ['shorter than stable_threshold goes on with the series', 4_999, 2, 2_000],
    ['of stable_threshold begins a new one', 5_000, 1, 1_000],
  ])('a run %s', (_title, ranMs, restarts, delayMs) => {
    const [snapshot, effects] = after([start, failed(), retryDue, up, failed(ranMs)])
    expect(factsOf(snapshot).restarts).toBe(restarts)
    expect(effects).toEqual([arm('retry_due', delayMs)])
  })

  test('the time that a start takes is no part of the run', () => {
    const [snapshot] = after([start, failed(), retryDue, { type: 'up', nowMs: 9_000 }, failed(9_500)])
    expect(factsOf(snapshot).restarts).toBe(2)
  })

  test('restarts are forgotten in the middle of a run, once it is stable', () => {
    const [snapshot] = after([start, failed(), retryDue, up])
    expect(restartsAt(factsOf(snapshot), 4_999)).toBe(1)
    expect(restartsAt(factsOf(snapshot), 5_000)).toBe(0)
  })

  test('a good stop forgets the reason of an earlier failure, a bad one says what it was', () => {
    expect(factsOf(after([start, failed(), retryDue, up, stop, gone])[0]).lastReason).toBeUndefined()
    expect(factsOf(after([start, up, stop, stopTimeout])[0]).lastReason).toBe('killed: not stopped within 7s')
    expect(factsOf(after([start, up, stop, stopFailed])[0]).lastReason).toBe('killed: its stop failed: internal: boom')
    expect(factsOf(after([start, up, kill])[0])).toMatchObject({ wasKilled: true, lastReason: 'killed: by force' })
  })
})

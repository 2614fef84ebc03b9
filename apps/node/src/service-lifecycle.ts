import { formatDurationMs } from '@daruma/protocol'
import type { Lifecycle } from '@daruma/registry'
import { backoffDelayMs, type Backoff } from '@daruma/supervisor'
import { assign, initialTransition, setup, transition, type SnapshotFrom } from 'xstate'

/**
 * The life of one service (LUA.md 1.3) as a chart without time, chance or IO: an event in, the next snapshot and what is
 * to be done out. The chart is printed in docs/service-lifecycle.md.
 *
 * L1. At most one run: `start_run` is asked for only where no run is, since every way out of starting, running and
 *     stopping goes through the end of the run or `kill_run`.
 * L2. At most one timer: a state that arms one disarms it when it is left.
 * L3. A series of restarts ends with a run of `stableThresholdMs`, or with a start by hand.
 */

export const serviceStates = ['unknown', 'starting', 'running', 'stopping', 'stopped', 'exited', 'failed'] as const

export type ServiceState = (typeof serviceStates)[number]

export type ServicePolicy = Pick<Lifecycle, 'startTimeoutMs' | 'stopTimeoutMs' | 'stableThresholdMs' | 'restart'>

/** Why a start or a run failed. */
export interface Failure {
  /** For people: kind and message. */
  readonly reason: string
  /** Cancelled, terminated, or marked not retryable: trying again would not help. */
  readonly isFinal: boolean
}

export type TimerEvent = 'start_timeout' | 'stop_timeout' | 'retry_due'

/** `random` is uniform in [0, 1); `nowMs` is monotonic. */
export type ServiceEvent =
  /** By order, not by its own policy: begins a new series. */
  | { readonly type: 'start' }
  | { readonly type: 'up'; readonly nowMs: number }
  | { readonly type: 'failed'; readonly failure: Failure; readonly nowMs: number; readonly random: number }
  | { readonly type: 'start_timeout'; readonly nowMs: number; readonly random: number }
  | { readonly type: 'retry_due' }
  /** The run ended by itself, and well. */
  | { readonly type: 'finished' }
  /** Asks politely. `withinMs`: less time than its own stop timeout. */
  | { readonly type: 'stop'; readonly withinMs?: number }
  /** The run that was asked to stop is over. */
  | { readonly type: 'gone' }
  | { readonly type: 'stop_failed'; readonly failure: Failure }
  | { readonly type: 'stop_timeout' }
  | { readonly type: 'kill'; readonly reason: string }

/** What the performer has to do, in this order. */
export type ServiceEffect =
  | { readonly kind: 'start_run' }
  /** Asks the run, or the start that has not come up yet, to end within `deadlineMs`. */
  | { readonly kind: 'stop_run'; readonly deadlineMs: number }
  /** Ends it at once. A start that comes up later is ended then. */
  | { readonly kind: 'kill_run' }
  | { readonly kind: 'arm'; readonly event: TimerEvent; readonly delayMs: number }
  | { readonly kind: 'disarm' }

export interface ServiceFacts {
  readonly policy: ServicePolicy
  /** Restarts in the current series. */
  readonly restarts: number
  /** Until the next attempt, as armed. Only while retrying. */
  readonly delayMs: number
  /** Monotonic instant at which the current run came up. */
  readonly upSinceMs: number
  /** For the stop that goes on. */
  readonly stopWithinMs: number
  /** What ended the last run or start; undefined before the first end and after a good one. */
  readonly lastReason: string | undefined
  /** The last stop was not a polite one. */
  readonly wasKilled: boolean
}

const machineSetup = setup({
  types: {
    context: {} as ServiceFacts,
    events: {} as ServiceEvent,
    input: {} as ServicePolicy,
  },
  // Named here, done by the performer: `transition` only collects them.
  actions: {
    start_run: () => undefined,
    stop_run: (_facts, _params: { readonly deadlineMs: number }) => undefined,
    kill_run: () => undefined,
    arm: (_facts, _params: { readonly event: TimerEvent; readonly delayMs: number }) => undefined,
    disarm: () => undefined,
    newSeries: assign({ restarts: 0, lastReason: undefined, wasKilled: false }),
    markUp: assign(({ context, event }) => (event.type === 'up' ? { upSinceMs: event.nowMs } : context)),
    markDown: assign({ upSinceMs: Number.POSITIVE_INFINITY }),
    remember: assign(({ context, event }) => ({
      restarts: seriesAt(context, event),
      lastReason: reasonOf(context, event),
      upSinceMs: Number.POSITIVE_INFINITY,
    })),
    backOff: assign(({ context, event }) => {
      const restarts = seriesAt(context, event) + 1
      const random = 'random' in event ? event.random : 0.5
      return {
        restarts,
        delayMs: Math.round(backoffDelayMs(backoffOf(context.policy), restarts, random)),
        lastReason: reasonOf(context, event),
        upSinceMs: Number.POSITIVE_INFINITY,
      }
    }),
    forgetReason: assign({ lastReason: undefined }),
    bound: assign(({ context, event }) => ({
      wasKilled: false,
      stopWithinMs: Math.min(
        context.policy.stopTimeoutMs,
        event.type === 'stop' ? (event.withinMs ?? Number.POSITIVE_INFINITY) : 0,
      ),
    })),
    markKilled: assign(({ context, event }) => ({ wasKilled: true, lastReason: reasonOf(context, event) })),
  },
  guards: {
    isFinal: ({ event }) => event.type === 'failed' && event.failure.isFinal,
    isUsedUp: ({ context, event }) => {
      const { maxAttempts } = context.policy.restart
      return maxAttempts > 0 && seriesAt(context, event) >= maxAttempts
    },
  },
})

/** Ends of a run or a start that may be tried again. */
const onFailure = [
  { guard: 'isFinal', target: '#service.exited.refused', actions: 'remember' },
  { guard: 'isUsedUp', target: '#service.failed.given_up', actions: 'remember' },
  { target: '#service.failed.retrying', actions: 'backOff' },
] as const

export const serviceMachine = machineSetup.createMachine({
  id: 'service',
  context: ({ input }) => ({
    policy: input,
    restarts: 0,
    delayMs: 0,
    upSinceMs: Number.POSITIVE_INFINITY,
    stopWithinMs: input.stopTimeoutMs,
    lastReason: undefined,
    wasKilled: false,
  }),
  initial: 'unknown',
  states: {
    unknown: { on: { start: { target: 'starting', actions: 'newSeries' } } },
    starting: {
      entry: [
        {
          type: 'arm',
          params: ({ context }) => ({ event: 'start_timeout' as const, delayMs: context.policy.startTimeoutMs }),
        },
        'start_run',
      ],
      exit: 'disarm',
      on: {
        up: { target: 'running', actions: 'markUp' },
        failed: onFailure,
        start_timeout: [
          { guard: 'isUsedUp', target: '#service.failed.given_up', actions: ['kill_run', 'remember'] },
          { target: '#service.failed.retrying', actions: ['kill_run', 'backOff'] },
        ],
        stop: { target: 'stopping', actions: 'bound' },
        kill: { target: 'stopped', actions: ['kill_run', 'markKilled'] },
      },
    },
    running: {
      on: {
        finished: { target: '#service.exited.finished', actions: ['markDown', 'forgetReason'] },
        failed: onFailure,
        stop: { target: 'stopping', actions: 'bound' },
        kill: { target: 'stopped', actions: ['kill_run', 'markDown', 'markKilled'] },
      },
    },
    stopping: {
      entry: [
        {
          type: 'arm',
          params: ({ context }) => ({ event: 'stop_timeout' as const, delayMs: context.stopWithinMs }),
        },
        { type: 'stop_run', params: ({ context }) => ({ deadlineMs: context.stopWithinMs }) },
      ],
      exit: ['disarm', 'markDown'],
      on: {
        gone: { target: 'stopped', actions: 'forgetReason' },
        stop_failed: { target: 'stopped', actions: ['kill_run', 'markKilled'] },
        stop_timeout: { target: 'stopped', actions: ['kill_run', 'markKilled'] },
        kill: { target: 'stopped', actions: ['kill_run', 'markKilled'] },
      },
    },
    stopped: { on: { start: { target: 'starting', actions: 'newSeries' } } },
    exited: {
      initial: 'finished',
      on: { start: { target: 'starting', actions: 'newSeries' } },
      states: { finished: {}, refused: {} },
    },
    failed: {
      initial: 'retrying',
      on: { start: { target: 'starting', actions: 'newSeries' } },
      states: {
        retrying: {
          entry: {
            type: 'arm',
            params: ({ context }) => ({ event: 'retry_due' as const, delayMs: context.delayMs }),
          },
          exit: 'disarm',
          on: { retry_due: '#service.starting', stop: '#service.stopped', kill: '#service.stopped' },
        },
        given_up: {},
      },
    },
  },
})

/** Where a service stands: opaque, immutable. */
export type ServiceSnapshot = SnapshotFrom<typeof serviceMachine>

export function initialService(policy: ServicePolicy): ServiceSnapshot {
  return initialTransition(serviceMachine, policy)[0]
}

/** What `event` makes of a service. An event that its state does not know changes nothing. */
export function decideService(
  snapshot: ServiceSnapshot,
  event: ServiceEvent,
): readonly [snapshot: ServiceSnapshot, effects: readonly ServiceEffect[]] {
  const [next, actions] = transition(serviceMachine, snapshot, event)
  return [next, actions.map(({ type, params }) => ({ kind: type, ...(params as object | undefined) }) as ServiceEffect)]
}

export function stateOf(snapshot: ServiceSnapshot): ServiceState {
  const { value } = snapshot
  return typeof value === 'string' ? value : (Object.keys(value)[0] as ServiceState)
}

/** Nothing more comes of it by itself: a job that is done. */
export const isFinished = (snapshot: ServiceSnapshot): boolean => snapshot.matches({ exited: 'finished' })

export const isRetrying = (snapshot: ServiceSnapshot): boolean => snapshot.matches({ failed: 'retrying' })

export const factsOf = (snapshot: ServiceSnapshot): ServiceFacts => snapshot.context

/** Restarts in the series to which an end, or simply the instant, `nowMs` belongs: 0 after a stable run (L3). */
export function restartsAt(facts: ServiceFacts, nowMs: number): number {
  return nowMs - facts.upSinceMs >= facts.policy.stableThresholdMs ? 0 : facts.restarts
}

function seriesAt(facts: ServiceFacts, event: ServiceEvent): number {
  return 'nowMs' in event ? restartsAt(facts, event.nowMs) : facts.restarts
}

function reasonOf({ policy, stopWithinMs, lastReason }: ServiceFacts, event: ServiceEvent): string | undefined {
  switch (event.type) {
    case 'failed':
      return event.failure.reason
    case 'stop_failed':
      return `killed: its stop failed: ${event.failure.reason}`
    case 'start_timeout':
      return `timeout: not up within ${formatDurationMs(policy.startTimeoutMs)}`
    case 'stop_timeout':
      return `killed: not stopped within ${formatDurationMs(stopWithinMs)}`
    case 'kill':
      return `killed: ${event.reason}`
    default:
      return lastReason
  }
}

function backoffOf({ restart, stableThresholdMs }: ServicePolicy): Backoff {
  return {
    initialMs: restart.initialDelayMs,
    factor: restart.backoffFactor,
    maxMs: restart.maxDelayMs,
    jitter: restart.jitter,
    stableMs: stableThresholdMs,
    maxAttempts: restart.maxAttempts,
  }
}

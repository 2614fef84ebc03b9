import { AppError } from '@daruma/protocol'
import type { Channel, HostFunction, HostResult, LuaValue } from '../engine.ts'
import { sessionOf, type Completion, type Session } from '../session.ts'
import { HostObject, hostClass } from '../value.ts'
import { invalid, requireInteger, requireNumber, requireText, typeName, isString } from './support/args.ts'
import { dayNames, monthNames } from '../calendar.ts'
import { duration, isDuration, requireDurationMs } from './support/duration.ts'
import { parseWithLayout } from './support/go-layout.ts'
import { instant, instantAt, location, requireZone, rfc3339, type Instant } from './support/instant.ts'
import { failWith, fallible, type LuaModule } from './support/module.ts'
import { fixedZone, utcZone, type Zone } from './support/zone.ts'

/** Workflows have no machine, so no local zone: theirs is UTC. */
const localZone = (session: Session): Zone => (session.isWorkflow ? utcZone : session.zones.local())

const now = (session: Session): Instant => instant(session.nowNanoseconds(), localZone(session))

function positiveMs(value: LuaValue, what: string): number {
  const durationMs = requireDurationMs(value, what)
  if (durationMs <= 0) throw invalid(`${what} must be greater than zero`)
  return durationMs
}

/** A `sleep` command that feeds a channel instead of blocking its caller. */
interface TimerState {
  readonly session: Session
  readonly channel: Channel
  /** The pending sleep. */
  id: number | undefined
}

function arm(state: TimerState, durationMs: number, fire: () => void): void {
  const { session } = state
  const answer = session.issue({ kind: 'sleep', durationMs }, (completion: Completion) => {
    state.id = undefined
    if ('value' in completion) fire()
  })
  if (answer.kind === 'refused') throw new AppError(answer.error.kind, answer.error.message)
  if (answer.kind === 'pending') state.id = answer.id
}

/** True: it was still armed. */
function disarm(state: TimerState): boolean {
  const { session, id } = state
  if (id === undefined) return false
  state.id = undefined
  session.forget(id)
  session.issue({ kind: 'abandon', id }, () => undefined)
  return true
}

function fireOnce(state: TimerState): () => void {
  return () => {
    state.channel.push(now(state.session))
  }
}

const timerClass = hostClass<TimerState>({
  name: 'timer',
  methods: {
    channel: ({ state }) => [state.channel],
    response: ({ state }) => [state.channel],
    stop: ({ state }) => [disarm(state)],
    reset: ({ state }, _ctx, [after]) => {
      try {
        const durationMs = positiveMs(after, 'reset: duration')
        const wasArmed = disarm(state)
        arm(state, durationMs, fireOnce(state))
        return [wasArmed]
      } catch (error) {
        return failWith(error)
      }
    },
  },
  tostring: () => 'timer',
})

interface TickerState extends TimerState {
  readonly intervalMs: number
  dueMs: number
  isStopped: boolean
}

/** Ticks keep to the beat of the first one; those that nobody took meanwhile do not pile up. */
function tick(state: TickerState): void {
  if (state.isStopped) return
  const { session, channel, intervalMs } = state
  if (channel.buffered() === 0) channel.push(now(session))
  const nowMs = session.host.nowMs()
  const missed = Math.max(Math.floor((nowMs - state.dueMs) / intervalMs), 0)
  state.dueMs += (missed + 1) * intervalMs
  try {
    arm(state, Math.max(state.dueMs - nowMs, 0), () => tick(state))
  } catch (error) {
    // Nobody called: whoever waits for ticks learns that there are no more.
    state.isStopped = true
    channel.close()
    session.host.log('warn', `ticker stopped: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const tickerClass = hostClass<TickerState>({
  name: 'ticker',
  methods: {
    channel: ({ state }) => [state.channel],
    response: ({ state }) => [state.channel],
    stop: ({ state }) => {
      const wasRunning = !state.isStopped
      state.isStopped = true
      disarm(state)
      return [wasRunning]
    },
  },
  tostring: () => 'ticker',
})

const timerChannel = (session: Session): Channel => session.proc.channel({ capacity: 1, name: 'timer' })

const sleep: HostFunction = fallible((ctx, [time]) => {
  const durationMs = Math.max(requireDurationMs(time, 'sleep: duration'), 0)
  return sessionOf(ctx).ask({ kind: 'sleep', durationMs }, () => [])
})

const parseDuration: HostFunction = fallible((_ctx, [value]) => {
  if (isDuration(value)) return [value]
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw invalid(`parse_duration: ${value} is no duration`)
    return [duration(BigInt(Math.trunc(value)))]
  }
  if (!isString(value)) throw invalid(`parse_duration: expected text or a number, got ${typeName(value)}`)
  return [duration(BigInt(Math.round(requireDurationMs(value, 'parse_duration') * 1e6)))]
})

const date: HostFunction = (
  ctx,
  [year, month = 1, day = 1, hour = 0, minute = 0, second = 0, nanosecond = 0, zone],
) => {
  const session = sessionOf(ctx)
  return [
    instantAt(
      {
        year: requireInteger(year, 'date: year'),
        month: requireInteger(month, 'date: month'),
        day: requireInteger(day, 'date: day'),
        hour: requireInteger(hour, 'date: hour'),
        minute: requireInteger(minute, 'date: minute'),
        second: requireInteger(second, 'date: second'),
      },
      BigInt(requireInteger(nanosecond, 'date: nanosecond')),
      zone === undefined ? localZone(session) : requireZone(zone, 'date: location'),
    ),
  ]
}

const parse: HostFunction = fallible((_ctx, [layout, value, zone]): HostResult => {
  const parsed = parseWithLayout(
    requireText(layout, 'parse: layout'),
    requireText(value, 'parse: value'),
    zone === undefined ? utcZone : requireZone(zone, 'parse: location'),
  )
  if (!parsed.ok) throw invalid(parsed.problem)
  return [instant(BigInt(parsed.epochSeconds) * 1_000_000_000n + BigInt(parsed.nanosecond), parsed.zone)]
})

/** `time.localtz`: the zone is asked for when it is used, so that one library serves processes and workflows. */
const lazyLocal = (zones: { local(): Zone }, deterministic: boolean): Zone =>
  deterministic ? { ...utcZone, name: 'Local' } : { name: 'Local', at: (seconds) => zones.local().at(seconds) }

const layouts = {
  RFC3339: rfc3339,
  RFC3339NANO: '2006-01-02T15:04:05.999999999Z07:00',
  RFC822: '02 Jan 06 15:04 MST',
  RFC822Z: '02 Jan 06 15:04 -0700',
  RFC850: 'Monday, 02-Jan-06 15:04:05 MST',
  RFC1123: 'Mon, 02 Jan 2006 15:04:05 MST',
  RFC1123Z: 'Mon, 02 Jan 2006 15:04:05 -0700',
  ANSIC: 'Mon Jan _2 15:04:05 2006',
  UNIX_DATE: 'Mon Jan _2 15:04:05 MST 2006',
  RUBY_DATE: 'Mon Jan 02 15:04:05 -0700 2006',
  DATE_TIME: '2006-01-02 15:04:05',
  DATE_ONLY: '2006-01-02',
  TIME_ONLY: '15:04:05',
  KITCHEN: '3:04PM',
  STAMP: 'Jan _2 15:04:05',
  STAMP_MILLI: 'Jan _2 15:04:05.000',
  STAMP_MICRO: 'Jan _2 15:04:05.000000',
  STAMP_NANO: 'Jan _2 15:04:05.000000000',
} as const

const numbered = (names: readonly string[], first: number): Record<string, number> =>
  Object.fromEntries(names.map((name, index) => [name.toUpperCase(), index + first]))

export const timeModule: LuaModule = {
  name: 'time',
  summary: 'Instants, durations, zones, sleeping and timers.',
  deterministic: true,
  spec: ({ zones, deterministic }) => ({
    NANOSECOND: 1,
    MICROSECOND: 1_000,
    MILLISECOND: 1_000_000,
    SECOND: 1_000_000_000,
    MINUTE: 60_000_000_000,
    HOUR: 3_600_000_000_000,
    ...layouts,
    ...numbered(monthNames, 1),
    ...numbered(dayNames, 0),
    utc: location(utcZone),
    localtz: location(lazyLocal(zones, deterministic)),
    now: (ctx) => [now(sessionOf(ctx))],
    date,
    unix: (ctx, [seconds, nanoseconds = 0]) => {
      const value = requireNumber(seconds, 'unix: seconds')
      const whole = Math.floor(value)
      // Whole seconds stay exact; a fraction is good to what a float can hold.
      const exact = BigInt(whole) * 1_000_000_000n + BigInt(Math.round((value - whole) * 1e9))
      return [instant(exact + BigInt(requireInteger(nanoseconds, 'unix: nanoseconds')), localZone(sessionOf(ctx)))]
    },
    parse,
    parse_duration: parseDuration,
    load_location: fallible((_ctx, [name]) => {
      const text = requireText(name, 'load_location: name')
      if (text === '') throw invalid('load_location: name must not be empty')
      const zone = zones.named(text)
      if (zone === undefined) {
        throw new AppError('not_found', `unknown time zone "${text}"`, undefined, { retryable: false })
      }
      return [location(zone)]
    }),
    fixed_zone: (_ctx, [name, offset]) => [
      location(fixedZone(requireText(name, 'fixed_zone: name'), requireInteger(offset, 'fixed_zone: offset'))),
    ],
    sleep,
    after: fallible((ctx, [time]) => {
      const session = sessionOf(ctx)
      const state: TimerState = { session, channel: timerChannel(session), id: undefined }
      arm(state, Math.max(requireDurationMs(time, 'after: duration'), 0), fireOnce(state))
      return [state.channel]
    }),
    timer: fallible((ctx, [time]) => {
      const session = sessionOf(ctx)
      const state: TimerState = { session, channel: timerChannel(session), id: undefined }
      arm(state, positiveMs(time, 'timer: duration'), fireOnce(state))
      return [new HostObject(timerClass, state)]
    }),
    ticker: fallible((ctx, [time]) => {
      const session = sessionOf(ctx)
      const intervalMs = positiveMs(time, 'ticker: interval')
      const state: TickerState = {
        session,
        channel: timerChannel(session),
        id: undefined,
        intervalMs,
        dueMs: session.host.nowMs() + intervalMs,
        isStopped: false,
      }
      arm(state, intervalMs, () => tick(state))
      return [new HostObject(tickerClass, state)]
    }),
  }),
  docs: {
    'time.now() -> time': 'In a workflow: recorded, and the same within one turn.',
    'time.date(year, month, day, hour, minute, second, nanosecond, location?) -> time': 'Fields may carry over.',
    'time.unix(seconds, nanoseconds?) -> time': 'From the epoch.',
    'time.parse(layout, text, location?) -> time | nil, error': 'By example: "2006-01-02 15:04:05".',
    'time.parse_duration(text | nanoseconds | duration) -> duration | nil, error': '"1h30m", `5 * time.SECOND`.',
    'time.load_location(name) -> location | nil, error': 'An IANA zone.',
    'time.fixed_zone(name, seconds) -> location': 'East of UTC.',
    'time.sleep(duration)': 'Waits; durable in a workflow.',
    'time.after(duration) -> channel': 'Delivers the time, once.',
    'time.timer(duration) -> timer': '`channel()`, `response()`, `stop()`, `reset(duration)`.',
    'time.ticker(duration) -> ticker': '`channel()`, `response()`, `stop()`; ticks nobody takes do not pile up.',
  },
}

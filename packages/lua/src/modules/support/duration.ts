import { AppError, Tagged, parseDurationMs } from '@daruma/protocol'
import type { LuaValue } from '../../engine.ts'
import { HostObject, hostClass } from '../../value.ts'
import { concatText, invalid, isString, textOf, wrongType } from './args.ts'

export interface DurationState {
  readonly nanoseconds: bigint
}

export type Duration = HostObject<DurationState>

export const durationTag = 'lua.duration'

/** A span of time. Compared by length; nanoseconds, microseconds and milliseconds are whole numbers. */
export const durationClass = hostClass<DurationState>({
  name: 'duration',
  methods: {
    nanoseconds: (self) => [self.state.nanoseconds],
    microseconds: (self) => [self.state.nanoseconds / 1_000n],
    milliseconds: (self) => [self.state.nanoseconds / 1_000_000n],
    seconds: (self) => [Number(self.state.nanoseconds) / 1e9],
    minutes: (self) => [Number(self.state.nanoseconds) / 60e9],
    hours: (self) => [Number(self.state.nanoseconds) / 3_600e9],
    string: (self) => [formatDuration(self.state.nanoseconds)],
  },
  tostring: (self) => formatDuration(self.state.nanoseconds),
  concat: (left, right) => `${concatText(left)}${concatText(right)}`,
  eq: (left, right) => isDuration(left) && isDuration(right) && left.state.nanoseconds === right.state.nanoseconds,
  lt: (left, right) => isDuration(left) && isDuration(right) && left.state.nanoseconds < right.state.nanoseconds,
  le: (left, right) => isDuration(left) && isDuration(right) && left.state.nanoseconds <= right.state.nanoseconds,
  toData: (self) => new Tagged(durationTag, String(self.state.nanoseconds)),
})

export const isDuration = (value: LuaValue): value is Duration => HostObject.is(value, durationClass)

export const duration = (nanoseconds: bigint): Duration => new HostObject(durationClass, { nanoseconds })

/** "1h30m0s", "1.5s", "250ms", "10µs", "3ns", "0s". */
export function formatDuration(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return '0s'
  const sign = nanoseconds < 0n ? '-' : ''
  const ns = nanoseconds < 0n ? -nanoseconds : nanoseconds
  if (ns < 1_000n) return `${sign}${ns}ns`
  if (ns < 1_000_000n) return `${sign}${decimal(ns, 1_000n)}µs`
  if (ns < 1_000_000_000n) return `${sign}${decimal(ns, 1_000_000n)}ms`
  const seconds = ns / 1_000_000_000n
  const hours = seconds / 3_600n
  const minutes = (seconds % 3_600n) / 60n
  const rest = decimal(ns % 60_000_000_000n, 1_000_000_000n)
  if (hours > 0n) return `${sign}${hours}h${minutes}m${rest}s`
  return minutes > 0n ? `${sign}${minutes}m${rest}s` : `${sign}${rest}s`
}

function decimal(value: bigint, unit: bigint): string {
  const fraction = String(value % unit)
    .padStart(String(unit).length - 1, '0')
    .replace(/0+$/, '')
  return fraction === '' ? String(value / unit) : `${value / unit}.${fraction}`
}

/**
 * Milliseconds of a duration that a program wrote: a number is nanoseconds (as in `5 * time.SECOND`), text like "1h30m",
 * or a Duration.
 *
 * @throws AppError invalid - anything else
 */
export function requireDurationMs(value: LuaValue, what: string): number {
  if (isDuration(value)) return Number(value.state.nanoseconds) / 1e6
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw invalid(`${what}: ${value} is no duration`)
    return value / 1e6
  }
  if (isString(value)) {
    try {
      return parseDurationMs(textOf(value))
    } catch (error) {
      throw error instanceof AppError ? invalid(`${what}: ${error.message}`) : error
    }
  }
  throw wrongType(what, 'duration', value)
}

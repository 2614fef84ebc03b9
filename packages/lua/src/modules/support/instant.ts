import { Tagged } from '@daruma/protocol'
import type { LuaValue } from '../../engine.ts'
import { HostObject, hostClass } from '../../value.ts'
import { concatText, requireInteger, requireText, typeName, invalid } from './args.ts'
import { civilFromSeconds, civilToSeconds, dayOfYear, weekday, type Civil } from '../../calendar.ts'
import { duration, isDuration, requireDurationMs } from './duration.ts'
import { formatLayout, type Shown } from './go-layout.ts'
import { fixedZone, localToEpoch, utcZone, type Zone, type ZoneTable } from './zone.ts'
import type { Session } from '../../session.ts'

/** A point in time, with the zone in which it is shown. */
export interface InstantState {
  /** Since the Unix epoch; may be negative. */
  readonly nanoseconds: bigint
  readonly zone: Zone
}

export type Instant = HostObject<InstantState>

export const instantTag = 'lua.time'

export const rfc3339 = '2006-01-02T15:04:05Z07:00'

const perSecond = 1_000_000_000n
/** January 1 of year 1, the instant that counts as "no time". */
const zeroSeconds = -62_135_596_800n

export const instant = (nanoseconds: bigint, zone: Zone): Instant => new HostObject(instantClass, { nanoseconds, zone })

export const isInstant = (value: LuaValue): value is Instant => HostObject.is(value, instantClass)

export function requireInstant(value: LuaValue, what: string): Instant {
  if (!isInstant(value)) throw invalid(`${what}: expected time, got ${typeName(value)}`)
  return value
}

const locationClass = hostClass<Zone>({
  name: 'location',
  methods: { string: (self) => [self.state.name] },
  tostring: (self) => self.state.name,
  eq: (left, right) => isLocation(left) && isLocation(right) && left.state.name === right.state.name,
})

export type Location = HostObject<Zone>
export const isLocation = (value: LuaValue): value is Location => HostObject.is(value, locationClass)
export const location = (zone: Zone): Location => new HostObject(locationClass, zone)

export function requireZone(value: LuaValue, what: string): Zone {
  if (!isLocation(value)) throw invalid(`${what}: expected location, got ${typeName(value)}`)
  return value.state
}

const floorDiv = (a: bigint, b: bigint): bigint => (a >= 0n || a % b === 0n ? a / b : a / b - 1n)

export const secondsOf = (nanoseconds: bigint): number => Number(floorDiv(nanoseconds, perSecond))
const fractionOf = (nanoseconds: bigint): number => Number(nanoseconds - floorDiv(nanoseconds, perSecond) * perSecond)

export function shownOf({ nanoseconds, zone }: InstantState): Shown {
  const seconds = secondsOf(nanoseconds)
  const { offsetSeconds, abbreviation } = zone.at(seconds)
  return {
    civil: civilFromSeconds(seconds + offsetSeconds),
    nanosecond: fractionOf(nanoseconds),
    offsetSeconds,
    abbreviation,
  }
}

const civilOf = (self: Instant): Civil => shownOf(self.state).civil

/** The instant that clocks in `zone` show as `civil`; fields may carry over ("October 32"). */
export function instantAt(civil: Civil, nanosecond: bigint, zone: Zone): Instant {
  return instant(BigInt(localToEpoch(civilToSeconds(civil), zone)) * perSecond + nanosecond, zone)
}

const durationNanoseconds = (value: LuaValue, what: string): bigint =>
  isDuration(value)
    ? value.state.nanoseconds
    : typeof value === 'number' && Number.isInteger(value)
      ? BigInt(value)
      : BigInt(Math.round(requireDurationMs(value, what) * 1e6))

/** Multiples are counted from the zero time, January 1 of year 1. */
function remainder(self: Instant, by: bigint): bigint {
  const since = self.state.nanoseconds - zeroSeconds * perSecond
  return since - floorDiv(since, by) * by
}

const instantClass = hostClass<InstantState>({
  name: 'time',
  methods: {
    add: (self, _ctx, [by]) => [
      instant(self.state.nanoseconds + durationNanoseconds(by, 'add: duration'), self.state.zone),
    ],
    sub: (self, _ctx, [other]) => [
      duration(self.state.nanoseconds - requireInstant(other, 'sub: time').state.nanoseconds),
    ],
    add_date: (self, _ctx, [years = 0, months = 0, days = 0]) => {
      const { civil, nanosecond } = shownOf(self.state)
      return [
        instantAt(
          {
            ...civil,
            year: civil.year + requireInteger(years, 'add_date: years'),
            month: civil.month + requireInteger(months, 'add_date: months'),
            day: civil.day + requireInteger(days, 'add_date: days'),
          },
          BigInt(nanosecond),
          self.state.zone,
        ),
      ]
    },
    before: (self, _ctx, [other]) => [self.state.nanoseconds < requireInstant(other, 'before: time').state.nanoseconds],
    after: (self, _ctx, [other]) => [self.state.nanoseconds > requireInstant(other, 'after: time').state.nanoseconds],
    equal: (self, _ctx, [other]) => [self.state.nanoseconds === requireInstant(other, 'equal: time').state.nanoseconds],
    format: (self, _ctx, [layout]) => [formatLayout(requireText(layout, 'format: layout'), shownOf(self.state))],
    format_rfc3339: (self) => [formatLayout(rfc3339, shownOf(self.state))],
    unix: (self) => [secondsOf(self.state.nanoseconds)],
    unix_nano: (self) => [self.state.nanoseconds],
    date: (self) => {
      const { year, month, day } = civilOf(self)
      return [year, month, day]
    },
    clock: (self) => {
      const { hour, minute, second } = civilOf(self)
      return [hour, minute, second]
    },
    year: (self) => [civilOf(self).year],
    month: (self) => [civilOf(self).month],
    day: (self) => [civilOf(self).day],
    hour: (self) => [civilOf(self).hour],
    minute: (self) => [civilOf(self).minute],
    second: (self) => [civilOf(self).second],
    nanosecond: (self) => [fractionOf(self.state.nanoseconds)],
    weekday: (self) => [weekday(civilOf(self))],
    year_day: (self) => [dayOfYear(civilOf(self))],
    is_zero: (self) => [self.state.nanoseconds === zeroSeconds * perSecond],
    utc: (self) => [instant(self.state.nanoseconds, utcZone)],
    in_local: (self, ctx) => {
      const session = ctx.local as Session
      return [instant(self.state.nanoseconds, session.isWorkflow ? utcZone : session.zones.local())]
    },
    in_location: (self, _ctx, [zone]) => [instant(self.state.nanoseconds, requireZone(zone, 'in_location: location'))],
    location: (self) => [location(self.state.zone)],
    round: (self, _ctx, [by]) => {
      const step = durationNanoseconds(by, 'round: duration')
      if (step <= 0n) return [self]
      const over = remainder(self, step)
      return [instant(self.state.nanoseconds + (over + over < step ? -over : step - over), self.state.zone)]
    },
    truncate: (self, _ctx, [by]) => {
      const step = durationNanoseconds(by, 'truncate: duration')
      return [step <= 0n ? self : instant(self.state.nanoseconds - remainder(self, step), self.state.zone)]
    },
  },
  tostring: (self) => formatLayout('2006-01-02 15:04:05.999999999 -0700 MST', shownOf(self.state)),
  concat: (left, right) => `${concatText(left)}${concatText(right)}`,
  eq: (left, right) => isInstant(left) && isInstant(right) && left.state.nanoseconds === right.state.nanoseconds,
  lt: (left, right) => isInstant(left) && isInstant(right) && left.state.nanoseconds < right.state.nanoseconds,
  le: (left, right) => isInstant(left) && isInstant(right) && left.state.nanoseconds <= right.state.nanoseconds,
  sub: (left, right) => {
    const earlier = requireInstant(right, 'time difference')
    return duration(requireInstant(left, 'time difference').state.nanoseconds - earlier.state.nanoseconds)
  },
  toData: ({ state: { nanoseconds, zone } }) =>
    new Tagged(instantTag, {
      ns: String(nanoseconds),
      zone: zone.name,
      offset: zone.at(secondsOf(nanoseconds)).offsetSeconds,
    }),
})

/** A zone that this machine does not know keeps the offset that the sender saw. */
export function reviveInstant(data: unknown, zones: ZoneTable): Instant {
  const { ns, zone, offset } = data as { readonly ns: string; readonly zone: string; readonly offset: number }
  const known = zone === 'Local' ? undefined : zones.named(zone)
  const matches = known?.at(secondsOf(BigInt(ns))).offsetSeconds === offset
  return instant(BigInt(ns), known !== undefined && matches ? known : fixedZone(zone, offset))
}

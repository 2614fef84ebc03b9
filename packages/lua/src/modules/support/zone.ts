import { civilToSeconds } from '../../calendar.ts'

/** A time zone: its name, and for an instant its offset east of UTC and its abbreviation ("" where it has none). */
export interface Zone {
  readonly name: string
  at(epochSeconds: number): ZoneOffset
}

export interface ZoneOffset {
  readonly offsetSeconds: number
  readonly abbreviation: string
}

export const utcZone: Zone = {
  name: 'UTC',
  at: () => ({ offsetSeconds: 0, abbreviation: 'UTC' }),
}

export function fixedZone(name: string, offsetSeconds: number): Zone {
  const offset: ZoneOffset = { offsetSeconds, abbreviation: name }
  return { name, at: () => offset }
}

/**
 * Named zones, from the time-zone data that Node carries. One table per runtime: it keeps the formatters, which are
 * dear to make.
 */
export class ZoneTable {
  readonly #zones = new Map<string, Zone | undefined>()

  /** The zone of an IANA name; undefined when there is none. */
  named(name: string): Zone | undefined {
    if (name === 'UTC') return utcZone
    if (!this.#zones.has(name)) this.#zones.set(name, loadZone(name, name))
    return this.#zones.get(name)
  }

  /** The machine's own zone, under the name "Local". */
  local(): Zone {
    const key = '\0local'
    if (!this.#zones.has(key)) {
      const { timeZone } = new Intl.DateTimeFormat().resolvedOptions()
      this.#zones.set(key, loadZone(timeZone, 'Local'))
    }
    return this.#zones.get(key) ?? utcZone
  }
}

/** The instant at which clocks in `zone` show `localSeconds`; in a gap or an overlap, one of the two neighbours' reading. */
export function localToEpoch(localSeconds: number, zone: Zone): number {
  const guess = zone.at(localSeconds).offsetSeconds
  const actual = zone.at(localSeconds - guess).offsetSeconds
  return localSeconds - (actual === guess ? guess : actual)
}

// Zones whose abbreviation the locale data does not know: standard time, then daylight time.
const abbreviations: Readonly<Record<string, readonly [string, string?]>> = {
  'Asia/Tokyo': ['JST'],
  'Asia/Seoul': ['KST'],
  'Asia/Shanghai': ['CST'],
  'Asia/Taipei': ['CST'],
  'Asia/Hong_Kong': ['HKT'],
  'Asia/Manila': ['PST'],
  'Asia/Kolkata': ['IST'],
  'Asia/Calcutta': ['IST'],
  'Asia/Karachi': ['PKT'],
  'Asia/Jakarta': ['WIB'],
  'Asia/Jerusalem': ['IST', 'IDT'],
  'Europe/London': ['GMT', 'BST'],
  'Europe/Dublin': ['GMT', 'IST'],
  'Europe/Lisbon': ['WET', 'WEST'],
  'Europe/Moscow': ['MSK'],
  'Africa/Johannesburg': ['SAST'],
  'Africa/Lagos': ['WAT'],
  'Africa/Nairobi': ['EAT'],
  'Africa/Cairo': ['EET', 'EEST'],
  'Australia/Sydney': ['AEST', 'AEDT'],
  'Australia/Melbourne': ['AEST', 'AEDT'],
  'Australia/Brisbane': ['AEST'],
  'Australia/Adelaide': ['ACST', 'ACDT'],
  'Australia/Perth': ['AWST'],
  'Pacific/Auckland': ['NZST', 'NZDT'],
}

function loadZone(timeZone: string, name: string): Zone | undefined {
  if (timeZone === 'UTC' || timeZone === 'Etc/UTC') return { ...utcZone, name }
  let fields: Intl.DateTimeFormat
  try {
    fields = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  } catch {
    return undefined
  }
  const names = ['en-US', 'en-GB'].map(
    (locale) => new Intl.DateTimeFormat(locale, { timeZone, timeZoneName: 'short', year: 'numeric' }),
  )
  const offsetAt = (epochSeconds: number): number => {
    const parts: Record<string, string> = {}
    for (const { type, value } of fields.formatToParts(epochSeconds * 1_000)) parts[type] = value
    const year = Number(parts['year'])
    const local = civilToSeconds({
      year: parts['era']?.startsWith('B') === true ? 1 - year : year,
      month: Number(parts['month']),
      day: Number(parts['day']),
      hour: Number(parts['hour']),
      minute: Number(parts['minute']),
      second: Number(parts['second']),
    })
    return local - Math.floor(epochSeconds)
  }
  const abbreviationAt = (epochSeconds: number, offsetSeconds: number): string => {
    const known = abbreviations[timeZone]
    if (known !== undefined) {
      const [standard, daylight = standard] = known
      return daylight !== standard && offsetSeconds > standardOffset(epochSeconds) ? daylight : standard
    }
    for (const formatter of names) {
      const text = formatter.formatToParts(epochSeconds * 1_000).find((part) => part.type === 'timeZoneName')?.value
      if (text !== undefined && /^[A-Z]{3,5}$/.test(text)) return text
    }
    return numericAbbreviation(offsetSeconds)
  }
  const standardOffset = (epochSeconds: number): number =>
    Math.min(offsetAt(epochSeconds), offsetAt(epochSeconds - 182 * 86_400), offsetAt(epochSeconds + 182 * 86_400))
  // Programs ask again and again about one instant (hour, minute, format); one answer is kept.
  let lastSeconds = Number.NaN
  let lastOffset: ZoneOffset = { offsetSeconds: 0, abbreviation: '' }
  return {
    name,
    at(epochSeconds) {
      if (epochSeconds !== lastSeconds) {
        const offsetSeconds = offsetAt(epochSeconds)
        lastOffset = { offsetSeconds, abbreviation: abbreviationAt(epochSeconds, offsetSeconds) }
        lastSeconds = epochSeconds
      }
      return lastOffset
    },
  }
}

/** "+03" or "-0330", as the time-zone data names zones that have no letters. */
function numericAbbreviation(offsetSeconds: number): string {
  const sign = offsetSeconds < 0 ? '-' : '+'
  const minutes = Math.floor(Math.abs(offsetSeconds) / 60)
  const two = (n: number): string => String(n).padStart(2, '0')
  return minutes % 60 === 0
    ? `${sign}${two(minutes / 60)}`
    : `${sign}${two(Math.floor(minutes / 60))}${two(minutes % 60)}`
}

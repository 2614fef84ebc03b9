import {
  dayNames,
  monthNames,
  type Civil,
  dayOfYear,
  daysInMonth,
  weekday,
  civilToSeconds,
  civilFromDays,
  daysFromCivil,
} from '../../calendar.ts'
import { fixedZone, localToEpoch, utcZone, type Zone } from './zone.ts'

/**
 * Layouts by example: "2006-01-02 15:04:05" shows how the reference time Mon Jan 2 15:04:05 -0700 2006 is written.
 * Text that is no part of the reference time stands for itself.
 */
type Chunk =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'fraction'; readonly digits: number; readonly separator: string; readonly trim: boolean }
  | {
      readonly kind: 'zone'
      readonly z: boolean
      readonly colon: boolean
      readonly seconds: boolean
      readonly minutes: boolean
    }
  | { readonly kind: Field }

type Field =
  | 'month-long'
  | 'month-short'
  | 'month'
  | 'month-2'
  | 'weekday-long'
  | 'weekday-short'
  | 'day'
  | 'day-blank'
  | 'day-2'
  | 'yearday-blank'
  | 'yearday-3'
  | 'hour-24'
  | 'hour-12'
  | 'hour-12-2'
  | 'minute'
  | 'minute-2'
  | 'second'
  | 'second-2'
  | 'year'
  | 'year-2'
  | 'PM'
  | 'pm'
  | 'zone-name'

// Longest first among those that start alike.
const fixedChunks: readonly (readonly [string, Chunk])[] = [
  ['January', { kind: 'month-long' }],
  ['Jan', { kind: 'month-short' }],
  ['Monday', { kind: 'weekday-long' }],
  ['Mon', { kind: 'weekday-short' }],
  ['MST', { kind: 'zone-name' }],
  ['002', { kind: 'yearday-3' }],
  ['01', { kind: 'month-2' }],
  ['02', { kind: 'day-2' }],
  ['03', { kind: 'hour-12-2' }],
  ['04', { kind: 'minute-2' }],
  ['05', { kind: 'second-2' }],
  ['06', { kind: 'year-2' }],
  ['15', { kind: 'hour-24' }],
  ['1', { kind: 'month' }],
  ['2006', { kind: 'year' }],
  ['2', { kind: 'day' }],
  ['__2', { kind: 'yearday-blank' }],
  ['_2', { kind: 'day-blank' }],
  ['3', { kind: 'hour-12' }],
  ['4', { kind: 'minute' }],
  ['5', { kind: 'second' }],
  ['PM', { kind: 'PM' }],
  ['pm', { kind: 'pm' }],
  ['-070000', { kind: 'zone', z: false, colon: false, minutes: true, seconds: true }],
  ['-07:00:00', { kind: 'zone', z: false, colon: true, minutes: true, seconds: true }],
  ['-0700', { kind: 'zone', z: false, colon: false, minutes: true, seconds: false }],
  ['-07:00', { kind: 'zone', z: false, colon: true, minutes: true, seconds: false }],
  ['-07', { kind: 'zone', z: false, colon: false, minutes: false, seconds: false }],
  ['Z070000', { kind: 'zone', z: true, colon: false, minutes: true, seconds: true }],
  ['Z07:00:00', { kind: 'zone', z: true, colon: true, minutes: true, seconds: true }],
  ['Z0700', { kind: 'zone', z: true, colon: false, minutes: true, seconds: false }],
  ['Z07:00', { kind: 'zone', z: true, colon: true, minutes: true, seconds: false }],
  ['Z07', { kind: 'zone', z: true, colon: false, minutes: false, seconds: false }],
]

export function parseLayout(layout: string): readonly Chunk[] {
  const chunks: Chunk[] = []
  let text = ''
  const push = (chunk: Chunk): void => {
    if (text !== '') chunks.push({ kind: 'text', text })
    text = ''
    chunks.push(chunk)
  }
  let at = 0
  while (at < layout.length) {
    const fraction = /^([.,])(0+|9+)(?!\d)/.exec(layout.slice(at, at + 20))
    if (fraction !== null) {
      push({
        kind: 'fraction',
        separator: fraction[1]!,
        digits: fraction[2]!.length,
        trim: fraction[2]!.startsWith('9'),
      })
      at += fraction[0].length
      continue
    }
    // "_2006" is a line and a year, not a blank-padded day.
    const found = layout.startsWith('_2006', at)
      ? undefined
      : fixedChunks.find(
          ([word]) =>
            layout.startsWith(word, at) &&
            // "Jan" and "Mon" inside a longer word ("Janitor", "Month") are plain text.
            !((word === 'Jan' || word === 'Mon') && /[a-z]/.test(layout.charAt(at + 3))),
        )
    if (found === undefined) {
      text += layout.charAt(at)
      at += 1
    } else {
      push(found[1])
      at += found[0].length
    }
  }
  if (text !== '') chunks.push({ kind: 'text', text })
  return chunks
}

export interface Shown {
  readonly civil: Civil
  readonly nanosecond: number
  readonly offsetSeconds: number
  readonly abbreviation: string
}

const pad = (value: number, width: number, fill = '0'): string =>
  value < 0 ? `-${String(-value).padStart(width, fill)}` : String(value).padStart(width, fill)

export function formatLayout(layout: string, shown: Shown): string {
  let out = ''
  for (const chunk of parseLayout(layout)) out += formatChunk(chunk, shown)
  return out
}

function formatChunk(chunk: Chunk, { civil, nanosecond, offsetSeconds, abbreviation }: Shown): string {
  const hour12 = civil.hour % 12 === 0 ? 12 : civil.hour % 12
  switch (chunk.kind) {
    case 'text':
      return chunk.text
    case 'month-long':
      return monthNames[civil.month - 1]!
    case 'month-short':
      return monthNames[civil.month - 1]!.slice(0, 3)
    case 'month':
      return String(civil.month)
    case 'month-2':
      return pad(civil.month, 2)
    case 'weekday-long':
      return dayNames[weekday(civil)]!
    case 'weekday-short':
      return dayNames[weekday(civil)]!.slice(0, 3)
    case 'day':
      return String(civil.day)
    case 'day-blank':
      return pad(civil.day, 2, ' ')
    case 'day-2':
      return pad(civil.day, 2)
    case 'yearday-blank':
      return pad(dayOfYear(civil), 3, ' ')
    case 'yearday-3':
      return pad(dayOfYear(civil), 3)
    case 'hour-24':
      return pad(civil.hour, 2)
    case 'hour-12':
      return String(hour12)
    case 'hour-12-2':
      return pad(hour12, 2)
    case 'minute':
      return String(civil.minute)
    case 'minute-2':
      return pad(civil.minute, 2)
    case 'second':
      return String(civil.second)
    case 'second-2':
      return pad(civil.second, 2)
    case 'year':
      return pad(civil.year, 4)
    case 'year-2':
      return pad(((civil.year % 100) + 100) % 100, 2)
    case 'PM':
      return civil.hour >= 12 ? 'PM' : 'AM'
    case 'pm':
      return civil.hour >= 12 ? 'pm' : 'am'
    case 'zone-name':
      return abbreviation === ''
        ? formatOffset(offsetSeconds, { colon: false, minutes: true, seconds: false })
        : abbreviation
    case 'zone':
      return chunk.z && offsetSeconds === 0 ? 'Z' : formatOffset(offsetSeconds, chunk)
    case 'fraction': {
      const digits = pad(nanosecond, 9).slice(0, chunk.digits)
      if (!chunk.trim) return chunk.separator + digits
      const trimmed = digits.replace(/0+$/, '')
      return trimmed === '' ? '' : chunk.separator + trimmed
    }
  }
}

function formatOffset(
  offsetSeconds: number,
  form: { readonly colon: boolean; readonly minutes: boolean; readonly seconds: boolean },
): string {
  const total = Math.abs(offsetSeconds)
  const parts = [pad(Math.floor(total / 3_600), 2)]
  if (form.minutes) parts.push(pad(Math.floor(total / 60) % 60, 2))
  if (form.seconds) parts.push(pad(total % 60, 2))
  return (offsetSeconds < 0 ? '-' : '+') + parts.join(form.colon ? ':' : '')
}

export type Parsed =
  | { readonly ok: true; readonly epochSeconds: number; readonly nanosecond: number; readonly zone: Zone }
  | { readonly ok: false; readonly problem: string }

/**
 * Reads `value` as `layout` shows it. What the layout leaves out is the start of year 0 in `zone`; an offset in the value
 * decides the zone, unless `zone` has that very offset then.
 */
export function parseWithLayout(layout: string, value: string, zone: Zone): Parsed {
  const reader = new Reader(value)
  const chunks = parseLayout(layout)
  try {
    chunks.forEach((chunk, index) => reader.read(chunk, chunks[index + 1]?.kind === 'fraction'))
    reader.end()
    return reader.finish(zone)
  } catch (error) {
    if (error instanceof Mismatch) {
      return { ok: false, problem: `parsing time "${value}" as "${layout}": ${error.message}` }
    }
    throw error
  }
}

class Mismatch extends Error {}

class Reader {
  readonly #value: string
  #at = 0
  #year = 0
  #month: number | undefined
  #day: number | undefined
  #yearDay: number | undefined
  #hour = 0
  #minute = 0
  #second = 0
  #nanosecond = 0
  #pm: boolean | undefined
  #utc = false
  #offsetSeconds: number | undefined
  #zoneName = ''

  constructor(value: string) {
    this.#value = value
  }

  read(chunk: Chunk, fractionFollows: boolean): void {
    switch (chunk.kind) {
      case 'text':
        return this.#text(chunk.text)
      case 'month-long':
        this.#month = this.#name(monthNames) + 1
        return
      case 'month-short':
        this.#month = this.#name(monthNames.map((name) => name.slice(0, 3))) + 1
        return
      case 'weekday-long':
        this.#name(dayNames)
        return
      case 'weekday-short':
        this.#name(dayNames.map((name) => name.slice(0, 3)))
        return
      case 'month':
      case 'month-2':
        this.#month = this.#range('month', this.#number(chunk.kind === 'month' ? 1 : 2, 2), 1, 12)
        return
      case 'day-blank':
        if (this.#value[this.#at] === ' ') this.#at += 1
        this.#day = this.#number(1, 2)
        return
      case 'day':
      case 'day-2':
        this.#day = this.#number(chunk.kind === 'day' ? 1 : 2, 2)
        return
      case 'yearday-blank':
        while (this.#value[this.#at] === ' ') this.#at += 1
        this.#yearDay = this.#number(1, 3)
        return
      case 'yearday-3':
        this.#yearDay = this.#number(3, 3)
        return
      case 'hour-24':
        this.#hour = this.#range('hour', this.#number(1, 2), 0, 23)
        return
      case 'hour-12':
      case 'hour-12-2':
        this.#hour = this.#range('hour', this.#number(chunk.kind === 'hour-12' ? 1 : 2, 2), 0, 12)
        return
      case 'minute':
      case 'minute-2':
        this.#minute = this.#range('minute', this.#number(chunk.kind === 'minute' ? 1 : 2, 2), 0, 59)
        return
      case 'second':
      case 'second-2':
        this.#second = this.#range('second', this.#number(chunk.kind === 'second' ? 1 : 2, 2), 0, 59)
        // A fraction that the layout does not show is taken all the same.
        if (!fractionFollows && /^[.,]\d/.test(this.#rest())) this.#fraction(undefined)
        return
      case 'year':
        this.#year = this.#number(4, 4)
        return
      case 'year-2': {
        const short = this.#number(2, 2)
        this.#year = short >= 69 ? 1900 + short : 2000 + short
        return
      }
      case 'PM':
      case 'pm': {
        const text = this.#rest().slice(0, 2)
        const upper = chunk.kind === 'PM' ? text : text.toUpperCase()
        if (upper !== 'AM' && upper !== 'PM') throw this.#mismatch(chunk.kind)
        this.#pm = upper === 'PM'
        this.#at += 2
        return
      }
      case 'zone-name':
        return this.#abbreviation()
      case 'zone':
        return this.#zone(chunk)
      case 'fraction':
        return this.#fraction(chunk.trim ? undefined : chunk.digits)
    }
  }

  end(): void {
    if (this.#at < this.#value.length) throw new Mismatch(`extra text: "${this.#rest()}"`)
  }

  finish(zone: Zone): Parsed {
    if (this.#pm === true && this.#hour < 12) this.#hour += 12
    else if (this.#pm === false && this.#hour === 12) this.#hour = 0
    let month = this.#month ?? 1
    let day = this.#day ?? 1
    if (this.#yearDay !== undefined) {
      const daysOfYear = daysInMonth(this.#year, 2) === 29 ? 366 : 365
      this.#range('day-of-year', this.#yearDay, 1, daysOfYear)
      const date = civilFromDays(daysFromCivil(this.#year, 1, this.#yearDay))
      month = date.month
      day = date.day
    }
    this.#range('day', day, 1, daysInMonth(this.#year, month))
    const local = civilToSeconds({
      year: this.#year,
      month,
      day,
      hour: this.#hour,
      minute: this.#minute,
      second: this.#second,
    })
    const nanosecond = this.#nanosecond
    if (this.#utc) return { ok: true, epochSeconds: local, nanosecond, zone: utcZone }
    if (this.#offsetSeconds !== undefined) {
      const epochSeconds = local - this.#offsetSeconds
      const here = zone.at(epochSeconds)
      const same =
        here.offsetSeconds === this.#offsetSeconds && (this.#zoneName === '' || this.#zoneName === here.abbreviation)
      return { ok: true, epochSeconds, nanosecond, zone: same ? zone : fixedZone(this.#zoneName, this.#offsetSeconds) }
    }
    if (this.#zoneName !== '') {
      const epochSeconds = localToEpoch(local, zone)
      if (zone.at(epochSeconds).abbreviation === this.#zoneName) return { ok: true, epochSeconds, nanosecond, zone }
      // An abbreviation that this zone does not use says nothing about its offset, unless it is written as GMT+3.
      const gmt = /^GMT([+-]\d{1,2})$/.exec(this.#zoneName)
      const offsetSeconds = gmt === null ? 0 : Number(gmt[1]) * 3_600
      return {
        ok: true,
        epochSeconds: local - offsetSeconds,
        nanosecond,
        zone: fixedZone(this.#zoneName, offsetSeconds),
      }
    }
    return { ok: true, epochSeconds: localToEpoch(local, zone), nanosecond, zone }
  }

  #rest(): string {
    return this.#value.slice(this.#at)
  }

  #mismatch(wanted: string): Mismatch {
    return new Mismatch(`cannot parse "${this.#rest()}" as ${wanted}`)
  }

  #text(text: string): void {
    // A run of blanks in the layout takes any run of blanks in the value.
    for (const part of text.split(/( +)/)) {
      if (part.startsWith(' ')) {
        if (this.#at < this.#value.length && this.#value[this.#at] !== ' ') throw this.#mismatch(`"${text}"`)
        while (this.#value[this.#at] === ' ') this.#at += 1
      } else if (this.#value.startsWith(part, this.#at)) {
        this.#at += part.length
      } else {
        throw this.#mismatch(`"${text}"`)
      }
    }
  }

  #number(least: number, most: number): number {
    const match = new RegExp(`^\\d{${least},${most}}`).exec(this.#rest())
    if (match === null) throw this.#mismatch(least === most ? `${most} digits` : 'a number')
    this.#at += match[0].length
    return Number(match[0])
  }

  #range(what: string, value: number, least: number, most: number): number {
    if (value < least || value > most) throw new Mismatch(`${what} out of range`)
    return value
  }

  #name(names: readonly string[]): number {
    const rest = this.#rest().toLowerCase()
    const index = names.findIndex((name) => rest.startsWith(name.toLowerCase()))
    if (index < 0) throw this.#mismatch(`one of ${names[0]} ... ${names[names.length - 1]}`)
    this.#at += names[index]!.length
    return index
  }

  #fraction(digits: number | undefined): void {
    const match = (digits === undefined ? /^[.,](\d+)/ : new RegExp(`^[.,](\\d{${digits}})`)).exec(this.#rest())
    if (match === null) {
      // A fraction of nines may be left out altogether.
      if (digits === undefined) return
      throw this.#mismatch('a fractional second')
    }
    this.#nanosecond = Number(match[1]!.slice(0, 9).padEnd(9, '0'))
    this.#at += match[0].length
  }

  #zone(form: {
    readonly z: boolean
    readonly colon: boolean
    readonly minutes: boolean
    readonly seconds: boolean
  }): void {
    if (form.z && this.#value[this.#at] === 'Z') {
      this.#at += 1
      this.#utc = true
      return
    }
    const colon = form.colon ? ':' : ''
    const pattern = `^([+-])(\\d\\d)${form.minutes ? `${colon}(\\d\\d)` : ''}${form.seconds ? `${colon}(\\d\\d)` : ''}`
    const match = new RegExp(pattern).exec(this.#rest())
    if (match === null) throw this.#mismatch('a zone offset')
    const hours = this.#range('time zone offset hour', Number(match[2]), 0, 24)
    const minutes = this.#range('time zone offset minute', Number(match[3] ?? 0), 0, 60)
    this.#offsetSeconds = (match[1] === '-' ? -1 : 1) * (hours * 3_600 + minutes * 60 + Number(match[4] ?? 0))
    this.#at += match[0].length
  }

  #abbreviation(): void {
    if (this.#rest().startsWith('UTC')) {
      this.#utc = true
      this.#at += 3
      return
    }
    const match = /^(?:GMT[+-]\d{1,2}|[A-Z]{3,5}|[+-]\d\d(?:\d\d)?)/.exec(this.#rest())
    if (match === null) throw this.#mismatch('a zone abbreviation')
    this.#zoneName = match[0]
    this.#at += match[0].length
  }
}

import {
  arg,
  argCount,
  checkBytes,
  checkNumber,
  checkTable,
  fail,
  isNumber,
  isString,
  makeBoolean,
  makeConstant,
  makeNumber,
  makeTable,
  makeText,
  returnOne,
} from '../fengari/native.ts'
import { fengari } from '../fengari/load.ts'
import { procOf } from '../fengari/shared.ts'
import { forPeople } from '../fengari/text.ts'
import { tag } from '../fengari/types.ts'
import type { LuaState, NativeFunction, Table, TValue } from '../fengari/types.ts'
import { civilFromSeconds, dayNames, dayOfYear, daysFromCivil, monthNames, weekday, type Civil } from '../calendar.ts'

/**
 * `os`: time, date, clock, difftime. The clock is the process's own; local time is UTC, so that a program gives the
 * same on every node. Any year that a double can count is right (there is no 2038).
 */

/** An instant, taken apart. */
interface Dated extends Civil {
  /** 0 is Sunday. */
  readonly weekday: number
  /** 1 is the first of January. */
  readonly yearDay: number
  readonly epochSeconds: number
}

function dated(epochSeconds: number): Dated {
  const civil = civilFromSeconds(epochSeconds)
  return { ...civil, weekday: weekday(civil), yearDay: dayOfYear(civil), epochSeconds }
}

const two = (n: number): string => String(n).padStart(2, '0')

/** strftime, in the C locale. An unknown directive is undefined. */
const directives: Readonly<Record<string, (c: Dated) => string>> = {
  a: (c) => dayNames[c.weekday]!.slice(0, 3),
  A: (c) => dayNames[c.weekday]!,
  b: (c) => monthNames[c.month - 1]!.slice(0, 3),
  B: (c) => monthNames[c.month - 1]!,
  c: (c) => expand('%a %b %e %H:%M:%S %Y', c),
  C: (c) => two(Math.floor(c.year / 100)),
  d: (c) => two(c.day),
  D: (c) => expand('%m/%d/%y', c),
  e: (c) => String(c.day).padStart(2),
  F: (c) => expand('%Y-%m-%d', c),
  h: (c) => monthNames[c.month - 1]!.slice(0, 3),
  H: (c) => two(c.hour),
  I: (c) => two(c.hour % 12 === 0 ? 12 : c.hour % 12),
  j: (c) => String(c.yearDay).padStart(3, '0'),
  m: (c) => two(c.month),
  M: (c) => two(c.minute),
  n: () => '\n',
  p: (c) => (c.hour < 12 ? 'AM' : 'PM'),
  r: (c) => expand('%I:%M:%S %p', c),
  R: (c) => expand('%H:%M', c),
  s: (c) => String(c.epochSeconds),
  S: (c) => two(c.second),
  t: () => '\t',
  T: (c) => expand('%H:%M:%S', c),
  u: (c) => String(c.weekday === 0 ? 7 : c.weekday),
  U: (c) => two(Math.floor((c.yearDay - 1 + 7 - c.weekday) / 7)),
  w: (c) => String(c.weekday),
  W: (c) => two(Math.floor((c.yearDay - 1 + 7 - ((c.weekday + 6) % 7)) / 7)),
  x: (c) => expand('%m/%d/%y', c),
  X: (c) => expand('%H:%M:%S', c),
  y: (c) => two(((c.year % 100) + 100) % 100),
  Y: (c) => String(c.year),
  z: () => '+0000',
  Z: () => 'UTC',
  '%': () => '%',
}

const expand = (format: string, c: Dated): string => format.replace(/%(.)/gs, (_all, d: string) => directives[d]!(c))

function date(L: LuaState): number {
  const pattern = argCount(L) === 0 || arg(L, 1).type === tag.nil ? '%c' : forPeople(checkBytes(L, 1))
  const seconds =
    arg(L, 2).type === tag.nil ? Math.floor(procOf(L).ports.nowMs() / 1000) : Math.floor(checkNumber(L, 2))
  if (!Number.isFinite(seconds) || Math.abs(seconds) > 1e14) return fail(L, 'date result cannot be represented')
  const civil = dated(seconds)
  const format = pattern.startsWith('!') ? pattern.slice(1) : pattern
  if (format.startsWith('*t')) return returnOne(L, civilTable(L, civil))
  const unknown = /%([\s\S]?)/g
  for (let match = unknown.exec(format); match !== null; match = unknown.exec(format)) {
    if (directives[match[1]!] === undefined)
      return fail(L, `bad argument #1 to 'date' (invalid conversion specifier '%${match[1]}')`)
  }
  return returnOne(L, makeText(L, expand(format, civil)))
}

function civilTable(L: LuaState, c: Dated): TValue {
  const table = new fengari.ltable.Table(L)
  const fields = {
    year: c.year,
    month: c.month,
    day: c.day,
    hour: c.hour,
    min: c.minute,
    sec: c.second,
    wday: c.weekday + 1,
    yday: c.yearDay,
  }
  for (const [name, n] of Object.entries(fields))
    fengari.ltable.luaH_setfrom(L, table, makeConstant(name), makeNumber(n))
  fengari.ltable.luaH_setfrom(L, table, makeConstant('isdst'), makeBoolean(false))
  return makeTable(table)
}

function time(L: LuaState): number {
  if (argCount(L) === 0 || arg(L, 1).type === tag.nil)
    return returnOne(L, makeNumber(Math.floor(procOf(L).ports.nowMs() / 1000)))
  const table = checkTable(L, 1)
  const part = (name: string, otherwise?: number): number => field(L, table, name, otherwise)
  const days = daysFromCivil(part('year'), part('month'), part('day'))
  return returnOne(L, makeNumber(days * 86_400 + part('hour', 12) * 3600 + part('min', 0) * 60 + part('sec', 0)))
}

function field(L: LuaState, table: Table, name: string, otherwise: number | undefined): number {
  const value = fengari.ltable.luaH_get(L, table, makeConstant(name))
  if (value.type === tag.nil) return otherwise ?? fail(L, `field '${name}' missing in date table`)
  const n = isNumber(value) ? (value.value as number) : isString(value) ? fengari.lvm.tonumber(value) : false
  return n !== false && Number.isInteger(n) ? n : fail(L, `field '${name}' is not an integer`)
}

export const osLibrary: Readonly<Record<string, NativeFunction>> = {
  time,
  date,
  clock(L) {
    const proc = procOf(L)
    return returnOne(L, makeNumber((proc.ports.nowMs() - proc.startedAtMs) / 1000))
  },
  difftime: (L) => returnOne(L, makeNumber(checkNumber(L, 1) - (argCount(L) < 2 ? 0 : checkNumber(L, 2)))),
}

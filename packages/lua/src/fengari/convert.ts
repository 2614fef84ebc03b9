import { AppError, Tagged } from '@daruma/protocol'
import type { HostFunction, HostValue, LuaCoroutine, LuaFunction, LuaTable, LuaValue } from '../engine.ts'
import { errorObject } from '../error-object.ts'
import { HostObject, tableTag, toData } from '../value.ts'
import type { AnyHostObject } from '../value.ts'
import { fengari } from './load.ts'
import { maxExact } from './number.ts'
import {
  makeBoolean,
  makeFunction,
  makeNil,
  makeNumber,
  makeTable,
  makeText,
  makeBytes,
  makeThread,
  makeUserdata,
  isString,
  bytesOf,
} from './native.ts'
import { fromBytes } from './text.ts'
import { tag } from './types.ts'
import type { Entry, LClosure, LuaState, NativeFunction, TValue, Table, Udata } from './types.ts'

const { ltable, lobject } = fengari

/** What conversion asks of the process (or of the maker of shared libraries). */
export interface ConversionHost {
  readonly L: LuaState
  native(fn: HostFunction): NativeFunction
  userdata(object: AnyHostObject): Udata
  revive(value: object): HostValue
  /** The frozen table of a Library; undefined when `value` is none. */
  libraryTable(value: object): Table | undefined
}

/* ------------------------------------------------------------------------------------------------ handles */

export class TableHandle implements LuaTable {
  readonly kind = 'table' as const
  readonly table: Table
  /** Undefined for frozen tables: they belong to no process. */
  readonly #host: ConversionHost | undefined
  constructor(table: Table, host: ConversionHost | undefined) {
    this.table = table
    this.#host = host
  }
  /** True when the table may be given to `host`. */
  belongsTo(host: ConversionHost): boolean {
    return this.#host === undefined || this.#host === host
  }
  get(key: string | number): LuaValue {
    return fromLua(this.#host, getField(this.table, key))
  }
  set(key: string | number, value: HostValue): void {
    const host = this.#host
    if (host === undefined) throw new AppError('invalid', `field ${key} of a read-only table cannot be set`)
    if (typeof key === 'number' && Number.isNaN(key)) throw new AppError('invalid', 'NaN cannot be a table key')
    setField(host.L, this.table, toLua(host, key), value === undefined ? makeNil() : toLua(host, value))
  }
  length(): number {
    return ltable.luaH_getn(this.table)
  }
  entries(): [LuaValue, LuaValue][] {
    const found: [LuaValue, LuaValue][] = []
    for (const [key, value] of rawEntries(this.table)) {
      found.push([fromLua(this.#host, key), fromLua(this.#host, value)])
    }
    return found
  }
  data(path = 'value'): unknown {
    return tableData(this.#host, this.table, path, [], { left: maxCopied })
  }
}

export class FunctionHandle implements LuaFunction {
  readonly kind = 'function' as const
  readonly value: TValue
  readonly #host: ConversionHost | undefined
  constructor(value: TValue, host: ConversionHost | undefined) {
    this.value = value
    this.#host = host
  }
  belongsTo(host: ConversionHost): boolean {
    return this.value.type === tag.lightFunction || this.#host === host
  }
}

export class CoroutineHandle implements LuaCoroutine {
  readonly kind = 'coroutine' as const
  readonly thread: LuaState
  constructor(thread: LuaState) {
    this.thread = thread
  }
}

/* ---------------------------------------------------------------------------------------------- out of Lua */

export function fromLua(host: ConversionHost | undefined, v: TValue): LuaValue {
  switch (v.type) {
    case tag.nil:
      return undefined
    case tag.boolean:
      return v.value as boolean
    case tag.number:
    case tag.integer:
      return v.value as number
    case tag.string:
    case tag.longString:
      // A copy of the bytes: host code could otherwise change a string of the process.
      return fromBytes(bytesOf(v)) ?? Uint8Array.from(bytesOf(v))
    case tag.table: {
      const table = v.value as Table
      if (table.handle !== undefined) return table.handle as TableHandle
      const handle = new TableHandle(table, table.frozen ? undefined : host)
      if (table.frozen || host !== undefined) table.handle = handle
      return handle
    }
    case tag.luaClosure: {
      const closure = v.value as LClosure
      return (closure.handle ??= new FunctionHandle(makeCopy(v), host)) as FunctionHandle
    }
    case tag.lightFunction:
    case tag.hostClosure: {
      const fn = v.value as NativeFunction & { handle?: FunctionHandle }
      return (fn.handle ??= new FunctionHandle(makeCopy(v), undefined))
    }
    case tag.userdata:
      return (v.value as Udata).data as AnyHostObject
    case tag.thread:
      return new CoroutineHandle(v.value as LuaState)
    default:
      throw new AppError('internal', `a Lua value of variant ${v.type} has no form outside`)
  }
}

/** Tables and values that one copy may hold: a table that contains others twice, level by level, has 2^n paths. */
const maxCopied = 2_000_000

function tableData(
  host: ConversionHost | undefined,
  table: Table,
  path: string,
  ancestors: readonly Table[],
  budget: { left: number },
): unknown {
  budget.left -= 1 + table.array.length + table.strong.size
  if (budget.left < 0)
    throw new AppError('invalid', `${path} is part of more than ${maxCopied} values; too much to copy at once`)
  if (ancestors.includes(table)) {
    throw new AppError('invalid', `${path} refers back to one of its own containers; a cycle cannot leave its process`)
  }
  if (ancestors.length > 200) throw new AppError('invalid', `${path} lies more than 200 levels deep`)
  const within = [...ancestors, table]
  const inner = (v: TValue, at: string): unknown =>
    v.type === tag.table ? tableData(host, v.value as Table, at, within, budget) : toData(fromLua(host, v), at)
  const hasOthers = firstEntry(table) !== undefined
  if (!hasOthers) {
    if (table.array.length === 0) return table.fromArray ? [] : {}
    return table.array.map((v, at) => (v.type === tag.nil ? null : inner(v, `${path}[${at + 1}]`)))
  }
  if (table.array.length === 0) {
    const record: Record<string, unknown> = {}
    let isRecord = true
    for (let entry = firstEntry(table); entry !== undefined; entry = nextEntry(entry)) {
      const key = isString(entry.key) ? fromBytes(bytesOf(entry.key)) : undefined
      if (key === undefined) {
        isRecord = false
        break
      }
      const value = inner(entry.value, `${path}.${key}`)
      if (key === '__proto__')
        Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true })
      else record[key] = value
    }
    if (isRecord) return record
  }
  const entries: [unknown, unknown][] = []
  for (const [key, value] of rawEntries(table)) {
    const keyData = key.type === tag.table ? refuseKey(path, 'table') : inner(key, `${path} key`)
    entries.push([keyData, inner(value, `${path}[${String(keyData)}]`)])
  }
  return new Tagged(tableTag, entries)
}

function refuseKey(path: string, kind: string): never {
  throw new AppError('invalid', `${path} has a ${kind} as key; it cannot leave its process`)
}

function firstEntry(table: Table): Entry | undefined {
  let entry = table.f
  while (entry !== undefined && entry.value.type === tag.nil) entry = entry.n
  return entry
}

function nextEntry(from: Entry): Entry | undefined {
  let entry = from.n
  while (entry !== undefined && entry.value.type === tag.nil) entry = entry.n
  return entry
}

/** Key and value in the order of `pairs`. */
export function* rawEntries(table: Table): Generator<[TValue, TValue]> {
  for (let at = 0; at < table.array.length; at++) {
    const value = table.array[at]!
    if (value.type !== tag.nil) yield [makeNumber(at + 1), value]
  }
  for (let entry = firstEntry(table); entry !== undefined; entry = nextEntry(entry)) yield [entry.key, entry.value]
}

/* ------------------------------------------------------------------------------------------------ into Lua */

/** A fresh TValue for `value`. @throws AppError invalid - what Lua cannot have; the text names the path */
export function toLua(host: ConversionHost, value: HostValue): TValue {
  return into(host, value, 'value', undefined)
}

function into(host: ConversionHost, value: HostValue, path: string, ancestors: object[] | undefined): TValue {
  switch (typeof value) {
    case 'undefined':
      return makeNil()
    case 'boolean':
      return makeBoolean(value)
    case 'number':
      return makeNumber(value)
    case 'string':
      return makeText(host.L, value)
    case 'bigint':
      return value <= BigInt(maxExact) && value >= -BigInt(maxExact)
        ? makeNumber(Number(value))
        : makeText(host.L, String(value))
    case 'function':
      return makeFunction(host.native(value as HostFunction))
    case 'object':
      return value === null ? makeNil() : objectInto(host, value, path, ancestors)
    default:
      throw new AppError('invalid', `${path} is a ${typeof value}; Lua has nothing like it`)
  }
}

function objectInto(host: ConversionHost, value: object, path: string, ancestors: object[] | undefined): TValue {
  if (value instanceof HostObject) return makeUserdata(host.userdata(value as AnyHostObject))
  if (value instanceof TableHandle || value instanceof FunctionHandle) {
    if (!value.belongsTo(host)) throw new AppError('invalid', `${path} belongs to another process`)
    return value instanceof TableHandle ? makeTable(value.table) : makeCopy(value.value)
  }
  if (value instanceof Uint8Array) return makeBytes(host.L, Uint8Array.from(value))
  if (Array.isArray(value)) return nested(host, value, path, ancestors, arrayInto)
  if (value instanceof Map) return nested(host, value, path, ancestors, mapInto)
  if (value instanceof Error) return makeUserdata(host.userdata(errorObject(value) as AnyHostObject))
  if (value instanceof Tagged && value.tag === tableTag) {
    return nested(host, value.value as object, path, ancestors, (h, pairs, p, a) =>
      mapInto(h, new Map(pairs as unknown as [unknown, unknown][]), p, a),
    )
  }
  if (value instanceof CoroutineHandle) {
    if (value.thread.l_G !== host.L.l_G) throw new AppError('invalid', `${path} belongs to another process`)
    return makeThread(value.thread)
  }
  const library = host.libraryTable(value)
  if (library !== undefined) return makeTable(library)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return nested(host, value, path, ancestors, recordInto)
  const revived = host.revive(value)
  if (revived !== undefined) return into(host, revived, path, ancestors)
  const name = value.constructor.name
  throw new AppError('invalid', `${path} is a ${name}; Lua has nothing like it`)
}

function nested<T extends object>(
  host: ConversionHost,
  value: T,
  path: string,
  ancestors: object[] | undefined,
  convert: (host: ConversionHost, value: T, path: string, ancestors: object[]) => TValue,
): TValue {
  const within = ancestors ?? []
  if (within.includes(value)) throw new AppError('invalid', `${path} refers back to one of its own containers`)
  if (within.length > 200) throw new AppError('invalid', `${path} lies more than 200 levels deep`)
  within.push(value)
  const result = convert(host, value, path, within)
  within.pop()
  return result
}

function arrayInto(host: ConversionHost, list: readonly unknown[], path: string, ancestors: object[]): TValue {
  const table = new ltable.Table(host.L)
  table.fromArray = true
  const { length } = list
  for (let at = 0; at < length; at++) {
    const item = list[at]
    // Holes and nulls keep their place, so that the list comes back as long as it was.
    table.array.push(item === null || item === undefined ? makeNil() : into(host, item, `${path}[${at}]`, ancestors))
  }
  while (table.array.length > 0 && table.array[table.array.length - 1]!.type === tag.nil) table.array.length--
  table.owner?.allocated(undefined, 40 * table.array.length)
  return makeTable(table)
}

function recordInto(host: ConversionHost, record: object, path: string, ancestors: object[]): TValue {
  const table = new ltable.Table(host.L)
  for (const key of Object.keys(record)) {
    const item = (record as Record<string, unknown>)[key]
    if (item === undefined || item === null) continue
    ltable.luaH_setfrom(host.L, table, makeText(host.L, key), into(host, item, `${path}.${key}`, ancestors))
  }
  return makeTable(table)
}

function mapInto(host: ConversionHost, map: Map<unknown, unknown>, path: string, ancestors: object[]): TValue {
  const table = new ltable.Table(host.L)
  for (const [key, item] of map) {
    if (item === undefined || item === null) continue
    const luaKey = into(host, key, `${path} key`, ancestors)
    if (luaKey.type === tag.nil || Number.isNaN(luaKey.value))
      throw new AppError('invalid', `${path} has ${String(key)} as key`)
    ltable.luaH_setfrom(host.L, table, luaKey, into(host, item, `${path}[${String(key)}]`, ancestors))
  }
  return makeTable(table)
}

/* -------------------------------------------------------------------------------------------------- fields */

const makeCopy = (v: TValue): TValue => new lobject.TValue(v.type, v.value)

function getField(table: Table, key: string | number): TValue {
  if (typeof key === 'number') return ltable.luaH_getint(table, key)
  return ltable.luaH_getstr(table, new fengari.lstring.TString(null, textKey(key)))
}

const encoder = new TextEncoder()
const textKey = (key: string): Uint8Array => encoder.encode(key)

export function setField(L: LuaState, table: Table, key: TValue, value: TValue): void {
  ltable.luaH_setfrom(L, table, key, value)
  table.flags = 0
}

import { fengari } from '../fengari/load.ts'
import { parseNumber } from '../fengari/number.ts'
import {
  arg,
  argCount,
  argError,
  bytesOf,
  checkAny,
  checkFunction,
  checkInteger,
  checkTable,
  collect,
  copyOf,
  fail,
  isFalse,
  isNumber,
  isString,
  makeBoolean,
  makeConstant,
  makeFunction,
  makeNil,
  makeNumber,
  metafield,
  ownerOf,
  push,
  raiseValue,
  returnAll,
  returnOne,
  suspending,
  textLike,
  typeError,
  typeName,
  where,
} from '../fengari/native.ts'
import { procOf } from '../fengari/shared.ts'
import { forPeople, fromBytes, toBytes } from '../fengari/text.ts'
import { status, tag } from '../fengari/types.ts'
import type { LuaState, NativeFunction, TString, TValue, Table, Udata } from '../fengari/types.ts'
import { tostringFlow } from './tostring.ts'

/** The base functions, and the conversions that can be called. There is no load, dofile, loadstring, collectgarbage. */

const { lapi, ltable, lvm } = fengari
const metatableField = makeConstant('__metatable')
const pairsField = makeConstant('__pairs')
const typeTexts = ['nil', 'boolean', 'userdata', 'number', 'string', 'table', 'function', 'userdata', 'thread'].map(
  makeConstant,
)

const next: NativeFunction = (L) => {
  const table = checkTable(L, 1)
  lapi.lua_settop(L, 2)
  push(L, makeNil())
  if (ltable.luaH_next(L, table, L.ci.funcOff + 2)) return 2
  lapi.lua_settop(L, 0)
  return returnOne(L, makeNil())
}

const ipairsStep: NativeFunction = (L) => {
  const index = (arg(L, 2).value as number) + 1
  const subject = arg(L, 1)
  const key = makeNumber(index)
  const value = indexed(L, subject, key)
  if (value.type === tag.nil) return returnOne(L, makeNil())
  push(L, key)
  push(L, value)
  return 2
}

/** `t[key]`, with metamethods. A fresh value. */
export function indexed(L: LuaState, subject: TValue, key: TValue): TValue {
  if (subject.type === tag.table) {
    const found = ltable.luaH_get(L, subject.value as Table, key)
    if (found.type !== tag.nil || (subject.value as Table).metatable === null) return copyOf(found)
  }
  const held = copyOf(subject)
  push(L, makeNil())
  lvm.luaV_gettable(L, held, key, L.top - 1)
  const value = copyOf(L.stack[L.top - 1]!)
  lapi.lua_settop(L, -2)
  return value
}

const nextValue = makeFunction(next)
const ipairsValue = makeFunction(ipairsStep)

function finishProtected(L: LuaState, code: number, from: number): number {
  if (code === status.ok || code === status.yield) return argCount(L) - from + 1
  const abort = ownerOf(L).aborted()
  if (abort !== undefined) throw abort
  const error = copyOf(L.stack[L.top - 1]!)
  return returnAll(L, [makeBoolean(false), error])
}

const continueProtected = (L: LuaState, code: number, from: unknown): number => finishProtected(L, code, from as number)

export const baseFunctions: Readonly<Record<string, NativeFunction>> = {
  assert(L) {
    if (!isFalse(checkAny(L, 1))) return argCount(L)
    if (argCount(L) < 2) return fail(L, 'assertion failed!', 0)
    return raiseValue(L, arg(L, 2))
  },

  error(L) {
    const value = arg(L, 1)
    const level = arg(L, 2).type === tag.nil ? 1 : checkInteger(L, 2)
    if (isString(value) && level > 0) return raiseValue(L, withPrefix(L, where(L, level), value))
    return raiseValue(L, value)
  },

  pcall(L) {
    checkAny(L, 1)
    const args = collect(L)
    lapi.lua_settop(L, 0)
    push(L, makeBoolean(true))
    if (!lapi.lua_checkstack(L, args.length + 8)) fail(L, 'stack overflow')
    for (const value of args) push(L, value)
    return finishProtected(L, lapi.lua_pcallk(L, args.length - 1, -1, 0, 1, continueProtected), 1)
  },

  xpcall(L) {
    const handler = copyOf(checkFunction(L, 2))
    const [fn, , ...args] = collect(L) as [TValue, TValue, ...TValue[]]
    lapi.lua_settop(L, 0)
    push(L, handler)
    push(L, makeBoolean(true))
    if (!lapi.lua_checkstack(L, args.length + 8)) fail(L, 'stack overflow')
    for (const value of [fn, ...args]) push(L, value)
    return finishProtected(L, lapi.lua_pcallk(L, args.length, -1, 1, 2, continueProtected), 2)
  },

  next,

  pairs: suspending(function* (L, [subject]) {
    if (subject === undefined) return typeError(L, 1, 'table')
    const method = metafield(L, subject, pairsField)
    if (method !== undefined) {
      const results = yield { kind: 'call', fn: method, args: [subject] }
      return [results[0] ?? makeNil(), results[1] ?? makeNil(), results[2] ?? makeNil()]
    }
    if (subject.type !== tag.table) return typeError(L, 1, 'table')
    return [nextValue, subject, makeNil()]
  }),

  ipairs(L) {
    const subject = copyOf(checkAny(L, 1))
    return returnAll(L, [ipairsValue, subject, makeNumber(0)])
  },

  select(L) {
    const count = argCount(L)
    const selector = arg(L, 1)
    if (isString(selector) && forPeople(bytesOf(selector)) === '#') return returnOne(L, makeNumber(count - 1))
    const index = checkInteger(L, 1)
    if (index === 0 || -index > count - 1) return argError(L, 1, 'index out of range')
    if (index >= count) return 0
    return index < 0 ? -index : count - index
  },

  type: (L) => returnOne(L, copyOf(typeTexts[checkAny(L, 1).type & 0x0f]!)),

  tostring: suspending(function* (L, [value]) {
    if (value === undefined) return argError(L, 1, 'value expected')
    return yield* tostringFlow(L, value)
  }),

  tonumber(L) {
    const value = checkAny(L, 1)
    if (arg(L, 2).type === tag.nil) {
      const n = isNumber(value) ? (value.value as number) : isString(value) ? lvm.tonumber(value) : false
      return returnOne(L, n === false ? makeNil() : makeNumber(n))
    }
    const base = checkInteger(L, 2)
    if (!isString(value)) return typeError(L, 1, 'string')
    if (base < 2 || base > 36) return argError(L, 2, 'base out of range')
    const n = inBase(fromBytes(bytesOf(value)) ?? '', base)
    return returnOne(L, n === undefined ? makeNil() : makeNumber(n))
  },

  rawequal: (L) => {
    checkAny(L, 2)
    return returnOne(L, makeBoolean(lvm.luaV_equalobj(null, checkAny(L, 1), arg(L, 2)) === 1))
  },

  rawlen(L) {
    const value = arg(L, 1)
    if (value.type === tag.table) return returnOne(L, makeNumber(ltable.luaH_getn(value.value as Table)))
    if (isString(value)) return returnOne(L, makeNumber((value.value as TString).realstring.length))
    return argError(L, 1, 'table or string expected')
  },

  rawget: (L) => returnOne(L, copyOf(ltable.luaH_get(L, checkTable(L, 1), checkAny(L, 2)))),

  rawset(L) {
    const table = checkTable(L, 1)
    checkAny(L, 3)
    ltable.luaH_setfrom(L, table, copyOf(arg(L, 2)), arg(L, 3))
    table.flags = 0
    lapi.lua_settop(L, 1)
    return 1
  },

  getmetatable(L) {
    const value = checkAny(L, 1)
    const hidden = metafield(L, value, metatableField)
    if (hidden !== undefined) return returnOne(L, copyOf(hidden))
    const mt =
      value.type === tag.table || value.type === tag.userdata
        ? (value.value as Table | Udata).metatable
        : L.l_G.mt[value.type & 0x0f]
    return returnOne(L, mt === null || mt === undefined ? makeNil() : new fengari.lobject.TValue(tag.table, mt))
  },

  setmetatable(L) {
    const table = checkTable(L, 1)
    const meta = arg(L, 2)
    if (argCount(L) < 2 || (meta.type !== tag.nil && meta.type !== tag.table))
      return argError(L, 2, 'nil or table expected')
    if (metafield(L, arg(L, 1), metatableField) !== undefined) return fail(L, 'cannot change a protected metatable')
    if (table.frozen) return fail(L, 'attempt to change a read-only table')
    table.metatable = meta.type === tag.nil ? null : (meta.value as Table)
    lapi.lua_settop(L, 1)
    return 1
  },

  print: suspending(function* (L, args) {
    const parts: string[] = []
    for (const value of args) {
      const [text] = yield* tostringFlow(L, value)
      parts.push(forPeople(bytesOf(text!)))
    }
    procOf(L).ports.print?.(parts.join('\t'))
    return []
  }),

  /* ------------------------------------------------------------------------------------ conversions (section 3) */

  integer(L) {
    const n = toNumber(checkAny(L, 1))
    if (n === undefined || !Number.isFinite(n)) return fail(L, `cannot convert ${shown(L)} to an integer`)
    return returnOne(L, makeNumber(Math.trunc(n)))
  },

  number(L) {
    const n = toNumber(checkAny(L, 1))
    return n === undefined ? fail(L, `cannot convert ${shown(L)} to a number`) : returnOne(L, makeNumber(n))
  },

  boolean(L) {
    const value = checkAny(L, 1)
    const text = isString(value) ? fromBytes(bytesOf(value)) : undefined
    if (value.type === tag.boolean || value.type === tag.nil) return returnOne(L, makeBoolean(value.value === true))
    if (text === 'true' || (isNumber(value) && value.value === 1)) return returnOne(L, makeBoolean(true))
    if (text === 'false' || (isNumber(value) && value.value === 0)) return returnOne(L, makeBoolean(false))
    return fail(L, `cannot convert ${shown(L)} to a boolean`)
  },
}

/** `string(x)`: the library table called. */
export const stringOf = suspending(function* (L, [, value]) {
  if (value === undefined) return argError(L, 1, 'value expected')
  if (value.type === tag.table || (value.type & 0x0f) === tag.luaClosure || value.type === tag.thread) {
    const [text] = yield* tostringFlow(L, value)
    if (metafield(L, value, makeConstant('__tostring')) !== undefined) return [text!]
    return fail(L, `cannot convert a ${typeName(value)} to a string`)
  }
  const like = textLike(value)
  if (like !== undefined && isString(value)) return [value]
  return yield* tostringFlow(L, value)
})

function toNumber(value: TValue): number | undefined {
  if (isNumber(value)) return value.value as number
  if (value.type === tag.boolean) return value.value === true ? 1 : 0
  const text = isString(value) ? fromBytes(bytesOf(value)) : undefined
  return text === undefined ? undefined : parseNumber(text)
}

function shown(L: LuaState): string {
  const value = arg(L, 1)
  return isString(value) ? `"${forPeople(bytesOf(value)).slice(0, 40)}"` : `a ${typeName(value)}`
}

function withPrefix(L: LuaState, prefix: string, value: TValue): TValue {
  if (prefix === '') return value
  const head = toBytes(prefix)
  const tail = bytesOf(value)
  const bytes = new Uint8Array(head.length + tail.length)
  bytes.set(head)
  bytes.set(tail, head.length)
  return new fengari.lobject.TValue(tag.longString, fengari.lstring.luaS_bless(L, bytes))
}

function inBase(text: string, base: number): number | undefined {
  const match = /^\s*(-?)([0-9a-zA-Z]+)\s*$/.exec(text)
  if (match === null) return undefined
  let value = 0
  for (const digit of match[2]!) {
    const worth = Number.parseInt(digit, 36)
    if (worth >= base) return undefined
    value = value * base + worth
  }
  return match[1] === '-' ? -value : value
}

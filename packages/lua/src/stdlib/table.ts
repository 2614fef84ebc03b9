import { fengari } from '../fengari/load.ts'
import {
  arg,
  argCount,
  argError,
  checkFunction,
  checkInteger,
  checkTable,
  checkBytes,
  collect,
  copyOf,
  fail,
  isFalse,
  makeBytes,
  makeConstant,
  makeNil,
  makeNumber,
  makeTable,
  metafield,
  optInteger,
  returnAll,
  returnOne,
  suspending,
  textLike,
  typeName,
} from '../fengari/native.ts'
import type { Request } from '../fengari/native.ts'
import { procOf } from '../fengari/shared.ts'
import { tag } from '../fengari/types.ts'
import type { LuaState, NativeFunction, TValue, Table } from '../fengari/types.ts'
import { indexed } from './base.ts'
import { joinBytes } from './bytes.ts'

/** `table`. Tables with metatables go through their metamethods, as in Lua 5.3. */

const { ltable, lvm } = fengari
const lenField = makeConstant('__len')

const hasMeta = (subject: TValue): boolean => (subject.value as Table).metatable !== null

function subjectOf(L: LuaState): TValue {
  checkTable(L, 1)
  return copyOf(arg(L, 1))
}

function lengthOf(L: LuaState, subject: TValue): number {
  if (metafield(L, subject, lenField) === undefined) return ltable.luaH_getn(subject.value as Table)
  const result = makeNil()
  lvm.luaV_objlen(L, result, subject)
  return typeof result.value === 'number' && Number.isInteger(result.value)
    ? result.value
    : fail(L, 'object length is not an integer')
}

const get = (L: LuaState, subject: TValue, at: number): TValue => indexed(L, subject, makeNumber(at))

function set(L: LuaState, subject: TValue, at: number, value: TValue): void {
  if (hasMeta(subject)) lvm.settable(L, subject, makeNumber(at), value)
  else ltable.luaH_setfrom(L, subject.value as Table, makeNumber(at), value)
}

function insert(L: LuaState): number {
  const subject = subjectOf(L)
  const size = lengthOf(L, subject)
  const count = argCount(L)
  if (count === 2) {
    set(L, subject, size + 1, copyOf(arg(L, 2)))
    return 0
  }
  if (count !== 3) return fail(L, "wrong number of arguments to 'insert'")
  const position = checkInteger(L, 2)
  if (position < 1 || position > size + 1) return argError(L, 2, 'position out of bounds')
  const value = copyOf(arg(L, 3))
  procOf(L).charge(L, (size - position) >> 2)
  const table = subject.value as Table
  if (!hasMeta(subject) && position <= size) {
    ltable.luaH_setfrom(L, table, makeNumber(size + 1), table.array[size - 1]!)
    const { array } = table
    for (let at = size - 1; at >= position; at--) array[at]!.setfrom(array[at - 1]!)
    array[position - 1]!.setfrom(value)
    return 0
  }
  for (let at = size + 1; at > position; at--) set(L, subject, at, get(L, subject, at - 1))
  set(L, subject, position, value)
  return 0
}

function remove(L: LuaState): number {
  const subject = subjectOf(L)
  const size = lengthOf(L, subject)
  const position = optInteger(L, 2, size)
  if (
    argCount(L) > 1 &&
    size + 1 !== position &&
    (position < 1 || position > size + 1) &&
    !(size === 0 && position === 0)
  ) {
    return argError(L, 2, 'position out of bounds')
  }
  const removed = get(L, subject, position)
  procOf(L).charge(L, (size - position) >> 2)
  const table = subject.value as Table
  if (!hasMeta(subject) && !table.frozen && position >= 1 && position <= size) {
    const { array } = table
    for (let at = position; at < size; at++) array[at - 1]!.setfrom(array[at]!)
    ltable.luaH_setfrom(L, table, makeNumber(size), makeNil())
    return returnOne(L, removed)
  }
  let at = position
  for (; at < size; at++) set(L, subject, at, get(L, subject, at + 1))
  set(L, subject, at, makeNil())
  return returnOne(L, removed)
}

function concat(L: LuaState): number {
  const subject = subjectOf(L)
  const separator = arg(L, 2).type === tag.nil ? new Uint8Array(0) : checkBytes(L, 2)
  const first = optInteger(L, 3, 1)
  const last = arg(L, 4).type === tag.nil ? lengthOf(L, subject) : checkInteger(L, 4)
  const { stringBytes } = procOf(L).limits
  const chunks: Uint8Array[] = []
  let total = 0
  const add = (chunk: Uint8Array): void => {
    total += chunk.length
    if (total > stringBytes) procOf(L).refuseString(L, total)
    chunks.push(chunk)
  }
  for (let at = first; at <= last; at++) {
    const value = get(L, subject, at)
    const text = textLike(value)
    if (text === undefined) return fail(L, `invalid value (a ${typeName(value)} at index ${at}) in table for 'concat'`)
    add(text)
    if (at !== last && separator.length > 0) add(separator)
  }
  procOf(L).charge(L, chunks.length + (total >> 6))
  return returnOne(L, makeBytes(L, joinBytes(chunks, total)))
}

/** Steps between two looks at whether others should run. */
const restEvery = 4_096

/** Beyond this, a list is refused: sorting it would hold up every other process. */
const maxSorted = 1_000_000

/**
 * A merge sort from the bottom up: stable, n log n whatever the comparator answers, and the same sequence of
 * comparisons for ever (workflows replay by it: change it only with the engine's version).
 */
const sort = suspending(function* (L, [subject, comparator]) {
  checkTable(L, 1)
  if (comparator !== undefined && comparator.type !== tag.nil) checkFunction(L, 2)
  const list = subject!
  const size = lengthOf(L, list)
  if (size > maxSorted) return argError(L, 1, `array too big to sort (${size}, limit ${maxSorted})`)
  if ((list.value as Table).frozen) return fail(L, 'attempt to change a read-only table')
  let from: TValue[] = []
  for (let at = 1; at <= size; at++) from.push(get(L, list, at))
  let to: TValue[] = new Array<TValue>(size)
  let moved = 0
  const compare = comparator === undefined || comparator.type === tag.nil ? undefined : comparator
  for (let width = 1; width < size; width *= 2) {
    for (let low = 0; low < size; low += 2 * width) {
      const middle = Math.min(low + width, size)
      const high = Math.min(low + 2 * width, size)
      let left = low
      let right = middle
      for (let at = low; at < high; at++) {
        // The right one goes first only when it is less: equal ones keep their order.
        const takeRight = left >= middle || (right < high && (yield* isLess(L, compare, from[right]!, from[left]!)))
        to[at] = takeRight ? from[right++]! : from[left++]!
        if (++moved % restEvery === 0) {
          procOf(L).charge(L, restEvery)
          yield { kind: 'rest' }
        }
      }
    }
    ;[from, to] = [to, from]
  }
  for (let at = 1; at <= size; at++) set(L, list, at, from[at - 1]!)
  return []
})

function* isLess(
  L: LuaState,
  comparator: TValue | undefined,
  a: TValue,
  b: TValue,
): Generator<Request, boolean, readonly TValue[]> {
  if (comparator === undefined) return lvm.luaV_lessthan(L, a, b) === 1
  const [answer] = yield { kind: 'call', fn: comparator, args: [a, b] }
  return answer !== undefined && !isFalse(answer)
}

const maxUnpacked = 60_000

function unpack(L: LuaState): number {
  const subject = copyOf(arg(L, 1))
  const first = optInteger(L, 2, 1)
  const last = arg(L, 3).type === tag.nil ? lengthOf(L, subjectOf(L)) : checkInteger(L, 3)
  if (last - first >= maxUnpacked) return fail(L, 'too many results to unpack')
  const values: TValue[] = []
  for (let at = first; at <= last; at++) values.push(get(L, subject, at))
  return returnAll(L, values)
}

export const tableLibrary: Readonly<Record<string, NativeFunction>> = {
  insert,
  remove,
  concat,
  sort,
  unpack,

  pack(L) {
    const values = collect(L)
    const table = new ltable.Table(L)
    for (const [at, value] of values.entries()) ltable.luaH_setint(table, at + 1, value)
    ltable.luaH_setfrom(L, table, makeConstant('n'), makeNumber(values.length))
    return returnOne(L, makeTable(table))
  },

  /** A new table. The sizes are hints that this engine does not need; with `n` given it is an array even when empty. */
  create(L) {
    const table = new ltable.Table(L)
    table.fromArray = optInteger(L, 1, 0) > 0
    optInteger(L, 2, 0)
    return returnOne(L, makeTable(table))
  },

  move(L) {
    const source = subjectOf(L)
    const first = checkInteger(L, 2)
    const last = checkInteger(L, 3)
    const to = checkInteger(L, 4)
    const target = arg(L, 5).type === tag.nil ? source : copyOf(arg(L, 5))
    if (target.type !== tag.table) return argError(L, 5, 'table expected')
    if (last >= first) {
      if (last - first > 10_000_000) return fail(L, 'too many elements to move')
      procOf(L).charge(L, (last - first) >> 1)
      if (to > last || to <= first || target.value !== source.value) {
        for (let at = 0; at <= last - first; at++) set(L, target, to + at, get(L, source, first + at))
      } else {
        for (let at = last - first; at >= 0; at--) set(L, target, to + at, get(L, source, first + at))
      }
    }
    return returnOne(L, target)
  },
}

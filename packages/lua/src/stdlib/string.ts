import {
  arg,
  argCount,
  argError,
  checkBytes,
  checkInteger,
  fail,
  isFalse,
  isFunction,
  makeBytes,
  makeFunction,
  makeNil,
  makeNumber,
  optInteger,
  returnAll,
  returnOne,
  suspending,
  textLike,
  typeName,
} from '../fengari/native.ts'
import { procOf } from '../fengari/shared.ts'
import { fromLatin1 } from '../fengari/text.ts'
import { tag } from '../fengari/types.ts'
import type { LuaState, NativeFunction, TValue } from '../fengari/types.ts'
import { indexed } from './base.ts'
import { ByteBuilder, findBytes, joinBytes } from './bytes.ts'
import { formatFlow } from './format.ts'
import { Matcher, isPlain } from './pattern.ts'
import type { PatternBudget } from './pattern.ts'

/** `string`. Subjects may be error objects, whose message is meant. No dump, pack, unpack. */

interface Budget extends PatternBudget {
  /** Puts the steps on the account of the process. */
  settle(): void
}

/** Steps for one call. Going once through a long text is no reason to refuse: each byte brings some of its own. */
function budgetOf(L: LuaState, source: Uint8Array): Budget {
  const proc = procOf(L)
  const limit = proc.limits.patternSteps + stepsPerByte * source.length
  return {
    left: limit,
    fail: (problem) => fail(L, problem),
    settle() {
      proc.charge(L, (limit - this.left) >> 2)
    },
  }
}

const stepsPerByte = 8

/** 1-based position that may count from the end; as 1-based, at least 1. */
const fromEnd = (position: number, length: number): number =>
  position > 0 ? position : position === 0 ? 1 : Math.max(length + position + 1, 1)

function captureValue(L: LuaState, m: Matcher, index: number, start: number, end: number): TValue {
  const capture = m.capture(index, start, end)
  return typeof capture === 'number' ? makeNumber(capture) : makeBytes(L, capture)
}

function captureValues(L: LuaState, m: Matcher, start: number, end: number, hasWhole: boolean): TValue[] {
  const values: TValue[] = []
  for (let at = 0; at < m.count(hasWhole); at++) values.push(captureValue(L, m, at, start, end))
  return values
}

function search(L: LuaState, isFind: boolean): number {
  const source = checkBytes(L, 1)
  const pattern = checkBytes(L, 2)
  const init = fromEnd(optInteger(L, 3, 1), source.length)
  if (init > source.length + 1) return returnOne(L, makeNil())
  if (isFind && (!isFalse(arg(L, 4)) || isPlain(pattern))) {
    const at = findBytes(source, pattern, init - 1)
    procOf(L).charge(L, source.length >> 6)
    return at === -1 ? returnOne(L, makeNil()) : returnAll(L, [makeNumber(at + 1), makeNumber(at + pattern.length)])
  }
  const budget = budgetOf(L, source)
  const m = new Matcher(source, pattern, budget)
  const isAnchored = pattern[0] === 0x5e
  const patternAt = isAnchored ? 1 : 0
  for (let at = init - 1; at <= source.length; at++) {
    const end = m.matchAt(at, patternAt)
    if (end !== -1) {
      budget.settle()
      const captures = captureValues(L, m, at, end, !isFind)
      return returnAll(L, isFind ? [makeNumber(at + 1), makeNumber(end), ...captures] : captures)
    }
    if (isAnchored) break
  }
  budget.settle()
  return returnOne(L, makeNil())
}

const gsub = suspending(function* (L, [, , replacement]) {
  const source = checkBytes(L, 1)
  const pattern = checkBytes(L, 2)
  const limit = optInteger(L, 4, source.length + 1)
  const repl = replacement === undefined ? undefined : textLike(replacement)
  if (replacement === undefined || (repl === undefined && replacement.type !== tag.table && !isFunction(replacement))) {
    return argError(L, 3, 'string/function/table expected')
  }
  const proc = procOf(L)
  const result = new ByteBuilder(proc.limits.stringBytes, (bytes) => proc.refuseString(L, bytes))
  const isAnchored = pattern[0] === 0x5e
  const patternAt = isAnchored ? 1 : 0
  const budget = budgetOf(L, source)
  const m = new Matcher(source, pattern, budget)
  let copied = 0
  let at = 0
  let last = -1
  let count = 0
  while (count < limit) {
    const end = m.matchAt(at, patternAt)
    if (end !== -1 && end !== last) {
      count++
      if (at > copied) result.add(source.subarray(copied, at))
      if (repl !== undefined) {
        result.add(expand(L, repl, m, at, end))
      } else {
        const value: TValue =
          replacement.type === tag.table
            ? indexed(L, replacement, captureValue(L, m, 0, at, end))
            : ((yield { kind: 'call', fn: replacement, args: captureValues(L, m, at, end, true) })[0] ?? makeNil())
        if (isFalse(value)) result.add(source.subarray(at, end))
        else result.add(textLike(value) ?? fail(L, `invalid replacement value (a ${typeName(value)})`))
      }
      at = last = copied = end
      if (count % restEvery === 0) {
        proc.charge(L, restEvery * 4)
        yield { kind: 'rest' }
      }
    } else if (at < source.length) at++
    else break
    if (isAnchored) break
  }
  budget.settle()
  if (count === 0) return [makeBytes(L, source), makeNumber(0)]
  if (copied < source.length) result.add(source.subarray(copied))
  return [makeBytes(L, result.done()), makeNumber(count)]
})

/** Replacements between two looks at whether others should run. */
const restEvery = 4_096

function expand(L: LuaState, replacement: Uint8Array, m: Matcher, start: number, end: number): Uint8Array {
  if (!replacement.includes(0x25)) return replacement
  const chunks: Uint8Array[] = []
  let total = 0
  const add = (chunk: Uint8Array): void => {
    chunks.push(chunk)
    total += chunk.length
  }
  for (let at = 0; at < replacement.length; at++) {
    if (replacement[at] !== 0x25) {
      const next = replacement.indexOf(0x25, at)
      const stop = next === -1 ? replacement.length : next
      add(replacement.subarray(at, stop))
      at = stop - 1
      continue
    }
    const digit = replacement[++at] ?? 0
    if (digit === 0x25) add(replacement.subarray(at, at + 1))
    else if (digit === 0x30) add(m.source.subarray(start, end))
    else if (digit >= 0x31 && digit <= 0x39) {
      const capture = m.capture(digit - 0x31, start, end)
      add(typeof capture === 'number' ? fromLatin1(String(capture)) : capture)
    } else fail(L, "invalid use of '%' in replacement string")
  }
  return joinBytes(chunks, total)
}

function gmatch(L: LuaState): number {
  const source = checkBytes(L, 1)
  const pattern = checkBytes(L, 2)
  let at = 0
  let last = -1
  const step: NativeFunction = (l) => {
    const budget = budgetOf(l, source)
    const m = new Matcher(source, pattern, budget)
    for (; at <= source.length; at++) {
      const start = at
      const end = m.matchAt(start, 0)
      if (end === -1 || end === last) continue
      at = last = end
      budget.settle()
      return returnAll(l, captureValues(l, m, start, end, true))
    }
    budget.settle()
    return returnOne(l, makeNil())
  }
  return returnOne(L, makeFunction(step))
}

const mapBytes =
  (f: (byte: number) => number): NativeFunction =>
  (L) =>
    returnOne(L, makeBytes(L, checkBytes(L, 1).map(f)))

export const stringLibrary: Readonly<Record<string, NativeFunction>> = {
  find: (L) => search(L, true),
  match: (L) => search(L, false),
  gmatch,
  gsub,

  format: suspending(function* (L, args) {
    return yield* formatFlow(L, args, procOf(L).limits.stringBytes)
  }),

  len: (L) => returnOne(L, makeNumber(checkBytes(L, 1).length)),

  sub(L) {
    const source = checkBytes(L, 1)
    const start = fromEnd(checkInteger(L, 2), source.length)
    const to = optInteger(L, 3, -1)
    const end = to < 0 ? source.length + to + 1 : Math.min(to, source.length)
    return returnOne(L, makeBytes(L, start > end ? new Uint8Array(0) : source.slice(start - 1, end)))
  },

  byte(L) {
    const source = checkBytes(L, 1)
    const first = optInteger(L, 2, 1)
    const start = fromEnd(first, source.length)
    const to = optInteger(L, 3, first)
    const end = to < 0 ? source.length + to + 1 : Math.min(to, source.length)
    const values: TValue[] = []
    if (end - start >= 60_000) fail(L, 'string slice too long')
    for (let at = start; at <= end; at++) values.push(makeNumber(source[at - 1]!))
    return returnAll(L, values)
  },

  char(L) {
    const bytes = new Uint8Array(argCount(L))
    for (let at = 1; at <= bytes.length; at++) {
      const byte = checkInteger(L, at)
      if (byte < 0 || byte > 255) argError(L, at, 'value out of range')
      bytes[at - 1] = byte
    }
    return returnOne(L, makeBytes(L, bytes))
  },

  rep(L) {
    const unit = checkBytes(L, 1)
    const count = checkInteger(L, 2)
    const separator = arg(L, 3).type === tag.nil ? new Uint8Array(0) : checkBytes(L, 3)
    if (count <= 0) return returnOne(L, makeBytes(L, new Uint8Array(0)))
    const total = unit.length * count + separator.length * (count - 1)
    const proc = procOf(L)
    if (total > proc.limits.stringBytes) proc.refuseString(L, total)
    proc.charge(L, total >> 6)
    const bytes = new Uint8Array(total)
    const period = new Uint8Array(unit.length + separator.length)
    period.set(unit)
    period.set(separator, unit.length)
    // Doubling: the number of copies is the logarithm of the count.
    bytes.set(period.subarray(0, Math.min(period.length, total)))
    for (let done = period.length; done > 0 && done < total; done *= 2)
      bytes.copyWithin(done, 0, Math.min(done, total - done))
    return returnOne(L, makeBytes(L, bytes))
  },

  reverse: (L) => returnOne(L, makeBytes(L, checkBytes(L, 1).slice().reverse())),
  lower: mapBytes((byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte)),
  upper: mapBytes((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte)),
}

import {
  argCount,
  argError,
  checkBytes,
  checkInteger,
  fail,
  makeBytes,
  makeFunction,
  makeNil,
  makeNumber,
  optInteger,
  returnAll,
  returnOne,
} from '../fengari/native.ts'
import { toBytes } from '../fengari/text.ts'
import type { LuaState, NativeFunction, TValue } from '../fengari/types.ts'

/** `utf8`, as in Lua 5.3. */

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** Code point at `at` (0-based) and the index behind it; undefined where the bytes are not UTF-8. */
function decode(bytes: Uint8Array, at: number): { point: number; next: number } | undefined {
  const first = bytes[at]
  if (first === undefined) return undefined
  if (first < 0x80) return { point: first, next: at + 1 }
  const extra =
    first >= 0xf0 && first < 0xf8 ? 3 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xc2 && first < 0xe0 ? 1 : 0
  if (extra === 0) return undefined
  let point = first & (0x3f >> extra)
  for (let i = 1; i <= extra; i++) {
    const byte = bytes[at + i]
    if (!isContinuation(byte)) return undefined
    point = (point << 6) | (byte! & 0x3f)
  }
  const least = [0, 0x80, 0x800, 0x10000][extra]!
  if (point < least || point > 0x10ffff) return undefined
  return { point, next: at + extra + 1 }
}

const place = (position: number, length: number): number => (position >= 0 ? position : position + length + 1)

function codes(L: LuaState): number {
  const bytes = checkBytes(L, 1)
  let at = 0
  const step: NativeFunction = (l) => {
    if (at >= bytes.length) return returnOne(l, makeNil())
    const found = decode(bytes, at)
    if (found === undefined) return fail(l, 'invalid UTF-8 code')
    const position = at + 1
    at = found.next
    return returnAll(l, [makeNumber(position), makeNumber(found.point)])
  }
  return returnOne(L, makeFunction(step))
}

export const utf8Library: Readonly<Record<string, NativeFunction | string>> = {
  charpattern: '[\0-\x7F\xC2-\xF4][\x80-\xBF]*',
  codes,
  char(L) {
    let text = ''
    for (let at = 1; at <= argCount(L); at++) {
      const point = checkInteger(L, at)
      if (point < 0 || point > 0x10ffff) argError(L, at, 'value out of range')
      text += String.fromCodePoint(point)
    }
    return returnOne(L, makeBytes(L, toBytes(text)))
  },
  codepoint(L) {
    const bytes = checkBytes(L, 1)
    const first = place(optInteger(L, 2, 1), bytes.length)
    const last = place(optInteger(L, 3, first), bytes.length)
    if (first < 1 || last > bytes.length) argError(L, first < 1 ? 2 : 3, 'out of range')
    if (last - first >= 60_000) fail(L, 'string slice too long')
    const points: TValue[] = []
    for (let at = first - 1; at < last;) {
      const found = decode(bytes, at)
      if (found === undefined) return fail(L, 'invalid UTF-8 code')
      points.push(makeNumber(found.point))
      at = found.next
    }
    return returnAll(L, points)
  },
  len(L) {
    const bytes = checkBytes(L, 1)
    const last = place(optInteger(L, 3, -1), bytes.length)
    let count = 0
    for (let at = place(optInteger(L, 2, 1), bytes.length) - 1; at < last; count++) {
      const found = decode(bytes, at)
      if (found === undefined) return returnAll(L, [makeNil(), makeNumber(at + 1)])
      at = found.next
    }
    return returnOne(L, makeNumber(count))
  },
  offset(L) {
    const bytes = checkBytes(L, 1)
    let n = checkInteger(L, 2)
    let at = place(optInteger(L, 3, n > 0 ? 1 : bytes.length + 1), bytes.length) - 1
    if (at < 0 || at > bytes.length) argError(L, 3, 'position out of range')
    if (n === 0) {
      while (at > 0 && isContinuation(bytes[at])) at--
      return returnOne(L, makeNumber(at + 1))
    }
    if (isContinuation(bytes[at])) fail(L, 'initial position is a continuation byte')
    for (; n < 0 && at > 0; n++) {
      do at--
      while (at > 0 && isContinuation(bytes[at]))
    }
    if (n > 0) {
      for (n--; n > 0 && at < bytes.length; n--) {
        do at++
        while (isContinuation(bytes[at]))
      }
    }
    return returnOne(L, n === 0 ? makeNumber(at + 1) : makeNil())
  },
}

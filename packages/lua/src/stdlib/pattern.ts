/**
 * Lua patterns over bytes, with a budget: a match that takes more than `budget.left` steps raises through `fail`, and
 * so does one that recurses too deeply. Positions are 0-based here.
 */

export interface PatternBudget {
  left: number
  fail(problem: string): never
}

/** End of a capture, or one of the two marks below. */
interface Capture {
  start: number
  length: number
}

const positionCapture = -2
const openCapture = -1
const maxCaptures = 32
const maxDepth = 200

const code = (text: string): number => text.charCodeAt(0)
const escape = code('%')
const specials = new Set(Array.from('^$*+?.([%-', code))

/** True when `pattern` is plain text. */
export function isPlain(pattern: Uint8Array): boolean {
  for (const byte of pattern) if (specials.has(byte)) return false
  return true
}

export class Matcher {
  readonly source: Uint8Array
  readonly pattern: Uint8Array
  readonly #budget: PatternBudget
  captures: Capture[] = []
  #depth = 0

  constructor(source: Uint8Array, pattern: Uint8Array, budget: PatternBudget) {
    this.source = source
    this.pattern = pattern
    this.#budget = budget
  }

  /** End of the match that begins at `at`, or -1. */
  matchAt(at: number, patternAt: number): number {
    this.captures = []
    this.#depth = 0
    return this.#match(at, patternAt)
  }

  #match(from: number, patternFrom: number): number {
    if (++this.#depth > maxDepth) return this.#budget.fail('pattern too complex')
    let s = from
    let p = patternFrom
    const { pattern, source } = this
    try {
      for (;;) {
        if (--this.#budget.left < 0) return this.#budget.fail('pattern match takes too many steps')
        if (p >= pattern.length) return s
        switch (pattern[p]) {
          case 0x28: // (
            return pattern[p + 1] === 0x29 ? this.#open(s, p + 2, positionCapture) : this.#open(s, p + 1, openCapture)
          case 0x29: // )
            return this.#close(s, p + 1)
          case 0x24: // $
            if (p + 1 === pattern.length) return s === source.length ? s : -1
            break
          case escape:
            switch (pattern[p + 1]) {
              case 0x62: // b
                s = this.#balance(s, p + 2)
                if (s === -1) return -1
                p += 4
                continue
              case 0x66: {
                // f
                p += 2
                if (pattern[p] !== 0x5b) this.#budget.fail("missing '[' after '%f' in pattern")
                const end = this.#classEnd(p)
                const before = s === 0 ? 0 : source[s - 1]!
                const here = s < source.length ? source[s]! : 0
                if (this.#inSet(before, p, end - 1) || !this.#inSet(here, p, end - 1)) return -1
                p = end
                continue
              }
              default: {
                const digit = pattern[p + 1] ?? 0
                if (digit >= 0x30 && digit <= 0x39) {
                  s = this.#backReference(s, digit)
                  if (s === -1) return -1
                  p += 2
                  continue
                }
              }
            }
        }
        const end = this.#classEnd(p)
        switch (pattern[end]) {
          case 0x3f: // ?
            if (this.#single(s, p, end)) {
              const result = this.#match(s + 1, end + 1)
              if (result !== -1) return result
            }
            p = end + 1
            continue
          case 0x2b: // +
            return this.#single(s, p, end) ? this.#greedy(s + 1, p, end) : -1
          case 0x2a: // *
            return this.#greedy(s, p, end)
          case 0x2d: // -
            for (;;) {
              const result = this.#match(s, end + 1)
              if (result !== -1) return result
              if (!this.#single(s, p, end)) return -1
              s++
              this.#step()
            }
          default:
            if (!this.#single(s, p, end)) return -1
            s++
            p = end
        }
      }
    } finally {
      this.#depth--
    }
  }

  #step(): void {
    if (--this.#budget.left < 0) this.#budget.fail('pattern match takes too many steps')
  }

  #greedy(s: number, p: number, end: number): number {
    let count = 0
    while (this.#single(s + count, p, end)) {
      count++
      this.#step()
    }
    for (; count >= 0; count--) {
      const result = this.#match(s + count, end + 1)
      if (result !== -1) return result
    }
    return -1
  }

  #open(s: number, p: number, length: number): number {
    if (this.captures.length >= maxCaptures) this.#budget.fail('too many captures')
    this.captures.push({ start: s, length })
    const result = this.#match(s, p)
    if (result === -1) this.captures.pop()
    return result
  }

  #close(s: number, p: number): number {
    const open = this.captures.findLast((capture) => capture.length === openCapture)
    if (open === undefined) return this.#budget.fail('invalid pattern capture')
    open.length = s - open.start
    const result = this.#match(s, p)
    if (result === -1) open.length = openCapture
    return result
  }

  #balance(s: number, p: number): number {
    const { pattern, source } = this
    if (p + 1 >= pattern.length) this.#budget.fail("missing arguments to '%b'")
    const begin = pattern[p]
    const end = pattern[p + 1]
    if (s >= source.length || source[s] !== begin) return -1
    let depth = 1
    for (let at = s + 1; at < source.length; at++) {
      this.#step()
      if (source[at] === end) {
        if (--depth === 0) return at + 1
      } else if (source[at] === begin) depth++
    }
    return -1
  }

  #backReference(s: number, digit: number): number {
    const capture = this.captures[digit - 0x31]
    if (capture === undefined || capture.length === openCapture) {
      return this.#budget.fail(`invalid capture index %${digit - 0x30}`)
    }
    const length = Math.max(capture.length, 0)
    if (this.source.length - s < length) return -1
    for (let at = 0; at < length; at++) {
      this.#step()
      if (this.source[capture.start + at] !== this.source[s + at]) return -1
    }
    return s + length
  }

  #classEnd(from: number): number {
    const { pattern } = this
    let p = from
    const first = pattern[p++]
    if (first === escape) {
      if (p >= pattern.length) this.#budget.fail("malformed pattern (ends with '%')")
      return p + 1
    }
    if (first !== 0x5b) return p
    if (pattern[p] === 0x5e) p++
    do {
      if (p >= pattern.length) this.#budget.fail("malformed pattern (missing ']')")
      if (pattern[p++] === escape) p++
    } while (p >= pattern.length || pattern[p] !== 0x5d)
    return p + 1
  }

  #single(s: number, p: number, end: number): boolean {
    if (s >= this.source.length) return false
    const byte = this.source[s]!
    switch (this.pattern[p]) {
      case 0x2e: // .
        return true
      case escape:
        return inClass(byte, this.pattern[p + 1]!)
      case 0x5b: // [
        return this.#inSet(byte, p, end - 1)
      default:
        return this.pattern[p] === byte
    }
  }

  /** `p` stands at '[', `close` at ']'. */
  #inSet(byte: number, p: number, close: number): boolean {
    const { pattern } = this
    let at = p + 1
    let positive = true
    if (pattern[at] === 0x5e) {
      positive = false
      at++
    }
    for (; at < close; at++) {
      const item = pattern[at]!
      if (item === escape) {
        at++
        if (inClass(byte, pattern[at]!)) return positive
      } else if (pattern[at + 1] === 0x2d && at + 2 < close) {
        if (item <= byte && byte <= pattern[at + 2]!) return positive
        at += 2
      } else if (item === byte) return positive
    }
    return !positive
  }

  /** The values of a match: its captures, or the whole of it. */
  count(hasWhole: boolean): number {
    return this.captures.length === 0 && hasWhole ? 1 : this.captures.length
  }

  /** Capture `index`, as bytes, or as a number for a position. */
  capture(index: number, start: number, end: number): Uint8Array | number {
    const capture = this.captures[index]
    if (capture === undefined) {
      if (index !== 0) return this.#budget.fail(`invalid capture index %${index + 1}`)
      return this.source.slice(start, end)
    }
    if (capture.length === positionCapture) return capture.start + 1
    if (capture.length === openCapture) return this.#budget.fail('unfinished capture')
    return this.source.slice(capture.start, capture.start + capture.length)
  }
}

const isAlpha = (c: number): boolean => (c >= 65 && c <= 90) || (c >= 97 && c <= 122)
const isDigit = (c: number): boolean => c >= 48 && c <= 57
const isPrintable = (c: number): boolean => c > 32 && c < 127

function inClass(byte: number, cls: number): boolean {
  let result: boolean
  switch (cls | 0x20) {
    case 0x61: // a
      result = isAlpha(byte)
      break
    case 0x63: // c
      result = byte < 32 || byte === 127
      break
    case 0x64: // d
      result = isDigit(byte)
      break
    case 0x67: // g
      result = isPrintable(byte)
      break
    case 0x6c: // l
      result = byte >= 97 && byte <= 122
      break
    case 0x70: // p
      result = isPrintable(byte) && !isAlpha(byte) && !isDigit(byte)
      break
    case 0x73: // s
      result = byte === 32 || (byte >= 9 && byte <= 13)
      break
    case 0x75: // u
      result = byte >= 65 && byte <= 90
      break
    case 0x77: // w
      result = isAlpha(byte) || isDigit(byte)
      break
    case 0x78: // x
      result = isDigit(byte) || (byte >= 65 && byte <= 70) || (byte >= 97 && byte <= 102)
      break
    default:
      return cls === byte
  }
  // Only letters name classes; a capital one means the opposite.
  if (!isAlpha(cls)) return cls === byte
  return (cls & 0x20) === 0 ? !result : result
}

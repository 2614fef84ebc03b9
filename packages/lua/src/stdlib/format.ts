import { formatA, formatE, formatF, formatG, numberText } from '../fengari/number.ts'
import {
  argError,
  bytesOf,
  checkBytes,
  checkInteger,
  checkNumber,
  fail,
  isNumber,
  makeBytes,
  textLike,
  typeError,
} from '../fengari/native.ts'
import type { Flow, Request } from '../fengari/native.ts'
import { fromLatin1, toBytes, toLatin1 } from '../fengari/text.ts'
import { tag } from '../fengari/types.ts'
import type { LuaState, TValue } from '../fengari/types.ts'
import { procOf } from '../fengari/shared.ts'
import { ByteBuilder } from './bytes.ts'
import { tostringFlow } from './tostring.ts'

/** `string.format`: C's, on bytes. Integers are 64 bits wide: `%x` of -1 has sixteen digits. */

const directive = /^%([-+ #0]*)(\d*)(?:\.(\d*))?(.)/s

interface Spec {
  readonly left: boolean
  readonly plus: boolean
  readonly space: boolean
  readonly alternate: boolean
  readonly zero: boolean
  readonly width: number
  readonly precision: number | undefined
}

export function* formatFlow(L: LuaState, args: readonly TValue[], limitBytes: number): Flow {
  const pattern = checkBytes(L, 1)
  const result = new ByteBuilder(limitBytes, (bytes) => procOf(L).refuseString(L, bytes))
  const add = (piece: Uint8Array): void => result.add(piece)
  let used = 1
  let at = 0
  while (at < pattern.length) {
    const percent = pattern.indexOf(0x25, at)
    if (percent === -1) {
      add(pattern.subarray(at))
      break
    }
    if (percent > at) add(pattern.subarray(at, percent))
    if (pattern[percent + 1] === 0x25) {
      add(pattern.subarray(percent, percent + 1))
      at = percent + 2
      continue
    }
    const match = directive.exec(toLatin1(pattern.subarray(percent, percent + 24)))
    if (match === null) return fail(L, "invalid option '%' to 'format'")
    const [whole, flags = '', width = '', precision, conversion = ''] = match
    at = percent + whole.length
    if (flags.length > 5 || width.length > 2 || (precision?.length ?? 0) > 2)
      return fail(L, 'invalid format (width or precision too long)')
    const spec: Spec = {
      left: flags.includes('-'),
      plus: flags.includes('+'),
      space: flags.includes(' '),
      alternate: flags.includes('#'),
      zero: flags.includes('0'),
      width: Number(width),
      precision: precision === undefined ? undefined : Number(precision),
    }
    used++
    const value = args[used - 1]
    if (value === undefined) return argError(L, used, 'no value')
    if (conversion === 's') {
      let text = yield* textOf(L, value)
      if (spec.precision !== undefined) text = text.subarray(0, spec.precision)
      add(padBytes(text, spec))
    } else if (conversion === 'q') {
      add(quoted(L, value, used))
    } else {
      add(fromLatin1(numeric(L, used, conversion, spec)))
    }
  }
  return [makeBytes(L, result.done())]
}

function* textOf(L: LuaState, value: TValue): Generator<Request, Uint8Array, readonly TValue[]> {
  const [text] = yield* tostringFlow(L, value)
  return bytesOf(text!)
}

function numeric(L: LuaState, at: number, conversion: string, spec: Spec): string {
  switch (conversion) {
    case 'd':
    case 'i': {
      const n = checkInteger(L, at)
      return withSign(n < 0, digits(BigInt(Math.abs(n)).toString(), spec), spec, spec.precision === undefined)
    }
    case 'u':
      return withSign(
        false,
        digits(unsigned(L, at).toString(), spec),
        { ...spec, plus: false, space: false },
        spec.precision === undefined,
      )
    case 'o': {
      const text = unsigned(L, at).toString(8)
      const out = digits(text, spec)
      return pad(spec.alternate && !out.startsWith('0') ? `0${out}` : out, spec, spec.precision === undefined, '')
    }
    case 'x':
    case 'X': {
      const n = unsigned(L, at)
      const body = digits(n.toString(16), spec)
      const text = pad(body, spec, spec.precision === undefined, spec.alternate && n !== 0n ? '0x' : '')
      return conversion === 'X' ? text.toUpperCase() : text
    }
    case 'c':
      return pad(String.fromCharCode(checkInteger(L, at) & 0xff), spec, false, '')
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case 'a':
    case 'A': {
      const text = float(checkNumber(L, at), conversion.toLowerCase(), spec)
      return conversion < 'a' ? text.toUpperCase() : text
    }
    default:
      return fail(L, `invalid option '%${conversion}' to 'format'`)
  }
}

function float(n: number, conversion: string, spec: Spec): string {
  const precision = spec.precision ?? 6
  const isNegative = n < 0 || Object.is(n, -0)
  const size = Math.abs(n)
  let body: string
  switch (conversion) {
    case 'e':
      body = formatE(size, precision)
      break
    case 'f':
      body = formatF(size, precision)
      break
    case 'g':
      body = formatG(size, precision, spec.alternate)
      break
    default:
      body = formatA(size, spec.precision)
  }
  // `#` keeps the point where no digit follows it.
  if (spec.alternate && Number.isFinite(n)) body = body.replace(/^([\dA-Fa-fx]+)(?=$|e[+-]|p)/, '$1.')
  return withSign(isNegative, body, spec, Number.isFinite(n))
}

const unsigned = (L: LuaState, at: number): bigint => BigInt.asUintN(64, BigInt(checkInteger(L, at)))

/** At least `precision` digits; zero with precision 0 has none. */
function digits(text: string, { precision }: Spec): string {
  if (precision === undefined) return text
  return precision === 0 && text === '0' ? '' : text.padStart(precision, '0')
}

function withSign(isNegative: boolean, body: string, spec: Spec, mayZero: boolean): string {
  const sign = isNegative ? '-' : spec.plus ? '+' : spec.space ? ' ' : ''
  return pad(body, spec, mayZero, sign)
}

function pad(body: string, spec: Spec, mayZero: boolean, prefix: string): string {
  const missing = spec.width - body.length - prefix.length
  if (missing <= 0) return prefix + body
  if (spec.left) return prefix + body + ' '.repeat(missing)
  if (spec.zero && mayZero) return prefix + '0'.repeat(missing) + body
  return ' '.repeat(missing) + prefix + body
}

function padBytes(text: Uint8Array, spec: Spec): Uint8Array {
  if (text.length >= spec.width) return text
  const padded = new Uint8Array(spec.width).fill(0x20)
  padded.set(text, spec.left ? 0 : spec.width - text.length)
  return padded
}

/** `%q`: a literal that Lua reads back as the same value. */
function quoted(L: LuaState, value: TValue, at: number): Uint8Array {
  if (isNumber(value)) {
    const n = value.value as number
    return toBytes(Number.isFinite(n) ? numberText(n) : n > 0 ? '1e9999' : n < 0 ? '-1e9999' : '(0/0)')
  }
  if (value.type === tag.nil || value.type === tag.boolean)
    return toBytes(value.type === tag.nil ? 'nil' : String(value.value))
  const bytes = textLike(value) ?? typeError(L, at, 'string')
  let text = '"'
  bytes.forEach((byte, i) => {
    if (byte === 0x22 || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`
    else if (byte === 0x0a) text += '\\\n'
    else if (byte === 0x0d) text += '\\r'
    else if (byte === 0) text += isDigit(bytes[i + 1]) ? '\\000' : '\\0'
    else if (byte < 32 || byte === 127)
      text += isDigit(bytes[i + 1]) ? `\\${String(byte).padStart(3, '0')}` : `\\${byte}`
    else text += String.fromCharCode(byte)
  })
  return fromLatin1(`${text}"`)
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 48 && byte <= 57

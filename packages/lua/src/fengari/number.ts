/**
 * Numbers as text. In this engine every number is a double, and "integer" is a property of its value: integral and
 * within 2^53. Such a number prints with all its digits and without `.0`; zero has no sign in text.
 */

export const maxExact = 2 ** 53

export const isIntegral = (n: number): boolean => Number.isInteger(n) && n <= maxExact && n >= -maxExact

/** As `tostring`: integers in full, others as C's `%.14g`, `inf`, `-inf`, `nan`. */
export function numberText(n: number): string {
  if (isIntegral(n)) return n === 0 ? '0' : String(n)
  return formatG(n, 14, false)
}

/** C's `%.{precision}g`; `alternate` keeps trailing zeros (`#`). */
export function formatG(n: number, precision: number, alternate: boolean): string {
  const special = specialText(n)
  if (special !== undefined) return special
  const digits = precision === 0 ? 1 : precision
  if (n === 0) return `${Object.is(n, -0) ? '-0' : '0'}${alternate && digits > 1 ? `.${'0'.repeat(digits - 1)}` : ''}`
  const scientific = exponential(n, digits - 1)
  const exponent = Number(scientific.slice(scientific.indexOf('e') + 1))
  if (exponent < -4 || exponent >= digits) {
    const [mantissa] = scientific.split('e') as [string, string]
    return `${alternate ? mantissa : trimZeros(mantissa)}e${exponentText(exponent)}`
  }
  const fixed = fixedText(n, digits - 1 - exponent)
  return alternate ? fixed : trimZeros(fixed)
}

/** C's `%.{precision}e`. */
export function formatE(n: number, precision: number): string {
  const special = specialText(n)
  if (special !== undefined) return special
  const [mantissa, exponent] = exponential(n, precision).split('e') as [string, string]
  return `${Object.is(n, -0) ? '-' : ''}${mantissa}e${exponentText(Number(exponent))}`
}

/** C's `%.{precision}f`. */
export function formatF(n: number, precision: number): string {
  return specialText(n) ?? `${Object.is(n, -0) ? '-' : ''}${fixedText(n, precision)}`
}

/** C's `%a`. */
export function formatA(n: number, precision: number | undefined): string {
  const special = specialText(n)
  if (special !== undefined) return special
  const sign = n < 0 || Object.is(n, -0) ? '-' : ''
  let mantissa = Math.abs(n)
  let exponent = 0
  if (mantissa !== 0) {
    exponent = Math.floor(Math.log2(mantissa))
    if (2 ** exponent > mantissa) exponent--
    if (exponent < -1022) exponent = -1022
    mantissa = exponent < -1000 ? (mantissa * 2 ** 500) / 2 ** (exponent + 500) : mantissa / 2 ** exponent
  }
  const hasLead = mantissa >= 1
  let fraction = BigInt(Math.round((mantissa - (hasLead ? 1 : 0)) * 2 ** 52))
  let lead = hasLead ? 1 : 0
  let hex = fraction.toString(16).padStart(13, '0')
  if (precision === undefined) {
    hex = hex.replace(/0+$/, '')
  } else if (precision < 13) {
    const dropped = BigInt(4 * (13 - precision))
    const half = 1n << (dropped - 1n)
    const rest = fraction & ((1n << dropped) - 1n)
    fraction >>= dropped
    const whole = (BigInt(lead) << BigInt(4 * precision)) | fraction
    const rounded = rest > half || (rest === half && (whole & 1n) === 1n) ? whole + 1n : whole
    lead = Number(rounded >> BigInt(4 * precision))
    hex = precision === 0 ? '' : (rounded & ((1n << BigInt(4 * precision)) - 1n)).toString(16).padStart(precision, '0')
  } else {
    hex = hex.padEnd(precision, '0')
  }
  return `${sign}0x${lead}${hex === '' ? '' : `.${hex}`}p${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`
}

const decimal = /^[ \t\n\v\f\r]*([+-]?)(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t\n\v\f\r]*$/
const hexadecimal = /^[ \t\n\v\f\r]*([+-]?)0[xX]([0-9a-fA-F]*)(\.[0-9a-fA-F]*)?(?:[pP]([+-]?\d+))?[ \t\n\v\f\r]*$/

/** A numeral of Lua's as a number, or undefined. A hexadecimal integer wraps at 64 bits, as in Lua 5.3. */
export function parseNumber(text: string): number | undefined {
  if (decimal.test(text)) return Number(text)
  const hex = hexadecimal.exec(text)
  if (hex === null) return undefined
  const [, sign, whole = '', point, exponent] = hex
  if (whole === '' && (point === undefined || point === '.')) return undefined
  let value: number
  if (point === undefined && exponent === undefined) {
    value = whole.length < 14 ? Number.parseInt(whole, 16) : Number(BigInt.asIntN(64, BigInt(`0x${whole}`)))
  } else {
    value = whole === '' ? 0 : Number(BigInt(`0x${whole}`))
    let scale = 1 / 16
    for (const digit of (point ?? '.').slice(1)) {
      value += Number.parseInt(digit, 16) * scale
      scale /= 16
    }
    value *= 2 ** Number(exponent ?? 0)
  }
  return sign === '-' ? -value : value
}

const specialText = (n: number): string | undefined =>
  Number.isNaN(n) ? 'nan' : n === Infinity ? 'inf' : n === -Infinity ? '-inf' : undefined

const exponentText = (exponent: number): string =>
  `${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`

const trimZeros = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text)

/** toExponential and toFixed stop at 100 digits; a format may ask for 99. */
const maxDigits = 100

function exponential(n: number, digits: number): string {
  const text = n.toExponential(digits)
  const longer = n.toExponential(Math.min(digits + tieDigits, maxDigits))
  const cut = longer.indexOf('e') - Math.min(tieDigits, maxDigits - digits)
  const [mantissa, exponent] = longer.split('e') as [string, string]
  if (!isTie(mantissa.slice(cut)) || !isEven(mantissa, cut)) return text
  return `${mantissa.slice(0, digits === 0 ? cut - 1 : cut)}e${exponent}`
}

/** toFixed falls back to exponent notation from 1e21 on: such a number is an integer, and BigInt shows it whole. */
function fixedText(n: number, digits: number): string {
  if (Math.abs(n) >= 1e21) return `${BigInt(n)}${digits === 0 ? '' : `.${'0'.repeat(digits)}`}`
  const longer = n.toFixed(Math.min(digits + tieDigits, maxDigits))
  const cut = longer.length - Math.min(tieDigits, maxDigits - digits)
  if (!isTie(longer.slice(cut)) || !isEven(longer, cut)) return n.toFixed(digits)
  return longer.slice(0, digits === 0 ? cut - 1 : cut)
}

/**
 * JavaScript rounds an exact tie away from zero, C to the even digit. A double that is no tie differs from one within
 * 17 significant digits, so that this many more digits tell.
 */
const tieDigits = 25
const isTie = (tail: string): boolean => /^50*$/.test(tail)
const isEven = (text: string, cut: number): boolean => {
  const last = text[cut - 1] === '.' ? text[cut - 2] : text[cut - 1]
  return Number(last) % 2 === 0
}

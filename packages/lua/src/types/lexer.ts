/** Lua 5.3 text to tokens, with the few symbols that types add (`->`, `?`, `!`, `@`). Positions are UTF-16 offsets. */

export type TokenKind = 'name' | 'keyword' | 'string' | 'number' | 'symbol' | 'end'

export interface Token {
  readonly kind: TokenKind
  readonly text: string
  readonly start: number
  readonly end: number
  /** Line of the first character, from 1. */
  readonly line: number
  /** Line of the last one: long strings span several. */
  readonly lastLine: number
}

export class LexError extends Error {
  readonly line: number
  constructor(message: string, line: number) {
    super(message)
    this.line = line
  }
}

const keywords = new Set(
  'and break do else elseif end false for function goto if in local nil not or repeat return then true until while'.split(
    ' ',
  ),
)

const symbols3 = new Set(['...'])
const symbols2 = new Set(['..', '==', '~=', '<=', '>=', '<<', '>>', '//', '::', '->'])
const wordStart = /[A-Za-z_]/
const word = /[A-Za-z0-9_]*/y
const space = /[ \t\v\f\r\n]+/y
const longOpen = /\[(=*)\[/y
const restOfLine = /[^\r\n]*/y

export interface Tokens {
  /** The last one is of kind `end`: the end of the text, or where it cannot be read on. */
  readonly tokens: readonly Token[]
  /** A string or comment without end, or a character that no token starts with. */
  readonly error: LexError | undefined
}

export function tokenize(source: string): Tokens {
  const tokens: Token[] = []
  try {
    readTokens(source, tokens)
    return { tokens, error: undefined }
  } catch (error) {
    if (!(error instanceof LexError)) throw error
    const { line } = error
    tokens.push({ kind: 'end', text: '<eof>', start: source.length, end: source.length, line, lastLine: line })
    return { tokens, error }
  }
}

function readTokens(source: string, tokens: Token[]): void {
  let at = source.startsWith('#') ? skip(restOfLine, source, 0) : 0
  let line = 1
  while (at < source.length) {
    const char = source[at]!
    if (char <= ' ') {
      const end = skip(space, source, at)
      if (end === at) throw new LexError(`unexpected symbol near ${JSON.stringify(char)}`, line)
      line += countLines(source, at, end)
      at = end
      continue
    }
    if (char === '-' && source[at + 1] === '-') {
      const long = longEnd(source, at + 2, line, 'comment')
      const end = long ?? skip(restOfLine, source, at)
      line += countLines(source, at, end)
      at = end
      continue
    }
    const [kind, end] = scan(source, at, line)
    const lastLine = kind === 'string' ? line + countLines(source, at, end) : line
    tokens.push({ kind, text: source.slice(at, end), start: at, end, line, lastLine })
    line = lastLine
    at = end
  }
  tokens.push({ kind: 'end', text: '<eof>', start: source.length, end: source.length, line, lastLine: line })
}

function scan(source: string, at: number, line: number): [TokenKind, number] {
  const char = source[at]!
  if (wordStart.test(char)) {
    const end = skip(word, source, at)
    return [keywords.has(source.slice(at, end)) ? 'keyword' : 'name', end]
  }
  if (isDigit(char) || (char === '.' && isDigit(source[at + 1]))) return ['number', numberEnd(source, at)]
  if (char === '"' || char === "'") return ['string', stringEnd(source, at, line)]
  if (char === '[') {
    const end = longEnd(source, at, line, 'string')
    if (end !== undefined) return ['string', end]
  }
  if (symbols3.has(source.slice(at, at + 3))) return ['symbol', at + 3]
  if (symbols2.has(source.slice(at, at + 2))) return ['symbol', at + 2]
  if ('+-*/%^#&~|<>=(){}[];:,.?!@'.includes(char)) return ['symbol', at + 1]
  throw new LexError(`unexpected symbol near '${char}'`, line)
}

function skip(pattern: RegExp, source: string, at: number): number {
  pattern.lastIndex = at
  const match = pattern.exec(source)
  return match === null ? at : at + match[0].length
}

const isDigit = (char: string | undefined): boolean => char !== undefined && char >= '0' && char <= '9'

/** As Lua reads them: anything that could belong to a numeral does, and is judged later. */
function numberEnd(source: string, at: number): number {
  const exponent = source[at] === '0' && /[xX]/.test(source[at + 1] ?? '') ? /[pP]/ : /[eE]/
  let end = at
  for (;;) {
    const char = source[end]
    if (char === undefined) return end
    if (exponent.test(char) && /[+-]/.test(source[end + 1] ?? '')) end += 2
    else if (/[0-9A-Za-z_.]/.test(char)) end++
    else return end
  }
}

function stringEnd(source: string, at: number, line: number): number {
  const quote = source[at]!
  let end = at + 1
  for (;;) {
    const char = source[end]
    if (char === undefined || char === '\n' || char === '\r') {
      throw new LexError(`unfinished string near '${source.slice(at, end)}'`, line)
    }
    if (char === quote) return end + 1
    if (char !== '\\') end++
    else if (source[end + 1] === 'z') end = skip(space, source, end + 2)
    else if (source[end + 1] === '\r' && source[end + 2] === '\n') end += 3
    else end += 2
  }
}

/** The end of a long bracket that opens at `at`; undefined when none does. */
function longEnd(source: string, at: number, line: number, what: string): number | undefined {
  longOpen.lastIndex = at
  const open = longOpen.exec(source)
  if (open === null) return undefined
  const close = `]${open[1]!}]`
  const end = source.indexOf(close, at + open[0].length)
  if (end < 0) throw new LexError(`unfinished long ${what}`, line)
  return end + close.length
}

/** `\r\n` and `\n\r` are one line end, as in Lua. */
function countLines(source: string, from: number, to: number): number {
  let lines = 0
  for (let at = from; at < to; at++) {
    const char = source[at]
    if (char !== '\n' && char !== '\r') continue
    lines++
    const next = source[at + 1]
    if (at + 1 < to && (next === '\n' || next === '\r') && next !== char) at++
  }
  return lines
}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

/**
 * What a string token stands for. Escapes of bytes that are not UTF-8 become U+FFFD; what is no escape keeps its backslash,
 * for patterns that were written without doubling it.
 */
export function stringValue(token: string): string {
  const long = /^\[(=*)\[/.exec(token)
  if (long !== null) return token.slice(long[0].length, -long[0].length).replace(/^(\r\n|\n\r|\n|\r)/, '')
  const pattern = /\\(?:z\s*|x([0-9a-fA-F]{2})|(\d{1,3})|u\{([0-9a-fA-F]+)\}|(\r\n|[\s\S]))/g
  const bytes: Buffer[] = []
  const body = token.slice(1, -1)
  let at = 0
  for (const match of body.matchAll(pattern)) {
    bytes.push(Buffer.from(body.slice(at, match.index)))
    at = match.index + match[0].length
    const [, hex, decimal, code, char] = match
    if (hex !== undefined) bytes.push(Buffer.from([parseInt(hex, 16)]))
    else if (decimal !== undefined) bytes.push(Buffer.from([Number(decimal) & 0xff]))
    else if (code !== undefined) bytes.push(Buffer.from(String.fromCodePoint(Math.min(parseInt(code, 16), 0x10ffff))))
    else if (char !== undefined)
      bytes.push(
        Buffer.from(char === '\r\n' ? '\n' : (simpleEscapes[char] ?? (/[\\"'\n]/.test(char) ? char : `\\${char}`))),
      )
  }
  bytes.push(Buffer.from(body.slice(at)))
  return Buffer.concat(bytes).toString('utf8')
}

import { AppError } from '@daruma/protocol'
import { tokenize, type LexError, type Token } from './lexer.ts'

/** Replaces `source[start, end)`. Equal bounds: an insertion. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** The text is not Lua, in a place where types have nothing to say: the compiler words it better. */
export class LuaSyntaxError extends Error {
  readonly line: number
  constructor(message: string, line: number) {
    super(message)
    this.line = line
  }
}

/** Where a walk over the tokens stands, and the edits that it has decided on. Can be set back to an earlier mark. */
export class Cursor {
  readonly source: string
  readonly chunkName: string
  readonly edits: Edit[] = []
  /** Why the tokens end before the text does. */
  readonly lexError: LexError | undefined
  readonly #tokens: readonly Token[]
  #at = 0
  /** Characters of the current token that are taken already: the first half of `>>`. */
  #taken = 0
  #previous: Token | undefined

  #depth = 0

  constructor(source: string, chunkName: string) {
    this.source = source
    this.chunkName = chunkName
    const { tokens, error } = tokenize(source)
    this.#tokens = tokens
    this.lexError = error
  }

  get token(): Token {
    const token = this.#tokens[this.#at]!
    return this.#taken === 0
      ? token
      : { ...token, text: token.text.slice(this.#taken), start: token.start + this.#taken }
  }

  /** The token that was taken last. */
  get previous(): Token {
    return this.#previous ?? this.#tokens[0]!
  }

  peek(distance = 1): Token {
    return this.#tokens[Math.min(this.#at + distance, this.#tokens.length - 1)]!
  }

  next(): Token {
    const { token } = this
    if (token.kind === 'end') return token
    this.#previous = token
    this.#at++
    this.#taken = 0
    return token
  }

  /** Whether the token is this symbol or keyword. */
  is(text: string): boolean {
    const { token } = this
    return token.text === text && (token.kind === 'symbol' || token.kind === 'keyword')
  }

  isName(text?: string): boolean {
    return this.token.kind === 'name' && (text === undefined || this.token.text === text)
  }

  accept(text: string): boolean {
    if (!this.is(text)) return false
    this.next()
    return true
  }

  expect(text: string): Token {
    if (!this.is(text)) throw this.luaError(`'${text}' expected`)
    return this.next()
  }

  expectName(): Token {
    if (!this.isName()) throw this.luaError('<name> expected')
    return this.next()
  }

  /** Takes a `>`, also off the front of `>>` or `>=`. */
  acceptAngle(): boolean {
    const { token } = this
    if (token.kind !== 'symbol' || !token.text.startsWith('>')) return false
    if (token.text.length === 1) this.next()
    else {
      this.#previous = { ...token, text: '>', end: token.start + 1 }
      this.#taken++
    }
    return true
  }

  /** Runs `attempt`; where it answers undefined or throws, nothing has happened. */
  speculate<T>(attempt: () => T | undefined): T | undefined {
    const at = this.#at
    const taken = this.#taken
    const previous = this.#previous
    const edits = this.edits.length
    const depth = this.#depth
    try {
      const result = attempt()
      if (result !== undefined) return result
    } catch (error) {
      if (!(error instanceof LuaSyntaxError || error instanceof AppError)) throw error
    }
    this.#at = at
    this.#taken = taken
    this.#previous = previous
    this.edits.length = edits
    this.#depth = depth
    return undefined
  }

  /** One level deeper; as deep as Lua itself goes, whose compiler refuses what lies deeper. */
  enter(): void {
    if (++this.#depth > 200) throw this.luaError('chunk has too many syntax levels')
  }

  leave(): void {
    this.#depth--
  }

  /** `lead` and then spaces in place of `source[start, end)`; line ends stay, so that no line moves. */
  blank(start: number, end: number, lead = ''): void {
    if (end > start) this.edits.push({ start, end, text: lead + blankText(this.source.slice(start, end)) })
  }

  insert(at: number, text: string): void {
    this.edits.push({ start: at, end: at, text })
  }

  replace(start: number, end: number, text: string): void {
    this.edits.push({ start, end, text })
  }

  luaError(message: string): LuaSyntaxError {
    return new LuaSyntaxError(`${message} near '${this.token.text}'`, this.token.line)
  }

  /** What is wrong with a type, at the current token. */
  typeError(message: string): AppError {
    const { line, text } = this.token
    return syntaxError(this.chunkName, line, `${message} near '${text}'`)
  }

  /** The source with all edits made. */
  result(): string {
    if (this.edits.length === 0) return this.source
    // Insertions come before what is replaced from the same place on.
    const edits = this.edits.toSorted((a, b) => a.start - b.start || a.end - b.end)
    let code = ''
    let at = 0
    for (const edit of edits) {
      if (edit.start < at) continue // within something that is gone as a whole: typeof(f() :: T)
      code += this.source.slice(at, edit.start) + edit.text
      at = edit.end
    }
    return code + this.source.slice(at)
  }
}

export function syntaxError(chunkName: string, line: number, message: string): AppError {
  return new AppError('invalid', `${chunkName}:${line}: ${message}`, { name: chunkName, line })
}

export const blankText = (text: string): string => text.replaceAll(/[^\r\n]/g, ' ')
/** Only the line ends of `text`. */
export const lineEnds = (text: string): string => text.replaceAll(/[^\r\n]+/g, '')

import { Cursor, LuaSyntaxError, lineEnds, syntaxError } from './types/cursor.ts'
import { declarationCode, newScope, type DeclaredType, type TypeScope } from './types/declare.ts'
import { TypeParser } from './types/parse-type.ts'

/**
 * Typed Lua to Lua 5.3. Each line stays on its line; a text without types comes back as it is, the same string.
 *
 * Erased: `: T` after names of local, for and parameters and after parameter lists, `<T>` after the names of functions,
 * `e :: T`, `e as T`, `e!`, `<T>` before the arguments of a call. A cast or `!` after a call or `...` leaves one value,
 * as parentheses would. `type N = ...` becomes `local N = __daruma_type([[json]]);`, see types/type-value.ts.
 *
 * Where plain Lua and types could both be meant, it is plain Lua:
 * - `type`, `as` and `readonly` are names unless a declaration or a cast is the only reading. `as` at the start of a line
 *   and before `(`, `{` or a text starts a statement.
 * - `f<T>(x)` within an expression compares, unless T holds `?`, `->`, `[]` or a field; at the start of a statement and
 *   after `a:m` it cannot compare, so it is a call.
 * - `::name::` at the start of a line is a label.
 *
 * The type of another chunk (`lib.User`) is looked up when the declaration runs; where there is none, any value fits, as
 * with `typeof(x)`.
 *
 * @throws AppError invalid - a broken type, or broken Lua in a text with types; `chunkName:line: what near 'token'`,
 * details name and line. Broken Lua without types comes back as it is: its compiler has the better words.
 */
export function eraseTypes(source: string, chunkName: string): { readonly code: string } {
  const cursor = new Cursor(source, chunkName)
  const eraser = new Eraser(cursor)
  try {
    eraser.chunk()
    return { code: eraser.code() }
  } catch (error) {
    if (!(error instanceof LuaSyntaxError)) throw error
    if (eraser.isUntyped()) return { code: source }
    // A text that ends too early for the lexer ends too early for the grammar as well: the first is the reason.
    const { line, message } = cursor.token.kind === 'end' ? (cursor.lexError ?? error) : error
    throw syntaxError(chunkName, line, message)
  }
}

const blockEnds = new Set(['end', 'else', 'elseif', 'until', '<eof>'])
const unaryOperators = new Set(['not', '-', '#', '~'])
const binaryOperators = new Set(
  '+ - * / // % ^ .. == ~= < <= > >= and or & | ~ << >>'.split(' '), //
)

class Eraser {
  readonly #cursor: Cursor
  readonly #types: TypeParser
  readonly #declarations: { readonly declared: DeclaredType; readonly start: number; readonly end: number }[] = []
  #scope: TypeScope = newScope()

  constructor(cursor: Cursor) {
    this.#cursor = cursor
    this.#types = new TypeParser(cursor, () => this.#expression())
  }

  chunk(): void {
    this.#block(this.#scope)
    const { token, lexError } = this.#cursor
    if (token.kind !== 'end' || lexError !== undefined) throw this.#cursor.luaError('<eof> expected')
  }

  isUntyped(): boolean {
    return this.#cursor.edits.length === 0 && this.#declarations.length === 0
  }

  code(): string {
    const cursor = this.#cursor
    for (const { declared, start, end } of this.#declarations) {
      cursor.replace(start, end, declarationCode(declared) + lineEnds(cursor.source.slice(start, end)))
    }
    return cursor.result()
  }

  /* ------------------------------------------------------------------------------------------ statements */

  #block(scope: TypeScope = newScope(this.#scope)): void {
    const outer = this.#scope
    this.#scope = scope
    this.#cursor.enter()
    while (!blockEnds.has(this.#cursor.token.text)) {
      if (this.#cursor.is('return')) {
        this.#return()
        break
      }
      this.#statement()
    }
    this.#cursor.leave()
    this.#scope = outer
  }

  #return(): void {
    const cursor = this.#cursor
    cursor.next()
    if (!cursor.is(';') && !blockEnds.has(cursor.token.text)) this.#expressions()
    cursor.accept(';')
  }

  #statement(): void {
    const cursor = this.#cursor
    const { token } = cursor
    if (token.kind === 'symbol') {
      if (cursor.accept(';')) return
      if (cursor.accept('::')) {
        cursor.expectName()
        cursor.expect('::')
        return
      }
    } else if (token.kind === 'keyword') {
      switch (token.text) {
        case 'if':
          return this.#if()
        case 'while':
          cursor.next()
          this.#expression()
          return this.#body('do', 'end')
        case 'do':
          return this.#body('do', 'end')
        case 'for':
          return this.#for()
        case 'repeat':
          this.#body('repeat', 'until')
          return this.#expression()
        case 'function':
          return this.#functionStatement()
        case 'local':
          return this.#local()
        case 'break':
          cursor.next()
          return
        case 'goto':
          cursor.next()
          cursor.expectName()
          return
      }
    } else if (this.#isTypeDeclaration()) return this.#typeDeclaration()
    this.#expressionStatement()
  }

  #body(open: string, close: string): void {
    this.#cursor.expect(open)
    this.#block()
    this.#cursor.expect(close)
  }

  #if(): void {
    const cursor = this.#cursor
    do {
      cursor.next()
      this.#expression()
      cursor.expect('then')
      this.#block()
    } while (cursor.is('elseif'))
    if (cursor.accept('else')) this.#block()
    cursor.expect('end')
  }

  #for(): void {
    const cursor = this.#cursor
    cursor.next()
    this.#typedNames()
    if (!cursor.accept('=')) cursor.expect('in')
    this.#expressions()
    this.#body('do', 'end')
  }

  #functionStatement(): void {
    const cursor = this.#cursor
    cursor.next()
    cursor.expectName()
    while (cursor.accept('.')) cursor.expectName()
    if (cursor.accept(':')) cursor.expectName()
    this.#functionBody()
  }

  #local(): void {
    const cursor = this.#cursor
    cursor.next()
    if (cursor.accept('function')) {
      cursor.expectName()
      this.#functionBody()
      return
    }
    this.#typedNames()
    if (cursor.accept('=')) this.#expressions()
  }

  #typedNames(): void {
    const cursor = this.#cursor
    do {
      cursor.expectName()
      this.#annotation()
    } while (cursor.accept(','))
  }

  /** Plain Lua never has two names in a row where a statement starts. */
  #isTypeDeclaration(): boolean {
    const cursor = this.#cursor
    if (!cursor.isName('type') || cursor.peek().kind !== 'name') return false
    const after = cursor.peek(2).text
    return after === '=' || after === '<'
  }

  #typeDeclaration(): void {
    const cursor = this.#cursor
    const { start } = cursor.next()
    const name = cursor.next().text
    const parameters = cursor.is('<') ? this.#types.parameters() : []
    if (!cursor.accept('=')) throw cursor.typeError(`'=' expected after type ${name}`)
    const node = this.#types.type()
    const declared: DeclaredType = { name, parameters, node, scope: this.#scope }
    this.#scope.declared.set(name, declared)
    this.#declarations.push({ declared, start, end: cursor.previous.end })
  }

  #expressionStatement(): void {
    const cursor = this.#cursor
    const { isCall } = this.#suffixed(true)
    if (cursor.is('=') || cursor.is(',')) {
      while (cursor.accept(',')) this.#suffixed(false)
      cursor.expect('=')
      this.#expressions()
    } else if (!isCall) throw cursor.luaError('syntax error')
  }

  /* ----------------------------------------------------------------------------------------- expressions */

  #expressions(): void {
    do this.#expression()
    while (this.#cursor.accept(','))
  }

  /** Precedence does not matter here: a cast belongs to the operand right before it. */
  #expression(): void {
    const cursor = this.#cursor
    this.#cursor.enter()
    for (;;) {
      while (unaryOperators.has(cursor.token.text)) cursor.next()
      this.#operand()
      if (!binaryOperators.has(cursor.token.text)) break
      cursor.next()
    }
    this.#cursor.leave()
  }

  #operand(): void {
    const cursor = this.#cursor
    const { token } = cursor
    let givesMany = false
    if (token.kind === 'number' || token.kind === 'string') cursor.next()
    else if (cursor.is('nil') || cursor.is('true') || cursor.is('false')) cursor.next()
    else if (cursor.accept('...')) givesMany = true
    else if (cursor.is('{')) this.#table()
    else if (cursor.is('function')) {
      cursor.next()
      this.#functionBody()
    } else givesMany = this.#suffixed(false).isCall
    const { end } = cursor.previous
    if (this.#casts() && givesMany) {
      cursor.insert(token.start, '(')
      cursor.insert(end, ')')
    }
  }

  /** Any number of `:: T`, `as T` and, after what is no suffixed expression, `!`. True if there was one. */
  #casts(): boolean {
    const cursor = this.#cursor
    const { end } = cursor.previous
    let found = false
    for (;;) {
      if (cursor.is('!')) cursor.next()
      else if (this.#isCast()) {
        cursor.next()
        this.#types.type()
      } else break
      found = true
    }
    if (!found) return false
    // Without its cast, what ends here would be called by a statement that starts with a parenthesis.
    cursor.blank(end, cursor.previous.end, cursor.is('(') ? ';' : '')
    return true
  }

  #isCast(): boolean {
    const cursor = this.#cursor
    const { token, previous } = cursor
    const isNewLine = token.line > previous.lastLine
    const next = cursor.peek()
    if (cursor.is('::')) {
      return !(isNewLine && next.kind === 'name' && cursor.peek(2).text === '::')
    }
    if (!cursor.isName('as')) return false
    switch (next.kind) {
      case 'name':
      case 'number':
        return true
      case 'string':
        return !isNewLine
      case 'keyword':
        return ['nil', 'true', 'false', 'function'].includes(next.text) && !(isNewLine && next.text === 'function')
      default:
        return !isNewLine && (next.text === '{' || next.text === '(')
    }
  }

  #table(): void {
    const cursor = this.#cursor
    this.#cursor.enter()
    cursor.expect('{')
    while (!cursor.is('}')) {
      if (cursor.accept('[')) {
        this.#expression()
        cursor.expect(']')
        cursor.expect('=')
      } else if (cursor.isName() && cursor.peek().text === '=') {
        cursor.next()
        cursor.next()
      }
      this.#expression()
      if (!cursor.accept(',') && !cursor.accept(';')) break
    }
    cursor.expect('}')
    this.#cursor.leave()
  }

  /** A name or parentheses with everything that follows: fields, indexes, calls, `!`. */
  #suffixed(isStatement: boolean): { readonly isCall: boolean } {
    const cursor = this.#cursor
    const { start } = cursor.token
    this.#cursor.enter()
    if (cursor.accept('(')) {
      this.#expression()
      cursor.expect(')')
    } else if (cursor.isName()) cursor.next()
    else throw cursor.luaError('unexpected symbol')
    let isCall = false
    // End of a call that `!` follows: it gives one value, if nothing else follows.
    let assertedCallEnd: number | undefined
    for (;;) {
      const { end } = cursor.previous
      if (cursor.is('!')) {
        const bang = cursor.next()
        cursor.blank(bang.start, bang.end)
        if (isCall) assertedCallEnd = end
        continue
      }
      if (cursor.is('.')) {
        cursor.next()
        cursor.expectName()
        isCall = false
      } else if (cursor.is('[')) {
        cursor.next()
        this.#expression()
        cursor.expect(']')
        isCall = false
      } else if (cursor.is(':')) {
        cursor.next()
        cursor.expectName()
        if (cursor.is('<')) this.#callTypes()
        this.#arguments()
        isCall = true
      } else if (this.#startsArguments()) {
        this.#arguments()
        isCall = true
      } else if (cursor.is('<') && this.#tryCallTypes(isStatement)) {
        this.#arguments()
        isCall = true
      } else break
      assertedCallEnd = undefined
    }
    this.#cursor.leave()
    if (assertedCallEnd !== undefined && !isStatement && !this.#isCast()) {
      cursor.insert(start, '(')
      cursor.insert(assertedCallEnd, ')')
      return { isCall: false }
    }
    return { isCall }
  }

  #startsArguments(): boolean {
    const cursor = this.#cursor
    return cursor.token.kind === 'string' || cursor.is('(') || cursor.is('{')
  }

  #arguments(): void {
    const cursor = this.#cursor
    if (cursor.token.kind === 'string') cursor.next()
    else if (cursor.is('{')) this.#table()
    else {
      cursor.expect('(')
      if (!cursor.is(')')) this.#expressions()
      cursor.expect(')')
    }
  }

  #callTypes(): void {
    const { start } = this.#cursor.token
    this.#types.arguments()
    this.#cursor.blank(start, this.#cursor.previous.end)
  }

  /** True when `<...>` here can only be the types of a call, which are then erased. */
  #tryCallTypes(isStatement: boolean): boolean {
    const cursor = this.#cursor
    const types = this.#types
    const { start } = cursor.token
    types.isDecisive = false
    const found = cursor.speculate(() => {
      if (types.tryArguments() === undefined) return undefined
      return this.#startsArguments() && (isStatement || types.isDecisive) ? true : undefined
    })
    if (found === true) cursor.blank(start, cursor.previous.end)
    return found === true
  }

  /* ------------------------------------------------------------------------------------------- functions */

  /** From the type parameters on. */
  #functionBody(): void {
    const cursor = this.#cursor
    this.#cursor.enter()
    if (cursor.is('<')) {
      const { start } = cursor.token
      this.#types.parameters()
      cursor.blank(start, cursor.previous.end)
    }
    cursor.expect('(')
    if (!cursor.is(')')) {
      do {
        if (cursor.accept('...')) {
          this.#annotation()
          break
        }
        cursor.expectName()
        if (cursor.is('?')) {
          const mark = cursor.next()
          cursor.blank(mark.start, mark.end)
        }
        this.#annotation()
      } while (cursor.accept(','))
    }
    cursor.expect(')')
    if (cursor.is(':')) {
      const { start } = cursor.next()
      this.#types.results()
      cursor.blank(start, cursor.previous.end)
    }
    this.#block()
    cursor.expect('end')
    this.#cursor.leave()
  }

  /** `: T` after a name, if there is one. */
  #annotation(): void {
    const cursor = this.#cursor
    if (!cursor.is(':')) return
    const { start } = cursor.next()
    this.#types.type()
    cursor.blank(start, cursor.previous.end)
  }
}

import type { Cursor } from './cursor.ts'
import { stringValue, type Token } from './lexer.ts'
import { compilePattern, primitives, type Constraints, type Primitive } from './type.ts'

/** A type as written, with names that are looked up when the whole chunk is known. */
export type TypeNode =
  | { readonly kind: 'any' }
  | { readonly kind: 'primitive'; readonly name: Primitive }
  | { readonly kind: 'name'; readonly name: string; readonly arguments: readonly TypeNode[] }
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | {
      readonly kind: 'record'
      readonly fields: readonly { readonly name: string; readonly type: TypeNode; readonly isOptional: boolean }[]
      readonly map?: { readonly key: TypeNode; readonly value: TypeNode }
      readonly element?: TypeNode
    }
  | { readonly kind: 'function' }
  /** Several values: the result of a function, nothing else. */
  | { readonly kind: 'list' }
  | { readonly kind: 'optional'; readonly type: TypeNode }
  | { readonly kind: 'union'; readonly types: readonly TypeNode[] }
  | { readonly kind: 'intersection'; readonly types: readonly TypeNode[] }
  | { readonly kind: 'constrained'; readonly type: TypeNode; readonly constraints: Constraints }

const anything: TypeNode = { kind: 'any' }
const anyNames = new Set(['any', 'unknown', 'error', 'void'])

/**
 * Reads types off a cursor. `isDecisive` tells, after a type was read, whether something in it cannot be plain Lua.
 */
export class TypeParser {
  readonly #cursor: Cursor
  /** How an expression within `typeof(...)` is passed over. */
  readonly #skipExpression: () => void
  isDecisive = false
  /** Places of `<` that open no arguments, so that a chain of comparisons is not tried again from each of its parts. */
  readonly #noArguments = new Set<number>()

  constructor(cursor: Cursor, skipExpression: () => void) {
    this.#cursor = cursor
    this.#skipExpression = skipExpression
  }

  /** A type where one value is meant. @throws AppError invalid - no type stands here */
  type(): TypeNode {
    const cursor = this.#cursor
    const node = this.#union()
    if (node.kind === 'list') throw cursor.typeError('one type expected, found a list of types')
    return node
  }

  /** What a function gives back: a type, a list of types in parentheses, or a variadic. */
  results(): void {
    if (this.#cursor.accept('...')) {
      this.type()
      return
    }
    this.#union()
  }

  /** `<T, U: Limit, V = Default>`, at its `<`. The names. */
  parameters(): string[] {
    const cursor = this.#cursor
    cursor.expect('<')
    const names: string[] = []
    do {
      if (!cursor.isName()) throw cursor.typeError('name of a type parameter expected')
      names.push(cursor.next().text)
      cursor.accept('...')
      if (cursor.accept(':')) this.type()
      if (cursor.accept('=')) this.type()
    } while (cursor.accept(','))
    if (!cursor.acceptAngle()) throw cursor.typeError("'>' expected after type parameters")
    return names
  }

  /** `<A, B>`, at its `<`. */
  arguments(): TypeNode[] {
    const cursor = this.#cursor
    cursor.expect('<')
    const types: TypeNode[] = []
    do types.push(this.#union())
    while (cursor.accept(','))
    if (!cursor.acceptAngle()) throw cursor.typeError("'>' expected after type arguments")
    return types
  }

  /** The same where `<` may also compare; undefined, and nothing taken, when no types stand here. */
  tryArguments(): TypeNode[] | undefined {
    const { start } = this.#cursor.token
    if (this.#noArguments.has(start)) return undefined
    const types = this.#cursor.speculate(() => this.arguments())
    if (types === undefined) this.#noArguments.add(start)
    return types
  }

  #union(): TypeNode {
    const cursor = this.#cursor
    cursor.enter()
    cursor.accept('|')
    const types = [this.#intersection()]
    while (cursor.accept('|')) types.push(this.#intersection())
    cursor.leave()
    return types.length === 1 ? types[0]! : { kind: 'union', types }
  }

  #intersection(): TypeNode {
    const cursor = this.#cursor
    cursor.accept('&')
    const types = [this.#postfix()]
    while (cursor.accept('&')) types.push(this.#postfix())
    return types.length === 1 ? types[0]! : { kind: 'intersection', types }
  }

  #postfix(): TypeNode {
    const cursor = this.#cursor
    let node = this.#primary()
    for (;;) {
      if (cursor.accept('?')) {
        this.isDecisive = true
        node = { kind: 'optional', type: node }
      } else if (cursor.is('[') && cursor.peek().text === ']') {
        cursor.next()
        cursor.next()
        this.isDecisive = true
        node = { kind: 'record', fields: [], element: node }
      } else if (cursor.is('@')) {
        this.isDecisive = true
        node = { kind: 'constrained', type: node, constraints: this.#annotation() }
      } else return node
    }
  }

  #primary(): TypeNode {
    const cursor = this.#cursor
    const { token } = cursor
    if (token.kind === 'string') return { kind: 'literal', value: stringValue(cursor.next().text) }
    if (token.kind === 'number') return { kind: 'literal', value: this.#number(false) }
    if (cursor.is('-') && cursor.peek().kind === 'number') {
      cursor.next()
      return { kind: 'literal', value: this.#number(true) }
    }
    if (cursor.accept('nil')) return { kind: 'primitive', name: 'nil' }
    if (cursor.accept('true')) return { kind: 'literal', value: true }
    if (cursor.accept('false')) return { kind: 'literal', value: false }
    if (cursor.accept('function')) return { kind: 'function' }
    if (cursor.is('{')) return this.#record()
    if (cursor.is('(')) return this.#parentheses()
    if (cursor.is('<')) {
      this.parameters()
      return this.#parentheses()
    }
    if (token.kind === 'name') return this.#named()
    throw cursor.typeError('type expected')
  }

  #named(): TypeNode {
    const cursor = this.#cursor
    const first = cursor.next()
    if (first.text === 'typeof' && cursor.is('(')) {
      cursor.next()
      this.#skipExpression()
      cursor.expect(')')
      return anything
    }
    if (first.text === 'readonly' && this.#startsType(cursor.token) && cursor.token.line === first.line) {
      return this.#postfix()
    }
    let name = first.text
    while (cursor.is('.') && cursor.peek().kind === 'name') {
      cursor.next()
      name += `.${cursor.next().text}`
    }
    if ((primitives as readonly string[]).includes(name)) return { kind: 'primitive', name: name as Primitive }
    if (anyNames.has(name)) return anything
    // After a name `<` opens arguments if it can: `x :: integer < y` compares, `x :: List<y>` does not.
    return { kind: 'name', name, arguments: (cursor.is('<') ? this.tryArguments() : undefined) ?? [] }
  }

  #startsType(token: Token): boolean {
    return token.kind === 'name' || token.text === '{' || token.text === '('
  }

  #record(): TypeNode {
    const cursor = this.#cursor
    cursor.expect('{')
    const fields: { name: string; type: TypeNode; isOptional: boolean }[] = []
    let map: { key: TypeNode; value: TypeNode } | undefined
    let element: TypeNode | undefined
    let elementIsArray = false
    while (!cursor.is('}')) {
      const readonly = cursor.isName('readonly') && !this.#isField(1) ? cursor.peek() : undefined
      if (readonly !== undefined && (this.#isField(2) || readonly.text === '[')) cursor.next()
      if (this.#isField(1)) fields.push(this.#field(cursor.next().text))
      else if (cursor.is('[')) {
        cursor.next()
        const key = this.type()
        this.#expect(']')
        if (key.kind === 'literal' && typeof key.value === 'string') fields.push(this.#field(key.value))
        else {
          cursor.accept('?')
          this.#expect(':')
          this.isDecisive = true
          map = { key, value: this.type() }
        }
      } else {
        if (element !== undefined) throw cursor.typeError('a second type of elements')
        element = this.type()
        elementIsArray = cursor.previous.text === ']'
      }
      if (!cursor.accept(',') && !cursor.accept(';')) break
    }
    this.#expect('}')
    // Beside other fields `T[]` says that the table also has elements of T; alone it is the type of the elements.
    if (elementIsArray && (fields.length > 0 || map !== undefined) && element?.kind === 'record') {
      element = element.element ?? element
    }
    return { kind: 'record', fields, ...(map && { map }), ...(element && { element }) }
  }

  /** Whether a name and `:` or `?:` stand `distance - 1` tokens ahead. */
  #isField(distance: number): boolean {
    const cursor = this.#cursor
    const name = distance === 1 ? cursor.token : cursor.peek(distance - 1)
    if (name.kind !== 'name' && name.kind !== 'keyword') return false
    const after = cursor.peek(distance)
    return after.text === ':' || (after.text === '?' && cursor.peek(distance + 1).text === ':')
  }

  #field(name: string): { name: string; type: TypeNode; isOptional: boolean } {
    const isOptional = this.#cursor.accept('?')
    this.#expect(':')
    this.isDecisive = true
    return { name, type: this.type(), isOptional }
  }

  /** A type in parentheses, a function type, or the list of what a function gives back. */
  #parentheses(): TypeNode {
    const cursor = this.#cursor
    this.#expect('(')
    const types: TypeNode[] = []
    let isList = false
    while (!cursor.is(')')) {
      if (cursor.accept('...')) {
        isList = true
        if (cursor.accept(':')) this.type()
        else if (!cursor.is(')')) this.type()
      } else {
        if (this.#isField(1)) {
          isList = true
          cursor.next()
          cursor.accept('?')
          cursor.expect(':')
        }
        types.push(this.type())
        if (cursor.accept('...')) isList = true
      }
      if (!cursor.accept(',')) break
    }
    this.#expect(')')
    if (cursor.accept('->')) {
      this.isDecisive = true
      this.results()
      return { kind: 'function' }
    }
    return types.length === 1 && !isList ? types[0]! : { kind: 'list' }
  }

  /** `@min(0)` and its kin. */
  #annotation(): Constraints {
    const cursor = this.#cursor
    cursor.expect('@')
    if (!cursor.isName()) throw cursor.typeError('name of an annotation expected after @')
    const { text: name } = cursor.token
    switch (name) {
      case 'min':
        return { min: this.#numberArgument() }
      case 'max':
        return { max: this.#numberArgument() }
      case 'min_len':
        return { minLength: this.#numberArgument() }
      case 'max_len':
        return { maxLength: this.#numberArgument() }
      case 'pattern':
        return { pattern: this.#patternArgument() }
      default:
        throw cursor.typeError(`unknown annotation @${name}; known: @min @max @min_len @max_len @pattern`)
    }
  }

  #numberArgument(): number {
    const cursor = this.#cursor
    cursor.next()
    this.#expect('(')
    const isNegative = cursor.accept('-')
    if (cursor.token.kind !== 'number') throw cursor.typeError('number expected')
    const value = this.#number(isNegative)
    this.#expect(')')
    return value
  }

  #patternArgument(): string {
    const cursor = this.#cursor
    cursor.next()
    this.#expect('(')
    if (cursor.token.kind !== 'string') throw cursor.typeError('text expected')
    const pattern = stringValue(cursor.token.text)
    if (compilePattern(pattern) === undefined) throw cursor.typeError('not a regular expression')
    cursor.next()
    this.#expect(')')
    return pattern
  }

  #number(isNegative: boolean): number {
    const cursor = this.#cursor
    const value = Number(cursor.token.text)
    if (!Number.isFinite(value)) throw cursor.typeError('number expected')
    cursor.next()
    return isNegative ? -value : value
  }

  #expect(text: string): void {
    if (!this.#cursor.accept(text)) throw this.#cursor.typeError(`'${text}' expected`)
  }
}

import { invalid } from './args.ts'
import { Regexp } from './regexp.ts'

/** What an expression is made of. */
type Node =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'element' }
  | { readonly kind: 'list'; readonly items: readonly Node[] }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [Node, Node])[] }
  | { readonly kind: 'member'; readonly of: Node; readonly key: Node; readonly optional: boolean }
  | { readonly kind: 'slice'; readonly of: Node; readonly from: Node | undefined; readonly to: Node | undefined }
  | { readonly kind: 'unary'; readonly op: string; readonly operand: Node }
  | { readonly kind: 'binary'; readonly op: string; readonly left: Node; readonly right: Node }
  | { readonly kind: 'choice'; readonly test: Node; readonly yes: Node; readonly no: Node }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Node[] }

export interface Expression {
  /** @throws Error - in the words of the expression */
  run(env: Readonly<Record<string, unknown>>): unknown
}

interface Token {
  readonly kind: 'number' | 'text' | 'word' | 'op' | 'end'
  readonly text: string
  readonly at: number
}

const tokenPattern =
  /\s+|(0[xX][0-9a-fA-F]+|(?:\d[\d_]*)?\.?\d[\d_]*(?:[eE][+-]?\d+)?)|("(?:\\[\s\S]|[^"\\])*"|'(?:\\[\s\S]|[^'\\])*'|`[^`]*`)|([A-Za-z_$][\w$]*)|(\?\.|\?\?|\.\.|\*\*|==|!=|<=|>=|&&|\|\||[-+*/%^<>!?:.,#()[\]{}|])/y

function tokenize(source: string): readonly Token[] {
  const tokens: Token[] = []
  tokenPattern.lastIndex = 0
  let at = 0
  while (at < source.length) {
    // "1..3" is a range, not two odd numbers.
    const integer = /^\d+(?=\.\.)/.exec(source.slice(at))
    tokenPattern.lastIndex = at
    const match = integer === null ? tokenPattern.exec(source) : null
    if (integer !== null) {
      tokens.push({ kind: 'number', text: integer[0], at })
      at += integer[0].length
      continue
    }
    if (match === null || match[0] === '') throw new Error(`unexpected "${source[at]}" at ${at + 1}`)
    const [text, number, quoted, word, op] = match
    if (number !== undefined) tokens.push({ kind: 'number', text: number, at })
    else if (quoted !== undefined) tokens.push({ kind: 'text', text: unquote(quoted), at })
    else if (word !== undefined) tokens.push({ kind: 'word', text: word, at })
    else if (op !== undefined) tokens.push({ kind: 'op', text: op, at })
    at += text.length
  }
  tokens.push({ kind: 'end', text: 'end of expression', at: source.length })
  return tokens
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '0': '\0' }

const unquote = (quoted: string): string =>
  quoted.startsWith('`')
    ? quoted.slice(1, -1)
    : quoted.slice(1, -1).replace(/\\([\s\S])/g, (_all, c: string) => escapes[c] ?? c)

/** Binding powers; a higher one binds tighter. */
const powers: Readonly<Record<string, number>> = {
  '|': 1,
  or: 2,
  '||': 2,
  and: 3,
  '&&': 3,
  '??': 4,
  '==': 5,
  '!=': 5,
  '<': 5,
  '>': 5,
  '<=': 5,
  '>=': 5,
  in: 5,
  not: 5,
  contains: 5,
  startsWith: 5,
  endsWith: 5,
  matches: 5,
  '..': 6,
  '+': 7,
  '-': 7,
  '*': 8,
  '/': 8,
  '%': 8,
  '**': 10,
  '^': 10,
}

const unaryPower = 9

class Parser {
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0

  constructor(source: string) {
    this.#tokens = tokenize(source)
  }

  parse(): Node {
    const node = this.#choice()
    if (this.#peek().kind !== 'end') throw this.#unexpected()
    return node
  }

  #peek(): Token {
    return this.#tokens[this.#at]!
  }

  #take(): Token {
    return this.#tokens[this.#at++]!
  }

  #is(text: string): boolean {
    const token = this.#peek()
    return token.text === text && token.kind !== 'text' && token.kind !== 'end'
  }

  #skip(text: string): boolean {
    if (!this.#is(text)) return false
    this.#at += 1
    return true
  }

  #expect(text: string): void {
    if (!this.#skip(text)) throw this.#unexpected(text)
  }

  #unexpected(wanted?: string): Error {
    const { text, at } = this.#peek()
    return new Error(`unexpected "${text}" at ${at + 1}${wanted === undefined ? '' : `, wanted "${wanted}"`}`)
  }

  #choice(): Node {
    if (++this.#depth > 200) throw new Error('nested too deeply')
    const test = this.#binary(0)
    let node = test
    if (this.#skip('?')) {
      const yes = this.#choice()
      this.#expect(':')
      node = { kind: 'choice', test, yes, no: this.#choice() }
    }
    this.#depth -= 1
    return node
  }

  #binary(least: number): Node {
    let left = this.#unary()
    for (;;) {
      const { text: op, kind } = this.#peek()
      const power = kind === 'op' || kind === 'word' ? powers[op] : undefined
      if (power === undefined || power < least || power === 0) return left
      this.#at += 1
      if (op === '|') {
        left = this.#pipe(left)
      } else if (op === 'not') {
        this.#expect('in')
        left = { kind: 'unary', op: '!', operand: { kind: 'binary', op: 'in', left, right: this.#binary(power + 1) } }
      } else {
        // Powers group from the right: 2 ** 3 ** 2 is 2 ** 9.
        left = { kind: 'binary', op, left, right: this.#binary(power === 10 ? power : power + 1) }
      }
    }
  }

  #pipe(first: Node): Node {
    const { text: name, kind } = this.#take()
    if (kind !== 'word') throw new Error(`a pipe needs a function after it, found "${name}"`)
    this.#expect('(')
    return { kind: 'call', name, args: [first, ...this.#list(')')] }
  }

  #unary(): Node {
    const { text, kind } = this.#peek()
    if ((kind === 'op' && (text === '-' || text === '+' || text === '!')) || (kind === 'word' && text === 'not')) {
      this.#at += 1
      return { kind: 'unary', op: text === 'not' ? '!' : text, operand: this.#binary(unaryPower) }
    }
    return this.#postfix(this.#primary())
  }

  #postfix(start: Node): Node {
    let node = start
    for (;;) {
      if (this.#is('.') || this.#is('?.')) {
        const optional = this.#take().text === '?.'
        const key = this.#take()
        if (key.kind !== 'word') throw new Error(`a field needs a name, found "${key.text}" at ${key.at + 1}`)
        node = { kind: 'member', of: node, key: { kind: 'value', value: key.text }, optional }
      } else if (this.#skip('[')) {
        node = this.#index(node)
      } else {
        return node
      }
    }
  }

  #index(of: Node): Node {
    const from = this.#is(':') ? undefined : this.#choice()
    if (this.#skip(':')) {
      const to = this.#is(']') ? undefined : this.#choice()
      this.#expect(']')
      return { kind: 'slice', of, from, to }
    }
    this.#expect(']')
    return { kind: 'member', of, key: from!, optional: false }
  }

  #primary(): Node {
    const token = this.#take()
    switch (token.kind) {
      case 'number':
        return { kind: 'value', value: Number(token.text.replaceAll('_', '')) }
      case 'text':
        return { kind: 'value', value: token.text }
      case 'word':
        return this.#word(token.text)
      case 'op':
        if (token.text === '(') {
          const inner = this.#choice()
          this.#expect(')')
          return inner
        }
        if (token.text === '[') return { kind: 'list', items: this.#list(']') }
        if (token.text === '{') return { kind: 'map', entries: this.#map() }
        if (token.text === '#') return { kind: 'element' }
        // ".field" within a predicate: a field of the element.
        if (token.text === '.') {
          const key = this.#take()
          return { kind: 'member', of: { kind: 'element' }, key: { kind: 'value', value: key.text }, optional: false }
        }
    }
    this.#at -= 1
    throw this.#unexpected()
  }

  #word(word: string): Node {
    switch (word) {
      case 'true':
        return { kind: 'value', value: true }
      case 'false':
        return { kind: 'value', value: false }
      case 'nil':
      case 'null':
        return { kind: 'value', value: undefined }
    }
    if (!this.#skip('(')) return { kind: 'name', name: word }
    return { kind: 'call', name: word, args: this.#list(')') }
  }

  #list(end: string): readonly Node[] {
    const items: Node[] = []
    while (!this.#skip(end)) {
      // A predicate may stand in braces: filter(list, {# > 1}).
      const braced = end === ')' && this.#is('{') && items.length > 0
      if (braced) this.#at += 1
      items.push(this.#choice())
      if (braced) this.#expect('}')
      if (!this.#is(end)) this.#expect(',')
    }
    return items
  }

  #map(): readonly (readonly [Node, Node])[] {
    const entries: (readonly [Node, Node])[] = []
    while (!this.#skip('}')) {
      const key = this.#take()
      const node: Node =
        key.kind === 'op' && key.text === '('
          ? this.#choice()
          : { kind: 'value', value: key.kind === 'number' ? String(Number(key.text)) : key.text }
      if (key.kind === 'op') this.#expect(')')
      this.#expect(':')
      entries.push([node, this.#choice()])
      if (!this.#is('}')) this.#expect(',')
    }
    return entries
  }
}

const maxSteps = 1_000_000
const maxRange = 100_000

class Run {
  readonly #env: Readonly<Record<string, unknown>>
  readonly #elements: unknown[] = []
  #steps = 0

  constructor(env: Readonly<Record<string, unknown>>) {
    this.#env = env
  }

  value(node: Node): unknown {
    if (++this.#steps > maxSteps) throw new Error(`more than ${maxSteps} steps`)
    switch (node.kind) {
      case 'value':
        return node.value
      case 'name':
        return Object.hasOwn(this.#env, node.name) ? this.#env[node.name] : undefined
      case 'element':
        if (this.#elements.length === 0) throw new Error('# outside of a predicate')
        return this.#elements[this.#elements.length - 1]
      case 'list':
        return node.items.map((item) => this.value(item))
      case 'map':
        return Object.fromEntries(node.entries.map(([key, item]) => [String(this.value(key)), this.value(item)]))
      case 'member':
        return member(this.value(node.of), this.value(node.key), node.optional)
      case 'slice':
        return this.#slice(node)
      case 'choice':
        return this.value(truth(this.value(node.test)) ? node.yes : node.no)
      case 'unary': {
        const operand = this.value(node.operand)
        return node.op === '!' ? !truth(operand) : node.op === '-' ? -number(operand) : number(operand)
      }
      case 'binary':
        return this.#binary(node.op, node.left, node.right)
      case 'call':
        return this.#call(node.name, node.args)
    }
  }

  #slice({ of, from, to }: Extract<Node, { kind: 'slice' }>): unknown {
    const whole = this.value(of)
    if (typeof whole !== 'string' && !Array.isArray(whole)) throw new Error('only texts and lists have slices')
    return whole.slice(
      from === undefined ? 0 : number(this.value(from)),
      to === undefined ? undefined : number(this.value(to)),
    )
  }

  #binary(op: string, leftNode: Node, rightNode: Node): unknown {
    const left = this.value(leftNode)
    switch (op) {
      case '||':
      case 'or':
        return truth(left) || truth(this.value(rightNode))
      case '&&':
      case 'and':
        return truth(left) && truth(this.value(rightNode))
      case '??':
        return left ?? this.value(rightNode)
    }
    const right = this.value(rightNode)
    switch (op) {
      case '==':
        return equal(left, right)
      case '!=':
        return !equal(left, right)
      case '<':
        return compare(left, right) < 0
      case '>':
        return compare(left, right) > 0
      case '<=':
        return compare(left, right) <= 0
      case '>=':
        return compare(left, right) >= 0
      case 'in':
        return isIn(left, right)
      case 'contains':
        return text(left).includes(text(right))
      case 'startsWith':
        return text(left).startsWith(text(right))
      case 'endsWith':
        return text(left).endsWith(text(right))
      case 'matches':
        return new Regexp(text(right)).test(text(left))
      case '..': {
        const [from, to] = [number(left), number(right)]
        if (to - from > maxRange) throw new Error(`a range of more than ${maxRange}`)
        return Array.from({ length: Math.max(to - from + 1, 0) }, (_, index) => from + index)
      }
      case '+':
        return typeof left === 'string' || typeof right === 'string'
          ? text(left) + text(right)
          : number(left) + number(right)
      case '-':
        return number(left) - number(right)
      case '*':
        return number(left) * number(right)
      case '/':
        return number(left) / number(right)
      case '%':
        if (number(right) === 0) throw new Error('modulo by zero')
        return number(left) % number(right)
      default:
        return number(left) ** number(right)
    }
  }

  #call(name: string, args: readonly Node[]): unknown {
    const predicate = predicates[name]
    if (predicate !== undefined) {
      const [source, body] = args
      if (source === undefined) throw new Error(`${name} needs a list`)
      const items = list(this.value(source))
      return predicate(items, (item) => {
        if (body === undefined) return item
        this.#elements.push(item)
        try {
          return this.value(body)
        } finally {
          this.#elements.pop()
        }
      })
    }
    const plain = Object.hasOwn(functions, name) ? functions[name] : undefined
    if (plain === undefined) throw new Error(`unknown function "${name}"`)
    return plain(...args.map((arg) => this.value(arg)))
  }
}

type Test = (item: unknown) => unknown

const predicates: Readonly<Record<string, (items: readonly unknown[], test: Test) => unknown>> = Object.assign(
  Object.create(null),
  {
    filter: (items: readonly unknown[], test: Test) => items.filter((item) => truth(test(item))),
    map: (items: readonly unknown[], test: Test) => items.map((item) => test(item)),
    all: (items: readonly unknown[], test: Test) => items.every((item) => truth(test(item))),
    any: (items: readonly unknown[], test: Test) => items.some((item) => truth(test(item))),
    none: (items: readonly unknown[], test: Test) => !items.some((item) => truth(test(item))),
    one: (items: readonly unknown[], test: Test) => items.filter((item) => truth(test(item))).length === 1,
    count: (items: readonly unknown[], test: Test) => items.filter((item) => truth(test(item))).length,
    find: (items: readonly unknown[], test: Test) => items.find((item) => truth(test(item))),
    sum: (items: readonly unknown[], test: Test) =>
      items.reduce<number>((total, item) => total + number(test(item)), 0),
    sortBy: (items: readonly unknown[], test: Test) =>
      items
        .map((item) => [test(item), item] as const)
        .sort(([a], [b]) => compare(a, b))
        .map(([, item]) => item),
  },
)

const flat = (args: readonly unknown[]): readonly number[] =>
  (args.length === 1 && Array.isArray(args[0]) ? args[0] : args).map(number)

const functions: Readonly<Record<string, (...args: unknown[]) => unknown>> = {
  len: (value) =>
    typeof value === 'string'
      ? Array.from(value).length
      : Array.isArray(value)
        ? value.length
        : Object.keys(record(value)).length,
  max: (...args) => Math.max(...flat(args)),
  min: (...args) => Math.min(...flat(args)),
  mean: (...args) => flat(args).reduce((a, b) => a + b, 0) / Math.max(flat(args).length, 1),
  abs: (value) => Math.abs(number(value)),
  ceil: (value) => Math.ceil(number(value)),
  floor: (value) => Math.floor(number(value)),
  round: (value) => Math.sign(number(value)) * Math.round(Math.abs(number(value))),
  int: (value) => {
    const converted = Math.trunc(Number(value))
    if (Number.isNaN(converted)) throw new Error(`not an integer: ${String(value)}`)
    return converted
  },
  float: (value) => {
    const converted = Number(value)
    if (Number.isNaN(converted)) throw new Error(`not a number: ${String(value)}`)
    return converted
  },
  string: (value) => text(value),
  type: (value) =>
    value === undefined || value === null
      ? 'nil'
      : typeof value === 'number'
        ? Number.isInteger(value)
          ? 'int'
          : 'float'
        : Array.isArray(value)
          ? 'array'
          : typeof value === 'object'
            ? 'map'
            : typeof value === 'boolean'
              ? 'bool'
              : 'string',
  upper: (value) => text(value).toUpperCase(),
  lower: (value) => text(value).toLowerCase(),
  trim: (value) => text(value).trim(),
  split: (value, separator) => text(value).split(text(separator)),
  join: (value, separator = '') => list(value).map(text).join(text(separator)),
  replace: (value, old, by) => text(value).replaceAll(text(old), text(by)),
  hasPrefix: (value, prefix) => text(value).startsWith(text(prefix)),
  hasSuffix: (value, suffix) => text(value).endsWith(text(suffix)),
  first: (value) => list(value)[0],
  last: (value) => list(value).at(-1),
  keys: (value) => Object.keys(record(value)),
  values: (value) => Object.values(record(value)),
  reverse: (value) => list(value).toReversed(),
  sort: (value) => list(value).toSorted(compare),
  uniq: (value) => [...new Set(list(value))],
}

function truth(value: unknown): boolean {
  if (typeof value === 'boolean') return value
  if (value === undefined || value === null) return false
  throw new Error(`expected true or false, got ${shown(value)}`)
}

function number(value: unknown): number {
  if (typeof value !== 'number') throw new Error(`expected a number, got ${shown(value)}`)
  return value
}

function text(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new Error(`expected text, got ${shown(value)}`)
}

function list(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value as readonly unknown[]
  // An empty table of Lua's does not say whether it is a list.
  if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) return []
  throw new Error(`expected a list, got ${shown(value)}`)
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new Error(`expected a map, got ${shown(value)}`)
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return 'nil'
  return typeof value === 'object' ? (Array.isArray(value) ? 'a list' : 'a map') : JSON.stringify(value)
}

function member(of: unknown, key: unknown, optional: boolean): unknown {
  if (of === undefined || of === null) {
    if (optional) return undefined
    throw new Error(`nil has no field ${shown(key)}`)
  }
  if (Array.isArray(of)) {
    const index = number(key)
    return of[index < 0 ? of.length + index : index]
  }
  const fields = record(of)
  const name = String(key)
  return Object.hasOwn(fields, name) ? fields[name] : undefined
}

function compare(left: unknown, right: unknown): number {
  if (typeof left === 'string' && typeof right === 'string') return left < right ? -1 : left > right ? 1 : 0
  return number(left) - number(right)
}

function equal(left: unknown, right: unknown): boolean {
  if (typeof left !== 'object' || typeof right !== 'object') return (left ?? undefined) === (right ?? undefined)
  return JSON.stringify(left) === JSON.stringify(right)
}

function isIn(item: unknown, container: unknown): boolean {
  if (Array.isArray(container)) return container.some((each) => equal(each, item))
  if (typeof container === 'string') return container.includes(text(item))
  return Object.hasOwn(record(container), String(item))
}

/** @throws AppError invalid - an empty expression; Error - a syntax error, with its place */
export function parseExpression(source: string): Expression {
  if (source.trim() === '') throw invalid('expression must not be empty')
  const tree = new Parser(source).parse()
  return { run: (env) => new Run(env).value(tree) }
}

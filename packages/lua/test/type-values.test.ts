import { describe, expect, test } from 'vitest'
import type { HostContext, LuaTable, LuaValue } from '../src/engine.ts'
import { eraseTypes } from '../src/erase-types.ts'
import { declareType, misfitText } from '../src/types/type-value.ts'
import type { RuntimeType } from '../src/types/type.ts'
import { HostObject } from '../src/value.ts'

/** A table as the boundary shows it, from plain data. */
function table(data: readonly unknown[] | Readonly<Record<string, unknown>>): LuaTable {
  const pairs: [string | number, LuaValue][] = Array.isArray(data)
    ? data.map((value, at) => [at + 1, lua(value)])
    : Object.entries(data).map(([key, value]) => [key, lua(value)])
  const entries = new Map(pairs)
  return {
    kind: 'table',
    get: (key) => entries.get(key),
    set: (key, value) => void entries.set(key, value as LuaValue),
    length: () => [...entries.keys()].filter((key) => typeof key === 'number').length,
    entries: () => [...entries],
    data: () => data,
  }
}

function lua(value: unknown): LuaValue {
  if (
    typeof value !== 'object' ||
    value === null ||
    value instanceof Uint8Array ||
    value instanceof HostObject ||
    'kind' in value
  ) {
    return (value ?? undefined) as LuaValue
  }
  return table(value as Record<string, unknown>)
}

/** The type `name`, or the last one, that `source` declares, among variables as in `variables`. */
function declared(source: string, name = '\\w+', variables: Readonly<Record<string, LuaValue>> = {}) {
  const { code } = eraseTypes(source, 'test.lua')
  const all = [...code.matchAll(new RegExp(`${name} = __daruma_type\\(\\[(=*)\\[(.*?)\\]\\1\\]([^)]*)\\)`, 'g'))]
  const [, , json, names] = all.at(-1)!
  const roots = names!.split(', ').slice(1)
  const made = declareType({} as HostContext, [json, ...roots.map((root) => variables[root])]) as [
    HostObject<RuntimeType>,
  ]
  return made[0]
}

const fault = (source: string, value: unknown): string | undefined => misfitText(declared(source).state, lua(value))

const fn = { kind: 'function' } as LuaValue

describe('a value fits a declared type, or the field and the constraint are named', () => {
  test.each<[string, unknown, string | undefined]>([
    ['type N = number', 1.5, undefined],
    ['type N = number', '1', 'N: expected number, got "1"'],
    ['type N = integer', 1.5, 'N: expected integer, got 1.5'],
    ['type N = integer', 2, undefined],
    ['type N = string', new Uint8Array([255]), undefined],
    ['type N = boolean', undefined, 'N: expected boolean, got nil'],
    ['type N = any', undefined, undefined],
    ['type N = unknown', 5, undefined],
    ['type N = never', 5, 'N: expected never, got 5'],
    ['type N = nil', undefined, undefined],
    ['type N = number?', undefined, undefined],
    ['type N = (number) -> string', fn, undefined],
    ['type N = (number) -> string', 5, 'N: expected function, got 5'],
    ['type N = "a" | "b"', 'b', undefined],
    ['type N = "a" | "b"', 'c', 'N: expected "a" | "b", got "c"'],
    ['type N = "esc\\"aped\\n\\65" | -5 | true', 'esc"aped\nA', undefined],
    ['type N = "x" | -5 | true', -5, undefined],
    ['type N = number @min(0) @max(10)', -1, 'N: -1 is less than min 0'],
    ['type N = number @min(0) @max(10)', 11, 'N: 11 is greater than max 10'],
    ['type N = number @min(0) @max(10)', 10, undefined],
    ['type N = string @min_len(2)', 'x', 'N: length 1 is less than min length 2 (min_len)'],
    ['type N = string @min_len(2)', 'é', undefined],
    ['type N = string @max_len(2)', 'abc', 'N: length 3 is greater than max length 2 (max_len)'],
    ['type N = {number} @min_len(1)', [], 'N: length 0 is less than min length 1 (min_len)'],
    ['type N = string @pattern("^.+@.+$")', 'a@b', undefined],
    ['type N = string @pattern("^.+@.+$")', 'ab', 'N: "ab" does not match pattern "^.+@.+$"'],
    ['type N = string @pattern("]]")', 'a]]', undefined],
    ['type N = number @min(1) | string @min_len(1)', '', 'N: length 0 is less than min length 1 (min_len)'],
    ['type N = (number @min(1))?', undefined, undefined],
    ['type N = {number}', [1, 2], undefined],
    ['type N = {number}', [1, 'x'], 'N: field "[2]": expected number, got "x"'],
    ['type N = number[]', [1, 'x'], 'N: field "[2]": expected number, got "x"'],
    ['type N = {number}', { a: 1 }, 'N: expected a list, got a table with the key "a"'],
    ['type N = {number}', 5, 'N: expected table {number}, got 5'],
    ['type N = {[string]: number}', { a: 1 }, undefined],
    ['type N = {[string]: number}', { a: 'x' }, 'N: field "a": expected number, got "x"'],
    ['type N = {[string]: number}', [1], 'N: field "[1]": key: expected string, got 1'],
    ['type N = {a: number, b?: string}', { a: 1 }, undefined],
    ['type N = {a: number, b?: string}', { a: 1, c: true }, undefined],
    ['type N = {a: number, b?: string}', {}, 'N: field "a": expected number, got nil'],
    ['type N = {a: number, b?: string}', { a: 1, b: 2 }, 'N: field "b": expected string, got 2'],
    ['type N = {a: {b: {c: number @min(1)}}}', { a: { b: { c: 0 } } }, 'N: field "a.b.c": 0 is less than min 1'],
    [
      'type N = {items: {{id: string}}}',
      { items: [{ id: 'a' }, {}] },
      'N: field "items[2].id": expected string, got nil',
    ],
    ['type T = number\ntype N = {name: string, T[]}', { name: 'x' }, undefined],
    ['type N = string @pattern("[\\w-]+\\d$")', 'a-5', undefined],
    ['type A = {a: number}\ntype B = {b: number}\ntype N = A & B', { a: 1, b: 2 }, undefined],
    ['type A = {a: number}\ntype B = {b: number}\ntype N = A & B', { a: 1 }, 'N: field "b": expected number, got nil'],
    [
      'type N = {next?: N, v: number}',
      { v: 1, next: { v: 2, next: { v: 'x' } } },
      'N: field "next.next.v": expected number, got "x"',
    ],
    [
      'type N = {other: Later}\ntype Later = {x: number}\ntype N = {other: Later}',
      { other: {} },
      'N: field "other.x": expected number, got nil',
    ],
    [
      'type Pair<A, B> = {a: A, b: B}\ntype N = Pair<number, string>',
      { a: 1, b: 2 },
      'N: field "b": expected string, got 2',
    ],
    [
      'type L<T> = {v: T, rest?: L<T>}\ntype N = L<number>',
      { v: 1, rest: { v: 'x' } },
      'N: field "rest.v": expected number, got "x"',
    ],
    ['type N<T> = {v: T}', { v: fn }, undefined],
    ['type N = lib.Foreign | never', 5, undefined],
    ['type N = typeof(print)', 5, undefined],
  ])('%s given %j: %s', (source, value, expected) => {
    expect(fault(source, value)).toBe(expected)
  })

  test('of a tagged union the variant that was meant is judged', () => {
    const source =
      'type N = {status: "loading"} | {status: "loaded", data: {n: number}} | {status: "error", message: string}'
    expect(fault(source, { status: 'loaded', data: { n: 1 } })).toBeUndefined()
    expect(fault(source, { status: 'loaded', data: { n: 'x' } })).toBe('N: field "data.n": expected number, got "x"')
    expect(fault(source, { status: 'error' })).toBe('N: field "message": expected string, got nil')
    expect(fault(source, { status: 'else' })).toMatch(/^N: expected table \{status: "loading"\} \| .*, got table$/)
  })

  test('a table that holds itself is followed once', () => {
    const node = table({ v: 1 })
    node.set('next', node)
    expect(fault('type N = {next?: N, v: number}', node)).toBeUndefined()
  })

  test('a name means the declaration of its own block, before or after the place', () => {
    const inner = `
type Id = number
do
  type User = {id: Id}
  type Id = string
end`
    const user = declared(inner, 'User').state
    expect(misfitText(user, lua({ id: 'x' }))).toBeUndefined()
    expect(misfitText(user, lua({ id: 1 }))).toBe('User: field "id": expected string, got 1')
  })

  test('a type of another chunk is found where its module put it, and fits anything where it is not', () => {
    const inner = declared('type Id = string @min_len(2)')
    const source =
      'local lib = require("lib")\ntype Outer = {id: lib.deep.Id, all?: {lib.deep.Id}, other?: lib.None, no?: None}'
    const lib = table({ deep: table({ Id: inner as LuaValue }) })
    const outer = declared(source, 'Outer', { lib }).state
    expect(misfitText(outer, lua({ id: 'ab', other: 5, no: 6 }))).toBeUndefined()
    expect(misfitText(outer, lua({ id: 'a' }))).toMatch(/^Outer: field "id": length 1 is less than min length 2/)
    expect(misfitText(outer, lua({ id: 'ab', all: ['ab', 5] }))).toBe('Outer: field "all[2]": expected string, got 5')
    expect(misfitText(declared(source, 'Outer').state, lua({ id: 5 }))).toBeUndefined()
  })
})

describe('a type value', () => {
  const port = declared('type Port = number @min(1)')
  const { methods, call, tostring } = port.class
  const ctx = {} as HostContext

  test('its is() gives the value, or nil and a text', () => {
    expect(methods!['is']!(port, ctx, [80])).toEqual([80])
    expect(methods!['is']!(port, ctx, [0])).toEqual([undefined, 'Port: 0 is less than min 1'])
  })

  test('called, it gives the value or raises Invalid', () => {
    expect(call!(port, ctx, [80])).toEqual([80])
    expect(() => call!(port, ctx, ['x'])).toThrow(
      expect.objectContaining({ kind: 'invalid', message: 'Port: expected number, got "x"' }),
    )
  })

  test('it tells its name', () => {
    expect(methods!['name']!(port, ctx, [])).toEqual(['Port'])
    expect(tostring!(port)).toBe('type Port')
  })
})

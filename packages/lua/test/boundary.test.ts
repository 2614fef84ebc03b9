import { describe, expect, test } from 'vitest'
import { AppError, Tagged } from '@daruma/protocol'
import fc from 'fast-check'
import { raise } from '../src/engine.ts'
import type { HostContext, HostFunction, LuaFunction, LuaTable, LuaValue } from '../src/engine.ts'
import {
  errorClass,
  errorObject,
  failure as failed,
  isErrorObject,
  kindOfLua,
  luaKinds,
  wireOf,
} from '../src/error-object.ts'
import { HostObject, hostClass, tableTag, toData } from '../src/value.ts'
import type { HostClass } from '../src/value.ts'
import { bench, evaluate, failure, start } from './engine-harness.ts'

const on = bench()

const echo: HostFunction = (_ctx, args) => args
/** Out as data, and in again. */
const copy: HostFunction = (_ctx, [value]) => [toData(value as LuaValue)]

describe('values that leave Lua', () => {
  test.each<[string, unknown]>([
    ['nil', undefined],
    ['true', true],
    ['42', 42],
    ['1.5', 1.5],
    ['-0.0', 0],
    ['2^53', 2 ** 53],
    ['"text é"', 'text é'],
    [String.raw`"\xff\xfe"`, Uint8Array.of(255, 254)],
    ['{}', {}],
    ['{1, 2, 3}', [1, 2, 3]],
    ['{1, nil, 3}', [1, null, 3]],
    ['{a = 1, b = {c = {2}}}', { a: 1, b: { c: [2] } }],
    ['{[""] = 1}', { '': 1 }],
    ['table.create(0)', {}],
    ['table.create(5)', []],
    [
      '{1, 2, x = 3}',
      new Tagged(tableTag, [
        [1, 1],
        [2, 2],
        ['x', 3],
      ]),
    ],
    [
      '{[10] = "a", [20] = "b"}',
      new Tagged(tableTag, [
        [10, 'a'],
        [20, 'b'],
      ]),
    ],
    ['{[true] = 1}', new Tagged(tableTag, [[true, 1]])],
  ])('%s', (expression, expected) => {
    const [value] = evaluate(on, `return ${expression}`)
    expect(value).toEqual(expected)
  })
  test.each([
    ['{x = {1, print}}', 'value.x[2] is a function; it cannot leave its process'],
    ['print', 'value is a function; it cannot leave its process'],
    ['coroutine.create(print)', 'value is a coroutine; it cannot leave its process'],
    [
      '(function() local t = {} t.a = {t} return t end)()',
      'value.a[1] refers back to one of its own containers; a cycle cannot leave its process',
    ],
    ['{[{}] = 1}', 'value has a table as key; it cannot leave its process'],
    ['channel.new()', 'value is a channel; it cannot leave its process'],
    ['(function() local t = {} for i = 1, 300 do t = {t} end return t end)()', 'levels deep'],
  ])('%s cannot', (expression, problem) => {
    expect(() => evaluate(on, `return ${expression}`)).toThrow(problem)
  })
  test('the same table twice is no cycle', () => {
    expect(evaluate(on, 'local t = {1} return {t, t}')).toEqual([[[1], [1]]])
  })
})

describe('values that enter Lua', () => {
  const shown = (value: unknown, show: string): unknown => evaluate(on, show, { globals: { v: value } })[0]
  test.each<[unknown, string, unknown]>([
    [null, 'return type(v)', 'nil'],
    [1_700_000_000_000, 'return tostring(v)', '1700000000000'],
    [3, 'return v == 3.0 and math.type(v)', 'integer'],
    [10n, 'return v + 1', 11],
    [1_700_000_000_123_456_789n, 'return v', '1700000000123456789'],
    ['é', 'return #v', 2],
    [Uint8Array.of(255), 'return v:byte()', 255],
    [[1, 2, 3], 'return #v', 3],
    [[1, null, 3], 'return v[3]', 3],
    [[], 'return v', []],
    [{ a: { b: [1] } }, 'return v.a.b[1]', 1],
    [{ a: undefined, b: null }, 'return next(v)', undefined],
    [{ 7: 'x' }, 'return v["7"], v[7]', 'x'],
    [
      new Map<unknown, unknown>([
        [7, 'x'],
        ['y', 1],
      ]),
      'return v[7]',
      'x',
    ],
    [
      new Tagged(tableTag, [
        [1, 'a'],
        ['n', 2],
      ]),
      'return v[1] .. v.n',
      'a2',
    ],
    [new AppError('conflict', 'busy'), 'return v:kind() .. " " .. v', 'Conflict busy'],
    [on.engine.library('lib', { f: () => [1] }), 'return v.f()', 1],
    [{ __proto__: null, x: 1 }, 'return v.x', 1],
  ])('%o: %s', (value, show, expected) => {
    expect(shown(value, show)).toEqual(expected)
  })
  test.each([
    [Symbol('s'), 'value is a symbol'],
    [new Date(0), 'value is a Date'],
    [{ a: [new Date(0)] }, 'value.a[0] is a Date'],
    [new (class Odd {})(), 'value is a Odd'],
  ])('%o is refused', (value, problem) => {
    expect(() => start(on, '', { globals: { v: value } })).toThrow(problem)
  })
  test('a cycle is refused', () => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    expect(() => start(on, '', { globals: { v: cycle } })).toThrow('value.self refers back')
  })
  test('revive says what a class instance is in Lua', () => {
    class Pid {
      readonly text = '{a|1}'
    }
    expect(
      evaluate(on, 'return v.to', {
        globals: { v: { to: new Pid() } },
        revive: (value) => (value instanceof Pid ? value.text : undefined),
      }),
    ).toEqual(['{a|1}'])
  })
})

test('plain data comes back from Lua as it went in', () => {
  const leaf = fc.oneof(
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true }).map((n) => (n === 0 ? 0 : n)),
    fc.string({ unit: 'grapheme' }),
    fc.constant(2 ** 50),
  )
  const data = fc.letrec((tie) => ({
    node: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('node'), { maxLength: 5 }),
      fc.dictionary(fc.string(), tie('node'), { maxKeys: 5 }),
    ),
  })).node
  const { proc, run } = start(on, 'function id(x) return x end channel.new():receive()', { globals: { copy } })
  run()
  const id = proc.global('id') as LuaFunction
  fc.assert(
    fc.property(data, (value) => {
      const [back] = proc.evaluate(id, [value])
      expect(toData(back)).toEqual(value)
    }),
    { numRuns: 300 },
  )
})

describe('host functions', () => {
  test('results, no results, and the same function each time', () => {
    const globals = { echo, none: (() => undefined) satisfies HostFunction, get: (() => [echo]) satisfies HostFunction }
    expect(
      evaluate(on, 'return select("#", echo(1, nil, nil)), select("#", none()), get() == echo, type(echo)', {
        globals,
      }),
    ).toEqual([3, 0, true, 'function'])
  })
  test('handles of tables are the same object, raw, and live', () => {
    const seen: LuaTable[] = []
    const keep: HostFunction = (_ctx, [t]) => void seen.push(t as LuaTable)
    const { proc, run } = start(on, 't = {1, 2, x = {y = 1}} keep(t) keep(t) channel.new():receive()', {
      globals: { keep },
    })
    run()
    const [t, again] = seen as [LuaTable, LuaTable]
    expect(again).toBe(t)
    expect(t.length()).toBe(2)
    expect(t.get(1)).toBe(1)
    expect((t.get('x') as LuaTable).get('y')).toBe(1)
    t.set('z', { deep: [true] })
    t.set(3, 'three')
    t.set('x', undefined)
    expect(t.entries().map(([key]) => key)).toEqual([1, 2, 3, 'z'])
    expect(t.data()).toEqual(
      new Tagged(tableTag, [
        [1, 1],
        [2, 2],
        [3, 'three'],
        ['z', { deep: [true] }],
      ]),
    )
    expect(toData(proc.global('t'))).toEqual(t.data())
  })
  test.each<[string, HostFunction, string, unknown[]]>([
    [
      'an AppError is an error object',
      () => {
        throw new AppError('invalid', 'not so')
      },
      'local ok, e = pcall(f) return ok, type(e), e:kind(), "[" .. e .. "]"',
      [false, 'userdata', 'Invalid', '[not so]'],
    ],
    [
      'raise puts the place before a text',
      () => {
        throw raise('bad')
      },
      'return pcall(function() f() end)',
      [false, 'test.lua:1: bad'],
    ],
    [
      'raise with level 0 does not',
      () => {
        throw raise('bad', 0)
      },
      'return pcall(f)',
      [false, 'bad'],
    ],
    [
      'raise gives other values as they are',
      () => {
        throw raise({ code: 7 })
      },
      'local ok, e = pcall(f) return e.code',
      [7],
    ],
    [
      'a result that Lua cannot have is an error',
      () => [{ at: new Date(0) }],
      'local ok, e = pcall(f) return ok, tostring(e)',
      [false, 'value.at is a Date; Lua has nothing like it'],
    ],
    [
      'failure is nil and the error',
      () => failed(new AppError('not_found', 'no')),
      'local v, e = f() return v, e:kind()',
      [undefined, 'NotFound'],
    ],
  ])('%s', (_name, f, source, expected) => {
    expect(evaluate(on, source, { globals: { f } })).toEqual(expected)
  })
  test.each<[string, unknown, string]>([
    ['a promise', Promise.resolve([1]), 'a Promise'],
    ['text', 'x', 'string x'],
    ['an object', { kind: 'other' }, 'a Object'],
  ])('%s is no result', (_name, result, shown) => {
    const f = (() => result) as HostFunction
    expect(failure(on, 'f()', { globals: { f } }).message).toContain(`answered with ${shown}`)
  })
  test('the context knows the process, the coroutine, and the place', () => {
    const seen: unknown[] = []
    const note: HostFunction = (ctx: HostContext) =>
      void seen.push(
        ctx.local,
        ctx.coroutine,
        ctx.where(),
        ctx.frames().map(({ source, line, name }) => `${source}:${line} ${name}`),
      )
    start(on, 'local function f()\n note()\nend\ncoroutine.spawn(function() f() end)\nf()\nchannel.new():receive()', {
      globals: { note },
      local: 'mine',
    }).run()
    expect(seen).toEqual([
      'mine',
      1,
      'test.lua:2',
      ['test.lua:2 f', 'test.lua:5 main chunk'],
      'mine',
      2,
      'test.lua:2',
      ['test.lua:2 f', 'test.lua:4 <test.lua:4>'],
    ])
  })
  test('values of one process are refused by another', () => {
    const a = start(on, 't = {} function f() end channel.new():receive()')
    const b = start(on, 'channel.new():receive()')
    a.run()
    b.run()
    for (const name of ['t', 'f']) expect(() => b.proc.setGlobal(name, a.proc.global(name))).toThrow('another process')
  })
  test('evaluate calls a function at once; its error, and its length, are bounded', () => {
    const { proc, run } = start(
      on,
      'function add(a, b) return a + b, "x" end function bad() error("no") end function long() while true do end end channel.new():receive()',
      { limits: { sliceInstructions: 50_000 } },
    )
    run()
    const get = (name: string): LuaFunction => proc.global(name) as LuaFunction
    expect(proc.evaluate(get('add'), [1, 2])).toEqual([3, 'x'])
    expect(() => proc.evaluate(get('bad'))).toThrow('test.lua:1: no')
    expect(() => proc.evaluate(get('long'))).toThrow('used up its slice')
    expect(proc.evaluate(get('add'), [2, 2])).toEqual([4, 'x'])
    expect(proc.resume().kind).toBe('yield')
  })
})

describe('host objects', () => {
  const money: HostClass<{ cents: number }> = hostClass<{ cents: number }>({
    name: 'Money',
    methods: {
      add: (self, _ctx, [other]) => [
        new HostObject(money, { cents: self.state.cents + (other as HostObject<{ cents: number }>).state.cents }),
      ],
      cents: (self) => [self.state.cents],
    },
    index: (self, key) => (key === 'euros' ? self.state.cents / 100 : undefined),
    tostring: (self) => `${(self.state.cents / 100).toFixed(2)} EUR`,
    eq: (a, b) => centsOf(a) === centsOf(b),
    lt: (a, b) => centsOf(a) < centsOf(b),
    le: (a, b) => centsOf(a) <= centsOf(b),
    add: (a, b) => new HostObject(money, { cents: centsOf(a) + centsOf(b) }),
    sub: (a, b) => new HostObject(money, { cents: centsOf(a) - centsOf(b) }),
    mul: (a, b) => new HostObject(money, { cents: centsOf(a) * centsOf(b) }),
    div: (a, b) => centsOf(a) / centsOf(b),
    mod: (a, b) => centsOf(a) % centsOf(b),
    unm: (self) => new HostObject(money, { cents: -self.state.cents }),
    concat: (a, b) => `${textOf(a)}|${textOf(b)}`,
    length: (self) => self.state.cents,
    call: (self, _ctx, [factor]) => [self.state.cents * (factor as number)],
    toData: (self) => ({ cents: self.state.cents }),
  })
  const centsOf = (v: unknown): number =>
    v instanceof HostObject ? (v.state as { cents: number }).cents : (v as number)
  const textOf = (v: unknown): string =>
    v instanceof HostObject ? String((v.state as { cents: number }).cents) : String(v)
  const opaque = hostClass({ name: 'Opaque' })
  const globals = () => ({
    a: new HostObject(money, { cents: 150 }),
    b: new HostObject(money, { cents: 250 }),
    same: new HostObject(money, { cents: 150 }),
    o: new HostObject(opaque, {}),
  })

  test.each<[string, unknown[]]>([
    ['type(a), type(a.add), a.nothing, a.euros', ['userdata', 'function', undefined, 1.5]],
    ['a:cents(), a:add(b):cents(), a.add(a, b):cents()', [150, 400, 400]],
    ['tostring(a), ("%s"):format(b)', ['1.50 EUR', '2.50 EUR']],
    ['a == same, a == b, a ~= b, a == 150, rawequal(a, same), rawequal(a, a)', [true, false, true, false, false, true]],
    ['a < b, a > b, a <= same, a >= b', [true, false, true, false]],
    [
      '(a + b):cents(), (b - a):cents(), (a * 2):cents(), b / 100, a % 100, (-a):cents(), #a, a(3)',
      [400, 100, 300, 2.5, 50, -150, 150, 450],
    ],
    ['a .. "x", "x" .. a, a .. b', ['150|x', 'x|150', '150|250']],
    ['a', [{ cents: 150 }]],
    ['{[a] = 1}[a]', []],
    ['getmetatable(a), getmetatable(o)', [false, false]],
  ])('return %s', (expressions, expected) => {
    if (expected.length === 0)
      return expect(evaluate(on, 'local m = {[a] = 1} return m[a], m[same]', { globals: globals() })).toEqual([
        1,
        undefined,
      ])
    expect(evaluate(on, `return ${expressions}`, { globals: globals() })).toEqual(expected)
  })
  test.each([
    ['a.x = 1', 'attempt to index a Money value'],
    ['o + 1', 'attempt to perform arithmetic on a Opaque value'],
    ['o .. "x"', 'attempt to concatenate a Opaque value'],
    ['o < o', 'attempt to compare two Opaque values'],
    ['o()', 'attempt to call a Opaque value'],
    ['#o', 'attempt to get length of a Opaque value'],
    ['a.cents(o)', 'Money expected, got Opaque'],
    ['a.cents()', "Money:cents needs its object; call it with ':'"],
    ['setmetatable(a, {})', 'table expected, got Money'],
  ])('%s is an error', (source, problem) => {
    const statement = /^[ao] = |^a\.x =/.test(source) ? source : `local _ = ${source}`
    expect(failure(on, statement, { globals: globals() }).message).toContain(problem)
  })
  test('the same object is the same userdata, and comes back as itself', () => {
    const object = new HostObject(opaque, {})
    const seen: unknown[] = []
    expect(
      evaluate(
        on,
        'local x = get() note(x) return x == get(), tostring(x) == tostring(get()), tostring(x):match("^Opaque: 0x") ~= nil',
        {
          globals: {
            get: () => [object],
            note: (_c: HostContext, args: readonly LuaValue[]) => void seen.push(args[0]),
          },
        },
      ),
    ).toEqual([true, true, true])
    expect(seen[0]).toBe(object)
  })
  test('newIndex takes assignments', () => {
    const fields = new Map<unknown, unknown>()
    const bag = hostClass<object>({
      name: 'Bag',
      index: (_self, key) => fields.get(key),
      newIndex: (_self, key, value) => void fields.set(key, value),
    })
    expect(
      evaluate(on, 'bag.x = 7 bag[1] = "one" return bag.x, bag[1]', { globals: { bag: new HostObject(bag, {}) } }),
    ).toEqual([7, 'one'])
  })
  test('constants of a library are the same object for all, and cannot be changed', () => {
    const utc = new HostObject(opaque, {})
    const lib = on.engine.library('clock', { utc, unit: { second: 1, name: 's' }, yes: true })
    expect(
      evaluate(on, 'return clock.utc == get(), clock.unit.second, clock.unit.name, clock.yes', {
        globals: { clock: lib, get: () => [utc] },
      }),
    ).toEqual([true, 1, 's', true])
    expect(failure(on, 'clock.unit.second = 2', { globals: { clock: lib } }).message).toContain('read-only')
  })
})

describe('error objects', () => {
  const e = errorObject(new AppError('not_found', 'order 7 not found', { id: 7 }, { retryable: false }))
  test.each<[string, unknown[]]>([
    [
      'type(e), tostring(e), e:message(), e:kind(), e:retryable(), e:details().id, type(e:stack())',
      ['userdata', 'order 7 not found', 'order 7 not found', 'NotFound', false, 7, 'string'],
    ],
    [
      '"[" .. e .. "]", e .. 1, 1 .. e, e .. e',
      ['[order 7 not found]', 'order 7 not found1', '1order 7 not found', 'order 7 not foundorder 7 not found'],
    ],
    [
      'string.find(e, "not found"), string.match(e, "%d+"), string.upper(e), string.len(e), string.sub(e, 1, 5), string.format("%s %q", 1, e)',
      [9, 17, '7', 'ORDER 7 NOT FOUND', 17, 'order', '1 "order 7 not found"'],
    ],
    ['(string.gsub(e, "%d", "8")), table.concat({e, "!"})', ['order 8 not found', 'order 7 not found!']],
    [
      'select(2, pcall(error, e)) == e, select(2, pcall(function() local _ = e.nothing.x end)):match("field .nothing.")',
      [true, "field 'nothing'"],
    ],
    ['string(e), e == e', ['order 7 not found', true]],
  ])('return %s', (expressions, expected) => {
    const [first] = expressions.split(',')
    const source =
      first === 'string.find(e'
        ? `local a, b = string.find(e, "not found") return a, b, ${expressions.split(', ').slice(2).join(', ')}`
        : `return ${expressions}`
    expect(evaluate(on, source, { globals: { e } })).toEqual(expected)
  })
  test('kinds have one name in Lua and one on the wire', () => {
    for (const [kind, name] of Object.entries(luaKinds)) expect(kindOfLua(name)).toBe(kind)
    expect(kindOfLua('Nonsense')).toBe('unknown')
  })
  test('empty details are nil; details are a copy each time', () => {
    expect(
      evaluate(on, 'return bare:details(), e:details() ~= e:details()', {
        globals: { e, bare: errorObject(new AppError('invalid', 'x', {})) },
      }),
    ).toEqual([undefined, true])
  })
  test('what leaves is an AppError, and the wire keeps all', () => {
    const [out] = evaluate(on, 'return e', { globals: { e } })
    expect(out).toBeInstanceOf(AppError)
    expect(out).toMatchObject({ kind: 'not_found', message: 'order 7 not found', retryable: false, details: { id: 7 } })
    expect(wireOf(e)).toMatchObject({ kind: 'not_found', retryable: false, details: { id: 7 } })
    expect(isErrorObject(errorObject({ kind: 'timeout', message: 'late' }))).toBe(true)
    expect(errorObject(e)).toBe(e)
    expect(HostObject.is(e, errorClass)).toBe(true)
  })
  test('uncaught, it is told as itself', () => {
    expect(failure(on, 'error(e)', { globals: { e } })).toMatchObject({ message: 'order 7 not found', value: e })
    expect(failure(on, 'error({1})').message).toBe('(error object is a table value)')
    expect(failure(on, 'error()').message).toBe('(error object is a nil value)')
    expect(failure(on, 'error(42)').message).toBe('42')
  })
})

describe('compile', () => {
  test('the same source and name give the same unit', () => {
    const { engine } = on
    expect(engine.compile('return 1', 'a')).toBe(engine.compile('return 1', 'a'))
    expect(engine.compile('return 1', 'a').hash).not.toBe(engine.compile('return 1', 'b').hash)
  })
  test.each([
    ['x = = 1', "bad.lua:1: unexpected symbol near '='", 1],
    ['\n\nif x then', "bad.lua:3: 'end' expected near <eof>", 3],
    ['local s = "abc', 'unfinished string', 1],
    ['goto nowhere', "no visible label 'nowhere' for <goto> at line 1", 1],
    ['return 0x', "bad.lua:1: malformed number near '0x'", 1],
  ])('%j: %s', (source, problem, line) => {
    let thrown: unknown
    try {
      on.engine.compile(source, 'bad.lua')
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(AppError)
    const error = thrown as AppError
    expect(error.kind).toBe('invalid')
    expect(error.message).toContain(problem)
    expect(error.details).toMatchObject({ name: 'bad.lua', line })
  })
  test('types are erased, with the lines kept', () => {
    expect(
      evaluate(on, 'local x: integer = 5\nlocal function f(a: number): number\n  return a + x\nend\nreturn f(2)'),
    ).toEqual([7])
    expect(failure(on, 'local x: integer = 5\nlocal y: string =\n  x.y.z').message).toContain('test.lua:3: ')
  })
  test('load gives a function with the globals of the process', () => {
    const { proc, run } = start(on, 'g = 5 channel.new():receive()')
    run()
    const fn = proc.load(on.engine.compile('h = g + 1 return h, ...', 'more.lua'))
    expect(proc.evaluate(fn, ['x'])).toEqual([6, 'x'])
    expect(proc.global('h')).toBe(6)
  })
})

import { createRequire } from 'node:module'
import { isAppError } from '@daruma/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { eraseTypes } from '../src/erase-types.ts'

/** The text's first complaint from a Lua 5.3 compiler, or undefined. */
const complaint: (code: string) => string | undefined = (() => {
  const { lua, lauxlib, to_luastring: bytes, to_jsstring: text } = createRequire(import.meta.url)('fengari')
  return (code) => {
    const L = lauxlib.luaL_newstate()
    return lauxlib.luaL_loadstring(L, bytes(code)) === lua.LUA_OK ? undefined : text(lua.lua_tostring(L, -1))
  }
})()

const erase = (source: string): string => eraseTypes(source, 'test.lua').code
/** Spaces at ends of lines and runs of them say nothing. */
const tidy = (code: string): string =>
  code
    .replaceAll(/[ \t]+/g, ' ')
    .replaceAll(/ ?\n ?/g, '\n')
    .trim()
const lines = (text: string): number => text.split('\n').length

describe('plain Lua', () => {
  const corpus = [
    'local x = 1',
    'local a, b, c = 1, "two", {3}',
    'print("hello")',
    "print 'hello'",
    'print [[long\n\n]=] string]]',
    'local s = [==[ ]] :: as type ]==]',
    '-- a comment :: T\nlocal y = 2 --[[ inline : T ]] + 3',
    '--[==[ long\ncomment ]] ]==]\nreturn 1',
    'local s = "esc \\" \\\\ \\n \\z\n   more \\x41 \\u{48} \\065"',
    "local s = 'a\\\nb'",
    'a:b()',
    'a.b.c:d(1, 2):e "x" :f{1}',
    'return x and y or z',
    'local t = a < b > (c)',
    'f(a < b, c > (d))',
    'local r = f<a>(b)',
    'local r = f < a, b > (c)',
    'if a<b and c>d then return a<=b, c>=d, a~=b, a==b end',
    'local x = a<b == (c>d)',
    'local n = 0x10 + 0xA.8p1 + 1e10 + .5 + 3. + 3e-2 + 1//2 + 7 % 3 ^ 2',
    'local b = 1 << 2 >> 3 & 4 | 5 ~ 6, ~7',
    'local l = #t .. -x .. not y',
    'local function f(a, b, ...) local x, y = ... return select("#", ...) end',
    'function a.b.c:d(...) self.x = ... end',
    'local f = function() end',
    'for i = 1, 10, 2 do print(i) end',
    'for k, v in pairs(t) do t[k] = nil end',
    'while true do break end',
    'repeat local x = f() until x == nil',
    'do local x <close_ = 1 end',
    'if a then b() elseif c then d() else e() end',
    'local t = {1, 2; 3, x = 4, ["y"] = 5, [6] = 7, f = function() return 1, 2 end, ...}',
    'goto done\nprint(1)\n::done::',
    'while a do\n  if b then goto continue end\n  x = y\n  ::continue::\nend',
    'local t = type(x)',
    'type = type or print',
    'type "x"',
    'type{}',
    'type.name = 5',
    'type:method()',
    'local type = 5; print(type)',
    'local x = type\nfoo = 3',
    'if type(x) == "table" then y = type end',
    'return type',
    'as = 1; local as = as',
    'local x = y\nas = 5',
    'local x = y\nas(5)',
    'local x = y\nas{5}',
    'local x = y\nas"5"',
    'local x = y\nas.b, c = 5, 6',
    'x = as and y',
    'f(as, type, readonly)',
    'for as in as do end',
    'return as',
    'readonly = 1; readonly.x = readonly; readonly(readonly)',
    'local t = {type = 1, as = 2, readonly = 3}',
    't.type, t.as, t.readonly = t.as, t.readonly, t.type',
    'function type(x) return x end',
    'local is = x.is; x:is(y)',
    'a = b\n(c or d).e = 5',
    'local f = g\n(h or i)(j)',
    'local x = 1;;; local y = 2',
    'return',
    'return;',
    'return f(x), (f(x)), ...',
    '',
    '\n\n',
    '#!/usr/bin/env lua\nprint(1)',
    'local 日 = 1',
    'local s = "日本語: ワークフロー" -- コメント :: 型',
    'x = a.b[c.d][1](2)[3].e',
    'f{f{f{f{}}}}',
    'local ok, err = pcall(function() error({code = 1}) end)',
    'local a <const> = 5',
    'print(("x"):rep(3))',
    'return a.b:c(), #a.b, -a ^ -b',
    'local a = b -- c\n::label::',
    'x=1y=2',
    '\r\nlocal a = 1\r\nlocal b = 2\r\n',
  ]

  test.each(corpus)('%j is left byte for byte alone', (source) => {
    expect(erase(source)).toBe(source)
  })

  test('so is any sequence of it', () => {
    const sound = corpus.filter((source) => complaint(source) === undefined && !/\breturn\b|^goto|^#|::/.test(source))
    expect(sound.length).toBeGreaterThan(40)
    const glue = fc.constantFrom('\n', '\n\n', '\n-- note\n', '\n;')
    const wraps = fc.constantFrom<(body: string) => string>(
      (body) => body,
      (body) => `do\n${body}\nend`,
      (body) => `local function f(...)\n${body}\nend`,
      (body) => `return {\n  run = function(self, ...)\n${body}\n  end,\n}`,
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...sound), glue), { maxLength: 12 }), wraps, (parts, wrap) => {
        const source = wrap(parts.map(([statement, end]) => statement + end).join(''))
        expect(erase(source)).toBe(source)
      }),
    )
  })

  test('expressions of any shape are left alone', () => {
    const name = fc.constantFrom('a', 'b', 'type', 'as', 'readonly', 'typeof', 'x1')
    const { expression } = fc.letrec<{ expression: string }>((tie) => ({
      expression: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        name,
        fc.constantFrom('nil', 'true', '1', '0x1F', '"s"', "'?'", '[[l]]', '{}', '(...)'),
        fc
          .tuple(
            tie('expression'),
            fc.constantFrom('<', '>', '<=', '>>', '<<', '..', 'and', '|', '&', '~='),
            tie('expression'),
          )
          .map(([l, op, r]) => `${l} ${op} ${r}`),
        tie('expression').map((inner) => `(${inner})`),
        fc.tuple(name, tie('expression')).map(([f, inner]) => `${f}(${inner})`),
        fc.tuple(name, name, tie('expression')).map(([o, m, inner]) => `${o}:${m}(${inner})`),
        fc.tuple(name, tie('expression')).map(([t, inner]) => `${t}[ ${inner} ]`),
        tie('expression').map((inner) => `not ${inner}`),
        tie('expression').map((inner) => `{${inner}, k = ${inner}}`),
        tie('expression').map((inner) => `function(...) return ${inner} end`),
      ),
    }))
    fc.assert(
      fc.property(expression, expression, (left, right) => {
        const source = `local v = ${left}\nv = ${right}\nreturn ${left}, ${right}`
        expect(complaint(source)).toBeUndefined()
        expect(erase(source)).toBe(source)
      }),
      { numRuns: 300 },
    )
  })

  test('broken Lua without types is left to the compiler', () => {
    for (const source of [
      'local = 5',
      'f(',
      'x = "unfinished',
      'end',
      '--[[ open',
      'a b c',
      'local x = $',
      'return )',
    ]) {
      expect(erase(source)).toBe(source)
    }
  })

  test('very deep nesting is left to the compiler, without an exception of ours', () => {
    const source = `return ${'('.repeat(5_000)}1${')'.repeat(5_000)}`
    expect(erase(source)).toBe(source)
  })

  test('long chains of operators and comparisons take no more than their length', () => {
    const chain = Array.from({ length: 3_000 }, (_, at) => `a${at}`)
    for (const operator of ['..', '<', '+', 'and']) {
      const source = `return ${chain.join(` ${operator} `)}`
      expect(erase(source)).toBe(source)
    }
  })
})

describe('annotations are erased', () => {
  test.each([
    ['local x: number = 1', 'local x = 1'],
    ['local x: number, y: string? = 1, nil', 'local x , y = 1, nil'],
    ['local x: a.b.C<D, E<F>> = 1', 'local x = 1'],
    ['local x: {a: number, b?: string, readonly c: T, [string]: V, T[]} = t', 'local x = t'],
    ['local x: {readonly: number, type: string, ["odd key"]: T} = t', 'local x = t'],
    ['local x: "a" | "b" | nil | true | -1 = v', 'local x = v'],
    ['local x: A & B | C? = v', 'local x = v'],
    ['local x: number @min(0) @max(100) = 5', 'local x = 5'],
    ['local x: {number @min(-1)} = {}', 'local x = {}'],
    ['local x: (a: number, ...string) -> (boolean, string?) = f', 'local x = f'],
    ['local x: () -> () = f', 'local x = f'],
    ['local x: ((number) -> string)? = f', 'local x = f'],
    ['local x: typeof(f(1, "x")) = f', 'local x = f'],
    ['local x: number[] = {}', 'local x = {}'],
    ['local x: readonly {number} = {}', 'local x = {}'],
    ['local x: Map<string, List<number>>= y', 'local x = y'],
    ['local x: number', 'local x'],
    ['function f(a: number, b?: string, ...: any): (R, S) return a end', 'function f(a , b , ... ) return a end'],
    ['function a.b:c<T>(x: T): T return x end', 'function a.b:c (x ) return x end'],
    ['local function id<T: HasName, U = T>(x: T): U return x end', 'local function id (x ) return x end'],
    ['local f = function<T>(x: T): {T} return {x} end', 'local f = function (x ) return {x} end'],
    ['local function fail(): never error("x") end', 'local function fail() error("x") end'],
    ['local function g(): ...number return 1 end', 'local function g() return 1 end'],
    ['local function g(): number\n  (h or i)()\nend', 'local function g()\n(h or i)()\nend'],
    ['for i: integer = 1, 3 do end', 'for i = 1, 3 do end'],
    ['for k: string, v: T in pairs(t) do end', 'for k , v in pairs(t) do end'],
    ['return x :: number', 'return x'],
    ['return x as number', 'return x'],
    ['return x as {a: number}, y as (A | B), z as "lit"', 'return x , y , z'],
    ['return x :: any :: T', 'return x'],
    ['return (x :: T).field', 'return (x ).field'],
    ['return -x :: number + y :: number', 'return -x + y'],
    ['return x as number < 5', 'return x < 5'],
    ['return x :: integer < y', 'return x < y'],
    ['return {} as T, "s" :: T, function() end :: F', 'return {} , "s" , function() end'],
    ['local x = y as\nT', 'local x = y\n'.trim()],
    ['local n = x!', 'local n = x'],
    ['local n = (user!).name', 'local n = (user ).name'],
    ['local n = a!.b!.c![1]!(2)', 'local n = a .b .c [1] (2)'],
    ['a!.b = 5', 'a .b = 5'],
    ['x:m<T>(1)', 'x:m (1)'],
    ['f<T>(1)', 'f (1)'],
    ['local r = f<T?>(1)', 'local r = f (1)'],
    ['local r = f<{a: string}>(1)', 'local r = f (1)'],
    ['local r = new<Map<string, T[]>>()', 'local r = new ()'],
    ['type = 5 as number', 'type = 5'],
    ['local as = x as as', 'local as = x'],
    ['print(type(x) as string)', 'print((type(x)) )'],
  ])('%j becomes %j', (source, expected) => {
    const code = erase(source)
    expect(tidy(code)).toBe(expected)
    expect(complaint(code)).toBeUndefined()
    expect(lines(code)).toBe(lines(source))
  })

  test.each([
    ['return f() :: T', 'return (f())'],
    ['return f() as T', 'return (f())'],
    ['return a.b:c(1) as T, 2', 'return (a.b:c(1)) , 2'],
    ['return f"x" :: T', 'return (f"x")'],
    ['return f()()[1]() :: T', 'return (f()()[1]())'],
    ['return ... :: T', 'return (...)'],
    ['return f()!', 'return (f())'],
    ['return f()! :: T', 'return (f() )'],
    ['return f()!.x', 'return f() .x'],
    ['return f().x :: T', 'return f().x'],
    ['return (f()) :: T', 'return (f())'],
    ['g(f() :: T)', 'g((f()) )'],
    ['g(f(h() :: A) :: B)', 'g((f((h()) )) )'],
    ['return not f() :: T', 'return not (f())'],
    ['local t = {f() :: T}', 'local t = {(f()) }'],
    ['f()!', 'f()'],
  ])('a cast leaves one value: %j becomes %j', (source, expected) => {
    const code = erase(source)
    expect(tidy(code)).toBe(expected)
    expect(complaint(code)).toBeUndefined()
  })

  test('lines stay where they are, in types over several lines as well', () => {
    const source = `local x: {
  a: number, -- a comment
  b: string,
} = {
  a = 1 :: number
}
local function f(
  a: number,
  b: {
    c: string
  }
): (
  string,
  number
)
  return (b as
    any).c, error("line 17")
end`
    const code = erase(source)
    expect(complaint(code)).toBeUndefined()
    expect(lines(code)).toBe(lines(source))
    expect(code.split('\n')[16]).toContain('error("line 17")')
  })

  test.each([
    ['local x = f :: T\n(g)()', 'local x = f;\n(g)()'],
    ['x = y as T\n(g or h).z = 1', 'x = y;\n(g or h).z = 1'],
    [
      'type A = number\n(g)()',
      'local A = __daruma_type([[{"declarations":[{"name":"A","type":{"kind":"primitive","name":"number"}}],"foreign":[]}]]);\n(g)()',
    ],
  ])('a statement that starts with a parenthesis does not call what was before it: %j', (source, expected) => {
    expect(tidy(erase(source)).replaceAll(' ;', ';')).toBe(expected)
    expect(complaint(erase(source))).toBeUndefined()
  })
})

describe('labels', () => {
  test('a label at the start of a line is no cast', () => {
    const source = 'while a do\n  x = y\n  ::continue::\nend\nlocal z: number = 1'
    expect(erase(source)).toBe('while a do\n  x = y\n  ::continue::\nend\nlocal z         = 1')
  })
})

describe('broken types are invalid, with name and line', () => {
  test.each([
    ['local x: = 5', "test.lua:1: type expected near '='"],
    ['\nlocal x: {a: number = 5', "test.lua:2: '}' expected near '='"],
    ['type N<T = number', "test.lua:1: '>' expected after type parameters near '<eof>'"],
    ['type N<T>\n= |', "test.lua:2: type expected near '<eof>'"],
    [
      'local x: number @size(5) = 1',
      "test.lua:1: unknown annotation @size; known: @min @max @min_len @max_len @pattern near 'size'",
    ],
    ['local x: number @min("a") = 1', 'test.lua:1: number expected near \'"a"\''],
    ['local x: string @pattern("(") = 1', 'test.lua:1: not a regular expression near \'"("\''],
    ['local x: (A, B) = 1', "test.lua:1: one type expected, found a list of types near '='"],
    ['local x: number = 1\nlocal = 2', "test.lua:2: <name> expected near '='"],
    ['local x: number = 1\ns = "open\n', "test.lua:2: unfinished string near '\"open'"],
    ['local x: number = 1\n--[[ open\n', 'test.lua:2: unfinished long comment'],
    ['local x: number = 1 $', "test.lua:1: unexpected symbol near '$'"],
  ])('%j says %j', (source, message) => {
    let thrown: unknown
    try {
      erase(source)
    } catch (error) {
      thrown = error
    }
    expect(isAppError(thrown, 'invalid') && thrown.message).toBe(message)
    expect(isAppError(thrown) && thrown.details).toMatchObject({ name: 'test.lua', line: expect.any(Number) })
  })
})

test('any text at all gives code or an AppError', () => {
  const pieces = fc.constantFrom(
    ...'local x : = type N < T > { } ( ) [ ] , ; :: as ! ? @min @pattern -> | & function end return if then else for in do "s" \'\\ [[ ]] -- \n 5 0x ... .. . nil true readonly typeof a.b -'.split(
      ' ',
    ),
    '\n',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 25 }), (parts) => {
      const source = parts.join(' ')
      try {
        expect(lines(erase(source))).toBe(lines(source))
      } catch (error) {
        if (!isAppError(error, 'invalid')) throw error
      }
    }),
    { numRuns: 2_000 },
  )
})

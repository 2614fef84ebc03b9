import { describe, expect, test } from 'vitest'
import { AppError } from '@daruma/protocol'
import { createRequire } from 'node:module'
import { bench, evaluate, failure, start } from './engine-harness.ts'

const on = bench()

describe('1: strings are their bytes', () => {
  test('strings whose bytes join to the same hex digits differ', () => {
    expect(evaluate(on, String.raw`return "\x12\x03" == "\x01\x23", ({["\x12\x03"] = 1})["\x01\x23"]`)).toEqual([
      false,
      undefined,
    ])
  })
  test('order is that of the bytes, control characters included', () => {
    expect(
      evaluate(on, String.raw`return "a\tb" < "a b", "a\nb" < "aab", "\1" < "\x10", "" < "\0", "é" > "z"`),
    ).toEqual([true, true, true, true, true])
  })
  test('every byte string is a key of its own', () => {
    expect(
      evaluate(
        on,
        `local seen, n = {}, 0
         for a = 0, 255 do for b = 0, 255, 5 do seen[string.char(a, b)] = true end end
         for _ in pairs(seen) do n = n + 1 end
         return n`,
      ),
    ).toEqual([256 * 52])
  })
})

test('2: budgets still count after an error that was caught in a coroutine', () => {
  const { proc } = start(
    on,
    `coroutine.spawn(function() pcall(error, "x") while true do end end)
     coroutine.wrap(function() pcall(error, "y") end)()
     pcall(error, "z")
     while true do end`,
    { limits: { sliceInstructions: 20_000 } },
  )
  expect(proc.resume().kind).toBe('preempted')
  expect(proc.resume().kind).toBe('preempted')
  expect(proc.stats().instructions).toBeGreaterThanOrEqual(40_000)
})

describe('3: numbers', () => {
  test.each([
    ['1700000000 * 1000', 1_700_000_000_000],
    ['2147483647 + 1', 2_147_483_648],
    ['-2147483648 - 1', -2_147_483_649],
    ['2147483647 * 2147483647', 2147483647 * 2147483647],
    ['-(-2147483648)', 2_147_483_648],
    ['9007199254740991 + 1', 9007199254740992],
    ['1700000000123 % 1000', 123],
    ['1700000000123 // 1000', 1_700_000_000],
    ['-7 // 2', -4],
    ['-7 % 3', 2],
    ['7 % -3', -2],
    ['5 % math.huge', 5],
    ['-5 % math.huge', Infinity],
    ['0xff', 255],
    ['0xffffffff', 4294967295],
    ['0x7fffffffff', 549755813887],
    ['3 | 2^33', 8589934595],
    ['1 << 40', 2 ** 40],
    ['1 << 31', 2147483648],
    ['1 << 64', 0],
    ['2^40 >> 8', 2 ** 32],
    ['-1 >> 60', 15],
    ['~0', -1],
    ['0xF0F0F0F0F0 & 0x0FF00', 0x0f000],
    ['"10" + 5', 15],
    ['"0x10" * 2', 32],
    ['10 // 0.3', 33],
    ['1e308 * 10', Infinity],
  ])('%s', (expression, expected) => {
    expect(evaluate(on, `return ${expression}`)).toEqual([expected])
    // Not only when it is folded at compile time.
    const [first] = /^-?"?[\d.xa-fA-F]+"?/.exec(expression) ?? []
    if (first !== undefined) {
      expect(evaluate(on, `local v = ${first} return v${expression.slice(first.length)}`)).toEqual([expected])
    }
  })
  test('loops, lengths and keys beyond 32 bits stay exact', () => {
    expect(
      evaluate(
        on,
        `local t = {} for i = 2147483646, 2147483650 do t[#t + 1] = i end
         local m = { [2^40] = "a" } return t[5], #t, m[1099511627776], m[2^40 + 0.0]`,
      ),
    ).toEqual([2147483650, 5, 'a', 'a'])
  })
  test('a number is an integer when its value is one', () => {
    expect(
      evaluate(
        on,
        'return math.type(3), math.type(3.0), math.type(2^40), math.type(3.5), math.type(2^60), math.type("3"), math.tointeger(3.0), math.tointeger(3.5)',
      ),
    ).toEqual(['integer', 'integer', 'integer', 'float', 'float', undefined, 3, undefined])
  })
  test('a bitwise operator refuses a fraction', () => {
    expect(failure(on, 'local x = 1.5 return x & 1').message).toBe(
      'test.lua:1: number 1.5 has no integer representation',
    )
  })
})

describe('4: the order of pairs', () => {
  const order = (body: string): unknown =>
    evaluate(
      on,
      `local t = {} ${body} local o = {} for k in pairs(t) do o[#o + 1] = tostring(k) end return table.concat(o, " ")`,
    )[0]
  test.each([
    ['t = {"a", "b", "c"}', '1 2 3'],
    ['t = {"a", x = 1, "b", y = 2}', '1 2 x y'],
    ['t.z = 1 t.a = 2 t[2] = "two" t[1] = "one"', '1 2 z a'],
    ['t.a = 1 t.b = 2 t.a = nil t.c = 3 t.a = 4', 'b c a'],
    ['for i = 5, 1, -1 do t[i] = i end', '1 2 3 4 5'],
    ['t[3] = 1 t[1] = 1 t[2] = 1 t[10] = 1 t[7] = 1', '1 2 3 10 7'],
    ['t = {1, 2, 3, 4} t[2] = nil', '1 3 4'],
    ['t = {1, nil, 3}', '1 3'],
    ['t[1.5] = 1 t[true] = 1 t[-1] = 1 t[0] = 1', '1.5 true -1 0'],
    ['for i = 1, 100 do t["k" .. i] = i end for i = 1, 97 do t["k" .. i] = nil end t.k1 = 1', 'k98 k99 k100 k1'],
  ])('%s', (body, expected) => {
    expect(order(body)).toBe(expected)
  })
  test('fields may be cleared and changed while a table is traversed', () => {
    expect(
      evaluate(
        on,
        `local t = {1, 2, 3, 4, 5, a = 1, b = 2, c = 3}
         local n = 0
         for k, v in pairs(t) do t[k] = nil n = n + 1 end
         local list = {} for i = 1, 10 do list[i] = i end
         for k in pairs(list) do list[k] = k * 2 end
         return n, next(t), #list, list[10]`,
      ),
    ).toEqual([8, undefined, 10, 20])
  })
  test('borders of lists with holes are those of C', () => {
    expect(
      evaluate(
        on,
        'local a, b, c = {1, nil, 3}, {1, 2, nil}, {n = 1, nil, 2} local d = {1, 2, 3} d[3] = nil d[2] = nil return #a, #b, #c, #d',
      ),
    ).toEqual([3, 2, 2, 1])
  })
  test('next refuses a key that never was there', () => {
    expect(failure(on, 'next({}, "x")').message).toContain("invalid key to 'next'")
  })
})

describe('5: JavaScript errors', () => {
  test('pcall catches one as an error object, and the stack is whole', () => {
    const boom = (): never => {
      throw new TypeError('no such thing')
    }
    expect(
      evaluate(on, 'local ok, e = pcall(boom) return ok, type(e), tostring(e), e:kind(), 7', { globals: { boom } }),
    ).toEqual([false, 'userdata', 'no such thing', 'Internal', 7])
  })
  test('an AppError keeps kind, retryable and details through pcall and error', () => {
    const boom = (): never => {
      throw new AppError('not_found', 'no order 7', { id: 7 }, { retryable: true })
    }
    const { value } = failure(on, 'local ok, e = pcall(boom) assert(not ok) error(e)', { globals: { boom } })
    expect(value).toMatchObject({ state: { kind: 'not_found', retryable: true, details: { id: 7 } } })
  })
  test('one within a coroutine of a coroutine is caught where pcall is', () => {
    const boom = (): never => {
      throw new Error('deep')
    }
    expect(
      evaluate(
        on,
        'local co = coroutine.wrap(function() return coroutine.wrap(function() boom() end)() end) local ok, e = pcall(co) return ok, tostring(e)',
        {
          globals: { boom },
        },
      ),
    ).toEqual([false, 'deep'])
  })
})

describe('6: time, chance, and text that is not UTF-8', () => {
  test.each([
    ['os.date("!%Y-%m-%d %H:%M:%S", 0)', '1970-01-01 00:00:00'],
    ['os.date("!%c", 1700000000)', 'Tue Nov 14 22:13:20 2023'],
    ['os.date("%x %X %p %j %U %w %y %%", 4102444800)', '01/01/00 00:00:00 AM 001 00 5 00 %'],
    ['os.time{year = 2100, month = 2, day = 28, hour = 12}', 4107499200],
    ['os.time{year = 2024, month = 14, day = -3, hour = 0}', 1738022400],
    ['os.time()', 1_700_000_000],
    ['os.date("*t", 951827696).day', 29],
    ['os.date("!*t", -1).year', 1969],
    ['os.clock()', 0],
    ['os.difftime(5, 3)', 2],
  ])('%s', (expression, expected) => {
    expect(evaluate(on, `return ${expression}`)).toEqual([expected])
  })
  test('an unknown directive of os.date is an error', () => {
    expect(failure(on, 'os.date("%Q")').message).toContain("invalid conversion specifier '%Q'")
  })
  test('math.random is the process’s own and repeats with its seed', () => {
    const draw =
      'local t = {} for i = 1, 5 do t[i] = math.random(1, 1000) end return table.concat(t, " "), math.random() < 1'
    expect(evaluate(on, draw)).toEqual(evaluate(on, draw))
    expect(evaluate(on, draw, { random: 0.5 })).not.toEqual(evaluate(on, draw))
    expect(
      evaluate(on, 'math.randomseed(42) local a = math.random(1e9) math.randomseed(42) return a == math.random(1e9)'),
    ).toEqual([true])
  })
  test('bytes that are not UTF-8 go out and come back unchanged', () => {
    let seen: unknown
    const echo = (_ctx: unknown, [value]: readonly unknown[]): readonly unknown[] => {
      seen = value
      return [value]
    }
    expect(
      evaluate(on, String.raw`local s = "\xff\x00a" return echo(s) == s, #echo("häß")`, { globals: { echo } }),
    ).toEqual([true, 5])
    expect(evaluate(on, String.raw`return "\xff\x00a"`)).toEqual([Uint8Array.of(255, 0, 97)])
    expect(seen).toBe('häß')
  })
})

test('the original fengari of the same process stays as it is', () => {
  const require = createRequire(import.meta.url)
  const { lua, lauxlib, to_luastring } = require('fengari') as {
    lua: Record<string, (...args: unknown[]) => unknown>
    lauxlib: Record<string, (...args: unknown[]) => unknown>
    to_luastring(text: string): Uint8Array
  }
  const L = lauxlib['luaL_newstate']!()
  expect(lauxlib['luaL_dostring']!(L, to_luastring('return 2147483647 + 1'))).toBeFalsy()
  expect(lua['lua_tonumber']!(L, -1)).toBe(-2147483648)
})

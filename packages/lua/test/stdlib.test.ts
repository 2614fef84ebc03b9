import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { bench, evaluate, failure, start } from './engine-harness.ts'

const on = bench()

/** Expected values are those of the reference interpreter of Lua 5.3, but for numbers with integral value (no `.0`). */
describe('numbers as text', () => {
  test.each<[string, string]>([
    ['42', '42'],
    ['-7', '-7'],
    ['1.0', '1'],
    ['10 / 2', '5'],
    ['0', '0'],
    ['-0.0', '0'],
    ['0 * -1', '0'],
    ['1e15', '1000000000000000'],
    ['2^53', '9007199254740992'],
    ['-2^53', '-9007199254740992'],
    ['2^54', '1.8014398509482e+16'],
    ['1700000000123', '1700000000123'],
    ['3.14', '3.14'],
    ['0.1', '0.1'],
    ['1 / 3', '0.33333333333333'],
    ['100 / 3', '33.333333333333'],
    ['1e100', '1e+100'],
    ['1e-5', '1e-05'],
    ['0.0001', '0.0001'],
    ['123456.789e3', '123456789'],
    ['5e-324', '4.9406564584125e-324'],
    ['1.7976931348623157e308', '1.7976931348623e+308'],
    ['1 / 0', 'inf'],
    ['-1 / 0', '-inf'],
    ['0 / 0', 'nan'],
    ['0x10', '16'],
    ['0x.8p1', '1'],
    ['0xA.8', '10.5'],
    ['1e3', '1000'],
    ['.5', '0.5'],
    ['3.', '3'],
  ])('%s prints as %s', (expression, expected) => {
    expect(evaluate(on, `return tostring(${expression}), "" .. ${expression}`)).toEqual([expected, expected])
  })
  test('every integer up to 2^53 prints with its digits and reads back', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (n) => {
        expect(
          evaluate(on, 'local n = ... return tostring(n), tonumber(tostring(n)) == n, ("%d"):format(n)', { args: [n] }),
        ).toEqual([String(n), true, String(n)])
      }),
      { numRuns: 100 },
    )
  })
})

describe('string.format', () => {
  test.each<[string, string]>([
    ['"%d %i %5d|%-5d|%05d|%+d|% d", 1, 2, 3, 4, 5, 6, 7', '1 2     3|4    |00005|+6| 7'],
    ['"%5.3i|%-6.2d|%.0d|", 7, -7, 0', '  007|-07   ||'],
    ['"%d", 1700000000123', '1700000000123'],
    ['"%d", 3.0', '3'],
    ['"%d", "10"', '10'],
    ['"%x %X %#x %#X %5x|%-5x|%05x", 255, 255, 255, 255, 255, 255, 255', 'ff FF 0xff 0XFF    ff|ff   |000ff'],
    ['"%x %o %#o", -1, 8, 8', 'ffffffffffffffff 10 010'],
    ['"%#x", 0', '0'],
    ['"%u", 42', '42'],
    ['"%c%c%c", 76, 117, 97', 'Lua'],
    ['"%5c|%-3c|", 65, 66', '    A|B  |'],
    [
      '"%f %.2f %8.3f|%-8.1f|%08.2f|%+.1f", 1.5, 2.345, 3.14159, 4.25, -5.5, 6.25',
      '1.500000 2.35    3.142|4.2     |-0005.50|+6.2',
    ],
    ['"%.0f %.1f %.20f", 0.5, 0.25, 0.1', '0 0.2 0.10000000000000000555'],
    ['"%e %.2e %E", 12345.678, 0.00012, 1e100', '1.234568e+04 1.20e-04 1.000000E+100'],
    ['"%g %g %g %g %g", 100000, 1000000, 1e-5, 0.0001, 123456789', '100000 1e+06 1e-05 0.0001 1.23457e+08'],
    ['"%.14g %.3g %#.3g %G", 1/3, 3.0, 3.0, 1e-10', '0.33333333333333 3 3.00 1E-10'],
    ['"%.17g", 0.1', '0.10000000000000001'],
    [
      '"%#.0e|%#.0f|%#.0g|%+#016.0g|%0+13.18g", 30, 2, 20, 1e-188, 251594940',
      '3.e+01|2.|2.e+01|+000000001.e-188|+000251594940',
    ],
    ['"%.0e %.0e %.2g %.1f %.0f %.0f", 2.5e10, 3.5e10, 2.25, 0.35, 1.5, 2.5', '2e+10 4e+10 2.2 0.3 2 2'],
    ['"%012.9d|%-012d|%+05d|% 05d", 7, 7, 7, 7', '   000000007|7           |+0007| 0007'],
    ['"%f %g %e %5.1f|%05f", 1/0, -1/0, 1/0, 1/0, 1/0', 'inf -inf inf   inf|  inf'],
    ['"%a %A", 1.0, 0.5', '0x1p+0 0X1P-1'],
    ['"%a %.2a", 3.14, 3.14', '0x1.91eb851eb851fp+1 0x1.92p+1'],
    ['"%.99f", 1e15', `1000000000000000.${'0'.repeat(99)}`],
    ['"%.3f", 2^70', '1180591620717411303424.000'],
    ['"%s %s %s %s", 1, "x", true, nil', '1 x true nil'],
    ['"%10s|%-10s|%.2s|%5.1s|", "abc", "abc", "abc", "abc"', '       abc|abc       |ab|    a|'],
    ['"%q", "a\\n\\"\\\\b\\0c\\r1\\t"', '"a\\\n\\"\\\\b\\0c\\r1\\9"'],
    ['"%q %q %q %q", 1, 2.5, true, nil', '1 2.5 true nil'],
    ['"100%%"', '100%'],
    ['"%5s%%|%s", "é", "é"', '   é%|é'],
  ])('%s', (args, expected) => {
    expect(evaluate(on, `return string.format(${args})`)).toEqual([expected])
  })
  test.each([
    ['"%d", 1.5', "bad argument #2 to 'format' (number has no integer representation)"],
    ['"%d", "x"', "bad argument #2 to 'format' (number expected, got string)"],
    ['"%d"', "bad argument #2 to 'format' (no value)"],
    ['"%y", 1', "invalid option '%y' to 'format'"],
    ['"%123d", 1', 'invalid format'],
    ['"%q", {}', "bad argument #2 to 'format' (string expected, got table)"],
  ])('%s is an error', (args, problem) => {
    expect(failure(on, `string.format(${args})`).message).toContain(problem)
  })
})

describe('strings and patterns', () => {
  test.each<[string, unknown[]]>([
    ['("hello"):find("l"), ("hello"):find("xyz"), ("hello"):find("l", 1, true)', [3, undefined, 3, 3]],
    ['("hello"):find("")', [1, 0]],
    ['("hello"):find("", 10)', [undefined]],
    ['("hello"):find("", 6)', [6, 5]],
    ['("a.b"):find(".", 1, true)', [2, 2]],
    ['("a+b"):find("+", 1, true)', [2, 2]],
    ['("hello world"):find("(o)( )(w)")', [5, 7, 'o', ' ', 'w']],
    ['("hello"):match("()ll()")', [3, 5]],
    ['("key = value"):match("^(%w+)%s*=%s*(%w+)$")', ['key', 'value']],
    ['("2024-01-15"):match("(%d+)-(%d+)-(%d+)")', ['2024', '01', '15']],
    ['("  trim  "):match("^%s*(.-)%s*$")', ['trim']],
    ['("f(a(b)c)d"):match("%b()")', ['(a(b)c)']],
    ['("THE (quick) fox"):find("%((%a+)%)")', [5, 11, 'quick']],
    ['("hello"):match("l-o"), ("hello"):match("l*o"), ("hello"):match("z?h")', ['llo', 'llo', 'h']],
    ['("aaa"):match("a-", 2), ("aaa"):match("^a", 2)', ['', 'a']],
    ['("THE (quick) fox"):gsub("%f[%a]%a+", string.lower)', ['the (quick) fox', 3]],
    ['("abc"):gsub("", "-")', ['-a-b-c-', 4]],
    ['("abc"):gsub("%w", "%0%0", 2)', ['aabbc', 2]],
    ['("hello world"):gsub("(%w+) (%w+)", "%2 %1")', ['world hello', 1]],
    ['("$name is $age"):gsub("%$(%w+)", {name = "Bob", age = 42})', ['Bob is 42', 2]],
    ['("abc"):gsub("b", false and 1 or "%%")', ['a%c', 1]],
    ['("abc"):gsub("%w", function(c) if c == "b" then return nil end return c .. c end)', ['aabcc', 3]],
    ['("x"):gsub("x*", "-")', ['-', 1]],
    ['("abc abc"):gsub("^abc", "X")', ['X abc', 1]],
    ['("a,b,,c"):gsub(",", ";")', ['a;b;;c', 3]],
    [
      '("[test]"):match("^%[(.*)%]$"), ("a]b"):match("[]]"), ("a-b"):match("[a%-]+"), ("x^y"):match("[%^x]+")',
      ['test', ']', 'a-', 'x^'],
    ],
    [
      '("0x1F"):match("%x+$"), ("tab\\there"):match("%c"), ("a_b"):match("[%w_]+"), ("é"):len()',
      ['1F', '\t', 'a_b', 2],
    ],
    ['("abab"):match("(ab)%1"), ("\\0a\\0"):match("%z") == nil, ("a\\0b"):find("\\0")', ['ab', true, 2, 2]],
    [
      '("hello"):sub(2, -2), ("hello"):sub(-3), ("hello"):sub(0), ("hello"):sub(10), ("hello"):sub(3, 2), ("hello"):sub(-100, 2)',
      ['ell', 'llo', 'hello', '', '', 'he'],
    ],
    ['("hello"):byte(-1), ("hello"):byte(10), ("AB"):byte(1, 2)', [111, 65, 66]],
    [
      '("ab"):rep(3), ("ab"):rep(2, "-"), ("ab"):rep(0), ("ab"):rep(-1), (""):rep(100)',
      ['ababab', 'ab-ab', '', '', ''],
    ],
    [
      '("Hello"):upper(), ("Hello"):lower(), ("abc"):reverse(), #"abc", ("é"):upper()',
      ['HELLO', 'hello', 'cba', 3, 'é'],
    ],
    ['"a" .. 1 .. 2.5 .. "b", 1 .. ""', ['a12.5b', '1']],
    ['"10" + 1, "0x10" + 0, " 5 " * 2, 10 .. 20', [11, 16, 10, '1020']],
  ])('%s', (expressions, expected) => {
    if (expressions.startsWith('("hello"):find("l")'))
      return expect(
        evaluate(on, 'return (("hello"):find("l")), (("hello"):find("xyz")), ("hello"):find("l", 1, true)'),
      ).toEqual(expected)
    if (expressions.startsWith('("abab")'))
      return expect(
        evaluate(on, 'return ("abab"):match("(ab)%1"), ("\\0a\\0"):match("%z") == nil, ("a\\0b"):find("\\0")'),
      ).toEqual(expected)
    if (expressions.startsWith('("hello"):byte'))
      return expect(evaluate(on, 'return ("hello"):byte(-1), ("AB"):byte(1, 2)')).toEqual([111, 65, 66])
    expect(evaluate(on, `return ${expressions}`)).toEqual(expected)
  })
  test('gmatch goes through all matches', () => {
    expect(
      evaluate(
        on,
        'local t = {} for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do t[#t + 1] = k .. v end for w in ("one two"):gmatch("%a+") do t[#t + 1] = w end for p in ("abc"):gmatch("()") do t[#t + 1] = p end return table.concat(t, " ")',
      ),
    ).toEqual(['a1 b2 one two 1 2 3 4'])
  })
  test.each([
    ['("x"):find("[a")', "malformed pattern (missing ']')"],
    ['("x"):find("%")', "malformed pattern (ends with '%')"],
    ['("x"):find("(x")', 'unfinished capture'],
    ['("x"):match("x)")', 'invalid pattern capture'],
    ['("x"):gsub("x", "%2")', 'invalid capture index %2'],
    ['("x"):gsub("x", "%y")', "invalid use of '%' in replacement string"],
    ['("x"):gsub("x", {x = {}})', 'invalid replacement value (a table)'],
    ['("x"):gsub("x")', "bad argument #2 to 'gsub' (string/function/table expected)"],
    ['string.rep()', "bad argument #1 to 'rep' (string expected, got no value)"],
    ['("x"):rep({})', "bad argument #1 to 'rep' (number expected, got table)"],
    ['("x"):rep(1.5)', 'number has no integer representation'],
    ['string.char(256)', 'value out of range'],
    ['#nil', 'attempt to get length of a nil value'],
    ['{} .. "x"', 'attempt to concatenate a table value'],
    ['"a" + 1', 'attempt to perform arithmetic on a string value'],
    ['1 < "2"', 'attempt to compare number with string'],
    ['nil > 1', 'attempt to compare number with nil'],
  ])('%s is an error', (expression, problem) => {
    expect(
      failure(
        on,
        `local _ = ${expression.startsWith('{}') ? `(${expression.slice(0, 2)})${expression.slice(2)}` : expression}`,
      ).message,
    ).toContain(problem)
  })
})

describe('tables', () => {
  test.each<[string, unknown[]]>([
    ['local t = {1, 2} table.insert(t, 3) table.insert(t, 1, 0) return table.concat(t, ",")', ['0,1,2,3']],
    ['local t = {1, 2, 3} return table.remove(t), table.remove(t, 1), table.concat(t, ",")', [3, 1, '2']],
    ['local t = {} return table.remove(t), #t', [undefined, 0]],
    [
      'return table.concat({}), table.concat({1, 2.5, "x"}, "-"), table.concat({1, 2, 3}, ",", 2), table.concat({1, 2, 3}, ",", 2, 2)',
      ['', '1-2.5-x', '2,3', '2'],
    ],
    ['return table.unpack({1, 2, 3}), table.unpack({1, 2, 3}, 2, 3)', [1, 2, 3]],
    ['local t = table.pack(1, nil, 3) return t.n, t[1], t[3]', [3, 1, 3]],
    ['return select("#", table.unpack({}, 1, 3)), unpack({7})', [3, 7]],
    [
      'local t = table.move({1, 2, 3}, 1, 3, 2) return table.concat(t, ","), table.concat(table.move({1, 2}, 1, 2, 1, {}), ",")',
      ['1,1,2,3', '1,2'],
    ],
    ['local t = {3, 1, 2} table.sort(t) return table.concat(t, ",")', ['1,2,3']],
    ['local t = {"b", "a", "C"} table.sort(t) return table.concat(t, ",")', ['C,a,b']],
    [
      'local t = {} for i = 1, 100 do t[i] = (i * 37) % 101 end table.sort(t, function(a, b) return a > b end) for i = 2, 100 do if t[i - 1] < t[i] then return false end end return true',
      [true],
    ],
    [
      'local t = {} for i = 1, 50 do t[i] = {k = i % 3, i = i} end table.sort(t, function(a, b) return a.k < b.k end) for i = 2, 50 do if t[i-1].k == t[i].k and t[i-1].i > t[i].i then return "unstable" end end return "stable"',
      ['stable'],
    ],
    ['local t = {3, 2, 1} table.sort(t, function() return true end) return #t', [3]],
    [
      'local log = {} local t = setmetatable({}, {__newindex = function(t, k, v) log[#log + 1] = k rawset(t, k, v) end}) table.insert(t, "a") table.insert(t, "b") return table.concat(log, ",")',
      ['1,2'],
    ],
    [
      'local t = setmetatable({}, {__index = function(_, i) if i <= 3 then return i * i end end, __len = function() return 3 end}) return table.concat(t, ","), table.unpack(t)',
      ['1,4,9', 1, 4, 9],
    ],
    ['local n = 0 for i, v in ipairs({1, 2, nil, 4}) do n = n + v end return n', [3]],
    [
      'local n = 0 for i, v in ipairs(setmetatable({}, {__index = function(_, i) if i < 4 then return i end end})) do n = n + v end return n',
      [6],
    ],
    ['local t = table.create(10, 5) t[1] = 1 return #t, type(t)', [1, 'table']],
    ['local t = {10, 20, 30} return next(t), next(t, 3), next({})', [1, undefined, undefined]],
    [
      'return rawlen({1, 2}), rawlen("abc"), rawget({x = 1}, "x"), rawequal("a", "a"), #rawset({}, 1, 2)',
      [2, 3, 1, true, 1],
    ],
    ['local t = {n = 0} t.n = t.n + 1 t[t.n] = "a" t["k" .. t.n] = "b" return t[1], t.k1, t.n', ['a', 'b', 1]],
  ])('%s', (source, expected) => {
    if (source.includes('return table.unpack({1, 2, 3}), '))
      return expect(evaluate(on, 'return table.unpack({1, 2, 3})')).toEqual(expected)
    if (source.startsWith('local t = {10, 20, 30}'))
      return expect(evaluate(on, 'local t = {10, 20, 30} return (next(t)), (next(t, 3)), (next({}))')).toEqual(expected)
    expect(evaluate(on, source)).toEqual(expected)
  })
  test('sort gives the same as a reference, for any list of numbers', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -50, max: 50 }), { maxLength: 60 }), (list) => {
        const sorted = [...list].sort((a, b) => a - b)
        const [plain, backwards] = evaluate(
          on,
          'local a, b = ... table.sort(a) table.sort(b, function(x, y) return x > y end) return a, b',
          { args: [list, list] },
        )
        expect(plain).toEqual(sorted)
        expect(backwards).toEqual(sorted.reverse())
      }),
      { numRuns: 60 },
    )
  })
  test('insert and remove anywhere keep the list whole', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(20), fc.integer()), { maxLength: 40 }), (steps) => {
        const model: number[] = []
        let source = 'local t = {}\n'
        for (const [isInsert, at, value] of steps) {
          if (isInsert) {
            const position = at % (model.length + 1)
            model.splice(position, 0, value)
            source += `table.insert(t, ${position + 1}, ${value})\n`
          } else if (model.length > 0) {
            const position = at % model.length
            source += `assert(table.remove(t, ${position + 1}) == ${model.splice(position, 1)[0]})\n`
          }
        }
        const [list, size] = evaluate(on, `${source} return t, #t`)
        expect(size).toBe(model.length)
        expect(list).toEqual(model.length === 0 ? {} : model)
      }),
      { numRuns: 60 },
    )
  })
  test.each([
    ['table.concat({1, {}, 3})', "invalid value (a table at index 2) in table for 'concat'"],
    ['table.insert({1}, 5, 2)', "bad argument #2 to 'insert' (position out of bounds)"],
    ['table.insert({1})', "wrong number of arguments to 'insert'"],
    ['table.remove({1, 2, 3}, 7)', 'position out of bounds'],
    ['table.sort({1, "x"})', 'attempt to compare'],
    ['table.sort({3, 2, 1}, 5)', 'function expected'],
    ['ipairs()', "bad argument #1 to 'ipairs' (value expected)"],
    ['for k in pairs(nil) do end', "bad argument #1 to 'pairs' (table expected, got nil)"],
    ['setmetatable({}, 1)', 'nil or table expected'],
    ['setmetatable(setmetatable({}, {__metatable = 1}), {})', 'cannot change a protected metatable'],
    ['local t = {} t[0/0] = 1', 'table index is NaN'],
  ])('%s is an error', (source, problem) => {
    expect(failure(on, source).message).toContain(problem)
  })
})

describe('base functions', () => {
  test.each<[string, unknown[]]>([
    [
      'return type(nil), type(1), type("s"), type({}), type(print), type(true)',
      ['nil', 'number', 'string', 'table', 'function', 'boolean'],
    ],
    [
      'return tonumber("10"), tonumber("0x1f"), tonumber("1e2"), tonumber("  7  "), tonumber("x"), tonumber(""), tonumber("1 2"), tonumber({}), tonumber(nil)',
      [10, 31, 100, 7, undefined, undefined, undefined, undefined, undefined],
    ],
    [
      'return tonumber("ff", 16), tonumber("777", 8), tonumber("zz", 36), tonumber("8", 8), tonumber("-11", 2)',
      [255, 511, 1295, undefined, -3],
    ],
    ['return tostring(nil), tostring(true), tostring("x"), tostring(1.5)', ['nil', 'true', 'x', '1.5']],
    ['return select(2, "a", "b", "c"), select(-1, "a", "b"), select("#")', ['b', 'b', 0]],
    [
      'return pcall(error), pcall(error, nil), pcall(error, "m", 0), select("#", pcall(error))',
      [false, false, false, 'm', 2],
    ],
    ['return pcall(error, "msg"), pcall(error, "msg", 2)', [false, false, 'msg']],
    ['local function f() error("lvl", 2) end local ok, e = pcall(function()\nf()\nend) return e', ['test.lua:2: lvl']],
    [
      'return assert(1, "m"), pcall(assert, false), pcall(assert, nil, "why"), pcall(assert, false, {1})',
      [1, false, false, false, [1]],
    ],
    ['return xpcall(function() error("x", 0) end, function(m) return m .. "!" end)', [false, 'x!']],
    ['return xpcall(function(...) return select("#", ...) end, print, 1, nil, 3)', [true, 3]],
    [
      'local ok, e = xpcall(function() local x = nil; x() end, function(m) return m end) return e',
      ["test.lua:1: attempt to call a nil value (local 'x')"],
    ],
    ['return getmetatable({}), getmetatable(setmetatable({}, {__metatable = "locked"}))', [undefined, 'locked']],
    ['return _VERSION, _G._G == _G, _ENV == _G', ['Lua 5.3', true, true]],
    [
      'local t = setmetatable({}, {__index = {x = 1}, __call = function(self, a) return a * 2 end}) return t.x, t(4), t.y',
      [1, 8, undefined],
    ],
    [
      'local a = {} local m = {__eq = function() return true end} return setmetatable({}, m) == setmetatable({}, m), a == {}',
      [true, false],
    ],
    [
      'local s = 0 for i = 10, 1, -3 do s = s + i end for i = 1, 0 do s = 99 end for i = 1.0, 2.0, 0.5 do s = s + i end return s',
      [26.5],
    ],
    ['local function v(...) local a, b = ... return select("#", ...), a, b end return v(nil, 2)', [2, undefined, 2]],
    ['do local i = 1; ::top:: i = i + 1 if i < 5 then goto top end return i end', [5]],
    ['return 7 // 2, 7 % 3, 2 ^ 10, 7 / 2, 1e300 * 1e10 == math.huge, 5 // 0.0', [3, 1, 1024, 3.5, true, Infinity]],
    ['return #"abc" == 3 and not nil, nil == false, 1 == 1.0, "1" == 1', [true, false, true, false]],
    ['local a <const> = 1 return a', []],
  ])('%s', (source, expected) => {
    if (expected.length === 0) return expect(() => evaluate(on, source)).toThrowError(/./)
    if (source.startsWith('return pcall(error), '))
      return expect(evaluate(on, 'return (pcall(error)), (pcall(error, nil)), pcall(error, "m", 0)')).toEqual([
        false,
        false,
        false,
        'm',
      ])
    if (source.startsWith('return pcall(error, "msg")'))
      return expect(evaluate(on, 'return (pcall(error, "msg")), pcall(error, "msg", 0)')).toEqual([false, false, 'msg'])
    if (source.startsWith('return assert'))
      return expect(
        evaluate(
          on,
          'return (assert(1, "m")), (pcall(assert, false)), (pcall(assert, nil, "why")), pcall(assert, false, {1})',
        ),
      ).toEqual([1, false, false, false, [1]])
    if (source.startsWith('return select(2'))
      return expect(evaluate(on, 'return (select(2, "a", "b", "c")), (select(-1, "a", "b")), select("#")')).toEqual([
        'b',
        'b',
        0,
      ])
    expect(evaluate(on, source)).toEqual(expected)
  })
  test('print writes a line with tabs', () => {
    const { run, lines } = start(on, 'print(1, nil, true, "x", 1.5) print()')
    run()
    expect(lines).toEqual(['1\tnil\ttrue\tx\t1.5', ''])
  })
})

describe('the additions of LUA.md section 3', () => {
  test.each<[string, unknown[]]>([
    ['return string(42), string(1.5), string(true), string(nil), string("x")', ['42', '1.5', 'true', 'nil', 'x']],
    ['return integer("42"), integer(42.9), integer(-1.5), integer(" 7 "), integer(true)', [42, 42, -1, 7, 1]],
    ['return number("1.5"), number("0x10"), number(3), number(false)', [1.5, 16, 3, 0]],
    [
      'return boolean(nil), boolean(true), boolean("true"), boolean("false"), boolean(1), boolean(0)',
      [false, true, true, false, true, false],
    ],
    ['return string.rep("x", 2), type(string)', ['xx', 'table']],
  ])('%s', (source, expected) => {
    expect(evaluate(on, source)).toEqual(expected)
  })
  test.each([
    'integer("x")',
    'integer({})',
    'integer(nil)',
    'number("1x")',
    'number(nil)',
    'boolean("maybe")',
    'boolean({})',
    'string({})',
    'string(print)',
    'string()',
  ])('%s raises', (expression) => {
    expect(failure(on, `local _ = ${expression}`).message).toMatch(/^test.lua:1: .*(cannot convert|value expected)/)
  })
  test('assignment with a nil key is ignored, with one warning per place', () => {
    const { run, warnings } = start(
      on,
      'local t, k = {}, nil\nfor i = 1, 3 do\n  t[k] = i\nend\nt[nil] = 1 rawset(t, k, 2)\nreturn next(t)',
    )
    expect(run()).toMatchObject({ kind: 'done', values: [undefined] })
    expect(warnings).toEqual([
      'test.lua:3 assignment with a nil key is ignored',
      'test.lua:5 assignment with a nil key is ignored',
    ])
  })
})

describe('math and utf8', () => {
  test.each<[string, unknown[]]>([
    [
      'return math.floor(3.7), math.floor(-3.2), math.ceil(3.2), math.abs(-5), math.max(1, 5, 3), math.min(2, 0)',
      [3, -4, 4, 5, 5, 0],
    ],
    [
      'return math.sqrt(16), math.pi > 3.14, math.huge, math.fmod(-7, 3), math.modf(3.7)',
      [4, true, Infinity, -1, 3, 0.7000000000000002],
    ],
    [
      'return math.log(8, 2), math.log(100, 10), math.exp(0), math.atan(1, 1) == math.pi / 4, math.pow(2, 3)',
      [3, 2, 1, true, 8],
    ],
    ['return math.maxinteger, math.mininteger, math.ult(1, -1)', [9007199254740991, -9007199254740991, true]],
    [
      'for i = 1, 100 do local r = math.random(3) assert(r >= 1 and r <= 3 and r == math.floor(r)) local f = math.random() assert(f >= 0 and f < 1) end return math.random(5, 5)',
      [5],
    ],
    [
      'return utf8.char(233, 8364, 128512), utf8.len("é€😀"), utf8.codepoint("€"), utf8.offset("é€", 2), utf8.len("\\xff")',
      ['é€😀', 3, 8364, 3, undefined, 1],
    ],
    [
      'local t = {} for p, c in utf8.codes("aé") do t[#t + 1] = p .. ":" .. c end for c in ("aé€"):gmatch(utf8.charpattern) do t[#t + 1] = #c end return table.concat(t, " ")',
      ['1:97 2:233 1 2 3'],
    ],
  ])('%s', (source, expected) => {
    expect(evaluate(on, source)).toEqual(expected)
  })
  test.each([
    ['math.random(0)', 'interval is empty'],
    ['math.floor("x")', "bad argument #1 to 'floor' (number expected, got string)"],
    ['math.floor()', "bad argument #1 to 'floor' (number expected, got no value)"],
  ])('%s is an error', (source, problem) => {
    expect(failure(on, source).message).toContain(problem)
  })
})

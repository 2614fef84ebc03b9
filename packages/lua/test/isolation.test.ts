import { describe, expect, test } from 'vitest'
import { bench, evaluate, failure, start } from './engine-harness.ts'

const on = bench({ shared: { f: () => [1], inner: { x: 1 } } })

describe('what one process does, another does not see', () => {
  test.each([
    ['a global', 'x = 1', 'return x', undefined],
    [
      'a global of a standard name',
      'print = nil string = {}',
      'return type(print) .. type(string.rep)',
      'functionfunction',
    ],
    ['a field of _G', '_G.y = 1', 'return y', undefined],
    ['the seed of math.random', 'math.randomseed(1)', 'return math.random(1e6)', undefined],
    [
      'an upvalue of the same unit',
      'n = 0',
      'local count = 0 return (function() count = count + 1 return count end)()',
      1,
    ],
  ])('%s', (_name, first, second, expected) => {
    const before = evaluate(on, second)
    evaluate(on, first)
    expect(evaluate(on, second)).toEqual(before)
    if (expected !== undefined) expect(before).toEqual([expected])
  })
  test('ids of tables and functions are the process’s own', () => {
    const source = 'return tostring({}), tostring(function() end), tostring(print), tostring(channel.new())'
    const first = evaluate(on, source)
    for (let i = 0; i < 5; i++) evaluate(on, 'local t = {} for i = 1, 100 do t[i] = {} end')
    expect(evaluate(on, source)).toEqual(first)
  })
  test('a closure of a shared unit is not shared', () => {
    const source = 'function make() return function() end end f = make() return make() == make()'
    const a = start(on, source)
    const b = start(on, source)
    expect(a.run()).toMatchObject({ values: [false] })
    expect(b.run()).toMatchObject({ values: [false] })
    expect(() => b.proc.setGlobal('theirs', a.proc.global('f'))).toThrow('another process')
  })
})

describe('shared tables refuse every road to a write', () => {
  test.each([
    'string.upper = nil',
    'string.x = 1',
    'math[1] = 1',
    'rawset(string, "x", 1)',
    'rawset(os, "time", print)',
    'table.insert(table, 1)',
    'table.insert(string, 1, 1)',
    'table.remove(shared)',
    'table.sort(shared)',
    'table.move({1}, 1, 1, 1, shared)',
    'setmetatable(math, {})',
    'setmetatable(string, nil)',
    'shared.f = 1',
    'shared.inner.x = 2',
    'coroutine.spawn = nil',
    'for k in pairs(table) do table[k] = nil end',
    'local function f(t) t.x = 1 end f(channel)',
  ])('%s', (source) => {
    // An empty removal or sort changes nothing: either refusal or no effect will do.
    const { run } = start(on, source)
    const result = run()
    const snapshot = evaluate(
      on,
      'local n = 0 for _, lib in ipairs{string, table, math, os, coroutine, channel, shared, shared.inner} do for k in pairs(lib) do n = n + 1 end end return n, shared.inner.x, type(shared.f), string.x, math[1]',
    )
    expect(snapshot.slice(1)).toEqual([1, 'function', undefined, undefined])
    if (result.kind === 'error') expect(result.message).toMatch(/read-only|protected/)
    else expect(source).toContain('table.remove')
  })
  test('metatables of strings and of the environment are out of reach', () => {
    expect(
      evaluate(on, 'return getmetatable(""), getmetatable(_ENV), getmetatable(_G), ("x").rep == string.rep'),
    ).toEqual([false, false, false, true])
    expect(failure(on, 'setmetatable(_G, {})').message).toContain('protected')
  })
  test('a program may shadow a library for itself', () => {
    expect(
      evaluate(
        on,
        'local old = string string = setmetatable({shout = function(s) return s:upper() .. "!" end}, {__index = old}) return string.shout("hi"), string.rep("x", 2)',
      ),
    ).toEqual(['HI!', 'xx'])
  })
})

test('an ended process keeps nothing of its unit’s other processes', () => {
  const source = 'big = ("x"):rep(100) function f() return big end return f()'
  const unit = on.engine.compile(source, 'test.lua')
  evaluate(on, source)
  expect(JSON.stringify((unit as unknown as { proto: { cache: unknown } }).proto.cache)).toBe('null')
})

describe('the same program, the same ports: the same run', () => {
  test.each([
    'local t = {} for i = 1, 20 do t["k" .. (i * 7 % 20)] = i end local o = {} for k, v in pairs(t) do o[#o + 1] = k .. v end return table.concat(o)',
    'local t = {} for i = 1, 30 do t[i] = math.random(100) end table.sort(t, function(a, b) return a > b end) return table.concat(t, ",")',
    'return tostring({}), tostring(coroutine.create(print)), os.time(), os.clock(), os.date()',
    'local c, o = channel.new(), {} for i = 1, 5 do coroutine.spawn(function() for j = 1, 3 do c:send(i * 10 + j) end end) end for i = 1, 15 do o[i] = c:receive() end return table.concat(o, " ")',
  ])('%s', (source) => {
    const first = evaluate(on, source)
    expect(evaluate(on, source)).toEqual(first)
    expect(evaluate(bench(), source)).toEqual(first)
    expect(evaluate(on, source, { limits: { sliceInstructions: 17 } })).toEqual(first)
  })
})

import { describe, expect, test } from 'vitest'
import { AppError } from '@daruma/protocol'
import { call, channelReceive, raise, suspend } from '../src/engine.ts'
import type { HostContext, HostFunction, LuaFunction, LuaValue } from '../src/engine.ts'
import { toData } from '../src/value.ts'
import { bench, evaluate, failure, start } from './engine-harness.ts'

const on = bench()

/** `await(x)`: parks with token x. */
const awaits: Record<string, HostFunction> = { await: (_ctx, [token]) => suspend(token) }

/** Runs `source`, answering each token with ten times its value, oldest first, until it ends. */
function answering(source: string, sliceInstructions = 100_000): unknown[] {
  const { proc, run } = start(on, source, { globals: awaits, limits: { sliceInstructions } })
  for (let round = 0; round < 10_000; round++) {
    const result = run()
    if (result.kind === 'done') return result.values.map((value) => toData(value))
    if (result.kind === 'error') throw new Error(`${result.message}\n${result.traceback}`)
    if (result.kind !== 'yield') throw new Error(result.kind)
    const [token] = result.waiting.tokens
    if (token === undefined) throw new Error('deadlock')
    proc.settle(token, { kind: 'values', values: [(token as number) * 10] })
  }
  throw new Error('no end')
}

describe('a call that blocks works', () => {
  test.each<[string, string, unknown[]]>([
    ['in main', 'return await(1), 2', [10, 2]],
    ['as the only value', 'return (await(1))', [10]],
    ['in a tail call', 'return await(1)', [10]],
    ['in an expression', 'return await(1) + await(2) * await(3)', [610]],
    ['as a table constructor', 'return ({await(1), await(2), x = await(3)}).x', [30]],
    ['as an argument', 'return math.max(await(1), await(5), await(2))', [50]],
    [
      'in nested functions',
      'local function f(n) if n == 0 then return await(1) end return (f(n - 1)) + 1 end return f(50)',
      [60],
    ],
    ['in pcall', 'return pcall(await, 4)', [true, 40]],
    ['in pcall, and the error after it is caught', 'return pcall(function() await(1) error("e", 0) end)', [false, 'e']],
    [
      'in pcall in pcall',
      'return pcall(pcall, function() return await(1), pcall(function() await(2) error({}) end) end)',
      [true, true, 10, false, {}],
    ],
    ['in xpcall', 'return xpcall(function(a) return await(a), a end, tostring, 3)', [true, 30, 3]],
    [
      'in xpcall, and the handler sees the error after it',
      'return xpcall(function() await(1) error("x", 0) end, function(e) return "handled " .. e end)',
      [false, 'handled x'],
    ],
    [
      'in an iterator',
      'local s = 0 for v in function(_, v) local n = (v or 0) + 1 if n < 4 then await(n) return n end end do s = s + v end return s',
      [6],
    ],
    [
      'in an iterator with state',
      'local s = 0 for k, v in function(t, k) k = (k or 0) + 1 if t[k] then return k, await(t[k]) end end, {1, 2, 3} do s = s + v end return s',
      [60],
    ],
    ['in a numeric loop', 'local s = 0 for i = await(1), await(2), 5 do s = s + i end return s', [45]],
    ['in a method', 'local o = {n = 2} function o:get() return await(self.n) end return o:get()', [20]],
    [
      'in a sort comparator',
      'local t = {3, 1, 2, 5, 4} table.sort(t, function(a, b) return await(a) < await(b) end) return table.concat(t, " ")',
      ['1 2 3 4 5'],
    ],
    ['in a gsub callback', 'return (("a1b2c3"):gsub("%d", function(d) return await(tonumber(d)) end))', ['a10b20c30']],
    [
      'in __tostring',
      'return tostring(setmetatable({}, {__tostring = function() return "v" .. await(7) end}))',
      ['v70'],
    ],
    [
      'in __tostring by format and print',
      'local t = setmetatable({}, {__tostring = function() return "v" .. await(7) end}) print(t) return ("%s-%5s"):format(t, t)',
      ['v70-  v70'],
    ],
    [
      'in __pairs',
      'local s = 0 for k, v in pairs(setmetatable({}, {__pairs = function() return next, {await(1), await(2)} end})) do s = s + v end return s',
      [30],
    ],
    ['in __index', 'return setmetatable({}, {__index = function(_, k) return await(k) end})[5]', [50]],
    [
      'in __newindex',
      'local log = 0 local t = setmetatable({}, {__newindex = function(_, _, v) log = await(v) end}) t.x = 6 return log',
      [60],
    ],
    ['in __call', 'return setmetatable({}, {__call = function(_, v) return await(v) end})(3)', [30]],
    [
      'in arithmetic',
      'local m = {__add = function(a, b) return await(2) end, __unm = function() return await(3) end} local t = setmetatable({}, m) return t + 1, -t',
      [20, 30],
    ],
    [
      'in comparison',
      'local m = {} m.__lt = function() return await(1) == 10 end m.__le = m.__lt m.__eq = m.__lt local a, b = setmetatable({}, m), setmetatable({}, m) return a < b, a <= b, a == b, a > b',
      [true, true, true, true],
    ],
    [
      'in concatenation',
      'local t = setmetatable({}, {__concat = function(a, b) return await(4) end}) return "a" .. t .. "b" .. "c", t .. t',
      ['a40', 40],
    ],
    ['in __len', 'return #setmetatable({}, {__len = function() return await(1) end})', [10]],
    ['in a coroutine', 'return coroutine.wrap(function() return await(1) end)()', [10]],
    [
      'in a coroutine that also yields',
      'local co = coroutine.wrap(function(a) local b = coroutine.yield(await(a)) return await(b) end) return co(1), co(2)',
      [10, 20],
    ],
    [
      'three coroutines deep',
      'local w = coroutine.wrap return w(function() return w(function() return w(function() return await(1) + await(2) end)() + 1 end)() + 1 end)()',
      [32],
    ],
    [
      'in coroutines through pcall',
      'local co = coroutine.create(function() return pcall(function() return coroutine.wrap(function() await(1) error("x", 0) end)() end) end) return coroutine.resume(co)',
      [true, false, 'test.lua:1: x'],
    ],
    [
      'in a generator that a loop drives',
      'local s = 0 for v in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(await(i)) end end) do s = s + v end return s',
      [60],
    ],
    [
      'in several coroutines of the process',
      'local out = channel.new() for i = 1, 3 do coroutine.spawn(function() out:send(await(i)) end) end return out:receive() + out:receive() + out:receive()',
      [60],
    ],
    [
      'with varargs',
      'local function f(...) local a = await(1) return a, select("#", ...), ... end return f(7, nil, 9)',
      [10, 3, 7, undefined, 9],
    ],
    ['with many results', 'return select("#", table.unpack({await(1)}, 1, 200))', [200]],
  ])('%s', (_name, source, expected) => {
    expect(answering(source)).toEqual(expected)
    // Preemption at every instruction may change nothing.
    expect(answering(source, 1)).toEqual(expected)
  })

  test('10,000 frames deep', () => {
    expect(
      answering('local function f(n) if n == 0 then return await(1) end return (f(n - 1)) end return f(10000)'),
    ).toEqual([10])
  })
})

describe('answers', () => {
  test('an error is raised where the call was, with its kind', () => {
    const { proc, run } = start(on, 'local ok, e = pcall(await, 1) return ok, e:kind(), e:message(), e:retryable()', {
      globals: awaits,
    })
    run()
    proc.settle(1, { kind: 'error', error: new AppError('timeout', 'too slow', undefined, { retryable: true }) })
    expect(run()).toMatchObject({ kind: 'done', values: [false, 'Timeout', 'too slow', true] })
  })
  test('error data are an error too', () => {
    const { proc, run } = start(on, 'await(1)', { globals: awaits })
    run()
    proc.settle(1, { kind: 'error', error: { kind: 'canceled', message: 'given up' } })
    expect(run()).toMatchObject({ kind: 'error', message: 'given up', value: { state: { kind: 'canceled' } } })
  })
  test('tokens are told oldest first, and settled in any order', () => {
    const { proc, run } = start(
      on,
      'local c = channel.new() for i = 1, 3 do coroutine.spawn(function() c:send(await(i)) end) end return c:receive(), c:receive(), (c:receive())',
      {
        globals: awaits,
      },
    )
    const idle = run()
    expect(idle.kind === 'yield' && idle.waiting).toMatchObject({ tokens: [1, 2, 3], channels: 1, hostChannels: 0 })
    for (const token of [2, 3, 1]) expect(proc.settle(token, { kind: 'values', values: [token] })).toBe(true)
    expect(proc.settle(2, { kind: 'values', values: [] })).toBe(false)
    expect(run()).toMatchObject({ values: [2, 3, 1] })
  })
  test('two coroutines cannot wait with one token, and the error leaves no trace', () => {
    const source = `
      local r, out = channel.new(), {}
      coroutine.spawn(function() r:send(await(1)) end)
      coroutine.spawn(function()
        local co = coroutine.wrap(function() out[1] = pcall(await, 1) coroutine.yield("mine") return "end" end)
        r:send(co() .. " " .. co())
      end)
      local a = r:receive()
      return a, (r:receive()), out[1]`
    const { proc, run } = start(on, source, { globals: awaits })
    run()
    proc.settle(1, { kind: 'values', values: [7] })
    expect(run()).toMatchObject({ kind: 'done', values: ['mine end', 7, false] })
  })
  test('`then` maps the answer, and may suspend again, raise, or call', () => {
    const globals: Record<string, HostFunction> = {
      twice: () =>
        suspend('a', (_ctx, [first]) => suspend('b', (_c, [second]) => [`${String(first)}${String(second)}`])),
      strict: () =>
        suspend('a', () => {
          throw raise('not good')
        }),
      through: (_ctx, [fn]) =>
        suspend('a', (_c, values) => call(fn as LuaFunction, values, (_d, [x]) => [(x as number) + 1])),
    }
    const answered = (source: string): unknown => {
      const { proc, run } = start(on, source, { globals })
      run()
      proc.settle('a', { kind: 'values', values: [5] })
      const next = run()
      if (next.kind !== 'yield') return next
      proc.settle('b', { kind: 'values', values: [6] })
      return run()
    }
    expect(answered('return twice()')).toMatchObject({ values: ['56'] })
    expect(answered('return pcall(function() strict() end)')).toMatchObject({ values: [false, 'test.lua:1: not good'] })
    expect(answered('return through(function(x) return x * 2 end)')).toMatchObject({ values: [11] })
  })
})

describe('a host function that calls Lua', () => {
  const each: HostFunction = (_ctx, [list, fn]) => {
    const items = toData(list) as number[]
    const results: unknown[] = []
    const next = (at: number): ReturnType<HostFunction> =>
      at === items.length
        ? [results]
        : call(fn as LuaFunction, [items[at]], (_c, [value]) => {
            results.push(value)
            return next(at + 1)
          })
    return next(0)
  }
  const globals = { ...awaits, each }
  test('the function may block, and raise through it', () => {
    const { proc, run } = start(
      on,
      'local r = each({1, 2, 3}, function(v) return await(v) end) return r[1] + r[2] + r[3], pcall(each, {1}, function() error("no", 0) end)',
      { globals },
    )
    for (const token of [1, 2, 3]) {
      run()
      proc.settle(token, { kind: 'values', values: [token * 10] })
    }
    expect(run()).toMatchObject({ values: [60, false, 'no'] })
  })
  test('`caught` gets the error instead', () => {
    const attempt: HostFunction = (_ctx, [fn]) =>
      call(
        fn as LuaFunction,
        [],
        (_c, values) => ['fine', ...values],
        (_c, error) => ['caught', error],
      )
    expect(evaluate(on, 'return attempt(function() error("x", 0) end)', { globals: { attempt } })).toEqual([
      'caught',
      'x',
    ])
    expect(evaluate(on, 'return attempt(function() return 7 end)', { globals: { attempt } })).toEqual(['fine', 7])
  })
})

describe('where blocking is impossible, it is a clear error', () => {
  test.each([
    ['in a query', '', true],
    ['in a message handler of xpcall', 'return xpcall(error, function() await(1) end)', false],
    [
      'in __lt called by sort without comparator',
      'local t = setmetatable({}, {__lt = function() await(1) end}) table.sort{t, t}',
      false,
    ],
    [
      'in __index read by table.concat',
      'table.concat(setmetatable({}, {__index = function() await(1) end, __len = function() return 1 end}))',
      false,
    ],
  ])('%s', (_name, source, isQuery) => {
    if (isQuery) {
      const { proc, run } = start(on, 'function q() return await(1) end channel.new():receive()', { globals: awaits })
      run()
      expect(() => proc.evaluate(proc.global('q') as LuaFunction)).toThrow('blocks')
      expect(proc.isRunnable()).toBe(false)
      return
    }
    const { run } = start(on, source, { globals: awaits })
    const result = run()
    const text =
      result.kind === 'error' ? result.message : result.kind === 'done' ? JSON.stringify(result.values[1]) : ''
    expect(text).toMatch(/blocks|error in error handling/)
  })
})

describe('coroutines of Lua', () => {
  test.each<[string, string, unknown[]]>([
    [
      'status',
      'local co co = coroutine.create(function() return coroutine.status(co) end) local a = coroutine.status(co) local _, b = coroutine.resume(co) return a, b, coroutine.status(co)',
      ['suspended', 'running', 'dead'],
    ],
    [
      'values travel both ways',
      'local co = coroutine.create(function(a, b) local c = coroutine.yield(a + b) return c * 2 end) local _, x = coroutine.resume(co, 1, 2) local _, y = coroutine.resume(co, 10) return x, y',
      [3, 20],
    ],
    [
      'a dead one is not resumed',
      'local co = coroutine.create(function() end) coroutine.resume(co) return coroutine.resume(co)',
      [false, 'cannot resume dead coroutine'],
    ],
    [
      'a running one is not resumed',
      'local co co = coroutine.create(function() return coroutine.resume(co) end) return coroutine.resume(co)',
      [true, false, 'cannot resume non-suspended coroutine'],
    ],
    ['wrap adds the place to a text', 'return pcall(coroutine.wrap(function() error("x", 0) end))', [false, 'x']],
    [
      'yield outside of one is an error',
      'return pcall(coroutine.yield, 1)',
      [false, 'attempt to yield from outside a coroutine'],
    ],
    [
      'isyieldable and running',
      'local _, main = coroutine.running() return coroutine.isyieldable(), main, coroutine.wrap(function() return coroutine.isyieldable(), select(2, coroutine.running()) end)()',
      [false, true, true, false],
    ],
    [
      'yield across pcall',
      'local co = coroutine.wrap(function() return pcall(function() return coroutine.yield(1) + 1 end) end) co() return co(5)',
      [true, 6],
    ],
    [
      'yield within sort, gsub and tostring',
      'local co = coroutine.wrap(function() local t = {2, 1} table.sort(t, function(a, b) coroutine.yield("s") return a < b end) local s = ("x"):gsub("x", function() return coroutine.yield("g") end) return t[1], s end) co() co() return co("y")',
      [1, 'y'],
    ],
  ])('%s', (_name, source, expected) => {
    expect(answering(source)).toEqual(expected)
    expect(answering(source, 1)).toEqual(expected)
  })
  test('one that waits for the host cannot be resumed by another', () => {
    expect(
      answering(`local co = coroutine.create(function() return await(1) end)
        local r = channel.new()
        coroutine.spawn(function() r:send(select(2, coroutine.resume(co))) end)
        coroutine.spawn(function() local ok, e = coroutine.resume(co) r:send(e) end)
        return r:receive(), (r:receive())`),
    ).toEqual(['cannot resume non-suspended coroutine', 10])
  })
})

describe('the end', () => {
  test('main ends the process; other coroutines die silently', () => {
    const { run, lines } = start(
      on,
      'coroutine.spawn(function() channel.new():receive() print("never") end) coroutine.spawn(function() print("soon") end) channel.select{channel.new(1):case_send(1)} return 5',
    )
    expect(run()).toMatchObject({ kind: 'done', values: [5] })
    expect(lines).toEqual([])
  })
  test('an error in any coroutine is the failure of the process', () => {
    const { run } = start(
      on,
      'local function work() error("in the other") end\ncoroutine.spawn(work)\nchannel.new():receive()',
    )
    expect(run()).toMatchObject({ kind: 'error', coroutine: 2, message: 'test.lua:1: in the other', cause: 'raised' })
  })
  test('the traceback names source, line and function, innermost first', () => {
    const source =
      'local function inner()\n  error("deep")\nend\nlocal function outer()\n  inner()\n  return 1\nend\nouter()'
    expect(failure(on, source, { name: 'app:orders' }).traceback).toBe(
      [
        'stack traceback:',
        "\tapp:orders:2: in function 'inner'",
        "\tapp:orders:5: in function 'outer'",
        '\tapp:orders:8: in main chunk',
      ].join('\n'),
    )
  })
  test('before runs first, main last, and its result is the result', () => {
    const order: unknown[] = []
    const { run } = start(on, 'note("chunk", ...) return {run = function(x) return await(x) end}', {
      globals: { ...awaits, note: (_ctx: HostContext, args: readonly LuaValue[]) => void order.push(...args) },
      args: ['a', 'b'],
      before: () => void order.push('before'),
      main: (_ctx, [exported]) => call((exported as { get(key: string): LuaValue }).get('run') as LuaFunction, [4]),
    })
    const result = run()
    expect(result.kind === 'yield' && result.waiting.tokens).toEqual([4])
    expect(order).toEqual(['before', 'chunk', 'a', 'b'])
  })
  test('proc.start runs a function as a coroutine of the process', () => {
    const { proc, run, lines } = start(on, 'function handler(x) print("got", await(x)) end channel.new():receive()', {
      globals: awaits,
    })
    run()
    expect(proc.start(proc.global('handler') as LuaFunction, [3])).toBe(2)
    run()
    proc.settle(3, { kind: 'values', values: ['ok'] })
    run()
    expect(lines).toEqual(['got\tok'])
  })
})

test('channelReceive blocks a host function on a channel', () => {
  const take: HostFunction = (_ctx, [ch]) =>
    channelReceive(ch as never, (_c, { value, ok }) => [`${JSON.stringify(value)} ${ok}`])
  expect(
    evaluate(
      on,
      'local c = channel.new() coroutine.spawn(function() c:send("hi") c:close() end) return take(c), take(c)',
      { globals: { take } },
    ),
  ).toEqual(['"hi" true', 'undefined false'])
})

import { systemClock } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { toData } from '../src/value.ts'
import { bench, evaluate, failure, start } from './engine-harness.ts'

const on = bench()

describe('instructions', () => {
  test('a loop without end is preempted slice by slice, and goes on where it was', () => {
    const { proc } = start(on, 'local n = 0 while true do n = n + 1 x = n end', {
      limits: { sliceInstructions: 10_000 },
    })
    expect(proc.resume()).toEqual({ kind: 'preempted' })
    const first = proc.global('x') as number
    expect(proc.resume()).toEqual({ kind: 'preempted' })
    expect(proc.global('x')).toBeGreaterThan(first)
  })
  test('slices change nothing about the result', () => {
    const source =
      'local s = 0 for i = 1, 20000 do s = s + (i % 7) * i if i % 1000 == 0 then coroutine.wrap(function() s = s + 1 end)() end end return s'
    const whole = evaluate(on, source)
    for (const sliceInstructions of [7, 100, 3_333])
      expect(evaluate(on, source, { limits: { sliceInstructions } })).toEqual(whole)
  })
  test('a stretch without a blocking call is not interleaved with another coroutine, however often it is preempted', () => {
    const source = `
      local log = {}
      for name = 1, 3 do
        coroutine.spawn(function()
          for i = 1, 2000 do log[#log + 1] = name end
        end)
      end
      channel.select{ channel.new():case_receive(), default = true }
      local done = channel.new(1)
      coroutine.spawn(function() done:send(true) end)
      done:receive()
      local changes = 0
      for i = 2, #log do if log[i] ~= log[i - 1] then changes = changes + 1 end end
      return changes, #log`
    expect(evaluate(on, source, { limits: { sliceInstructions: 100 } })).toEqual([2, 6000])
  })
  test.each([
    ['a loop', 'while true do end'],
    ['a loop around pcall', 'while true do pcall(function() while true do end end) end'],
    ['pcall within pcall', 'local function f() pcall(f) while true do end end f()'],
    ['xpcall whose handler loops', 'while true do xpcall(error, function() while true do end end) end'],
    ['coroutines', 'while true do coroutine.wrap(function() pcall(function() while true do end end) end)() end'],
    ['short coroutines without end', 'while true do coroutine.wrap(function() for i = 1, 500 do end end)() end'],
    ['a comparator', 'table.sort({3, 2, 1}, function() while true do end end)'],
    ['a gsub callback', '("x"):gsub("x", function() while true do end end)'],
    [
      'a metamethod of a library call',
      'local t = setmetatable({}, {__lt = function() while true do end end}) table.sort{t, t}',
    ],
    ['__tostring', 'tostring(setmetatable({}, {__tostring = function() while true do end end}))'],
    ['long natives', 'while true do ("x"):rep(1000000) end'],
  ])('the quota ends %s, and nothing catches it', (_name, source) => {
    const result = failure(on, source, { limits: { totalInstructions: 300_000, sliceInstructions: 50_000 } })
    expect(result.cause).toBe('limit')
    expect(result.message).toBe('the process used up its 300000 instructions')
  })
})

describe('kill', () => {
  test('no pcall sees it, and no line runs after it', () => {
    const seen: unknown[] = []
    const started = start(
      on,
      `while true do
         local ok, e = pcall(function() while true do end end)
         note(ok, e)
       end`,
      {
        globals: { note: (_ctx: unknown, args: readonly unknown[]) => void seen.push(args) },
        limits: { sliceInstructions: 10_000 },
      },
    )
    started.proc.resume()
    started.proc.kill('enough')
    const result = started.proc.resume()
    expect(result).toMatchObject({ kind: 'error', cause: 'killed', message: 'enough' })
    expect(started.proc.resume()).toBe(result)
    expect(seen).toEqual([])
  })
  test('from within a host function, nothing runs after that call', () => {
    const started = start(on, 'pcall(stop) print("not here")', {
      globals: { stop: (ctx: { proc: { kill(reason: string): void } }) => ctx.proc.kill('by itself') },
    })
    expect(started.run()).toMatchObject({ kind: 'error', cause: 'killed', message: 'by itself' })
    expect(started.lines).toEqual([])
  })
  test('a parked process ends at its next resume', () => {
    const started = start(on, 'pcall(function() channel.new():receive() end) print("not here")')
    expect(started.run().kind).toBe('yield')
    started.proc.kill('gone')
    expect(started.proc.isRunnable()).toBe(true)
    expect(started.run()).toMatchObject({ kind: 'error', cause: 'killed' })
    expect(started.proc.settle('x', { kind: 'values', values: [] })).toBe(false)
  })
})

describe('memory', () => {
  const limits = { memoryBytes: 8 * 1024 * 1024 }
  test.each([
    ['doubling a string', 'local s = "xxxxxxxxxxxxxxxx" while true do s = s .. s end', undefined],
    ['a table that grows', 'local t = {} while true do t[#t + 1] = 1 end', 'memory'],
    ['a table of other keys', 'local t, n = {}, 0.5 while true do n = n + 1 t[n] = true end', 'memory'],
    ['nested tables', 'local t = {} while true do t = {t} end', 'memory'],
    ['closures', 'local t = {} while true do t[#t + 1] = function() return t end end', 'memory'],
    ['strings in a table', 'local t = {} for i = 1, 1e9 do t[#t + 1] = ("x"):rep(1000) .. i end', 'memory'],
    ['coroutines', 'local t = {} while true do t[#t + 1] = coroutine.create(print) end', 'memory'],
    ['a channel', 'local c = channel.new(1e9) while true do c:send({}) end', 'memory'],
    [
      'pcall around it',
      'local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) end',
      'memory',
    ],
    ['table.pack and insert', 'local t = {} while true do table.insert(t, table.pack(1, 2, 3)) end', 'memory'],
  ])('%s stops at the limit', (_name, source, kind) => {
    const result = failure(on, source, { limits: { ...limits, totalInstructions: 50_000_000 } })
    if (kind === 'memory')
      expect(result).toMatchObject({ cause: 'limit', message: expect.stringContaining('8388608 bytes of memory') })
    else expect(result.message).toMatch(/too long|memory/)
  })
  test('garbage is not charged', () => {
    expect(
      evaluate(on, 'local s = 0 for i = 1, 200000 do local t = {i, i} s = s + #t end return s', {
        limits: { memoryBytes: 2 * 1024 * 1024 },
      }),
    ).toEqual([400_000])
  })
  test('one string may not pass its limit; that is an ordinary error', () => {
    expect(
      evaluate(
        on,
        `local function try(f, ...) local ok, e = pcall(f, ...) return not ok and e:match("too long") or e end
         local big = ("x"):rep(1000000)
         return try(string.rep, "x", 1e9), try(string.rep, "", 1e9, "ab"), try(function() return big .. big end),
           try(function() return big .. big .. big .. big .. big .. big .. big end), try(string.gsub, big, "x", "xx"),
           try(table.concat, {big, big}), try(string.format, "%s%s", big, big), #big`,
        { limits: { stringBytes: 1_500_000 } },
      ),
    ).toEqual(['too long', 'too long', 'too long', 'too long', 'too long', 'too long', 'too long', 1_000_000])
  })
})

test('a string that is too long for Lua is refused where host code gives it', () => {
  const limits = { stringBytes: 1_000 }
  const { proc, run } = start(on, 'local ok, e = pcall(get) return ok, tostring(e), pcall(put, ("x"):rep(900))', {
    limits,
    globals: {
      get: () => ['x'.repeat(2_000)],
      put: (_ctx: unknown, [text]: readonly unknown[]) => [`${text as string}${text as string}`],
    },
  })
  expect(() => proc.setGlobal('big', 'x'.repeat(2_000))).toThrow('string of 2000 bytes is too long (limit 1000)')
  expect(run()).toMatchObject({
    kind: 'done',
    values: [false, 'string of 2000 bytes is too long (limit 1000)', false, expect.anything()],
  })
})

describe('natives that ignore instruction counts have bounds of their own', () => {
  test.each([
    ['a pattern that backtracks', 'return ("a"):rep(300):find(".-.-.-.-b")', 'pattern match takes too many steps'],
    [
      'a pattern that nests',
      'return ("x"):rep(400000):find(("(x"):rep(32) .. (")"):rep(32) .. ".-.-.-y")',
      'pattern match takes too many steps',
    ],
    ['a pattern that recurses', 'return ("a"):rep(300):match(("a?"):rep(300))', 'pattern too complex'],
    ['too many captures', 'return ("a"):rep(40):find(("(a)"):rep(33))', 'too many captures'],
    ['unpack of a huge range', 'return table.unpack({}, 1, 1e8)', 'too many results to unpack'],
    ['string.byte of a huge range', 'return ("x"):rep(1e6):byte(1, -1)', 'string slice too long'],
    ['string.char with all arguments', 'return string.char(table.unpack({}, 1, 59000))', 'number expected'],
    ['table.move without end', 'return table.move({}, 1, 1e12, 2)', 'too many elements to move'],
  ])('%s', (_name, source, problem) => {
    expect(failure(on, source).message).toContain(problem)
  })
})

describe('recursion', () => {
  test.each([
    ['Lua functions', 'local function f() return 1 + f() end f()', 'stack overflow'],
    ['through pcall', 'local function f() local ok, e = pcall(f) if not ok then error(e, 0) end end f()', 'overflow'],
    [
      'through metamethods',
      'local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k + 1] end local x = t[1]',
      'overflow',
    ],
    [
      'through __tostring',
      'local mt = {} mt.__tostring = function(s) return tostring(s) end tostring(setmetatable({}, mt))',
      'overflow',
    ],
    ['of coroutines', 'local function f() coroutine.wrap(f)() end f()', 'overflow'],
    ['of gsub', 'local function f() return ("x"):gsub("x", f) end f()', 'overflow'],
    ['of patterns in source', `return ${'('.repeat(300)}1${')'.repeat(300)}`, 'levels'],
  ])('%s is a Lua error', (_name, source, problem) => {
    let message: string
    try {
      message = failure(on, source).message
    } catch (error) {
      message = String((error as Error).message)
    }
    expect(message).toContain(problem)
  })
  test('the process can go on after it', () => {
    expect(
      evaluate(on, 'local function f() return 1 + f() end local ok, e = pcall(f) return ok, type(e), #{1, 2}'),
    ).toEqual([false, 'string', 2])
  })
  test('a tail call needs no stack', () => {
    expect(
      evaluate(on, 'local function f(n) if n == 0 then return "end" end return f(n - 1) end return f(100000)'),
    ).toEqual(['end'])
  })
})

test('the number of coroutines has a limit', () => {
  expect(
    failure(on, 'while true do coroutine.spawn(function() channel.new():receive() end) end', {
      limits: { coroutines: 50 },
    }).message,
  ).toBe('test.lua:1: too many coroutines (limit 50)')
})

test.each([
  'io',
  'debug',
  'load',
  'loadstring',
  'dofile',
  'loadfile',
  'package',
  'collectgarbage',
  'newproxy',
  'setfenv',
])('there is no %s', (name) => {
  expect(evaluate(on, `return ${name}`)).toEqual([undefined])
})

test.each(['execute', 'exit', 'getenv', 'remove', 'rename', 'tmpname', 'setlocale'])('there is no os.%s', (name) => {
  expect(evaluate(on, `return os.${name}, string.dump`)).toEqual([undefined, undefined])
})

test('bytecode is not compiled', () => {
  expect(() => on.engine.compile('\x1bLua\x53\x00', 'evil.lua')).toThrow(/binary|unexpected/)
})

describe('no single call holds up the others for long', () => {
  // Generous: a shared machine takes time away. Measured alone: 5 to 130 ms.
  const slow = 2_000
  const clock = systemClock()
  test.each([
    ['gsub over a long text', 'local s = ("x"):rep(4000000) while true do s:gsub(".", "y") end'],
    ['gsub with an empty pattern', 'local s = ("x"):rep(4000000) while true do s:gsub("", "") end'],
    [
      'a sort without comparator',
      'local t = {} for i = 1, 200000 do t[i] = (i * 7919) % 200003 end while true do table.sort(t) end',
    ],
    [
      'unpacking long lists',
      'local t = {} for i = 1, 50000 do t[i] = i end while true do select("#", table.unpack(t)) end',
    ],
    [
      'passing long argument lists on',
      'local function f(...) return f(...) end local t = {} for i = 1, 20000 do t[i] = i end f(table.unpack(t))',
    ],
    ['appending to a long string', 'local s = ("x"):rep(10000000) while true do local _ = s .. "a" end'],
    ['repeating', 'while true do local _ = ("x"):rep(10000000) end'],
    [
      'next over removed keys',
      'local t = {} for i = 1, 100000 do t[i + 0.5] = i end for i = 1, 100000 do t[i + 0.5] = nil end while true do next(t) end',
    ],
    [
      'a long channel',
      'local c = channel.new(1e9) for i = 1, 100000 do c:send(i) end while true do c:receive() c:send(1) end',
    ],
    ['finding in a long text', 'local s = ("a"):rep(5000000) while true do s:find("b", 1, true) end'],
  ])('%s', (_name, source) => {
    const { proc } = start(on, source)
    let longestMs = 0
    let ran = 0
    const startedMs = clock.monotonicMs()
    while (ran < 30 && clock.monotonicMs() - startedMs < 3_000) {
      const sliceMs = clock.monotonicMs()
      expect(proc.resume().kind).toBe('preempted')
      longestMs = Math.max(longestMs, clock.monotonicMs() - sliceMs)
      ran++
    }
    expect(longestMs).toBeLessThan(slow)
    expect(ran).toBeGreaterThan(3)
  })
  test('a table that holds others twice, level by level, is not copied out for ever', () => {
    const { run } = start(on, 'local t = {} for i = 1, 60 do t = {t, t} end return t')
    const result = run()
    expect(() => (result.kind === 'done' ? toData(result.values[0]) : undefined)).toThrow('too much to copy')
  })
})

import { AppError, isAppError } from '@daruma/protocol'
import { expect, test } from 'vitest'
import { createLua, type LuaDefinition } from '../src/index.ts'
import { ScriptedHost, message, returns, runLua } from '../src/testing.ts'

const value = (source: string, args: readonly unknown[] = []): unknown => {
  const { step } = runLua(source, [], { args })
  if (step.kind !== 'returned') throw new Error(`not returned: ${JSON.stringify(step)}`)
  return step.value
}

const definition = (fields: Partial<LuaDefinition>): LuaDefinition => ({
  id: 'app:main',
  kind: 'process',
  source: 'return function() end',
  sourceName: 'main.lua',
  ...fields,
})

test('the first value that main returns is the result', () => {
  expect(value('return { main = function(a, b) return a + b, nil end }', [1, 2])).toBe(3)
  expect(value('return { main = function() end }')).toBeUndefined()
  expect(value('return { main = function() return {1, 2, {x = "y"}} end }')).toEqual([1, 2, { x: 'y' }])
})

test('a chunk that returns a function is the method whatever `method` says', () => {
  const { step } = runLua('return function() return "here" end', [], { definition: { method: 'other' } })
  expect(step).toEqual({ kind: 'returned', value: 'here' })
})

test('`method` names the function of the table that the chunk returns', () => {
  const source = 'return { main = function() return 1 end, other = function() return 2 end }'
  expect(runLua(source, [], { definition: { method: 'other' } }).step).toEqual({ kind: 'returned', value: 2 })
})

test.each([
  ['return { run = function() end }', /method 'main' of app:main not found.*functions run/],
  ['local x = 1', /the chunk returned no table with method 'main'/],
])('a chunk without the method fails and says so: %s', (source, text) => {
  expect(runLua(source).step).toMatchObject({ kind: 'failed', error: { message: expect.stringMatching(text) } })
})

test('a second value that is text is the failure, of kind unknown, and the first is dropped', () => {
  const { step } = runLua('return function() return 42, "no stock" end')
  expect(step).toEqual({ kind: 'failed', error: { kind: 'unknown', message: 'no stock' } })
})

test('a second value that is an error is the failure as it is', () => {
  const { step } = runLua(`
    return function()
      return nil, errors.new{ message = "no stock", kind = errors.CONFLICT, retryable = true, details = {sku = "a"} }
    end`)
  const error = { kind: 'conflict', message: 'no stock', retryable: true, details: { sku: 'a' } }
  expect(step).toMatchObject({ kind: 'failed', error })
})

test.each([['true'], ['17'], ['{}']])('a second value %s changes nothing', (second) => {
  expect(runLua(`return function() return "x", ${second} end`).step).toEqual({ kind: 'returned', value: 'x' })
})

test('a raised error in main is a failure of kind internal with place and traceback', () => {
  const { step } = runLua('local function inner()\n  error("boom")\nend\nreturn function()\n  inner()\nend')
  expect(step).toMatchObject({ kind: 'failed', error: { kind: 'internal', message: 'main.lua:2: boom' } })
  expect(step.kind === 'failed' && step.error.stack).toMatch(/main\.lua:5/)
})

test('a raised error object is internal too, keeps retryability and details, and is the cause', () => {
  const { step } = runLua(`
    return function()
      error(errors.new{ message = "slow down", kind = errors.RATE_LIMITED, retryable = true, details = {after = 5} })
    end`)
  expect(step).toMatchObject({
    kind: 'failed',
    error: {
      kind: 'internal',
      message: 'slow down',
      retryable: true,
      details: { after: 5 },
      cause: { kind: 'rate_limited', message: 'slow down' },
    },
  })
})

test('a raised error in any coroutine fails the program', () => {
  const source = `
    return function()
      coroutine.spawn(function() error("in the background") end)
      process.inbox():receive()
    end`
  expect(runLua(source).step).toMatchObject({
    kind: 'failed',
    error: { kind: 'internal', message: expect.stringContaining('in the background') },
  })
})

test('a result that cannot travel is a failure that names it', () => {
  expect(runLua('return function() return { f = print } end').step).toMatchObject({
    kind: 'failed',
    error: { kind: 'invalid', message: expect.stringContaining('value.f') },
  })
})

test('main returning ends the program, whatever its coroutines wait for', () => {
  const source = `
    local time = require("time")
    return function()
      coroutine.spawn(function() time.sleep("1h") end)
      return "done"
    end`
  expect(runLua(source).step).toEqual({ kind: 'returned', value: 'done' })
})

test.each([
  ['a channel nobody sends to', 'channel.new():receive()'],
  [
    'two coroutines waiting for each other',
    'local a, b = channel.new(), channel.new(); coroutine.spawn(function() a:receive(); b:send(1) end); b:receive()',
  ],
  ['a future that was answered', 'local ch = require("funcs").async("app:now"):channel(); ch:receive(); ch:receive()'],
])('all coroutines blocked on %s is a deadlock', (_what, body) => {
  const { step } = runLua(`return function() ${body} end`, [], { answers: { call: () => 1 } })
  expect(step).toMatchObject({
    kind: 'failed',
    error: { kind: 'internal', message: expect.stringContaining('deadlock') },
  })
})

test.each([
  ['the inbox', 'process.inbox():receive()'],
  ['events', 'process.events():receive()'],
  ['a topic', 'process.listen("t"):receive()'],
  ['subscribe', 'subscribe("@t"):receive()'],
  ['an open inbox, blocked elsewhere', 'process.inbox() channel.new():receive()'],
  ['a timer', 'require("time").after("1h"):receive()'],
  ['a ticker', 'require("time").ticker("1h"):channel():receive()'],
  ['a sleep', 'require("time").sleep("1h")'],
  ['a call', 'require("funcs").call("app:f")'],
  ['a future', 'require("funcs").async("app:f"):channel():receive()'],
])('waiting for %s is no deadlock', (_what, body) => {
  expect(runLua(`return function() ${body} end`).step).toEqual({ kind: 'idle' })
})

test('after stop not one more line runs', () => {
  const run = runLua('return function() process.inbox():receive() print("never") return 1 end')
  run.program.stop()
  run.program.stop()
  expect(run.next(message('t', 1))).toMatchObject({ kind: 'failed', error: { kind: 'canceled' } })
  expect(run.host.logs).toEqual([])
})

test('a program that uses up its slice is preempted and goes on when resumed', () => {
  const program = createLua().define(
    definition({
      source: 'return function() local n = 0 for i = 1, 100000 do n = n + 1 end return n end',
      limits: { sliceInstructions: 10_000 },
    }),
  )()
  const kinds: string[] = []
  let step = program.start(new ScriptedHost(), [])
  for (let turns = 0; turns < 1_000 && !(step instanceof Promise); turns++) {
    kinds.push(step.kind)
    if (step.kind !== 'preempted') break
    step = program.resume({ kind: 'slice' })
  }
  expect(kinds.length).toBeGreaterThan(5)
  expect(step).toEqual({ kind: 'returned', value: 100_000 })
})

test('a program over its limit of instructions fails as unavailable, and cannot catch it', () => {
  const source = 'return function() while true do pcall(function() while true do end end) end end'
  const { step } = runLua(source, [], { definition: { limits: { totalInstructions: 200_000 } } })
  expect(step).toMatchObject({ kind: 'failed', error: { kind: 'unavailable' } })
})

test('print goes to the log at level info, with tabs between', () => {
  expect(runLua('return function() print("a", 1, true) end').host.logs).toMatchObject([
    { level: 'info', message: 'a\t1\ttrue' },
  ])
})

test('print of a terminal program goes to its terminal', () => {
  const { commands } = runLua('return function() print("hello") end', [], { definition: { terminal: true } })
  expect(commands).toEqual([{ kind: 'request', handler: 'io.write', input: { stream: 'stdout', data: 'hello\n' } }])
})

test('programs of one definition share nothing that they can change', () => {
  const factory = createLua().define(
    definition({ source: 'count = (count or 0) + 1 return function() return count end' }),
  )
  const run = (): unknown => factory().start(new ScriptedHost(), [])
  expect([run(), run()]).toEqual([
    { kind: 'returned', value: 1 },
    { kind: 'returned', value: 1 },
  ])
})

/* --------------------------------------------------------------------------------------- require, modules */

const failsToDefine = (fields: Partial<LuaDefinition>): AppError => {
  try {
    createLua().define(definition(fields))
  } catch (error) {
    if (isAppError(error)) return error
    throw error
  }
  throw new Error('defined without an error')
}

test('declared modules are there through require and as globals, and are the same', () => {
  const source = 'return function() return require("json") == json and json.encode({1}) end'
  const program = createLua().define(definition({ source, modules: ['json'] }))()
  expect(program.start(new ScriptedHost(), [])).toEqual({ kind: 'returned', value: '[1]' })
})

test.each(['process', 'channel', 'payload', 'errors', 'coroutine', 'os', 'string', 'table', 'math'])(
  '%s is global without declaration, and may be required and declared',
  (name) => {
    const source = `return function() return ${name} ~= nil and require("${name}") == ${name} end`
    for (const modules of [[], [name]]) {
      const program = createLua().define(definition({ source, modules }))()
      expect(program.start(new ScriptedHost(), [])).toEqual({ kind: 'returned', value: true })
    }
  },
)

test('print, subscribe and unsubscribe are global', () => {
  const source = 'return function() return type(print) .. type(subscribe) .. type(unsubscribe) end'
  expect(value(source)).toBe('functionfunctionfunction')
})

test('an undeclared module is no global, and require of it names it', () => {
  const source = 'return function() local ok, e = pcall(require, "json") return {ok, tostring(e), json == nil} end'
  expect(runLua(source, [], { definition: { modules: [] } }).step).toEqual({
    kind: 'returned',
    value: [false, expect.stringMatching(/module 'json' not found.*app:main does not declare it/), true],
  })
})

test('require of what does not exist says module not found', () => {
  const source = 'return function() local ok, e = pcall(function() return require("nope") end) return tostring(e) end'
  expect(value(source)).toContain("module 'nope' not found")
})

test('require works inside functions', () => {
  expect(value('return function() local b = require("base64") return b.encode("a") end')).toBe('YQ==')
})

test('a top-level require of something undeclared is refused at define time, with file and line', () => {
  const error = failsToDefine({ source: '\nlocal json = require("json")\nreturn function() end' })
  expect(error).toMatchObject({ kind: 'invalid', details: { name: 'main.lua', line: 2, module: 'json' } })
  expect(error.message).toContain('main.lua:2')
})

test('typed programs run: types are erased, lines kept', () => {
  const source =
    'type Order = {id: string, qty: number}\nlocal function total(o: Order, price: number): number\n  return o.qty * price\nend\nreturn function(o: Order): number\n  return total(o, 2) :: number\nend'
  expect(value(source, [{ id: 'a', qty: 3 }])).toBe(6)
})

test('a syntax error is refused at define time, with file and line', () => {
  const error = failsToDefine({ source: 'local x = 1\nlocal = 2' })
  expect(error).toMatchObject({ kind: 'invalid', message: expect.stringContaining('main.lua:2') })
})

test('a declared module that does not exist is refused with the nearest name', () => {
  expect(failsToDefine({ modules: ['jsn'] })).toMatchObject({
    kind: 'not_found',
    message: expect.stringContaining("did you mean 'json'"),
  })
})

test.each(['store', 'http_client', 'env', 'registry', 'system', 'io', 'events'])(
  'a workflow may not declare %s',
  (name) => {
    expect(failsToDefine({ kind: 'workflow', modules: [name] })).toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining(name),
    })
  },
)

test.each([
  'process',
  'channel',
  'payload',
  'errors',
  'funcs',
  'ctx',
  'time',
  'uuid',
  'crypto',
  'workflow',
  'ostime',
  'json',
  'yaml',
  'base64',
  'hash',
  'text',
  'compress',
  'expr',
  'contract',
])('a workflow may declare %s', (name) => {
  const source = `local m = require("${name}") return function() return type(m) end`
  const { step } = runLua(source, [], { workflow: {}, definition: { modules: [name] } })
  expect(step).toEqual({ kind: 'returned', value: 'table' })
})

test('imports are there through require and as globals; library chunks run once, before the importing chunk', () => {
  const lib = definition({
    id: 'app:lib',
    kind: 'library',
    sourceName: 'lib.lua',
    source: 'runs = (runs or 0) + 1 return { answer = 42 }',
  })
  const source = `
    assert(runs == 1)
    return function() return { require("lib") == lib, lib.answer, require("lib").answer, runs } end`
  const program = createLua().define(definition({ source, imports: { lib } }))()
  expect(program.start(new ScriptedHost(), [])).toEqual({ kind: 'returned', value: [true, 42, 42, 1] })
})

test('a library that two others import runs once', () => {
  const base = definition({
    id: 'app:base',
    kind: 'library',
    sourceName: 'base.lua',
    source: 'n = (n or 0) + 1 return {n = n}',
  })
  const a = definition({
    id: 'app:a',
    kind: 'library',
    sourceName: 'a.lua',
    source: 'return require("base")',
    imports: { base },
  })
  const b = definition({
    id: 'app:b',
    kind: 'library',
    sourceName: 'b.lua',
    source: 'return require("base")',
    imports: { base },
  })
  const program = createLua().define(
    definition({ source: 'return function() return {a == b, n} end', imports: { a, b } }),
  )()
  expect(program.start(new ScriptedHost(), [])).toEqual({ kind: 'returned', value: [true, 1] })
})

test('require resolves by the entry whose code asks: a library has its own modules and imports', () => {
  const inner = definition({
    id: 'app:inner',
    kind: 'library',
    sourceName: 'inner.lua',
    source: 'return { name = "inner" }',
  })
  const lib = definition({
    id: 'app:lib',
    kind: 'library',
    sourceName: 'lib.lua',
    modules: ['base64'],
    imports: { helper: inner },
    source: 'return { get = function() return require("helper").name .. require("base64").encode("a") end }',
  })
  const source = 'return function() return { lib.get(), (pcall(require, "helper")), (pcall(require, "base64")) } end'
  const program = createLua().define(definition({ source, imports: { lib } }))()
  expect(program.start(new ScriptedHost(), [])).toEqual({ kind: 'returned', value: ['innerYQ==', false, false] })
})

test('a function entry can be imported: require gives what its chunk returns', () => {
  const fn = definition({
    id: 'app:double',
    kind: 'function',
    sourceName: 'double.lua',
    source: 'return { main = function(n) return n * 2 end }',
  })
  const program = createLua().define(
    definition({ source: 'return function() return double.main(21) end', imports: { double: fn } }),
  )()
  expect(program.start(new ScriptedHost(), [])).toEqual({ kind: 'returned', value: 42 })
})

test('imports that run in a circle are refused with the way round', () => {
  const a: { imports?: Record<string, LuaDefinition> } & LuaDefinition = {
    ...definition({ id: 'app:a', kind: 'library' }),
  }
  const b = definition({ id: 'app:b', kind: 'library', imports: { a } })
  Object.assign(a, { imports: { b } })
  expect(failsToDefine({ imports: { a } }).message).toContain('app:a -> app:b -> app:a')
})

test('an error in a library chunk fails the program before main runs', () => {
  const lib = definition({ id: 'app:lib', kind: 'library', sourceName: 'lib.lua', source: '\nerror("broken")' })
  const program = createLua().define(definition({ imports: { lib } }))()
  expect(program.start(new ScriptedHost(), [])).toMatchObject({
    kind: 'failed',
    error: { message: 'lib.lua:2: broken' },
  })
})

/* ------------------------------------------------------------------------------------------ values, queries */

test('values travel: tables, bytes, integers, floats, booleans, errors, times, durations, payloads', () => {
  const source = `
    local time = require("time")
    return function(v)
      assert(v.list[2] == 2 and v.text == "é" and #v.bytes == 2 and v.flag == true and v.pid:sub(1, 1) == "{")
      assert(v.err:kind() == errors.NOT_FOUND)
      v.at = time.unix(1700000000, 5):utc()
      v.span = time.parse_duration("90s")
      v.wrapped = payload.new({1, 2})
      v.int, v.float = 1700000000000, 1.5
      return v
    end`
  const first = runLua(source, [], {
    args: [
      {
        list: [1, 2],
        text: 'é',
        bytes: Uint8Array.of(255, 254),
        flag: true,
        err: new AppError('not_found', 'x'),
        pid: '{n@h|1}',
      },
    ],
  }).step
  if (first.kind !== 'returned') throw new Error(JSON.stringify(first))
  const again = runLua(
    `return function(v)
      return { tostring(v.at), tostring(v.span), v.wrapped:data()[2], v.err:message(), v.at:nanosecond(), v.int .. "", v.float, #v.bytes }
    end`,
    [],
    { args: [first.value] },
  )
  expect(again.step).toEqual({
    kind: 'returned',
    value: ['2023-11-14 22:13:20.000000005 +0000 UTC', '1m30s', 2, 'x', 5, '1700000000000', 1.5, 2],
  })
})

test('a query reads state through the handler that the program declared, and asks nothing of the host', () => {
  const source = `
    local workflow = require("workflow")
    return function()
      local count = 0
      workflow.on_query("count", function(by) return count * by end)
      local inbox = process.inbox()
      while true do inbox:receive() count = count + 1 end
    end`
  const run = runLua(source, [message('tick'), message('tick')], { workflow: {} })
  const before = run.commands.length
  expect(run.program.query!('count', [10])).toBe(20)
  expect(run.commands.length).toBe(before)
  expect(() => run.program.query!('other', [])).toThrow(/no query handler "other".*known: count/)
})

test('a query still answers when main has returned', () => {
  const source =
    'local workflow = require("workflow") return function() workflow.on_query("n", function() return 7 end) return "done" end'
  const run = runLua(source, [], { workflow: {} })
  expect(run.step).toEqual({ kind: 'returned', value: 'done' })
  expect(run.program.query!('n', [])).toBe(7)
})

test('a query handler that asks its host or draws from its generator is refused, and leaves no trace', () => {
  const source = `
    local workflow, uuid = require("workflow"), require("uuid")
    return function()
      workflow.on_query("send", function() local ok, e = process.send("x", "t") return e:kind() end)
      workflow.on_query("random", function() return (pcall(uuid.v4)) end)
      workflow.on_query("dice", function() return (pcall(math.random)) end)
      process.inbox():receive()
      return {uuid.v4(), math.random(1000000)}
    end`
  const plain = runLua(source, [message('go')], { workflow: {}, seed: 's' }).step
  const run = runLua(source, [], { workflow: {}, seed: 's' })
  expect(run.program.query!('send', [])).toBe('Invalid')
  expect(run.program.query!('random', [])).toBe(false)
  expect(run.program.query!('dice', [])).toBe(false)
  expect(run.commands).toEqual([])
  expect(run.next(message('go'))).toEqual(plain)
})

test('dates, sets and instances of classes arrive as times, lists and tables', () => {
  class Order {
    readonly id = 'o-1'
  }
  const source = 'return function(d) return { d.at:unix(), d.set[2], d.order.id, d.map.k } end'
  const args = [{ at: new Date(5_000), set: new Set(['a', 'b']), order: new Order(), map: new Map([['k', 1]]) }]
  expect(value(source, args)).toEqual([5, 'b', 'o-1', 1])
})

test('a query handler that blocks or fails is an error of the query alone', () => {
  const source = `
    local workflow = require("workflow")
    return function()
      workflow.on_query("block", function() return process.inbox():receive() end)
      workflow.on_query("fail", function() return nil, errors.new{message = "no", kind = errors.CONFLICT} end)
      workflow.on_query("raise", function() error("boom") end)
      return process.inbox():receive():topic()
    end`
  const run = runLua(source, [], { workflow: {} })
  for (const name of ['block', 'fail', 'raise']) expect(() => run.program.query!(name, [])).toThrow(AppError)
  expect(run.next(message('go'))).toEqual({ kind: 'returned', value: 'go' })
})

test('the same script and seed give the same commands, whatever the program mixes', () => {
  const source = `
    local funcs, time, uuid, crypto = require("funcs"), require("time"), require("uuid"), require("crypto")
    return function()
      local t = {}
      for _, k in ipairs{"x", "y", "z"} do t[k .. math.random(1000)] = k end
      local done = channel.new()
      for k in pairs(t) do
        coroutine.spawn(function()
          local v = funcs.call("app:" .. t[k], k, uuid.v4(), crypto.random.string(5), tostring({}), os.time(), time.now():unix_nano())
          time.sleep(math.random(10) .. "s")
          done:send(v)
        end)
      end
      for i = 1, 3 do done:receive() end
      return t
    end`
  const once = () => {
    const run = runLua(source, [returns(1, 2), returns(2, 1), returns(3, 3), returns(), returns(), returns()], {
      workflow: {},
      seed: 'run',
    })
    return { commands: run.commands, step: run.step }
  }
  const first = once()
  expect(first.step.kind).toBe('returned')
  expect(once()).toEqual(first)
})

test('completions of several calls wake their own coroutines, whatever the order they come in', () => {
  const source = `
    local funcs = require("funcs")
    return function()
      local out, done = {}, channel.new(2)
      for _, name in ipairs{"a", "b"} do
        coroutine.spawn(function() local v = funcs.call("app:" .. name) out[#out + 1] = name .. v done:send(true) end)
      end
      done:receive() done:receive()
      return out
    end`
  expect(runLua(source, [returns('2', 2), returns('1', 1)]).step).toEqual({ kind: 'returned', value: ['b2', 'a1'] })
})

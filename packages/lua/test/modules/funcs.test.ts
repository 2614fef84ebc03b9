import { AppError } from '@daruma/protocol'
import { expect, test } from 'vitest'
import { fails, message, returns } from '../../src/testing.ts'
import { returned, run } from './returned.ts'

test('call is a command, and its result the value', () => {
  const { commands, step } = run('local r = funcs.call("app:f", 1, {x = 2}) return r.y', [returns({ y: 3 })])
  expect(commands).toEqual([{ kind: 'call', target: 'app:f', args: [1, { x: 2 }] }])
  expect(step).toEqual({ kind: 'returned', value: 3 })
})

test('a call that fails is nil and an error with kind, retryability, details and text kept', () => {
  const error = new AppError('rate_limited', 'slow down', { afterMs: 5 }, { retryable: true })
  const body =
    'local v, e = funcs.call("app:f") return {v == nil, e:kind(), e:retryable(), e:message(), e:details().afterMs}'
  expect(returned(body, [fails(error)])).toEqual([true, 'RateLimited', true, 'slow down', 5])
})

test.each(['""', '"noname"', '":x"', '"x:"', 'nil', '42'])('call(%s) is Invalid and asks nothing', (target) => {
  const { commands, step } = run(`local v, e = funcs.call(${target}) return {v == nil, e:kind()}`)
  expect(step).toEqual({ kind: 'returned', value: [true, 'Invalid'] })
  expect(commands).toEqual([])
})

test('an unknown function that the host refuses at once is nil and the error', () => {
  const answers = {
    call: () => {
      throw new AppError('not_found', 'no entry app:nope')
    },
  }
  expect(returned('local v, e = funcs.call("app:nope") return e:kind()', [], { answers })).toBe('NotFound')
  expect(returned('local v, e = funcs.async("app:nope") return e:kind()', [], { answers })).toBe('NotFound')
})

test('calls block inside pcall, iterators and coroutines', () => {
  const body = `
    local function each() return function(_, i) i = (i or 0) + 1 if i <= 2 then return i, funcs.call("app:f", i) end end end
    local out = {}
    local ok = pcall(function() for i, v in each() do out[i] = v end end)
    local ch = channel.new()
    coroutine.spawn(function() ch:send(funcs.call("app:g")) end)
    out[3] = ch:receive()
    return {ok, out}`
  expect(returned(body, [returns('a'), returns('b'), returns('c')])).toEqual([true, ['a', 'b', 'c']])
})

test('an executor is immutable and adds context and options', () => {
  const body = `
    local plain = funcs.new()
    local with = plain:with_context({a = 1}):with_context({b = 2}):with_options({timeout = 5000, key = "x"})
    plain:async("app:f") with:async("app:f") plain:async("app:f")
    process.inbox():receive()`
  expect(run(body).commands).toEqual([
    { kind: 'call', target: 'app:f', args: [] },
    { kind: 'call', target: 'app:f', args: [], options: { startToCloseMs: 5_000, context: { a: 1, b: 2 } } },
    { kind: 'call', target: 'app:f', args: [] },
  ])
})

test.each([
  ['{timeout = "2s"}', { startToCloseMs: 2_000 }],
  ['{timeout = 2000, ["activity.start_to_close_timeout"] = "9s"}', { startToCloseMs: 9_000 }],
  [
    '{retry = {max_attempts = 5, initial_delay = 20, max_delay = "1s", backoff_factor = 3}}',
    { retry: { maximumAttempts: 5, initialIntervalMs: 20, maximumIntervalMs: 1_000, backoffCoefficient: 3 } },
  ],
  [
    '{retry = {}}',
    { retry: { maximumAttempts: 3, initialIntervalMs: 100, maximumIntervalMs: 5_000, backoffCoefficient: 2 } },
  ],
  ['{retry = false}', undefined],
  ['{retry_policy = {maximum_attempts = 2}}', { retry: { maximumAttempts: 2 } }],
  ['{unknown = 1, network = "app:n"}', undefined],
])('the plain options %s become those of the call', (options, expected) => {
  const [command] = run(`funcs.new():with_options(${options}):async("app:f") process.inbox():receive()`).commands
  expect(command).toEqual({ kind: 'call', target: 'app:f', args: [], ...(expected && { options: expected }) })
})

test.each(['activity', 'temporal.activity'])(
  'activity options under the prefix %s become those of the call',
  (prefix) => {
    const body = `
    funcs.new():with_options({
      ["${prefix}.start_to_close_timeout"] = "30s",
      ["${prefix}.schedule_to_close_timeout"] = 90000,
      ["${prefix}.schedule_to_start_timeout"] = "1m",
      ["${prefix}.heartbeat_timeout"] = require("time").parse_duration("5s"),
      ["${prefix}.task_queue"] = "gpu",
      ["${prefix}.cancellation_type"] = "abandon",
      ["${prefix}.retry_policy"] = {
        maximum_attempts = 3, initial_interval = "1s", backoff_coefficient = 1.5, maximum_interval = 10000,
        non_retryable_error_types = {"NotFound", "CardDeclined"},
      },
    }):call("app:f")`
    expect(run(body).commands).toEqual([
      {
        kind: 'call',
        target: 'app:f',
        args: [],
        options: {
          startToCloseMs: 30_000,
          scheduleToCloseMs: 90_000,
          scheduleToStartMs: 60_000,
          heartbeatMs: 5_000,
          taskQueue: 'gpu',
          cancellation: 'abandon',
          retry: {
            maximumAttempts: 3,
            initialIntervalMs: 1_000,
            backoffCoefficient: 1.5,
            maximumIntervalMs: 10_000,
            nonRetryableKinds: ['not_found', 'CardDeclined'],
          },
        },
      },
    ])
  },
)

test('an actor and a scope go along under their own keys', () => {
  const body = `
    local security = require("security")
    funcs.new():with_actor(security.new_actor("u")):with_scope(security.new_scope()):call("app:f")`
  expect(run(body).commands).toMatchObject([
    { options: { context: { '@actor': { value: { id: 'u' } }, '@scope': {} } } },
  ])
})

/* ------------------------------------------------------------------------------------------------ futures */

test('a future is pending until its result was delivered, then delivers a payload once and keeps it', () => {
  const body = `
    local f = funcs.async("app:f", 1)
    local before = {f:is_complete(), select("#", f:result()), f:result(), (f:error())}
    assert(before[1] == false and before[2] == 2 and f:response() == f:channel())
    local p, ok = f:channel():receive()
    local err, failed = f:error()
    return {ok, p:data().v, f:is_complete(), f:is_canceled(), f:result():data().v, err == nil, failed}`
  expect(returned(body, [returns({ v: 7 })])).toEqual([true, 7, true, false, 7, true, false])
})

test('a future that fails delivers the error object with ok = true', () => {
  const body = `
    local f = funcs.async("app:f")
    local e, ok = f:channel():receive()
    local value, err = f:result()
    local again, failed = f:error()
    return {e:kind(), ok, value == nil, err == e, again == e, failed, f:is_complete()}`
  expect(returned(body, [fails(new AppError('conflict', 'no'))])).toEqual([
    'Conflict',
    true,
    true,
    true,
    true,
    true,
    true,
  ])
})

test('a canceled future gives up its call, and its result is an error of kind Canceled with the text canceled', () => {
  const body = `
    local f = funcs.async("app:f")
    local ok = f:cancel()
    local v, e = f:result()
    return {ok, f:is_canceled(), f:is_complete(), v == nil, e:kind(), tostring(e), f:cancel()}`
  const { commands, step } = run(body)
  expect(commands[1]).toEqual({ kind: 'abandon', id: 1 })
  expect(step).toEqual({ kind: 'returned', value: [true, true, false, true, 'Canceled', 'canceled', true] })
})

test('whoever waits for a canceled future is woken by the error', () => {
  const body = `
    local f = funcs.async("app:f")
    f:cancel()
    local e, ok = f:channel():receive()
    return {e:kind(), ok, f:is_complete()}`
  expect(returned(body, [fails(new AppError('canceled', 'canceled'))])).toEqual(['Canceled', true, true])
})

test('canceling a future that is complete changes nothing', () => {
  const body =
    'local f = funcs.async("app:f") f:channel():receive() return {f:cancel(), f:is_canceled(), f:result():data()}'
  expect(returned(body, [returns(1)])).toEqual([true, false, 1])
})

test('the methods of a future are fields', () => {
  expect(returned('local f = funcs.async("app:f") return {type(f.cancel), type(f.response), type(f)}')).toEqual([
    'function',
    'function',
    'userdata',
  ])
})

test('the first of several futures wins a select', () => {
  const body = `
    local a, b = funcs.async("app:a"), funcs.async("app:b")
    local r = channel.select{ a:channel():case_receive(), b:channel():case_receive() }
    return {r.channel == b:channel(), r.ok, r.value:data()}`
  expect(returned(body, [returns('second', 2)])).toEqual([true, true, 'second'])
})

test('completion is delivered while the program waits for something else', () => {
  const body = `
    local f = funcs.async("app:f")
    local seen = {f:is_complete()}
    process.inbox():receive()
    seen[2] = f:is_complete()
    process.inbox():receive()
    seen[3] = f:is_complete()
    return seen`
  expect(returned(body, [message('a'), returns(1), message('b')])).toEqual([false, false, true])
})

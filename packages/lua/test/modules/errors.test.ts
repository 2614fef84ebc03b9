import { expect, test } from 'vitest'
import { returned } from './returned.ts'

test.each([
  ['NOT_FOUND', 'NotFound'],
  ['ALREADY_EXISTS', 'AlreadyExists'],
  ['INVALID', 'Invalid'],
  ['PERMISSION_DENIED', 'PermissionDenied'],
  ['UNAVAILABLE', 'Unavailable'],
  ['INTERNAL', 'Internal'],
  ['CANCELED', 'Canceled'],
  ['CONFLICT', 'Conflict'],
  ['TIMEOUT', 'Timeout'],
  ['RATE_LIMITED', 'RateLimited'],
  ['UNKNOWN', ''],
])('errors.%s is "%s", and survives the way out of the program', (name, kind) => {
  const body = `local e = errors.new{message = "m", kind = errors.${name}} return {errors.${name}, e:kind(), errors.is(e, errors.${name}), payload.new(e):data():kind()}`
  expect(returned(body)).toEqual([kind, kind, true, kind])
})

test('new takes a text or a table', () => {
  const body = `
    local a = errors.new("plain")
    local b = errors.new{message = "m", kind = "Timeout", retryable = false, details = {x = {1}}}
    return {a:message(), a:kind(), a:retryable() == nil, a:details() == nil, tostring(a), b:retryable(), b:details().x[1], type(a), errors.new(a) == a}`
  expect(returned(body)).toEqual(['plain', '', true, true, 'plain', false, 1, 'userdata', true])
})

test('empty details are nil', () => {
  expect(returned('return errors.new{message = "m", details = {}}:details() == nil')).toBe(true)
})

test('wrap puts a context before the message and keeps kind, retryability and details', () => {
  const body = `
    local e = errors.wrap(errors.new{message = "no rows", kind = errors.NOT_FOUND, retryable = true, details = {t = 1}}, "load users")
    return {e:message(), e:kind(), e:retryable(), e:details().t, errors.wrap("text", "ctx"):message(), errors.wrap(e):message()}`
  expect(returned(body)).toEqual(['load users: no rows', 'NotFound', true, 1, 'ctx: text', 'load users: no rows'])
})

test.each(['"text"', 'nil', '42', '{}'])('is(%s, kind) is false', (value) => {
  expect(returned(`return errors.is(${value}, errors.UNKNOWN)`)).toBe(false)
})

test('call_stack and stack say where an error was made', () => {
  const body = `
    local function deep()
      local e = errors.new("x")
      return e
    end
    local e = deep()
    local s = errors.call_stack(e)
    return {s.thread, s.frames[1].source, s.frames[1].line, e:stack():match('main.lua:4') ~= nil, errors.call_stack("x") == nil}`
  expect(returned(body)).toEqual(['main', 'main.lua', 4, true, true])
})

test('error(obj) through pcall gives the object back', () => {
  expect(returned('local e = errors.new("x") local ok, got = pcall(error, e) return {ok, got == e}')).toEqual([
    false,
    true,
  ])
})

test('errors concatenate with text and with errors, and are subjects of string functions', () => {
  const body =
    'local e = errors.new("not found: x") return {"a " .. e, e .. " b", e .. e, string.find(e, "not found", 1, true), (string.match(e, "x"))}'
  expect(returned(body)).toEqual(['a not found: x', 'not found: x b', 'not found: xnot found: x', 1, 'x'])
})

test.each(['errors.new()', 'errors.new(42)', 'errors.new{message = 5}', 'errors.wrap(nil, "x")'])(
  '%s raises',
  (call) => {
    expect(returned(`return (pcall(function() return ${call} end))`)).toBe(false)
  },
)

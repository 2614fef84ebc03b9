import { expect, test } from 'vitest'
import { returned } from './returned.ts'

test('formats have their names', () => {
  expect(returned('return payload.format')).toEqual({
    JSON: 'json/plain',
    YAML: 'yaml/plain',
    STRING: 'text/plain',
    BYTES: 'application/octet-stream',
    MSGPACK: 'application/msgpack',
    LUA: 'lua/any',
    GOLANG: 'golang/any',
    ERROR: 'golang/error',
  })
})

test.each([
  ['{x = 1}', 'lua/any'],
  ['"text"', 'lua/any'],
  ['42.5', 'lua/any'],
  ['true', 'lua/any'],
  ['nil', 'lua/any'],
  ['errors.new("e")', 'golang/error'],
])('payload.new(%s) has the format %s', (value, format) => {
  expect(returned(`return payload.new(${value}):get_format()`)).toBe(format)
})

test('data gives the very value', () => {
  const body =
    'local t = {1, {2}} local p = payload.new(t) return {p:data() == t, p:unmarshal() == t, payload.new(p) == p, payload.new(nil):data() == nil}'
  expect(returned(body)).toEqual([true, true, true, true])
})

test.each(['JSON', 'YAML', 'MSGPACK', 'LUA', 'GOLANG'])('a table survives the way through %s', (format) => {
  const body = `
    local p, e = payload.new({name = "é", list = {1, 2.5, true}, n = {x = 1700000000000}}):transcode(payload.format.${format})
    return {p:get_format() == payload.format.${format}, p:data(), p:transcode(payload.format.LUA):data()}`
  const value = { name: 'é', list: [1, 2.5, true], n: { x: 1_700_000_000_000 } }
  expect(returned(body)).toEqual([true, value, value])
})

test('text and bytes', () => {
  const body =
    'return {payload.new("abc"):transcode(payload.format.BYTES):data(), payload.new(12):transcode(payload.format.STRING):data()}'
  expect(returned(body)).toEqual(['abc', '12'])
})

test.each([
  ['payload.new({1}):transcode("nope")', 'Invalid'],
  ['payload.new({1}):transcode(payload.format.STRING)', 'Internal'],
  ['payload.new({f = print}):transcode(payload.format.JSON)', 'Internal'],
])('%s is nil and %s', (call, kind) => {
  expect(returned(`local p, e = ${call} return {p == nil, e:kind(), e:retryable()}`)).toEqual([true, kind, false])
})

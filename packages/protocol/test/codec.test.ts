import { describe, expect, test } from 'vitest'
import { AppError, Home, Pid, Ref, Tagged, msgpackCodec, samePid, type NodeId } from '@daruma/protocol'

const codec = msgpackCodec()
const roundTrip = (value: unknown): unknown => codec.decode(codec.encode(value))

describe('what travels arrives as it was', () => {
  test.each([
    ['null', null],
    ['undefined', undefined],
    ['a boolean', true],
    ['an int', 42],
    ['a negative', -7],
    ['2^53', 2 ** 53],
    ['a float', 0.1],
    ['infinity', Infinity],
    ['a bigint beyond 2^53', 1_700_000_000_000_000_001n],
    ['text', 'daruma 達磨'],
    ['an array with holes filled', [1, null, 'x']],
    ['nested objects', { a: { b: [{ c: 1 }] } }],
    ['a set', new Set([1, 2])],
    ['a date', new Date(1_700_000_000_000)],
  ])('%s', (_name, value) => {
    expect(roundTrip(value)).toEqual(value)
  })

  test('bytes', () => {
    expect(new Uint8Array(roundTrip(new Uint8Array([0, 255])) as Uint8Array)).toEqual(new Uint8Array([0, 255]))
  })

  test('a pid, and it is the same pid', () => {
    const pid = new Pid(new Home('n1' as NodeId, 3, 'app:host'), 17)
    const back = roundTrip({ to: pid }) as { to: Pid }
    expect(back.to).toBeInstanceOf(Pid)
    expect(samePid(back.to, pid)).toBe(true)
  })

  test('a reference', () => {
    expect(roundTrip(new Ref('n1' as NodeId, 1, 9))).toEqual(new Ref('n1' as NodeId, 1, 9))
  })

  test('an error with kind, retryable, details and cause', () => {
    const error = new AppError(
      'timeout',
      'too slow',
      { afterMs: 5 },
      { retryable: true, cause: new AppError('unavailable', 'down') },
    )
    const back = roundTrip(error) as AppError
    expect(back).toBeInstanceOf(AppError)
    expect([back.kind, back.message, back.retryable, back.details]).toEqual([
      'timeout',
      'too slow',
      true,
      { afterMs: 5 },
    ])
    expect((back.cause as AppError).kind).toBe('unavailable')
  })

  test('a tagged value', () => {
    expect(roundTrip([new Tagged('time', 5)])).toEqual([new Tagged('time', 5)])
  })
})

describe('what cannot travel is refused with the path to it', () => {
  const cycle: Record<string, unknown> = {}
  cycle['self'] = { again: cycle }
  test.each([
    [
      'a function',
      { order: { items: [1, { onDone: function later() {} }] } },
      'value.order.items[1].onDone is a function (later)',
    ],
    ['a symbol', { tag: Symbol('x') }, 'value.tag is a symbol'],
    ['a cycle', cycle, 'value.self.again refers back'],
  ])('%s', (_name, value, text) => {
    expect(() => codec.encode(value)).toThrowError(text)
  })
})

test('bytes of a newer format are refused with both versions', () => {
  expect(() => codec.decode(new Uint8Array([9, 1]))).toThrowError('message of format 9, this version reads format 1')
})

test('damaged bytes are an error, not garbage', () => {
  expect(() => codec.decode(new Uint8Array([1, 0xdc]))).toThrowError('damaged')
})

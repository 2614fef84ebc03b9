import { expect, test } from 'vitest'
import { AppError } from '@daruma/protocol'
import { fails, message, returns } from '../../src/testing.ts'
import { returned, run } from './returned.ts'

test('constants are integers, layouts, months and days', () => {
  expect(
    returned(`return {time.NANOSECOND, time.MICROSECOND, time.MILLISECOND, time.SECOND, time.MINUTE, time.HOUR,
      time.JANUARY, time.DECEMBER, time.SUNDAY, time.SATURDAY, time.RFC3339, time.RFC3339NANO, time.DATE_TIME,
      time.DATE_ONLY, time.TIME_ONLY, time.KITCHEN, tostring(5 * time.SECOND)}`),
  ).toEqual([
    1,
    1_000,
    1_000_000,
    1_000_000_000,
    60_000_000_000,
    3_600_000_000_000,
    1,
    12,
    0,
    6,
    '2006-01-02T15:04:05Z07:00',
    '2006-01-02T15:04:05.999999999Z07:00',
    '2006-01-02 15:04:05',
    '2006-01-02',
    '15:04:05',
    '3:04PM',
    '5000000000',
  ])
})

test.each([
  ['add("24h")', '2024-12-30T10:30:00Z'],
  ['add(90 * time.SECOND)', '2024-12-29T10:31:30Z'],
  ['add(time.parse_duration("-1h30m"))', '2024-12-29T09:00:00Z'],
  ['add_date(0, 2, 2)', '2025-03-03T10:30:00Z'],
  ['add_date(1, 0, 0)', '2025-12-29T10:30:00Z'],
  ['add_date(0, 0, -29)', '2024-11-30T10:30:00Z'],
  ['round(time.parse_duration("1h"))', '2024-12-29T11:00:00Z'],
  ['truncate(time.parse_duration("1h"))', '2024-12-29T10:00:00Z'],
  ['truncate(time.parse_duration("0s"))', '2024-12-29T10:30:00Z'],
  ['in_location(time.fixed_zone("IST", 19800))', '2024-12-29T16:00:00+05:30'],
  ['in_location(time.load_location("America/New_York"))', '2024-12-29T05:30:00-05:00'],
  ['in_location(time.load_location("Asia/Tokyo")):utc()', '2024-12-29T10:30:00Z'],
])('date(2024, 12, 29, 10, 30):%s is %s', (call, text) => {
  expect(returned(`return time.date(2024, time.DECEMBER, 29, 10, 30, 0, 0, time.utc):${call}:format_rfc3339()`)).toBe(
    text,
  )
})

test('parts of a time', () => {
  const body = `
    local t = time.date(2024, 2, 29, 13, 14, 15, 123456789, time.utc)
    local y, mo, d = t:date()
    local h, mi, s = t:clock()
    return {y, mo, d, h, mi, s, t:year(), t:month(), t:day(), t:hour(), t:minute(), t:second(), t:nanosecond(),
      t:weekday(), t:year_day(), t:is_zero(), t:unix(), t:location():string(), tostring(t:location())}`
  expect(returned(body)).toEqual([
    2024,
    2,
    29,
    13,
    14,
    15,
    2024,
    2,
    29,
    13,
    14,
    15,
    123_456_789,
    4,
    60,
    false,
    1_709_212_455,
    'UTC',
    'UTC',
  ])
})

test('comparison: before, after, equal, and the operators', () => {
  const body = `
    local a, b = time.unix(1, 0), time.unix(2, 0)
    return {a:before(b), a:after(b), a:equal(time.unix(1, 0):utc()), a < b, a <= a, a == time.unix(1, 0), a == b}`
  expect(returned(body)).toEqual([true, false, true, true, true, true, false])
})

test('January 1 of year 1 is the zero time', () => {
  expect(
    returned('return {time.date(1, 1, 1, 0, 0, 0, 0, time.utc):is_zero(), time.unix(-62135596800):is_zero()}'),
  ).toEqual([true, true])
})

test('durations: whole nano-, micro- and milliseconds, fractions of seconds, minutes and hours', () => {
  const body = `
    local d = time.parse_duration("1h30m45s500ms")
    return {d:nanoseconds() .. "", d:microseconds() .. "", d:milliseconds() .. "", d:seconds(), d:minutes(), tostring(d),
      time.parse_duration("1h"):hours() == 1, time.parse_duration("1h"):hours() == 1.0, time.parse_duration("1s"):seconds() .. ""}`
  expect(returned(body)).toEqual([
    '5445500000000',
    '5445500000',
    '5445500',
    5445.5,
    90.75833333333334,
    '1h30m45.5s',
    true,
    true,
    '1',
  ])
})

test.each([
  ['"1.5h"', '1h30m0s'],
  ['"250ms"', '250ms'],
  ['"10us"', '10µs'],
  ['"3ns"', '3ns'],
  ['"-90s"', '-1m30s'],
  ['0', '0s'],
  ['5 * time.MINUTE', '5m0s'],
  ['time.unix(3, 0):sub(time.unix(1, 500000000))', '1.5s'],
])('parse_duration(%s) shows as %s', (value, text) => {
  expect(returned(`return tostring(time.parse_duration(${value}))`)).toBe(text)
})

test.each([
  ['time.parse_duration("soon")', 'Invalid'],
  ['time.parse_duration(true)', 'Invalid'],
  ['time.parse(time.RFC3339, "invalid")', 'Invalid'],
  ['time.load_location("")', 'Invalid'],
  ['time.load_location("Nowhere/Land")', 'NotFound'],
  ['time.timer("0s")', 'Invalid'],
  ['time.ticker("-1s")', 'Invalid'],
  ['time.after("soon")', 'Invalid'],
  ['time.sleep({})', 'Invalid'],
])('%s is nil and an error of kind %s, not retryable', (call, kind) => {
  expect(returned(`local v, e = ${call} return {v == nil, e:kind(), e:retryable()}`)).toEqual([true, kind, false])
})

test('parse reads by layout, in UTC or a given location', () => {
  const body = `
    local ny = time.load_location("America/New_York")
    return {time.parse(time.RFC3339, "2024-12-29T15:04:05.25Z"):nanosecond(),
      time.parse("2006-01-02 15:04", "2024-12-29 14:30"):unix(),
      time.parse("2006-01-02 15:04", "2024-12-29 14:30", ny):unix(),
      time.parse(time.DATE_ONLY, "2024-12-29"):format("Mon Jan 2, 2006")}`
  expect(returned(body)).toEqual([250_000_000, 1_735_482_600, 1_735_500_600, 'Sun Dec 29, 2024'])
})

test('unix_nano is exact: text where a number would not be', () => {
  const body =
    'local t = time.unix(1703862245, 123456789) return {"name-" .. t:unix_nano(), time.unix(1, 5):unix_nano()}'
  expect(returned(body)).toEqual(['name-1703862245123456789', 1_000_000_005])
})

test('unix takes milliseconds split in Lua', () => {
  const body =
    'local ms = 1703862245678 return time.unix(ms // 1000, (ms % 1000) * 1000000):utc():format(time.RFC3339NANO)'
  expect(returned(body)).toBe('2023-12-29T15:04:05.678Z')
})

test("in a workflow now is the host's clock to the digit, and stands still within a turn", () => {
  const body =
    'local a, b = time.now(), time.now() return {a == b, a:unix_nano(), tostring(a:location()), tostring(a:in_local():location())}'
  expect(returned(body, [], { workflow: {}, nowMs: 1_700_000_000_123 })).toEqual([
    true,
    '1700000000123000000',
    'UTC',
    'UTC',
  ])
})

test("in a process two readings of now are never equal, and lie within the host's millisecond", () => {
  const body =
    'local a, b = time.now(), time.now() return {a < b, a:unix(), b:unix_nano() ~= a:unix_nano(), b:sub(a):milliseconds()}'
  expect(returned(body, [], { nowMs: 1_700_000_000_123 })).toEqual([true, 1_700_000_000, true, 0])
})

test('sleep is a command of milliseconds; numbers are nanoseconds', () => {
  const { commands, step } = run(
    'time.sleep("24h") time.sleep(500 * time.MILLISECOND) time.sleep(time.parse_duration("2s")) time.sleep(-1) return select("#", time.sleep(1))',
    [returns(), returns(), returns(), returns(), returns()],
  )
  expect(commands).toEqual([86_400_000, 500, 2_000, 0, 1e-6].map((durationMs) => ({ kind: 'sleep', durationMs })))
  expect(step).toEqual({ kind: 'returned', value: 0 })
})

test('a sleep that is canceled gives nil and the error', () => {
  const body = 'local v, e = time.sleep("1h") return {v == nil, e:kind()}'
  expect(returned(body, [fails(new AppError('canceled', 'canceled'))])).toEqual([true, 'Canceled'])
})

test('after gives a channel that delivers the time once', () => {
  const { commands, step } = run('local t, ok = time.after("5s"):receive() return {t:unix(), ok}', [returns()])
  expect(commands).toEqual([{ kind: 'sleep', durationMs: 5_000 }])
  expect(step).toEqual({ kind: 'returned', value: [1_700_000_005, true] })
})

test('a timer fires once on channel and response, which are the same', () => {
  const body =
    'local t = time.timer("1s") local at = t:channel():receive() return {t:channel() == t:response(), at:unix(), t:stop()}'
  expect(returned(body, [returns()])).toEqual([true, 1_700_000_001, false])
})

test('stopping a timer abandons its sleep, and says whether it was armed', () => {
  const { commands, step } = run('local t = time.timer("1s") return {t:stop(), t:stop()}')
  expect(commands).toEqual([
    { kind: 'sleep', durationMs: 1_000 },
    { kind: 'abandon', id: 1 },
  ])
  expect(step).toEqual({ kind: 'returned', value: [true, false] })
})

test('reset starts a timer over, whether it was armed or not', () => {
  const { commands, step } = run(
    'local t = time.timer("1s") local was = t:reset("2s") t:channel():receive() return {was, t:reset("3s")}',
    [returns(undefined, 2)],
  )
  expect(commands).toEqual([
    { kind: 'sleep', durationMs: 1_000 },
    { kind: 'abandon', id: 1 },
    { kind: 'sleep', durationMs: 2_000 },
    { kind: 'sleep', durationMs: 3_000 },
  ])
  expect(step).toEqual({ kind: 'returned', value: [true, false] })
})

test('the late end of an abandoned sleep changes nothing', () => {
  const body = `
    local t = time.timer("1s")
    t:stop()
    process.inbox():receive()
    return channel.select{ t:channel():case_receive(), default = true }.default`
  expect(returned(body, [fails(new AppError('canceled', 'canceled'), 1), message('go')])).toBe(true)
})

test('a ticker keeps to its beat however late its ticks are, and stops', () => {
  const body = `
    local t = time.ticker("1s")
    local a, b = t:channel():receive(), t:response():receive()
    return {a:unix(), b:unix(), t:stop(), t:stop()}`
  const first = run(body)
  first.host.advance(300)
  first.next(returns())
  expect(first.commands[1]).toEqual({ kind: 'sleep', durationMs: 700 })
  first.next(returns())
  expect(first.step).toEqual({ kind: 'returned', value: [1_700_000_001, 1_700_000_002, true, false] })
  expect(first.commands.at(-1)).toEqual({ kind: 'abandon', id: 3 })
})

test('ticks that nobody takes do not pile up', () => {
  const body = `
    local t = time.ticker("1s")
    process.inbox():receive()
    t:channel():receive()
    return channel.select{ t:channel():case_receive(), default = true }.default`
  expect(returned(body, [returns(), returns(), returns(), message('go')])).toBe(true)
})

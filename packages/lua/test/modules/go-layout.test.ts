import fc from 'fast-check'
import { expect, test } from 'vitest'
import { civilFromSeconds, civilToSeconds, dayOfYear, weekday } from '../../src/calendar.ts'
import { formatLayout, parseWithLayout } from '../../src/modules/support/go-layout.ts'
import { ZoneTable, fixedZone, localToEpoch, utcZone, type Zone } from '../../src/modules/support/zone.ts'

const zones = new ZoneTable()
const newYork = zones.named('America/New_York')!
const tokyo = zones.named('Asia/Tokyo')!

const shown = (seconds: number, nanosecond = 0, zone: Zone = utcZone) => {
  const { offsetSeconds, abbreviation } = zone.at(seconds)
  return { civil: civilFromSeconds(seconds + offsetSeconds), nanosecond, offsetSeconds, abbreviation }
}

/** 2024-03-05T07:08:09.012345678Z, a Tuesday. */
const instant = civilToSeconds({ year: 2024, month: 3, day: 5, hour: 7, minute: 8, second: 9 })

test.each([
  ['2006-01-02T15:04:05Z07:00', '2024-03-05T07:08:09Z'],
  ['2006-01-02T15:04:05.999999999Z07:00', '2024-03-05T07:08:09.012345678Z'],
  ['2006-01-02 15:04:05.000', '2024-03-05 07:08:09.012'],
  ['15:04:05,000000', '07:08:09,012345'],
  ['05.99', '09.01'],
  ['Monday, January 2, 2006', 'Tuesday, March 5, 2024'],
  ['Mon Jan _2 15:04:05 2006', 'Tue Mar  5 07:08:09 2024'],
  ['02/01/06 03:04PM', '05/03/24 07:08AM'],
  ['3:4:5 pm', '7:8:9 am'],
  ['2006-002 __2', '2024-065  65'],
  ['-0700 -07:00 -07 Z0700 MST', '+0000 +00:00 +00 Z UTC'],
  ['Month Janitor 2006', 'Month Janitor 2024'],
  ['no_2006', 'no_2024'],
  ['no layout at all', 'no layout at all'],
])('layout %j shows the instant as %j', (layout, text) => {
  expect(formatLayout(layout, shown(instant, 12_345_678))).toBe(text)
})

test.each([
  [0, 'Z', '+0000'],
  [5 * 3_600 + 1_800, '+05:30', '+0530'],
  [-8 * 3_600, '-08:00', '-0800'],
])('an offset of %i seconds is written %s or %s', (offset, colon, plain) => {
  const zone = fixedZone('', offset)
  expect(formatLayout('Z07:00', shown(instant, 0, zone))).toBe(colon)
  expect(formatLayout('-0700', shown(instant, 0, zone))).toBe(plain)
})

test('a zone without an abbreviation shows its offset where one is asked for', () => {
  expect(formatLayout('MST', shown(instant, 0, fixedZone('', -12_600)))).toBe('-0330')
})

test.each([
  ['2006-01-02T15:04:05Z07:00', '2024-12-29T15:04:05Z', 1_735_484_645, 0],
  ['2006-01-02T15:04:05Z07:00', '2024-12-29T15:04:05+09:00', 1_735_484_645 - 32_400, 0],
  ['2006-01-02T15:04:05Z07:00', '2024-12-29T15:04:05.5Z', 1_735_484_645, 500_000_000],
  ['2006-01-02', '2024-12-29', 1_735_430_400, 0],
  ['Jan _2 2006', 'Dec  9 2024', 1_733_702_400, 0],
  ['2006-002', '2024-366', 1_735_603_200, 0],
  ['3:04PM 2006-01-02', '12:30AM 2024-12-29', 1_735_430_400 + 1_800, 0],
  ['02 Jan 06 15:04 -0700', '29 Dec 24 15:04 -0500', 1_735_484_640 + 18_000, 0],
  ['2006-01-02 15:04:05 MST', '2024-12-29 14:30:00 UTC', 1_735_482_600, 0],
])('layout %j reads %j', (layout, text, seconds, nanosecond) => {
  expect(parseWithLayout(layout, text, utcZone)).toMatchObject({ ok: true, epochSeconds: seconds, nanosecond })
})

test.each([
  ['2006-01-02T15:04:05Z07:00', 'invalid'],
  ['2006-01-02', '2024-13-01'],
  ['2006-01-02', '2024-02-30'],
  ['2006-01-02', '2023-02-29'],
  ['15:04', '24:00'],
  ['15:04', '10:60'],
  ['2006-01-02', '2024-01-01 and more'],
  ['Jan 2006', 'Foo 2006'],
  ['05.000', '01.12'],
])('layout %j refuses %j', (layout, text) => {
  expect(parseWithLayout(layout, text, utcZone)).toMatchObject({ ok: false, problem: expect.stringContaining(text) })
})

test('an abbreviation that the zone uses is read with its offset, another one with offset zero and its name kept', () => {
  const inZone = parseWithLayout('2006-01-02 15:04 MST', '2024-12-29 14:30 EST', newYork)
  expect(inZone).toMatchObject({ ok: true, epochSeconds: 1_735_500_600 })
  const fabricated = parseWithLayout('2006-01-02 15:04 MST', '2024-12-29 14:30 EST', utcZone)
  expect(fabricated).toMatchObject({ ok: true, epochSeconds: 1_735_482_600, zone: { name: 'EST' } })
})

test('daylight saving time decides the offset of a named zone', () => {
  expect(newYork.at(1_705_320_000)).toEqual({ offsetSeconds: -18_000, abbreviation: 'EST' })
  expect(newYork.at(1_721_044_800)).toEqual({ offsetSeconds: -14_400, abbreviation: 'EDT' })
  expect(tokyo.at(0)).toEqual({ offsetSeconds: 32_400, abbreviation: 'JST' })
  expect(zones.named('Europe/London')!.at(1_721_044_800)).toEqual({ offsetSeconds: 3_600, abbreviation: 'BST' })
  expect(zones.named('Nowhere/Land')).toBeUndefined()
})

test('a local time in the gap of spring is read by one of the two offsets', () => {
  const local = civilToSeconds({ year: 2024, month: 3, day: 10, hour: 2, minute: 30, second: 0 })
  expect([local + 18_000, local + 14_400]).toContain(localToEpoch(local, newYork))
})

test('civil dates and seconds are inverse to each other, over twenty thousand years', () => {
  const seed = 20_260_101
  fc.assert(
    fc.property(fc.integer({ min: -300_000_000_000, max: 300_000_000_000 }), (seconds) => {
      const civil = civilFromSeconds(seconds)
      expect(civilToSeconds(civil)).toBe(seconds)
      expect(dayOfYear(civil)).toBeGreaterThanOrEqual(1)
      expect(weekday(civil)).toBe((((Math.floor(seconds / 86_400) + 4) % 7) + 7) % 7)
    }),
    { seed, numRuns: 300 },
  )
})

test('what a full layout shows, it reads back', () => {
  const layout = 'Mon, 02 Jan 2006 15:04:05.000000000 -0700'
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 4_000_000_000 }),
      fc.integer({ min: 0, max: 999_999_999 }),
      fc.integer({ min: -14 * 60, max: 14 * 60 }),
      (seconds, nanosecond, offsetMinutes) => {
        const text = formatLayout(layout, shown(seconds, nanosecond, fixedZone('', offsetMinutes * 60)))
        expect(parseWithLayout(layout, text, utcZone)).toMatchObject({ ok: true, epochSeconds: seconds, nanosecond })
      },
    ),
    { seed: 20_260_102, numRuns: 200 },
  )
})

import type { ExitReason } from '@daruma/protocol'
import { exitKilled, exitNormal, exitShutdown, isQuiet } from '@daruma/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RestartType, RestartVerdict } from '../src/restart.ts'
import { backoffDefaults, backoffDelayMs, RestartWindow, shouldRestart } from '../src/restart.ts'
import { checkProperty } from './property.ts'

const crash: ExitReason = { kind: 'error', error: { kind: 'internal', message: 'boom' } }
const detailed: ExitReason = { kind: 'shutdown', detail: 'moved' }

describe('what becomes of a child that ended by itself (rule 50)', () => {
  const grid: readonly [RestartType, string, ExitReason, RestartVerdict][] = [
    ['permanent', 'normal', exitNormal, 'restart'],
    ['permanent', 'shutdown', exitShutdown, 'restart'],
    ['permanent', 'shutdown with detail', detailed, 'restart'],
    ['permanent', 'an error', crash, 'restart'],
    ['permanent', 'killed', exitKilled, 'restart'],
    ['transient', 'normal', exitNormal, 'keep'],
    ['transient', 'shutdown', exitShutdown, 'keep'],
    ['transient', 'shutdown with detail', detailed, 'keep'],
    ['transient', 'an error', crash, 'restart'],
    ['transient', 'killed', exitKilled, 'restart'],
    ['temporary', 'normal', exitNormal, 'forget'],
    ['temporary', 'shutdown', exitShutdown, 'forget'],
    ['temporary', 'shutdown with detail', detailed, 'forget'],
    ['temporary', 'an error', crash, 'forget'],
    ['temporary', 'killed', exitKilled, 'forget'],
  ]
  test.each(grid)('%s that ends with %s', (type, _title, reason, verdict) => {
    expect(shouldRestart(type, reason)).toBe(verdict)
  })

  test('a transient child is restarted exactly after the reasons that are not quiet', () => {
    for (const [type, , reason, verdict] of grid) {
      if (type === 'transient') expect(verdict === 'restart').toBe(!isQuiet(reason))
    }
  })
})

describe('restart intensity (rule 51)', () => {
  test.each([0, 1, 3, 10])('%i restarts within the period are allowed, one more is not', (intensity) => {
    const window = new RestartWindow(intensity, 5_000)
    for (let restart = 0; restart < intensity; restart++) expect(window.add(100)).toBe(true)
    expect(window.add(100)).toBe(false)
  })

  test.each([
    ['in the same second', 999, 999, false],
    ['exactly a period later', 0, 5_000, false],
    ['almost a second beyond the period, since whole seconds count', 0, 5_999, false],
    ['a period and a second later', 0, 6_000, true],
    ['just beyond a period, when the first was late in its second', 999, 6_000, true],
  ])('the second restart of intensity 1 %s', (_title, firstMs, secondMs, allowed) => {
    const window = new RestartWindow(1, 5_000)
    expect(window.add(firstMs)).toBe(true)
    expect(window.add(secondMs)).toBe(allowed)
  })

  test('unlimited counts and never forbids', () => {
    const window = new RestartWindow('unlimited', 5_000)
    for (let restart = 1; restart <= 100_000; restart++) expect(window.add(restart)).toBe(true)
    // The six seconds from 95,000 ms to 100,000 ms, of which the last has only begun.
    expect(window.count).toBe(5_001)
  })

  test('new limits count what the new period still reaches', () => {
    const window = new RestartWindow(1, 5_000)
    window.add(0)
    window.limit(2, 5_000)
    expect(window.add(1_000)).toBe(true)
    expect(window.add(2_000)).toBe(false)
  })

  test('the window agrees with a list of all instants, for any intensity, period and instants', () => {
    checkProperty(
      fc.property(
        fc.integer({ min: 0, max: 6 }),
        fc.integer({ min: 1, max: 10_000 }),
        fc.array(fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 4_000 })), { maxLength: 60 }),
        (intensity, periodMs, gapsMs) => {
          const window = new RestartWindow(intensity, periodMs)
          const instants: number[] = []
          let nowMs = 0
          for (const gapMs of gapsMs) {
            nowMs += gapMs
            const now = Math.floor(nowMs / 1_000)
            instants.push(now)
            const counted = instants.filter((instant) => instant >= now - Math.floor(periodMs / 1_000)).length
            expect(window.add(nowMs)).toBe(counted <= intensity)
            expect(window.count).toBe(counted)
          }
        },
      ),
    )
  })
})

describe('backoff', () => {
  const plain = { ...backoffDefaults, initialMs: 100, factor: 3, maxMs: 2_000, jitter: 0 }

  test.each([
    [1, 100],
    [2, 300],
    [3, 900],
    [4, 2_000],
    [5, 2_000],
    [5_000, 2_000],
  ])('restart %i in a row waits %i ms', (attempt, delayMs) => {
    expect(backoffDelayMs(plain, attempt, 0.5)).toBe(delayMs)
  })

  test('jitter moves a wait by at most its part, both ways, and never beyond the maximum', () => {
    checkProperty(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (jitter, attempt, random) => {
          const exactMs = backoffDelayMs(plain, attempt, 0.5)
          const delayMs = backoffDelayMs({ ...plain, jitter }, attempt, random)
          expect(Math.abs(delayMs - exactMs)).toBeLessThanOrEqual(exactMs * jitter + 1e-9)
          expect(delayMs).toBeGreaterThanOrEqual(0)
          expect(delayMs).toBeLessThanOrEqual(plain.maxMs)
        },
      ),
    )
  })
})

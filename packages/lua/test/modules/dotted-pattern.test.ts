import { expect, test } from 'vitest'
import { matchesDotted } from '../../src/internal.ts'

test.each([
  ['orders', 'orders', true],
  ['orders', 'orders.eu', false],
  ['*', 'orders', true],
  ['*', 'orders.eu', false],
  ['orders.*', 'orders.eu', true],
  ['orders.*', 'orders', false],
  ['orders.*', 'orders.eu.west', false],
  ['orders.**', 'orders', true],
  ['orders.**', 'orders.eu.west', true],
  ['**', 'a.b.c', true],
  ['**.west', 'orders.eu.west', true],
  ['**.west', 'orders.eu', false],
  ['a.**.z', 'a.z', true],
  ['a.**.z', 'a.b.c.z', true],
  ['(orders|users).created', 'users.created', true],
  ['(orders|users).created', 'items.created', false],
  ['(a.b|c).d', 'a.b.d', true],
  ['a.(b|c)', 'a.d', false],
])('pattern %s against %s is %s', (pattern, name, fits) => {
  expect(matchesDotted(pattern, name)).toBe(fits)
})

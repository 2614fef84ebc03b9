import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cyclesOf } from '../src/graph.ts'
import { dependenciesOf, formatCycle, startOrder, type Entry } from '../src/index.ts'
import { entry } from '../src/testing.ts'
import type { EntryId } from '@daruma/protocol'

const host = entry('app:processes', 'process.host')
const worker = entry('app:worker', 'process.lua', { source: '', method: 'main' })
const service = entry('app:service', 'process.service', { process: 'worker', host: 'app:processes' })
const database = entry('app:database', 'store.memory')
const needy = entry('app:needy', 'store.memory', { lifecycle: { requires: ['service'], depends_on: ['database'] } })

const levelsOf = (entries: Entry[], isWanted?: (entry: Entry) => boolean) => {
  const order = startOrder(entries, isWanted)
  return order.kind === 'ordered' ? order.levels.map((level) => level.map(({ id }) => id)) : order
}

describe('start order', () => {
  test('an entry starts after what it requires and what it refers to', () => {
    expect(levelsOf([needy, service, worker, host, database])).toEqual([
      ['app:database', 'app:processes', 'app:worker'],
      ['app:service'],
      ['app:needy'],
    ])
  })

  test('entries that are left out still order those around them, and cost no level', () => {
    expect(levelsOf([needy, service, worker, host, database], (one) => one.kind !== 'process.service')).toEqual([
      ['app:database', 'app:processes', 'app:worker'],
      ['app:needy'],
    ])
  })

  test('references to entries that are not there order nothing', () => {
    expect(levelsOf([service])).toEqual([['app:service']])
  })

  test('what must run before an entry is told nearest last', () => {
    const all = new Map([needy, service, worker, host, database].map((one) => [one.id, one]))
    expect(dependenciesOf(all, needy.id)).toEqual(['app:worker', 'app:processes', 'app:service', 'app:database'])
  })

  test('a cycle is told as a path', () => {
    const a = entry('app:a', 'store.memory', { lifecycle: { requires: ['b'] } })
    const b = entry('app:b', 'store.memory', { lifecycle: { requires: ['c'] } })
    const c = entry('app:c', 'store.memory', { lifecycle: { requires: ['a', 'c'] } })
    const order = startOrder([c, b, a])
    expect(order.kind === 'cyclic' && order.cycles.map(formatCycle)).toEqual(['app:a -> app:b -> app:c -> app:a'])
  })

  test('imports and a dead letter queue order nothing', () => {
    const dlq = entry('app:dlq', 'queue.queue', { driver: 'd', dead_letter: { queue: 'jobs' } })
    const jobs = entry('app:jobs', 'queue.queue', { driver: 'd', dead_letter: { queue: 'dlq' } })
    expect(levelsOf([dlq, jobs])).toEqual([['app:dlq', 'app:jobs']])
  })
})

test('edges have cycles exactly when they cannot be put in order', () => {
  const edge = fc.tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 7 }))
  fc.assert(
    fc.property(fc.array(edge, { maxLength: 14 }), (pairs) => {
      const edges = pairs.map(([from, to]) => ({ from: `a:${from}` as EntryId, to: `a:${to}` as EntryId }))
      // Peel off ids that nothing points away from: what remains is knotted.
      let left = edges
      for (;;) {
        const kept = left.filter(({ to }) => left.some(({ from }) => from === to))
        if (kept.length === left.length) break
        left = kept
      }
      const cycles = cyclesOf(edges)
      expect(cycles.length > 0).toBe(left.length > 0)
      for (const cycle of cycles) {
        const steps = cycle.map((from, at) => ({ from, to: cycle[(at + 1) % cycle.length]! }))
        for (const step of steps) expect(edges).toContainEqual(step)
      }
    }),
  )
})

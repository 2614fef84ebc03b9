import { expect, test } from 'vitest'
import { partitionName, partitionOf, partitionSupervisor, whichChildren } from '../src/index.ts'
import { Stage } from './stage.ts'

const counter = {
  init: (_ctx: unknown, partition: number) => ({ partition, total: 0 }),
  receive: (ctx: never, message: { kind: 'which' }, state: { partition: number }) => {
    ;(ctx as { reply(to: unknown, value: unknown): void }).reply(message, state.partition)
  },
}

test('61: a partition supervisor routes a key to the same partition, always', async () => {
  await using stage = new Stage()
  const code = partitionSupervisor<number>({
    name: 'cache',
    partitions: 4,
    child: { start: counter as never },
    argsOf: (at) => at,
  })
  const top = await stage.run(stage.system.start(code))
  expect((await stage.run(whichChildren(stage.system, top))).map(({ id }) => id)).toEqual(['0', '1', '2', '3'])
  for (const key of ['ann', 'bob', 'cy', 7, -3, 2 ** 40, 0.5]) {
    const partition = await stage.run(stage.system.call(partitionName('cache', key, 4), { kind: 'which' }))
    expect(partition).toBe(partitionOf(key, 4))
  }
})

test('a partition keeps its name over restarts', async () => {
  await using stage = new Stage()
  const code = partitionSupervisor({ name: 'p', partitions: 2, child: { start: stage.child('x').start } })
  await stage.run(stage.system.start(code))
  const before = stage.system.whereis('p/1')
  stage.system.send('p/1', { kind: 'crash' })
  await stage.test.runUntilIdle()
  expect(stage.system.whereis('p/1')).toBeDefined()
  expect(stage.system.whereis('p/1')).not.toBe(before)
})

test('text keys spread over all partitions, and whole numbers go round', () => {
  const hits = new Array<number>(8).fill(0)
  for (let at = 0; at < 8_000; at++) hits[partitionOf(`key-${at}`, 8)]!++
  expect(Math.min(...hits)).toBeGreaterThan(800)
  expect([0, 1, 2, 3, -1].map((key) => partitionOf(key, 3))).toEqual([0, 1, 2, 0, 1])
})

test.each([0, -1, 1.5, NaN])('%d partitions are refused', (partitions) => {
  expect(() => partitionSupervisor({ name: 'p', partitions, child: { start: () => undefined } })).toThrow(
    /whole number/,
  )
})

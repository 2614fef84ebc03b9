import { createSystem, next, type Behavior } from '@daruma/actors'
import { residentBytes, type Measurement } from '../harness.ts'

const count = 1_000_000

const idler: Behavior<string, number, number> = { init: (_ctx, at) => at, receive: () => next.same }

async function settle(): Promise<void> {
  for (let at = 0; at < 20; at++) await new Promise((resolve) => setImmediate(resolve))
}

export async function run(): Promise<readonly Measurement[]> {
  const system = createSystem()
  const before = residentBytes()
  const all = Array.from({ length: count }, (_unused, at) => system.spawn(idler, { args: at }))
  while ((system.processInfo(all.at(-1)!)?.status ?? 'runnable') === 'runnable') await settle()
  const idle = (residentBytes() - before) / count
  await Promise.race([system.shutdown({ deadlineMs: 1 }), settle()])

  const second = createSystem()
  const parkedBefore = residentBytes()
  const parked = Array.from({ length: 200_000 }, () => second.spawn((ctx) => ctx.receive()))
  while ((second.processInfo(parked.at(-1)!)?.status ?? 'runnable') === 'runnable') await settle()
  const task = (residentBytes() - parkedBefore) / parked.length
  return [
    { name: 'an idle actor, of a million', unit: 'B', value: idle, budget: { absolute: 400 } },
    { name: 'a parked async task, of 200,000', unit: 'B', value: task, budget: { absolute: 900 } },
  ]
}

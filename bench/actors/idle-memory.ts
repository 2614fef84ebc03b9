import { createSystem, next, type Behavior } from '@daruma/actors'
import { residentBytes, scaled, type Measurement } from '../harness.ts'

const count = scaled(1_000_000)

const idler: Behavior<string, number, number> = { init: (_ctx, at) => at, receive: () => next.same }

export async function run(): Promise<Measurement> {
  const system = createSystem()
  const before = residentBytes()
  const all = Array.from({ length: count }, (_unused, at) => system.spawn(idler, { args: at }))
  while (system.processInfo(all.at(-1)!)!.status !== 'waiting') await new Promise((resolve) => setImmediate(resolve))
  const value = (residentBytes() - before) / count
  return { name: 'an idle actor, of a million', unit: 'B', value, budget: { absolute: 400 } }
}

import { createSystem } from '@daruma/actors'
import { residentBytes, scaled, type Measurement } from '../harness.ts'

const count = scaled(300_000)

/** An async function that waits for a promise, and nothing round it. */
async function floor(): Promise<number> {
  const before = residentBytes()
  const wakers: (() => void)[] = []
  const task = async (): Promise<void> => {
    await new Promise<void>((resolve) => wakers.push(resolve))
  }
  const all = Array.from({ length: count }, task)
  const bytes = (residentBytes() - before) / count
  for (const wake of wakers) wake()
  await Promise.all(all)
  return bytes
}

async function actors(): Promise<number> {
  const system = createSystem()
  const before = residentBytes()
  const all = Array.from({ length: count }, () =>
    system.spawn(async (ctx) => {
      await ctx.receive()
    }),
  )
  while (system.processInfo(all.at(-1)!)!.status !== 'waiting') await new Promise((resolve) => setImmediate(resolve))
  return (residentBytes() - before) / count
}

export async function run(): Promise<Measurement> {
  // The actors first: what the floor gives back afterwards would hide what they take.
  const value = await actors()
  return { name: 'a task parked in a receive', unit: 'B', value, floor: await floor(), budget: { absolute: 900 } }
}

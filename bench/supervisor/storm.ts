import type { Behavior } from '@daruma/actors'
import { createSystem, next } from '@daruma/actors'
import type { ExitReason } from '@daruma/protocol'
import { startSupervisor, whichChildren } from '@daruma/supervisor'
import { rate, scaled, signal, type Measurement } from '../harness.ts'

const restarts = scaled(200_000, 2_000)
const bad: ExitReason = { kind: 'custom', value: 'crash' }

/**
 * One supervisor whose `children` all crash as soon as they run. Answers how long `which_children` took meanwhile, asked
 * from outside: the 95th percentile in ms, since the slowest of a shared machine says more of its other guests.
 */
async function storm(children: number, asks: boolean): Promise<number> {
  const system = createSystem()
  const { done, fire } = signal()
  let left = restarts
  let isOver = false
  const start: Behavior<'go', undefined> = {
    init(ctx) {
      if (left-- > 0) ctx.send(ctx.self, 'go')
      else if (left === -1) fire()
      return undefined
    },
    receive: () => next.stop(bad),
  }
  const specs = Array.from({ length: children }, (_, at) => ({ id: `child ${at}`, start }))
  const top = await startSupervisor(system, { intensity: 1_000_000, children: specs })
  const tookMs: number[] = []
  const ask = async (): Promise<void> => {
    while (!isOver) {
      const askedMs = performance.now()
      await whichChildren(system, top)
      tookMs.push(performance.now() - askedMs)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  const asking = asks ? ask() : undefined
  await done
  isOver = true
  await asking
  await system.shutdown({ deadlineMs: 60_000 })
  tookMs.sort((a, b) => a - b)
  return tookMs[Math.floor(tookMs.length * 0.95)] ?? 0
}

export async function run(): Promise<readonly Measurement[]> {
  const alone = await rate(restarts, async () => void (await storm(1, false)), 3)
  const thousand = await rate(restarts, async () => void (await storm(1_000, false)), 3)
  await storm(1_000, true)
  return [
    { name: 'one supervisor, one child in a storm', unit: 'restarts/s', value: alone, budget: { absolute: 100_000 } },
    { name: 'one supervisor, 1,000 in a storm', unit: 'restarts/s', value: thousand, budget: { absolute: 100_000 } },
    {
      name: 'which_children meanwhile, p95',
      unit: 'ms',
      value: await storm(1_000, true),
      budget: { absolute: 10 },
    },
  ]
}

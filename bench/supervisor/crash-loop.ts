import type { ActorSystem, Behavior } from '@daruma/actors'
import { createSystem, next } from '@daruma/actors'
import type { ExitReason } from '@daruma/protocol'
import { startSupervisor } from '@daruma/supervisor'
import { rate, scaled, signal, type Measurement } from '../harness.ts'

const restarts = scaled(200_000, 1_000)
const supervisors = 1_000
const bad: ExitReason = { kind: 'custom', value: 'crash' }

/** Ends badly as soon as it runs, until so many have; then lives. */
function crashing(total: number, how: 'exit' | 'throw', done: () => void): Behavior<'go', undefined> {
  let left = total
  return {
    init(ctx) {
      if (left-- > 0) ctx.send(ctx.self, 'go')
      else if (left === -1) done()
      return undefined
    },
    receive() {
      if (how === 'throw') throw new Error('crash')
      return next.stop(bad)
    },
  }
}

async function loop(system: ActorSystem, how: 'exit' | 'throw'): Promise<void> {
  const { done, fire } = signal()
  const start = crashing(restarts, how, fire)
  for (let at = 0; at < supervisors; at++) {
    await startSupervisor(system, { intensity: 1_000_000, children: [{ id: 'child', start }] })
  }
  await done
}

async function restartsPerSecond(how: 'exit' | 'throw'): Promise<number> {
  return rate(
    restarts,
    async () => {
      const system = createSystem()
      await loop(system, how)
      await system.shutdown({ deadlineMs: 60_000 })
    },
    3,
  )
}

export async function run(): Promise<readonly Measurement[]> {
  return [
    {
      name: 'crash and restart, 1,000 supervisors',
      unit: 'restarts/s',
      value: await restartsPerSecond('exit'),
      budget: { absolute: 120_000 },
    },
    { name: 'the same, thrown with a stack', unit: 'restarts/s', value: await restartsPerSecond('throw') },
  ]
}

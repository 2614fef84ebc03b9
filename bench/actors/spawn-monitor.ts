import { createSystem, next, type Behavior } from '@daruma/actors'
import { exitNormal } from '@daruma/protocol'
import { rate, scaled, signal, type Measurement } from '../harness.ts'

const count = scaled(1_000_000)
const portion = 100

/** Spawn + monitor + exit + down: a parent keeps a hundred children going. */
async function actors(): Promise<void> {
  const system = createSystem()
  const { done, fire } = signal()
  const child: Behavior = { init: () => next.stop(exitNormal), receive: () => next.same }
  const parent: Behavior<unknown, { left: number; alive: number }> = {
    init: (ctx) => {
      for (let at = 0; at < portion; at++) ctx.spawnMonitor(child)
      return { left: count - portion, alive: portion }
    },
    receive: () => next.same,
    notice(ctx, notice, state) {
      if (notice.kind !== 'down') return next.same
      if (state.left-- > 0) ctx.spawnMonitor(child)
      else if (--state.alive === 0) fire()
      return next.same
    },
  }
  system.spawn(parent)
  await done
  await system.shutdown()
}

export async function run(): Promise<Measurement> {
  return {
    name: 'spawn + monitor + exit + down',
    unit: 'actors/s',
    value: await rate(count, actors),
    budget: { absolute: 1.8e6 },
  }
}

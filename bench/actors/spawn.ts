import { createSystem, next, type Behavior } from '@daruma/actors'
import { exitNormal } from '@daruma/protocol'
import { rate, scaled, signal, type Measurement } from '../harness.ts'
import { FloorActor, FloorLoop } from './floor.ts'

/** All are spawned and sent to before the first runs: a million are alive at once. */
async function actors(count: number): Promise<void> {
  const system = createSystem()
  const { done, fire } = signal()
  let ended = 0
  const mayfly: Behavior<number, null> = {
    init: () => null,
    receive() {
      if (++ended === count) fire()
      return next.stop(exitNormal)
    },
  }
  for (let at = 0; at < count; at++) system.send(system.spawn(mayfly), at)
  await done
  await system.shutdown()
}

/** An id, a table to be found in, a first message, an end. */
function floor(count: number): void {
  const loop = new FloorLoop()
  const table = new Map<number, FloorActor>()
  class Mayfly extends FloorActor {
    readonly id: number
    constructor(id: number) {
      super()
      this.id = id
    }
    receive(): void {
      table.delete(this.id)
    }
  }
  for (let at = 0; at < count; at++) {
    const actor = new Mayfly(at)
    table.set(at, actor)
    loop.send(actor, at)
  }
  loop.drain()
}

export async function run(): Promise<readonly Measurement[]> {
  const at = async (count: number, rounds: number): Promise<Measurement> => ({
    name: `spawn, message, exit: ${count.toLocaleString('en')}`,
    unit: 'actors/s',
    value: await rate(count, () => actors(count), rounds),
    floor: await rate(count, () => floor(count), rounds),
    budget: { share: 0.5 },
  })
  return [await at(scaled(100_000), 5), await at(scaled(1_000_000), 2)]
}

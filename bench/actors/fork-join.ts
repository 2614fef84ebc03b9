import { createSystem, next, type Behavior } from '@daruma/actors'
import { rate, scaled, signal, type Measurement } from '../harness.ts'
import { FloorActor, FloorLoop } from './floor.ts'

const actorCount = scaled(60)
const messagesEach = scaled(50_000)
const total = actorCount * messagesEach
const created = scaled(200_000)

/** Creation of Savina's ForkJoin: each actor gets one message, computes a little, and ends. */
async function create(): Promise<void> {
  const system = createSystem()
  const { done, fire } = signal()
  let [finished, sum] = [0, 0]
  const worker: Behavior<number, null> = {
    init: () => null,
    receive(_ctx, message) {
      sum += Math.sin(message)
      if (++finished === created) fire()
      return next.stop({ kind: 'normal' })
    },
  }
  for (let at = 0; at < created; at++) system.send(system.spawn(worker), at)
  await done
  if (Number.isNaN(sum)) throw new Error('not a sum')
  await system.shutdown()
}

// The floor's classes stand outside of a round, so that each round finds them compiled.

class FloorMayfly extends FloorActor {
  readonly #living: Set<FloorActor>

  constructor(living: Set<FloorActor>) {
    super()
    this.#living = living
    living.add(this)
  }

  receive(message: number): void {
    if (Math.sin(message) <= 1) this.#living.delete(this)
  }
}

class FloorWorker extends FloorActor {
  sum = 0

  receive(message: number): void {
    this.sum += Math.sin(message)
  }
}

function createFloor(): void {
  const loop = new FloorLoop()
  const living = new Set<FloorActor>()
  for (let at = 0; at < created; at++) loop.send(new FloorMayfly(living), at)
  loop.drain()
  if (living.size > 0) throw new Error(`${living.size} are left`)
}

/** Throughput of Savina's ForkJoin: many messages to each of many, sent in turns. */
async function throughput(): Promise<void> {
  const system = createSystem()
  const { done, fire } = signal()
  let finished = 0
  const worker: Behavior<number, number> = {
    init: () => 0,
    receive(_ctx, message, sum) {
      if (message === messagesEach - 1 && ++finished === actorCount) fire()
      return next.state(sum + Math.sin(message))
    },
  }
  const workers = Array.from({ length: actorCount }, () => system.spawn(worker))
  for (let at = 0; at < messagesEach; at++) for (const pid of workers) system.send(pid, at)
  await done
  await system.shutdown()
}

function throughputFloor(): void {
  const loop = new FloorLoop()
  const workers = Array.from({ length: actorCount }, () => new FloorWorker())
  for (let at = 0; at < messagesEach; at++) for (const worker of workers) loop.send(worker, at)
  loop.drain()
}

export async function run(): Promise<readonly Measurement[]> {
  return [
    {
      name: 'create, one message each',
      unit: 'actors/s',
      value: await rate(created, create, 4),
      floor: await rate(created, createFloor, 4),
    },
    {
      name: `throughput, ${actorCount} actors`,
      unit: 'messages/s',
      value: await rate(total, throughput, 3),
      floor: await rate(total, throughputFloor, 3),
    },
  ]
}

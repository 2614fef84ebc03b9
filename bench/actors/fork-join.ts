import { createSystem, next, type Behavior } from '@daruma/actors'
import { rate, signal, type Measurement } from '../harness.ts'

const actorCount = 60
const messagesEach = 50_000
const total = actorCount * messagesEach

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

export async function run(): Promise<Measurement> {
  return { name: `throughput, ${actorCount} actors`, unit: 'messages/s', value: await rate(total, throughput, 3) }
}

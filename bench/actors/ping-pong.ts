import { createSystem, next, type Actor, type Behavior } from '@daruma/actors'
import { rate, scaled, signal, type Measurement } from '../harness.ts'
import { FloorActor, FloorLoop } from './floor.ts'

const messages = scaled(4_000_000)

interface Ball {
  readonly from: Actor<Ball>
  readonly left: number
}

async function actors(): Promise<void> {
  const system = createSystem()
  const { done, fire } = signal()
  const player: Behavior<Ball, null> = {
    init: () => null,
    receive(ctx, { from, left }) {
      if (left > 0) ctx.send(from, { from: ctx.self, left: left - 1 })
      else fire()
      return next.same
    },
  }
  const [ping, pong] = [system.spawn(player), system.spawn(player)]
  system.send(ping, { from: pong, left: messages })
  await done
  await system.shutdown()
}

interface FloorBall {
  readonly from: FloorActor
  readonly left: number
}

function floor(): void {
  const loop = new FloorLoop()
  class Player extends FloorActor {
    receive({ from, left }: FloorBall): void {
      if (left > 0) loop.send(from, { from: this, left: left - 1 })
    }
  }
  loop.send(new Player(), { from: new Player(), left: messages })
  loop.drain()
}

export async function run(): Promise<Measurement> {
  const name = 'two actors, one message'
  return {
    name,
    unit: 'messages/s',
    value: await rate(messages, actors),
    floor: await rate(messages, floor),
    budget: { share: 0.55, absolute: 8.25e6 },
  }
}

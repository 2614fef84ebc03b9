import { createSystem, next, type Actor, type Behavior } from '@daruma/actors'
import { rate, scaled, signal, type Measurement } from '../harness.ts'
import { FloorActor, FloorLoop } from './floor.ts'

const actorCount = 1_000
const hops = scaled(4_000_000)

type Token = { readonly kind: 'next'; readonly actor: Actor<Token> } | { readonly kind: 'token'; readonly left: number }

async function actors(): Promise<void> {
  const system = createSystem()
  const { done, fire } = signal()
  const member: Behavior<Token, Actor<Token> | null> = {
    init: () => null,
    receive(ctx, message, neighbour) {
      if (message.kind === 'next') return next.state(message.actor)
      if (message.left > 0) ctx.send(neighbour!, { kind: 'token', left: message.left - 1 })
      else fire()
      return next.same
    },
  }
  const ring = Array.from({ length: actorCount }, () => system.spawn(member))
  for (const [at, actor] of ring.entries()) system.send(actor, { kind: 'next', actor: ring[(at + 1) % actorCount]! })
  system.send(ring[0]!, { kind: 'token', left: hops })
  await done
  await system.shutdown()
}

function floor(): void {
  const loop = new FloorLoop()
  class Member extends FloorActor {
    neighbour: Member | undefined = undefined
    receive({ left }: { readonly left: number }): void {
      if (left > 0) loop.send(this.neighbour!, { kind: 'token', left: left - 1 })
    }
  }
  const ring = Array.from({ length: actorCount }, () => new Member())
  for (const [at, actor] of ring.entries()) actor.neighbour = ring[(at + 1) % actorCount]
  loop.send(ring[0]!, { kind: 'token', left: hops })
  loop.drain()
}

export async function run(): Promise<Measurement> {
  return {
    name: `one token round ${actorCount} actors`,
    unit: 'messages/s',
    value: await rate(hops, actors),
    floor: await rate(hops, floor),
    budget: { share: 0.55, absolute: 8.75e6 },
  }
}

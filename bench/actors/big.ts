import { createSystem, next, type Actor, type Behavior } from '@daruma/actors'
import { rate, scaled, signal, type Measurement } from '../harness.ts'
import { FloorActor, FloorLoop } from './floor.ts'

const actorCount = 1_000
const pingsEach = scaled(2_000, 10)
const total = actorCount * pingsEach * 2

type Big = { readonly kind: 'ping'; readonly from: Actor<Big> } | { readonly kind: 'pong' }

/** A cheap repeatable way to pick the next one: the point is the traffic, not the chance. */
const pick = (at: number): number => (at * 48_271 + 12_345) % actorCount

async function actors(): Promise<void> {
  const system = createSystem()
  const { done, fire } = signal()
  let finished = 0
  const all: Actor<Big>[] = []
  const member: Behavior<Big, { left: number; at: number }, number> = {
    init: (_ctx, at) => ({ left: pingsEach, at }),
    receive(ctx, message, state) {
      if (message.kind === 'ping') {
        ctx.send(message.from, { kind: 'pong' })
        return next.same
      }
      if (state.left-- > 0) ctx.send(all[(state.at = pick(state.at))]!, { kind: 'ping', from: ctx.self })
      else if (++finished === actorCount) fire()
      return next.same
    },
  }
  for (let at = 0; at < actorCount; at++) all.push(system.spawn(member, { args: at }))
  for (const actor of all) system.send(actor, { kind: 'pong' })
  await done
  await system.shutdown()
}

function floor(): void {
  const loop = new FloorLoop()
  const all: Member[] = []
  class Member extends FloorActor {
    left = pingsEach
    at: number
    constructor(at: number) {
      super()
      this.at = at
    }
    receive(message: { readonly kind: string; readonly from?: FloorActor }): void {
      if (message.kind === 'ping') loop.send(message.from!, { kind: 'pong' })
      else if (this.left-- > 0) loop.send(all[(this.at = pick(this.at))]!, { kind: 'ping', from: this })
    }
  }
  for (let at = 0; at < actorCount; at++) all.push(new Member(at))
  for (const actor of all) loop.send(actor, { kind: 'pong' })
  loop.drain()
}

export async function run(): Promise<Measurement> {
  return {
    name: `${actorCount} actors, all to all`,
    unit: 'messages/s',
    value: await rate(total, actors),
    floor: await rate(total, floor),
    budget: { share: 0.55, absolute: 11e6 },
  }
}

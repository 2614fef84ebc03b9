import { createSystem, next, type Actor, type Behavior } from '@daruma/actors'
import { rate, scaled, signal, type Measurement } from '../harness.ts'
import { FloorActor, FloorLoop } from './floor.ts'

const meetings = scaled(400_000)
const creatures = 100

type Color = 0 | 1 | 2
interface Meet {
  readonly from: Actor<Met>
  readonly color: Color
}
type Met = { readonly kind: 'met'; readonly color: Color } | { readonly kind: 'closed' }

/** The colour that both turn to: their own if equal, else the third. */
const complement = (a: Color, b: Color): Color => (a === b ? a : ((3 - a - b) as Color))

async function chameneos(): Promise<void> {
  const system = createSystem()
  const { done, fire } = signal()
  const mall: Behavior<Meet, { left: number; waiting: Meet | undefined; closed: number }> = {
    init: () => ({ left: meetings, waiting: undefined, closed: 0 }),
    receive(ctx, message, state) {
      if (state.left === 0) {
        ctx.send(message.from, { kind: 'closed' })
        if (++state.closed === creatures) fire()
      } else if (state.waiting === undefined) state.waiting = message
      else {
        ctx.send(message.from, { kind: 'met', color: state.waiting.color })
        ctx.send(state.waiting.from, { kind: 'met', color: message.color })
        state.waiting = undefined
        if (--state.left === 0) state.closed = 0
      }
      return next.same
    },
  }
  const place = system.spawn(mall)
  const creature: Behavior<Met, Color, Color> = {
    init(ctx, color) {
      ctx.send(place, { from: ctx.self, color })
      return color
    },
    receive(ctx, message, color) {
      if (message.kind === 'closed') return next.stop({ kind: 'normal' })
      const turned = complement(color, message.color)
      ctx.send(place, { from: ctx.self, color: turned })
      return next.state(turned)
    },
  }
  for (let at = 0; at < creatures; at++) system.spawn(creature, { args: (at % 3) as Color })
  await done
  await system.shutdown()
}

// The floor's classes stand outside of a round, so that each round finds them compiled.

interface FloorMeet {
  readonly from: FloorActor
  readonly color: Color
}

class FloorMall extends FloorActor {
  readonly #loop: FloorLoop
  #waiting: FloorMeet | undefined
  left = meetings

  constructor(loop: FloorLoop) {
    super()
    this.#loop = loop
  }

  receive(message: FloorMeet): void {
    const waiting = this.#waiting
    if (this.left === 0) this.#loop.send(message.from, { kind: 'closed' })
    else if (waiting === undefined) this.#waiting = message
    else {
      this.#loop.send(message.from, { kind: 'met', color: waiting.color })
      this.#loop.send(waiting.from, { kind: 'met', color: message.color })
      this.#waiting = undefined
      this.left--
    }
  }
}

class FloorCreature extends FloorActor {
  readonly #loop: FloorLoop
  readonly #place: FloorMall
  #color: Color

  constructor(loop: FloorLoop, place: FloorMall, color: Color) {
    super()
    this.#loop = loop
    this.#place = place
    this.#color = color
    loop.send(place, { from: this, color })
  }

  receive(message: Met): void {
    if (message.kind === 'closed') return
    this.#color = complement(this.#color, message.color)
    this.#loop.send(this.#place, { from: this, color: this.#color })
  }
}

function floor(): void {
  const loop = new FloorLoop()
  const place = new FloorMall(loop)
  for (let at = 0; at < creatures; at++) void new FloorCreature(loop, place, (at % 3) as Color)
  loop.drain()
  if (place.left > 0) throw new Error(`${place.left} meetings are left`)
}

export async function run(): Promise<Measurement> {
  return {
    name: `${creatures} creatures`,
    unit: 'meetings/s',
    value: await rate(meetings, chameneos, 4),
    floor: await rate(meetings, floor, 4),
  }
}

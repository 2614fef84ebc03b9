import { createSystem, next, type Actor, type Behavior } from '@daruma/actors'
import { rate, signal, type Measurement } from '../harness.ts'

const meetings = 400_000
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

export async function run(): Promise<Measurement> {
  return { name: `${creatures} creatures`, unit: 'meetings/s', value: await rate(meetings, chameneos, 4) }
}

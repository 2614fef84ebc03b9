import { createSystem, next, type Actor, type Behavior } from '@daruma/actors'
import { rate, scaled, signal, type Measurement } from '../harness.ts'
import { FloorActor, FloorLoop } from './floor.ts'

const philosophers = 20
const mealsEach = scaled(10_000)
const total = philosophers * mealsEach

type Table =
  | { readonly kind: 'hungry' | 'done'; readonly seat: number; readonly from: Actor<Answer> }
  | { readonly kind: 'left'; readonly seat: number }
type Answer = 'eat' | 'wait' | 'hungry'

/** Savina's dining philosophers: a waiter hands out forks, who gets none asks again. */
async function dining(): Promise<void> {
  const system = createSystem()
  const { done, fire } = signal()
  const waiter: Behavior<Table, { readonly forks: boolean[]; left: number }> = {
    init: () => ({ forks: new Array<boolean>(philosophers).fill(true), left: 0 }),
    receive(ctx, message, state) {
      const [mine, other] = [message.seat, (message.seat + 1) % philosophers]
      if (message.kind === 'left') {
        if (++state.left === philosophers) fire()
      } else if (message.kind === 'done') state.forks[mine] = state.forks[other] = true
      else if (state.forks[mine] === true && state.forks[other] === true) {
        state.forks[mine] = state.forks[other] = false
        ctx.send(message.from, 'eat')
      } else ctx.send(message.from, 'wait')
      return next.same
    },
  }
  const table = system.spawn(waiter)
  const philosopher: Behavior<Answer, { readonly seat: number; meals: number }, number> = {
    init(ctx, seat) {
      ctx.send(ctx.self, 'hungry')
      return { seat, meals: 0 }
    },
    receive(ctx, message, state) {
      const { seat } = state
      if (message === 'eat') {
        ctx.send(table, { kind: 'done', seat, from: ctx.self })
        if (++state.meals === mealsEach) {
          ctx.send(table, { kind: 'left', seat })
          return next.stop({ kind: 'normal' })
        }
      }
      ctx.send(table, { kind: 'hungry', seat, from: ctx.self })
      return next.same
    },
  }
  for (let seat = 0; seat < philosophers; seat++) system.spawn(philosopher, { args: seat })
  await done
  await system.shutdown()
}

// The floor's classes stand outside of a round, so that each round finds them compiled.

class FloorWaiter extends FloorActor {
  readonly #loop: FloorLoop
  readonly #forks = new Array<boolean>(philosophers).fill(true)

  constructor(loop: FloorLoop) {
    super()
    this.#loop = loop
  }

  receive(message: { readonly kind: 'hungry' | 'done'; readonly seat: number; readonly from: FloorActor }): void {
    const forks = this.#forks
    const [mine, other] = [message.seat, (message.seat + 1) % philosophers]
    if (message.kind === 'done') forks[mine] = forks[other] = true
    else if (forks[mine] === true && forks[other] === true) {
      forks[mine] = forks[other] = false
      this.#loop.send(message.from, 'eat')
    } else this.#loop.send(message.from, 'wait')
  }
}

class FloorPhilosopher extends FloorActor {
  readonly #loop: FloorLoop
  readonly #table: FloorWaiter
  readonly #seat: number
  meals = 0

  constructor(loop: FloorLoop, table: FloorWaiter, seat: number) {
    super()
    this.#loop = loop
    this.#table = table
    this.#seat = seat
    loop.send(this, 'hungry')
  }

  receive(message: Answer): void {
    if (message === 'eat') {
      this.#loop.send(this.#table, { kind: 'done', seat: this.#seat, from: this })
      if (++this.meals === mealsEach) return
    }
    this.#loop.send(this.#table, { kind: 'hungry', seat: this.#seat, from: this })
  }
}

function floor(): void {
  const loop = new FloorLoop()
  const table = new FloorWaiter(loop)
  const all = Array.from({ length: philosophers }, (_unused, seat) => new FloorPhilosopher(loop, table, seat))
  loop.drain()
  if (all.some(({ meals }) => meals !== mealsEach)) throw new Error('somebody is still hungry')
}

export async function run(): Promise<Measurement> {
  return {
    name: `${philosophers} philosophers`,
    unit: 'meals/s',
    value: await rate(total, dining, 4),
    floor: await rate(total, floor, 4),
  }
}

import { createSystem, next, type Actor, type Behavior } from '@daruma/actors'
import { rate, signal, type Measurement } from '../harness.ts'

const philosophers = 20
const mealsEach = 10_000
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

export async function run(): Promise<Measurement> {
  return { name: `${philosophers} philosophers`, unit: 'meals/s', value: await rate(total, dining, 4) }
}

import { createSystem, next, type Behavior, type Request } from '@daruma/actors'
import { rate, scaled, type Measurement } from '../harness.ts'

const calls = scaled(500_000, 1_600)

type Ask = Request<{ readonly kind: 'next' }, number>

const counter: Behavior<Ask, number> = {
  init: () => 0,
  receive(ctx, message, count) {
    ctx.reply(message, count)
    return next.state(count + 1)
  },
}

/** One caller outside, one call after the other. */
async function fromOutside(): Promise<void> {
  const system = createSystem()
  const server = system.spawn(counter)
  for (let at = 0; at < calls; at++) await system.call(server, { kind: 'next' })
  await system.shutdown()
}

/** Sixteen processes, each with one call after the other. */
async function betweenActors(): Promise<void> {
  const system = createSystem()
  const server = system.spawn(counter)
  const clients = Array.from({ length: 16 }, () =>
    system.spawn(async (ctx) => {
      for (let at = 0; at < calls / 16; at++) await ctx.call(server, { kind: 'next' })
    }),
  )
  await Promise.all(clients.map((client) => system.exited(client)))
  await system.shutdown()
}

/** A table of waiters and a promise each: no monitor, no deadline, no late reply. */
async function floor(): Promise<void> {
  const waiters = new Map<number, (value: number) => void>()
  let [count, serial] = [0, 0]
  const inbox: { kind: 'next'; ref: number }[] = []
  const serve = (): void => {
    for (let ask = inbox.pop(); ask !== undefined; ask = inbox.pop()) {
      const waiter = waiters.get(ask.ref)!
      waiters.delete(ask.ref)
      waiter(count++)
    }
  }
  const settled = Promise.resolve()
  for (let at = 0; at < calls; at++) {
    await new Promise<number>((resolve) => {
      const ref = ++serial
      waiters.set(ref, resolve)
      inbox.push({ kind: 'next', ref })
      void settled.then(serve)
    })
  }
}

export async function run(): Promise<readonly Measurement[]> {
  const bare = await rate(calls, floor)
  return [
    {
      name: 'between actors, 16 callers',
      unit: 'calls/s',
      value: await rate(calls, betweenActors),
      floor: bare,
      budget: { absolute: 1.5e6 },
    },
    { name: 'from outside, one by one', unit: 'calls/s', value: await rate(calls, fromOutside), floor: bare },
  ]
}

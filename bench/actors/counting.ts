import { createSystem, next, type Actor, type Behavior, type MailboxOptions, type Request } from '@daruma/actors'
import { rate, scaled, type Measurement } from '../harness.ts'
import { FloorActor, FloorLoop } from './floor.ts'

const messages = scaled(5_000_000)

type Count = { readonly kind: 'add'; readonly by: number } | Request<{ readonly kind: 'sum' }, number>

const counter: Behavior<Count, number> = {
  init: () => 0,
  receive(ctx, message, sum) {
    if (message.kind === 'add') return next.state(sum + message.by)
    ctx.reply(message, sum)
    return next.same
  },
}

/** Sends in portions, so that a bounded counter can keep up: what is refused is sent again later. */
const producer: Behavior<number, number, Actor<Count>> = {
  init: (ctx, target) => next.continue(target, messages),
  receive: () => next.same,
  handleContinue(ctx, value, left) {
    const target = value as Actor<Count>
    for (let at = 0; at < 500 && left > 0; at++, left--) {
      if (ctx.send(target, { kind: 'add', by: 1 }) !== undefined) return next.yield(target, left)
    }
    return left > 0 ? next.yield(target, left) : next.stop({ kind: 'normal' }, left)
  },
}

async function bounded(mailbox: MailboxOptions): Promise<void> {
  const system = createSystem()
  const target = system.spawn(counter, { mailbox })
  await system.exited(system.spawn(producer, { args: target }))
  while ((await system.call(target, { kind: 'sum' })) < messages);
  await system.shutdown()
}

/** The sender never waits: all five million stand in the mailbox before the first is counted. */
async function unbounded(): Promise<void> {
  const system = createSystem()
  const target = system.spawn(counter)
  for (let at = 0; at < messages; at++) system.send(target, { kind: 'add', by: 1 })
  await system.call(target, { kind: 'sum' }, { timeoutMs: Infinity })
  await system.shutdown()
}

function floor(): void {
  const loop = new FloorLoop()
  let sum = 0
  class Counter extends FloorActor {
    receive({ by }: { readonly by: number }): void {
      sum += by
    }
  }
  const target = new Counter()
  for (let at = 0; at < messages; at++) loop.send(target, { kind: 'add', by: 1 })
  loop.drain()
  if (sum !== messages) throw new Error(`counted ${sum}`)
}

export async function run(): Promise<readonly Measurement[]> {
  return [
    {
      name: 'bounded mailbox of 1,000',
      unit: 'messages/s',
      value: await rate(messages, () => bounded({ limit: 1_000 })),
      budget: { absolute: 15e6 },
    },
    {
      name: 'unbounded, all queued first',
      unit: 'messages/s',
      value: await rate(messages, unbounded, 2),
      floor: await rate(messages, floor, 2),
      budget: { share: 0.5 },
    },
  ]
}

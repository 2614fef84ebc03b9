import { createSystem, next, type Behavior, type Request } from '@daruma/actors'
import { rate, scaled, type Measurement } from '../harness.ts'

type Work = number | Request<'done', true>

const worker: Behavior<Work, number> = {
  init: () => 0,
  receive(ctx, message, sum) {
    if (typeof message === 'number') return next.state(sum + message)
    ctx.reply(message, true)
    return next.same
  },
}

/** `total` messages, in portions of `backlog` that stand in the mailbox together. */
async function portions(total: number, backlog: number): Promise<void> {
  const system = createSystem()
  const actor = system.spawn(worker)
  for (let sent = 0; sent < total; sent += backlog) {
    for (let at = 0; at < backlog; at++) system.send(actor, at)
    await system.call(actor, 'done', { timeoutMs: Infinity })
  }
  await system.shutdown()
}

const total = scaled(1_000_000, 1_000)

export async function run(): Promise<Measurement> {
  // A backlog of a thousand, not ten: each portion ends with a call, whose price must not be what is compared.
  const small = await rate(total, () => portions(total, 1_000))
  const large = await rate(total, () => portions(total, total))
  return {
    name: 'a million waiting, beside a thousand',
    unit: 'messages/s',
    value: large,
    floor: small,
    budget: { share: 0.8 },
  }
}

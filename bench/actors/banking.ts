import { createSystem, next, type Actor, type Behavior, type Request } from '@daruma/actors'
import { rate, scaled, type Measurement } from '../harness.ts'
import { FloorServer } from './floor-call.ts'

const accounts = 1_000
const transfers = scaled(200_000, 1_000)
const tellers = 50

type Account = Request<{ readonly kind: 'debit' | 'credit'; readonly amount: number }, number>

const account: Behavior<Account, number> = {
  init: () => 1_000_000,
  receive(ctx, message, balance) {
    const after = balance + (message.kind === 'credit' ? message.amount : -message.amount)
    ctx.reply(message, after)
    return next.state(after)
  },
}

/** Savina's bank transaction: each transfer is two calls, one after the other, by tellers that await. */
async function banking(): Promise<void> {
  const system = createSystem()
  const all: Actor<Account>[] = Array.from({ length: accounts }, () => system.spawn(account))
  const clerks = Array.from({ length: tellers }, (_unused, teller) =>
    system.spawn(async (ctx) => {
      for (let at = 0; at < transfers / tellers; at++) {
        const from = (teller * 7_919 + at * 31) % accounts
        await ctx.call(all[from]!, { kind: 'debit', amount: 1 })
        await ctx.call(all[(from + 1 + at) % accounts]!, { kind: 'credit', amount: 1 })
      }
    }),
  )
  await Promise.all(clerks.map((clerk) => system.exited(clerk)))
  await system.shutdown()
}

async function floor(): Promise<void> {
  const all = Array.from({ length: accounts }, () => {
    let balance = 1_000_000
    return new FloorServer<{ readonly kind: 'debit' | 'credit'; readonly amount: number }, number>(
      ({ kind, amount }) => (balance += kind === 'credit' ? amount : -amount),
    )
  })
  const teller = async (number: number): Promise<void> => {
    for (let at = 0; at < transfers / tellers; at++) {
      const from = (number * 7_919 + at * 31) % accounts
      await all[from]!.ask({ kind: 'debit', amount: 1 })
      await all[(from + 1 + at) % accounts]!.ask({ kind: 'credit', amount: 1 })
    }
  }
  await Promise.all(Array.from({ length: tellers }, (_unused, number) => teller(number)))
}

export async function run(): Promise<Measurement> {
  return {
    name: `${tellers} tellers, two calls each`,
    unit: 'transfers/s',
    value: await rate(transfers, banking, 4),
    floor: await rate(transfers, floor, 4),
  }
}

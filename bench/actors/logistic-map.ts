import { createSystem, type Behavior, type BodyContext, type Request } from '@daruma/actors'
import { rate, scaled, type Measurement } from '../harness.ts'
import { FloorServer } from './floor-call.ts'

const series = 10
const terms = scaled(25_000)
const total = series * terms

type Compute = Request<{ readonly kind: 'next'; readonly term: number; readonly growth: number }, number>

const computer: Behavior<Compute> = {
  receive: (ctx, message) => ctx.reply(message, message.growth * message.term * (1 - message.term)),
}

type Series = 'next' | Request<'term', number>

/** Savina's logistic map: a series takes no message while its computer works, which `await` in a handler says. */
const logistic = (growth: number) => async (ctx: BodyContext<Series>) => {
  const helper = ctx.spawnLink(computer)
  let term = growth * 0.1
  for (;;) {
    const message = await ctx.receive()
    if (message === 'next') term = await ctx.call(helper, { kind: 'next', term, growth })
    else ctx.reply(message as 'term', term as never)
  }
}

async function logisticMap(): Promise<void> {
  const system = createSystem()
  const all = Array.from({ length: series }, (_unused, at) => system.spawn(logistic(3.6 + at * 0.01)))
  for (let at = 0; at < terms; at++) for (const pid of all) system.send(pid, 'next')
  await Promise.all(all.map((pid) => system.call(pid, 'term', { timeoutMs: Infinity })))
  await system.shutdown()
}

async function floor(): Promise<void> {
  const inboxes = Array.from({ length: series }, (): 'next'[] => [])
  for (let at = 0; at < terms; at++) for (const inbox of inboxes) inbox.push('next')
  const one = async (inbox: readonly 'next'[], growth: number): Promise<number> => {
    const helper = new FloorServer<{ readonly term: number; readonly growth: number }, number>(
      (request) => request.growth * request.term * (1 - request.term),
    )
    let term = growth * 0.1
    for (const _next of inbox) term = await helper.ask({ term, growth })
    return term
  }
  await Promise.all(inboxes.map((inbox, at) => one(inbox, 3.6 + at * 0.01)))
}

export async function run(): Promise<Measurement> {
  return {
    name: `${series} series`,
    unit: 'terms/s',
    value: await rate(total, logisticMap, 4),
    floor: await rate(total, floor, 4),
  }
}

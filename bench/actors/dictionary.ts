import { createSystem, next, type Behavior, type Request } from '@daruma/actors'
import { rate, scaled, type Measurement } from '../harness.ts'
import { FloorServer } from './floor-call.ts'

const workers = 20
const requestsEach = scaled(20_000)
const total = workers * requestsEach

type Dictionary =
  | Request<{ readonly kind: 'write'; readonly key: number; readonly value: number }, true>
  | Request<{ readonly kind: 'read'; readonly key: number }, number>

const dictionary: Behavior<Dictionary, Map<number, number>> = {
  init: () => new Map(),
  receive(ctx, message, entries) {
    if (message.kind === 'write') {
      entries.set(message.key, message.value)
      ctx.reply(message, true)
    } else ctx.reply(message, entries.get(message.key) ?? 0)
    return next.same
  },
}

/** Savina's concurrent dictionary: one in ten writes, every request awaited. */
async function concurrentDictionary(): Promise<void> {
  const system = createSystem()
  const target = system.spawn(dictionary)
  const clients = Array.from({ length: workers }, (_unused, worker) =>
    system.spawn(async (ctx) => {
      for (let at = 0; at < requestsEach; at++) {
        const key = (worker * 104_729 + at * 7) % 5_000
        if (at % 10 === 0) await ctx.call(target, { kind: 'write', key, value: at })
        else await ctx.call(target, { kind: 'read', key })
      }
    }),
  )
  await Promise.all(clients.map((client) => system.exited(client)))
  await system.shutdown()
}

async function floor(): Promise<void> {
  const entries = new Map<number, number>()
  const target = new FloorServer<{ kind: 'read' | 'write'; key: number; value: number }, number | true>((request) => {
    if (request.kind === 'read') return entries.get(request.key) ?? 0
    entries.set(request.key, request.value)
    return true
  })
  const client = async (worker: number): Promise<void> => {
    for (let at = 0; at < requestsEach; at++) {
      const key = (worker * 104_729 + at * 7) % 5_000
      await target.ask({ kind: at % 10 === 0 ? 'write' : 'read', key, value: at })
    }
  }
  await Promise.all(Array.from({ length: workers }, (_unused, worker) => client(worker)))
}

export async function run(): Promise<Measurement> {
  return {
    name: `${workers} clients, 10 % writes`,
    unit: 'requests/s',
    value: await rate(total, concurrentDictionary, 4),
    floor: await rate(total, floor, 4),
  }
}

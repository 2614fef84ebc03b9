import { createSystem, next, type Behavior, type Request } from '@daruma/actors'
import { collectGarbage, scaled, type Measurement } from '../harness.ts'

/** `SOAK=10` runs ten times as long: 10 M spawns and exits, 100 M messages. */
const scale = Number(process.env['SOAK'] ?? 1)
const rounds = scaled(20, 6)
const spawnsPerRound = scaled(50_000 * scale, 5_000)
const messagesPerRound = scaled(500_000 * scale)

const echo: Behavior<Request<number, number>> = { receive: (ctx, message) => ctx.reply(message, message as never) }

function heapBytes(): number {
  for (let at = 0; at < 3; at++) collectGarbage()
  return process.memoryUsage().heapUsed
}

/** Everything that can be left behind: names, links, monitors, timers, groups, calls, crashes, bursts in a mailbox. */
export async function run(): Promise<readonly Measurement[]> {
  const system = createSystem()
  const server = system.spawn(echo, { name: 'server' })
  const sink = system.spawn({ init: () => 0, receive: (_ctx, by, sum) => next.state(sum + by) } satisfies Behavior<
    number,
    number
  >)
  const worker: Behavior<'work', number, number> = {
    init(ctx, at) {
      ctx.after(60_000, 'work')
      ctx.monitor('server')
      if (at % 2 === 0) ctx.link(server)
      ctx.unlink(server)
      if (at % 10 === 0) system.groups.join('workers', ctx.self)
      return at
    },
    async receive(ctx, _message, at) {
      await ctx.call(server, at)
      if (at % 100 === 0) throw new Error('one in a hundred')
      return next.stop({ kind: 'normal' })
    },
  }
  const sizes: number[] = []
  for (let round = 0; round < rounds; round++) {
    for (let done = 0; done < spawnsPerRound; done += 5_000) {
      let last = system.spawn(worker, { args: 1 })
      system.send(last, 'work')
      for (let at = 1; at < 5_000; at++) {
        last = system.spawn(worker, at % 50 === 0 ? { args: at, name: `worker ${at}` } : { args: at })
        system.send(last, 'work')
      }
      while (system.size > 2) await new Promise((resolve) => setImmediate(resolve))
    }
    for (let at = 0; at < messagesPerRound; at++) system.send(sink, 1)
    await system.call(server, 0)
    while ((system.processInfo(sink)?.mailboxLength ?? 0) > 0) await new Promise((resolve) => setImmediate(resolve))
    sizes.push(heapBytes())
  }
  const early = sizes[4]!
  return [
    {
      name: `heap after ${rounds * spawnsPerRound} lives, over round 5`,
      unit: 'KiB',
      value: (sizes.at(-1)! - early) / 1_024,
      budget: { absolute: 256 },
    },
  ]
}

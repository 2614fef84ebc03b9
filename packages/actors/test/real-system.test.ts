import { systemClock } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { createSystem, next, type Behavior, type Request } from '../src/index.ts'

/** What only the real scheduler and clock can show. */
describe('a system on the machine’s clock', () => {
  const echo: Behavior<Request<number, number>> = { receive: (ctx, message) => ctx.reply(message, message as never) }

  test('a call from outside is answered within the same turn of the event loop', async () => {
    await using system = createSystem()
    const pid = system.spawn(echo)
    let turned = false
    setImmediate(() => (turned = true))
    expect(await system.call(pid, 7)).toBe(7)
    expect(turned).toBe(false)
  })
  test('a ring of a hundred thousand actors passes a token without a stack', async () => {
    await using system = createSystem()
    const member = (to: number): Behavior<number> => ({
      receive: (ctx, left) =>
        left === 0 ? next.stop({ kind: 'normal', value: to }) : void ctx.send(`m${to}`, left - 1),
    })
    const size = 100_000
    for (let at = 0; at < size; at++) system.spawn(member((at + 1) % size), { name: `m${at}` })
    const last = system.whereis(`m${size - 1}`)!
    const exit = system.exited(last)
    system.send('m0', size - 1)
    expect(await exit).toMatchObject({ kind: 'normal' })
    await system.shutdown({ deadlineMs: 1_000 })
  })
  test('the event loop has its turns while actors never rest', async () => {
    const system = createSystem()
    const spinner: Behavior<number> = { receive: (ctx, message) => void ctx.send(ctx.self, message) }
    const talker = system.spawn(echo)
    for (let at = 0; at < 10; at++) {
      system.send(system.spawn(spinner), at)
      system.spawn(async (ctx) => {
        for (;;) await ctx.call(talker, 1)
      })
    }
    let turns = 0
    const clock = systemClock()
    const untilMs = clock.monotonicMs() + 150
    while (clock.monotonicMs() < untilMs) {
      await new Promise((resolve) => setImmediate(resolve))
      turns++
    }
    expect(turns).toBeGreaterThan(5)
    await system.shutdown({ deadlineMs: 0 })
  })
  test('ended processes, answered calls and released timers leave nothing in the system', async () => {
    const system = createSystem()
    const server = system.spawn(echo, { name: 'server' })
    for (let round = 0; round < 200; round++) {
      const workers = Array.from({ length: 50 }, (_unused, at) =>
        system.spawn(
          async (ctx) => {
            ctx.after(60_000, 'never')
            ctx.monitor('server')
            ctx.link(server)
            ctx.unlink(server)
            system.groups.join('workers', ctx.self)
            await ctx.call(server, at)
          },
          { name: `worker ${at}` },
        ),
      )
      await Promise.all(workers.map((worker) => system.exited(worker)))
    }
    expect(system.size).toBe(1)
    expect(system.groups.names()).toEqual([])
    expect(system.processInfo(server)).toMatchObject({ monitoredBy: [], links: [], monitors: [], mailboxLength: 0 })
    await system.shutdown()
  })
  test('a stopped process is garbage even while somebody holds its pid', async () => {
    const system = createSystem()
    const pid = system.spawn(() => undefined)
    await system.exited(pid)
    expect(pid.target).toBeUndefined()
    await system.shutdown()
  })
  test('await using shuts a system down', async () => {
    let ended = false
    {
      await using system = createSystem()
      system.spawn({ receive: () => next.same, release: () => void (ended = true) } satisfies Behavior)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(ended).toBe(true)
  })
})

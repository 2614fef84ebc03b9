import { createSystem, next, type Behavior } from '@daruma/actors'
import { scaledMs, type Measurement } from '../harness.ts'

/** The longest time for which the event loop got no turn while actors never stop sending to themselves. */
async function longestGapMs(start: (stop: () => boolean) => void): Promise<number> {
  const endMs = performance.now() + scaledMs(1_500)
  let [lastMs, longestMs] = [performance.now(), 0]
  start(() => performance.now() > endMs)
  // The first turns compile the code; they are not what is asked for.
  for (let at = 0; performance.now() < endMs; at++) {
    await new Promise((resolve) => setImmediate(resolve))
    const nowMs = performance.now()
    if (at > 20) longestMs = Math.max(longestMs, nowMs - lastMs)
    lastMs = nowMs
  }
  return longestMs
}

export async function run(): Promise<readonly Measurement[]> {
  const busy = (workMs: number) =>
    longestGapMs((stop) => {
      const system = createSystem()
      const spinner: Behavior<number, null> = {
        init: () => null,
        receive(ctx, message) {
          const untilMs = performance.now() + workMs
          while (performance.now() < untilMs);
          if (!stop()) ctx.send(ctx.self, message)
          return next.same
        },
      }
      for (let at = 0; at < 100; at++) system.send(system.spawn(spinner), at)
    })
  const asynchronous = longestGapMs((stop) => {
    const system = createSystem()
    const echo = system.spawn({ receive: (ctx, message) => ctx.reply(message, 1) } satisfies Behavior)
    for (let at = 0; at < 10; at++) {
      system.spawn(async (ctx) => {
        while (!stop()) await ctx.call(echo, 'x')
      })
    }
  })
  const gap = (name: string, value: number): Measurement => ({ name, unit: 'ms', value, budget: { absolute: 10 } })
  return [
    gap('longest gap, async callers', await asynchronous),
    gap('longest gap, handlers of 1 us', await busy(0.001)),
    gap('longest gap, handlers of 1 ms', await busy(1)),
  ]
}

import { AppError, systemRng } from '@daruma/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Entry } from '@daruma/registry'
import { auto, Bench, manual, type Act } from './services-bench.ts'

const boom = new AppError('internal', 'boom')
const never = new AppError('invalid', 'never', undefined, { retryable: false })
const count = 5
const names = Array.from({ length: count }, (_, index) => `s${index}`)

/** Service n may require those before it. */
const graphs = fc.array(fc.tuple(fc.boolean(), fc.array(fc.nat(count), { maxLength: 3 })), {
  minLength: count,
  maxLength: count,
})
const acts = fc.constantFrom<Act>('well', 'well', 'well', 'never', boom, never)
const scripts = fc.array(
  fc.tuple(fc.array(acts, { minLength: 1, maxLength: 4 }), fc.constantFrom<Act>('well', 'well', 'never', boom)),
  {
    minLength: count,
    maxLength: count,
  },
)
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 20_000 }) }),
    fc.record({
      kind: fc.constantFrom('crash' as const, 'finish' as const, 'refuse' as const, 'come_up' as const),
      at: fc.nat(count - 1),
    }),
    fc.record({ kind: fc.constantFrom('start' as const, 'stop' as const), at: fc.nat(count - 1) }),
  ),
  { maxLength: 15 },
)

test('whatever happens: one run each, required ones first, every stop bounded, nothing left behind', async () => {
  const seed = Number(process.env['DARUMA_SEED'] ?? Math.floor(systemRng().next() * 2 ** 31))
  console.log(`services: seed ${seed}`)
  const property = fc.asyncProperty(
    graphs,
    scripts,
    steps,
    fc.integer({ min: 0, max: 15_000 }),
    async (graph, acting, todo, deadlineMs) => {
      const requires = graph.map(([, wanted], at) => [...new Set(wanted.filter((other) => other < at))])
      const entries: Entry[] = graph.map(([isAuto], at) => {
        const lifecycle = { requires: requires[at]!.map((other) => names[other]!), restart: { max_attempts: 3 } }
        return isAuto ? auto(names[at]!, lifecycle) : manual(names[at]!, lifecycle)
      })
      const bench = new Bench(entries)
      for (const [at, [onStart, onStop]] of acting.entries()) Object.assign(bench.of(names[at]!), { onStart, onStop })

      const closure = (at: number): number[] => requires[at]!.flatMap((other) => [other, ...closure(other)])
      const isThere = (at: number): boolean => {
        const { state, finished } = bench.statusOf(names[at]!)
        return state === 'running' || finished === true
      }
      // Checked at the moment of asking, and told afterwards: what a service throws is only its own failure.
      const wrong: string[] = []
      for (const [at, name] of names.entries()) {
        const script = bench.of(name)
        const start = script.start.bind(script)
        script.start = async (signal) => {
          if (!closure(at).every(isThere)) wrong.push(`${name} started without what it requires`)
          if (script.running > 0) wrong.push(`${name} started twice`)
          const run = await start(signal)
          const stop = run.stop.bind(run)
          run.stop = (withinMs) => {
            const others = names.filter((other, from) => closure(from).includes(at) && bench.of(other).running > 0)
            if (others.length > 0) wrong.push(`${name} stopped before ${others.join(', ')}`)
            return stop(withinMs)
          }
          return run
        }
      }

      const orders: Promise<unknown>[] = [bench.services.startAll()]
      await bench.settle()
      for (const step of todo) {
        if (step.kind === 'wait') {
          await bench.advance(step.ms)
          continue
        }
        const name = names[step.at]!
        if (step.kind === 'crash') bench.of(name).crash(boom)
        else if (step.kind === 'refuse') bench.of(name).crash(never)
        else if (step.kind === 'finish') bench.of(name).finish()
        else if (step.kind === 'come_up') bench.of(name).comeUp()
        else orders.push(bench.services[step.kind](`app:${name}`))
        await bench.settle()
        for (const each of names) expect(bench.of(each).running).toBeLessThanOrEqual(1)
      }

      const stop = bench.services.stopAll(deadlineMs)
      await bench.advance(deadlineMs)
      for (const name of names) expect(['starting', 'running', 'stopping']).not.toContain(bench.stateOf(name))
      // Starts that hang are waited for a little longer.
      await bench.advance(1_000)
      await stop
      // What comes up after all is not kept, and nobody waits any more.
      for (const name of names) bench.of(name).comeUp()
      await Promise.all(orders)
      await bench.settle()
      for (const name of names) {
        expect(bench.of(name).running).toBe(0)
        expect(['unknown', 'stopped', 'exited', 'failed']).toContain(bench.stateOf(name))
        expect(bench.statusOf(name).nextAttemptMs).toBeUndefined()
      }
      expect(wrong).toEqual([])
      expect(bench.clock.pending).toBe(0)
    },
  )
  for (const each of [20_261_123, seed])
    await fc.assert(property, { seed: each, numRuns: Number(process.env['DARUMA_RUNS'] ?? 300) / 2 })
})

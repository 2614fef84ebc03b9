import { describe, expect, test } from 'vitest'
import { isAppError, seededRng, type Rng } from '@daruma/protocol'
import type { FaultPlan } from '@daruma/protocol/testing'
import { activity, workflow, type GeneratorContext, type Steps, type WorkflowContext } from '@daruma/workflow'
import { WorkflowLab } from '@daruma/workflow/testing'

/**
 * Random programs under random crashes, lost acknowledgements, refusals and delays, against a model: whatever happens
 * to the node, a workflow comes to the result that its program has when nothing happens.
 */
type Op =
  | { readonly kind: 'call'; readonly n: number }
  | { readonly kind: 'sleep'; readonly ms: number }
  | { readonly kind: 'receive'; readonly topic: string }
  | { readonly kind: 'child'; readonly ops: readonly Op[] }
  | { readonly kind: 'all'; readonly branches: readonly (readonly Op[])[] }
  | { readonly kind: 'random' }

const topics = ['a', 'b']

function randomOps(rng: Rng, depth: number, allowReceive: boolean): Op[] {
  return Array.from({ length: 1 + Math.floor(rng.next() * 4) }, (): Op => {
    const dice = rng.next()
    if (dice < 0.35) return { kind: 'call', n: Math.floor(rng.next() * 1_000) }
    if (dice < 0.55) return { kind: 'sleep', ms: Math.floor(rng.next() * 5_000) }
    if (dice < 0.65) return { kind: 'random' }
    if (dice < 0.75 && allowReceive) return { kind: 'receive', topic: topics[Math.floor(rng.next() * topics.length)]! }
    if (depth === 0) return { kind: 'call', n: 1 }
    if (dice < 0.88) return { kind: 'child', ops: randomOps(rng, depth - 1, false) }
    return {
      kind: 'all',
      branches: Array.from({ length: 2 + Math.floor(rng.next() * 2) }, () => randomOps(rng, depth - 1, false)),
    }
  })
}

const double = activity('double', (n: number) => n * 2)

const interpreter = workflow('interpreter', async (ctx, ops: readonly Op[]): Promise<unknown> => interpret(ctx, ops))

async function interpret(ctx: WorkflowContext, ops: readonly Op[]): Promise<unknown> {
  const results: unknown[] = []
  for (const op of ops) {
    switch (op.kind) {
      case 'call':
        results.push(await ctx.call(double, op.n))
        break
      case 'sleep':
        await ctx.sleep(op.ms)
        results.push('slept')
        break
      case 'receive':
        results.push(await ctx.receive(op.topic))
        break
      case 'child':
        results.push(await ctx.exec<unknown>('interpreter', op.ops))
        break
      case 'all':
        results.push(await Promise.all(op.branches.map((branch) => interpret(ctx, branch))))
        break
      case 'random':
        results.push(ctx.random() < 2)
        break
    }
  }
  return results
}

/** The same in the other form: a life may go on with the journal that the other one wrote. */
const generatorInterpreter = workflow.gen('interpreter', function* (ctx, ops: readonly Op[]): Steps<unknown> {
  return yield* interpretSteps(ctx, ops)
})

function* interpretSteps(ctx: GeneratorContext, ops: readonly Op[]): Steps<unknown> {
  const results: unknown[] = []
  for (const op of ops) {
    switch (op.kind) {
      case 'call':
        results.push(yield* ctx.call(double, op.n))
        break
      case 'sleep':
        yield* ctx.sleep(op.ms)
        results.push('slept')
        break
      case 'receive':
        results.push(yield* ctx.receive(op.topic))
        break
      case 'child':
        results.push(yield* ctx.exec<unknown>('interpreter', op.ops))
        break
      case 'all':
        results.push(yield* ctx.all(op.branches.map((branch) => ctx.fork(() => interpretSteps(ctx, branch)))))
        break
      case 'random':
        results.push(ctx.random() < 2)
        break
    }
  }
  return results
}

/** What the program comes to when nothing happens; `mail` hands out the messages of each topic in order. */
function model(ops: readonly Op[], mail: (topic: string) => number): unknown {
  return ops.map((op) => {
    switch (op.kind) {
      case 'call':
        return op.n * 2
      case 'sleep':
        return 'slept'
      case 'receive':
        return mail(op.topic)
      case 'child':
        return model(op.ops, mail)
      case 'all':
        return op.branches.map((branch) => model(branch, mail))
      case 'random':
        return true
    }
  })
}

function randomFaults(rng: Rng): FaultPlan {
  return ({ name }) => {
    if (rng.next() > 0.08) return undefined
    if (name !== 'append') return rng.next() < 0.5 ? { kind: 'fail' } : undefined
    const dice = rng.next()
    if (dice < 0.3) return { kind: 'fail' }
    if (dice < 0.6) return { kind: 'lose_ack' }
    if (dice < 0.8) return { kind: 'refuse_stored' }
    return { kind: 'delay_answer', durationMs: Math.floor(rng.next() * 2_000) }
  }
}

/** Plays until the end is known, crashing whenever the dice say so; what was not acknowledged is asked again, by its id. */
async function torture(seed: string): Promise<void> {
  const rng = seededRng(seed)
  const ops = randomOps(rng, 2, true)
  const forgets = rng.next() < 0.3
  const lab = new WorkflowLab({
    workflows: [interpreter],
    functions: [double],
    partitions: 1 + Math.floor(rng.next() * 3),
    maxResident: rng.next() < 0.3 ? 0 : 100,
    ...(rng.next() < 0.7 ? { checkpoint: { everyCommits: 1 + Math.floor(rng.next() * 12), growth: 0 } } : {}),
    ...(forgets ? { retention: { maxClosed: Math.floor(rng.next() * 3), journalBytes: 200 } } : {}),
  })
  const letters = topics.flatMap((topic) =>
    Array.from({ length: 12 }, (_, at) => ({ topic, value: at, id: `${topic}-${at}` })),
  )
  let crashes = Math.floor(rng.next() * 4)
  for (;;) {
    const isLast = crashes-- <= 0
    lab.define(rng.next() < 0.5 ? interpreter : generatorInterpreter)
    try {
      await lab.open(isLast ? undefined : randomFaults(rng))
      const play = (async () => {
        await lab.engine.start('interpreter', [ops], { id: 'w', requestId: 'w' })
        for (const { topic, value, id } of letters) {
          if (!isLast && rng.next() < 0.02) lab.crash()
          await lab.engine.send('w', topic, [value], { messageId: id }).catch((error: unknown) => {
            // It ended with letters unread: those that it needed, it had.
            if (!isAppError(error, 'not_found')) throw error
          })
        }
      })()
      await lab.settle(play, isLast ? 2_000 : Math.floor(rng.next() * 40))
      const outcome = await lab.settle(lab.engine.ended('w'), isLast ? 2_000 : Math.floor(rng.next() * 40))
      const next = new Map<string, number>()
      const expected = model(ops, (topic) => {
        const value = next.get(topic) ?? 0
        next.set(topic, value + 1)
        return value
      })
      expect(outcome, `seed ${seed}`).toEqual({ value: expected })
      return
    } catch (error) {
      if (forgets && isAppError(error, 'not_found')) return // it had ended, and a checkpoint let it go
      if (isLast || (!isAppError(error, 'timeout') && !isAppError(error, 'unavailable'))) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
      }
      lab.crash()
    }
  }
}

const fixed = Array.from({ length: 150 }, (_, at) => `fixed-${at}`)
const fresh = `run-${process.pid}-${Date.now()}`

describe('a random program comes to its result', () => {
  test('whatever fails on the way, for seeds fixed-0 to fixed-149', async () => {
    for (const seed of fixed) await torture(seed)
  })

  test(`whatever fails on the way, for 50 seeds from ${fresh}`, async () => {
    for (let at = 0; at < 50; at++) await torture(`${fresh}-${at}`)
  })
})

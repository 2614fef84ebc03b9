import {
  AppError,
  activity,
  isCanceled,
  workflow,
  type FunctionContext,
  type FunctionDefinition,
  type WorkflowDefinition,
} from '@daruma/daruma'
import { Pid } from '@daruma/protocol'

/** One execution of the one function: what the outside sees of it. */
export interface WorkInput {
  readonly value: number
  /** The first so many attempts fail. */
  readonly failures?: number
  /** They fail for good. */
  readonly fatal?: boolean
  readonly takesMs?: number
}

export const work = (input: WorkInput): number => input.value * 2 + 1

export interface Letter {
  readonly from: string
  /** Counts up from 1 for each sender. */
  readonly serial: number
}

export interface ChainInput {
  readonly steps: readonly WorkInput[]
}
export interface NapsInput {
  readonly napsMs: readonly number[]
}
export interface MailboxInput {
  readonly letters: number
  /** A new run after so many letters; 0: never. */
  readonly rollEvery: number
  readonly seen: readonly Letter[]
}
export interface CourierInput {
  readonly name: string
  readonly to: readonly string[]
  readonly letters: number
  readonly pauseMs: number
}
export interface FamilyInput {
  readonly children: readonly ChainInput[]
  readonly isParallel: boolean
  readonly depth: number
}
export interface RolloverInput {
  readonly left: number
  readonly sum: number
}
export interface WaiterInput {
  readonly cleanUp: WorkInput
}
export interface RaceInput {
  readonly slow: WorkInput
  readonly limitMs: number
}

const retry = { initialIntervalMs: 20, backoffCoefficient: 2, maximumIntervalMs: 400 }

/** What the nodes run. `before` is called by each execution of the function before it does anything. */
export function workload(before: (context: FunctionContext) => void): {
  readonly workflows: readonly WorkflowDefinition<never, unknown>[]
  readonly functions: readonly FunctionDefinition<never, unknown>[]
} {
  const toil = activity(
    'work',
    async (input: WorkInput, context) => {
      before(context)
      if (input.takesMs !== undefined) await new Promise((resolve) => setTimeout(resolve, input.takesMs))
      if (input.fatal === true) throw new AppError('conflict', 'refused for good', undefined, { retryable: false })
      if (context.attempt <= (input.failures ?? 0)) throw new Error(`attempt ${context.attempt} fails`)
      return work(input)
    },
    { retry },
  )

  const chain = workflow('chain', async (ctx, { steps }: ChainInput) => {
    const results: number[] = []
    for (const step of steps) results.push(await ctx.call(toil, step))
    return results
  })

  const chainByGenerator = workflow.gen('chain-gen', function* (ctx, { steps }: ChainInput) {
    const results: number[] = []
    for (const step of steps) results.push(yield* ctx.call(toil, step))
    return results
  })

  const naps = workflow('naps', async (ctx, { napsMs }: NapsInput) => {
    let early = 0
    const nap = async (napMs: number): Promise<void> => {
      const before = ctx.now()
      await ctx.sleep(napMs)
      if (ctx.now() - before < napMs) early++
    }
    for (const napMs of napsMs) await nap(napMs)
    await Promise.all(napsMs.map(nap))
    return early
  })

  const mailbox = workflow('mailbox', async (ctx, input: MailboxInput) => {
    const seen = [...input.seen]
    while (seen.length < input.letters) {
      const letter = await ctx.receive<Letter>('mail')
      seen.push(letter)
      if (letter.serial % 3 === 0) await ctx.call(toil, { value: letter.serial })
      if (input.rollEvery > 0 && seen.length % input.rollEvery === 0 && seen.length < input.letters) {
        ctx.continueAsNew({ ...input, seen })
      }
    }
    return seen
  })

  const courier = workflow('courier', async (ctx, { name, to, letters, pauseMs }: CourierInput) => {
    for (let serial = 1; serial <= letters; serial++) {
      for (const box of to) ctx.send(new Pid(ctx.self.home, box), 'mail', { from: name, serial } satisfies Letter)
      if (serial % 2 === 0) await ctx.sleep(pauseMs)
    }
    return letters
  })

  const family = workflow('family', async (ctx, { children, isParallel, depth }: FamilyInput): Promise<unknown> => {
    const one = (child: ChainInput): Promise<unknown> =>
      depth > 1
        ? ctx.exec('family', { children: [child], isParallel, depth: depth - 1 } satisfies FamilyInput)
        : ctx.exec(chain, child)
    if (!isParallel) {
      const results: unknown[] = []
      for (const child of children) results.push(await one(child))
      return results
    }
    const spawned = children.map((child) => ctx.spawn(chain, child))
    return [await Promise.all(spawned.map((handle) => handle.result())), await Promise.all(children.map(one))]
  })

  const rollover = workflow('rollover', async (ctx, { left, sum }: RolloverInput) => {
    const next = sum + (await ctx.call(toil, { value: left }))
    if (left > 1) ctx.continueAsNew({ left: left - 1, sum: next } satisfies RolloverInput)
    return next
  })

  const waiter = workflow('waiter', async (ctx, { cleanUp }: WaiterInput) => {
    try {
      await ctx.sleep('24h')
    } catch (error) {
      if (!isCanceled(error)) throw error
      await ctx.shield((inner) => inner.call(toil, cleanUp))
      throw error
    }
    return 'woke'
  })

  const doomed = workflow('doomed', async (ctx, { steps }: ChainInput) => {
    await Promise.all(steps.map((step) => ctx.call(toil, step)))
    return 'not doomed'
  })

  const race = workflow('race', async (ctx, { slow, limitMs }: RaceInput) => {
    const first = await Promise.race([ctx.call(toil, slow).then(() => 'work'), ctx.sleep(limitMs).then(() => 'time')])
    const within = await ctx
      .withTimeout(limitMs, (inner) => inner.call(toil, slow).then(() => 'work'))
      .catch(() => 'time')
    return [first, within]
  })

  return {
    workflows: [chain, chainByGenerator, naps, mailbox, courier, family, rollover, waiter, doomed, race],
    functions: [toil],
  }
}

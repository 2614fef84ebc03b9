import type { Rng } from '@daruma/protocol'
import type { Expected } from './ledger.ts'
import {
  work,
  type ChainInput,
  type CourierInput,
  type FamilyInput,
  type MailboxInput,
  type NapsInput,
  type RaceInput,
  type RolloverInput,
  type WaiterInput,
  type WorkInput,
} from './workload.ts'

/** One start that the driver asks for, and how the workflow must end. */
export interface Start {
  readonly workflow: string
  readonly type: string
  readonly input: unknown
  readonly expected: Expected
}

/** Messages of one sender to one mailbox, each after the one before was acknowledged. */
export interface Correspondence {
  readonly workflow: string
  readonly from: string
  readonly letters: number
}

/** What one client of the nodes does, in this order. `then` follows the starts. */
export interface Job {
  readonly starts: readonly Start[]
  readonly mail: readonly Correspondence[]
  readonly end?: { readonly workflow: string; readonly by: 'cancel' | 'terminate'; readonly afterMs: number }
}

const kinds = [
  'chain',
  'chain-gen',
  'naps',
  'mail',
  'mail',
  'family',
  'rollover',
  'cancel',
  'terminate',
  'doomed',
  'race',
] as const

/** The next job, from the dice alone: a seed gives the same jobs again. */
export function rollJob(rng: Rng, number: number): Job {
  const below = (count: number): number => Math.floor(rng.next() * count)
  const id = (what: string): string => `${what}-${number}`
  const step = (): WorkInput => ({
    value: below(1_000),
    ...(rng.next() < 0.3 ? { failures: 1 + below(3) } : {}),
    ...(rng.next() < 0.3 ? { takesMs: below(200) } : {}),
  })
  const chain = (most: number): ChainInput => ({ steps: Array.from({ length: 1 + below(most) }, step) })
  const resultsOf = ({ steps }: ChainInput): number[] => steps.map(work)
  const only = (type: string, input: unknown, expected: Expected): Job => ({
    starts: [{ workflow: id(type), type, input, expected }],
    mail: [],
  })
  const kind = kinds[below(kinds.length)]!
  switch (kind) {
    case 'chain':
    case 'chain-gen': {
      const input = chain(8)
      return only(kind, input, { status: 'completed', value: resultsOf(input) })
    }
    case 'naps': {
      const input: NapsInput = { napsMs: Array.from({ length: 1 + below(4) }, () => below(1_500)) }
      return only(kind, input, { status: 'completed', value: 0 })
    }
    case 'family': {
      const input: FamilyInput = {
        children: Array.from({ length: 1 + below(3) }, () => chain(3)),
        isParallel: rng.next() < 0.5,
        depth: 1 + below(2),
      }
      return only(kind, input, { status: 'completed', value: familyResult(input, resultsOf) })
    }
    case 'rollover': {
      const input: RolloverInput = { left: 1 + below(6), sum: 0 }
      let sum = 0
      for (let left = input.left; left > 0; left--) sum += work({ value: left })
      return only(kind, input, { status: 'completed', value: sum })
    }
    case 'doomed': {
      const steps = [...chain(3).steps, { ...step(), fatal: true }]
      return only(kind, { steps } satisfies ChainInput, { status: 'failed' })
    }
    case 'race': {
      const input: RaceInput = { slow: { value: 1, takesMs: below(400) }, limitMs: below(400) }
      return only(kind, input, { status: 'completed' })
    }
    case 'cancel': {
      const input: WaiterInput = { cleanUp: step() }
      const job = only('waiter', input, { status: 'canceled' })
      return { ...job, end: { workflow: id('waiter'), by: 'cancel', afterMs: below(1_500) } }
    }
    case 'terminate': {
      // A child that outlives its parent would be found open.
      const lasting: FamilyInput = { children: [{ steps: forever }], isParallel: rng.next() < 0.5, depth: 2 }
      const job = only('family', lasting, { status: 'terminated' })
      return { ...job, end: { workflow: id('family'), by: 'terminate', afterMs: below(1_500) } }
    }
    case 'mail':
      return mailJob()
  }

  function mailJob(): Job {
    const boxes = Array.from({ length: 1 + below(2) }, (_, at) => `${id('mailbox')}-${at}`)
    const couriers = Array.from({ length: below(3) }, (_, at): CourierInput => ({
      name: `${id('courier')}-${at}`,
      to: boxes,
      letters: 1 + below(8),
      pauseMs: below(500),
    }))
    const mail = boxes.flatMap((workflow) =>
      Array.from({ length: 1 + below(2) }, (_, at) => ({
        workflow,
        from: `${id('client')}-${at}`,
        letters: 1 + below(10),
      })),
    )
    const starts = boxes.map((workflow): Start => {
      const letters: Record<string, number> = {}
      for (const courier of couriers) letters[courier.name] = courier.letters
      for (const each of mail) if (each.workflow === workflow) letters[each.from] = each.letters
      const input: MailboxInput = {
        letters: Object.values(letters).reduce((sum, count) => sum + count, 0),
        rollEvery: rng.next() < 0.5 ? 0 : 2 + below(4),
        seen: [],
      }
      return { workflow, type: 'mailbox', input, expected: { status: 'completed', letters } }
    })
    for (const courier of couriers) {
      starts.push({
        workflow: courier.name,
        type: 'courier',
        input: courier,
        expected: { status: 'completed', value: courier.letters },
      })
    }
    return { starts, mail }
  }
}

const forever: readonly WorkInput[] = Array.from({ length: 3 }, () => ({ value: 1, failures: 1_000_000 }))

function familyResult(input: FamilyInput, resultsOf: (input: ChainInput) => number[]): unknown {
  const { children, isParallel, depth } = input
  const results = children.map(resultsOf)
  const nested = children.map((child) =>
    depth > 1 ? familyResult({ ...input, children: [child], depth: depth - 1 }, resultsOf) : resultsOf(child),
  )
  return isParallel ? [results, nested] : nested
}

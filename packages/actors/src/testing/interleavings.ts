import { AppError } from '@daruma/protocol'
import { TestSystem } from './test-system.ts'

/** What `everyInterleaving` saw. */
export interface Interleavings {
  readonly runs: number
  /** Every legal order was run; otherwise `maxRuns` came first. */
  readonly complete: boolean
}

/**
 * Runs a small program under every order in which its processes could take their messages, depth first, until one run
 * throws. What one process sends to another stays in order: only choices that the scheduler has are varied.
 * For programs of a few processes and messages: the number of orders grows without mercy. Default `maxRuns` 10_000.
 *
 * @throws AppError conflict - a run threw; `cause` is what, `details.choices` repeats it by `choicesOf`
 */
export async function everyInterleaving(
  program: (test: TestSystem) => Promise<void>,
  options: { readonly maxRuns?: number } = {},
): Promise<Interleavings> {
  const maxRuns = options.maxRuns ?? 10_000
  let choices: number[] = []
  for (let runs = 1; ; runs++) {
    const widths: number[] = []
    const taken: number[] = []
    const choose = (candidates: number): number => {
      const choice = choices[taken.length] ?? 0
      widths.push(candidates)
      taken.push(choice)
      return choice
    }
    await runOnce(program, choose, taken)
    let at = taken.length - 1
    while (at >= 0 && taken[at]! + 1 >= widths[at]!) at--
    if (at < 0) return { runs, complete: true }
    if (runs >= maxRuns) return { runs, complete: false }
    choices = [...taken.slice(0, at), taken[at]! + 1]
  }
}

/** A `choose` that repeats the run whose choices these were. */
export function choicesOf(choices: readonly number[]): (candidates: number) => number {
  let at = 0
  return () => choices[at++] ?? 0
}

async function runOnce(
  program: (test: TestSystem) => Promise<void>,
  choose: (candidates: number) => number,
  taken: readonly number[],
): Promise<void> {
  await using test = new TestSystem({ choose })
  try {
    await program(test)
    await test.runUntilIdle()
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw new AppError(
      'conflict',
      `the order of choices [${taken.join(', ')}] fails: ${text}`,
      { choices: [...taken] },
      { cause },
    )
  }
}

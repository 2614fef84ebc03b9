import { systemRng } from '@daruma/protocol'
import fc from 'fast-check'
import { expect } from 'vitest'

const fixedSeed = 20_260_101

/**
 * Checks a property with one fixed seed and one random seed, half of `runs` each; with `DARUMA_SEED`, that one alone.
 * `DARUMA_RUNS` replaces `runs`. The seeds are in the test's output, whatever comes of it.
 */
export function checkProperty<T>(property: fc.IProperty<T>, runs = 300): void {
  for (const parameters of parametersOf(runs)) fc.assert(property, parameters)
}

export async function checkAsyncProperty<T>(property: fc.IAsyncProperty<T>, runs = 300): Promise<void> {
  for (const parameters of parametersOf(runs)) await fc.assert(property, parameters)
}

function parametersOf(runs: number): { seed: number; numRuns: number }[] {
  const { DARUMA_SEED, DARUMA_RUNS } = process.env
  const randomSeed = Math.floor(systemRng().next() * 2 ** 31)
  const seeds = DARUMA_SEED === undefined ? [fixedSeed, randomSeed] : [Number(DARUMA_SEED)]
  const numRuns = Math.ceil(Number(DARUMA_RUNS ?? runs) / seeds.length)
  console.log(`${expect.getState().currentTestName}: ${numRuns} runs each with seeds ${seeds.join(', ')}`)
  return seeds.map((seed) => ({ seed, numRuns }))
}

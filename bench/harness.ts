/** One figure of one program. `run.mjs` takes the median of three processes. */
export interface Measurement {
  readonly name: string
  /** `messages/s`, `calls/s`, `B`, `ms`, ... Rates are better when higher, everything else when lower. */
  readonly unit: string
  readonly value: number
  /** The same work by the least code that could do it, measured in the same process. */
  readonly floor?: number
  /** What DESIGN.md asks of `value`: as a share of the floor, or absolute in `unit`. */
  readonly budget?: { readonly share?: number; readonly absolute?: number }
}

/** What every file in a folder of `bench/` exports as `run`. */
export type Benchmark = () => Promise<Measurement | readonly Measurement[]>

/**
 * Things per second: the best of `rounds` after two to warm up. The best, because a shared machine only ever takes time
 * away; the median is taken over processes. No collection is forced between rounds: it would throw compiled code away, too.
 */
export async function rate(count: number, round: () => Promise<void> | void, rounds = 6): Promise<number> {
  await round()
  await round()
  collectGarbage()
  let bestMs = Infinity
  for (let at = 0; at < rounds; at++) {
    const startedMs = performance.now()
    await round()
    bestMs = Math.min(bestMs, performance.now() - startedMs)
  }
  return (count / bestMs) * 1_000
}

/** Resident bytes after a full collection. */
export function residentBytes(): number {
  for (let at = 0; at < 3; at++) collectGarbage()
  return process.memoryUsage().rss
}

/** `run.mjs` starts every program with `--expose-gc`. */
export function collectGarbage(): void {
  ;(globalThis as { gc?: () => void }).gc?.()
}

/** A promise and what settles it. */
export function signal<T = void>(): { readonly done: Promise<T>; readonly fire: (value: T) => void } {
  let fire!: (value: T) => void
  const done = new Promise<T>((resolve) => (fire = resolve))
  return { done, fire }
}

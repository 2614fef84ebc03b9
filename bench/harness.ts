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

/** `run.mjs --smoke`: a program only shows that it runs; its figures mean nothing. */
export const isSmoke = process.env['BENCH_SMOKE'] === '1'

/** A count of things to do: `count`, and in smoke mode a thousandth of it, but not less than `smallest`. */
export function scaled(count: number, smallest = 100): number {
  return isSmoke ? Math.min(count, Math.max(smallest, Math.ceil(count / 1_000))) : count
}

/** How long to go on: `durationMs`, and in smoke mode a twentieth of it. */
export function scaledMs(durationMs: number): number {
  return isSmoke ? durationMs / 20 : durationMs
}

/**
 * Things per second: the best of `rounds` after two to warm up. The best, because a shared machine only ever takes time
 * away; the median is taken over processes. No collection is forced between rounds: it would throw compiled code away, too.
 * In smoke mode one round, without warming up.
 */
export async function rate(count: number, round: () => Promise<void> | void, rounds = 6): Promise<number> {
  for (let at = 0; at < (isSmoke ? 0 : 2); at++) await round()
  collectGarbage()
  let bestMs = Infinity
  for (let at = 0; at < (isSmoke ? 1 : rounds); at++) {
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

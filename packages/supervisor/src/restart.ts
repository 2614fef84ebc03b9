import type { ExitReason } from '@daruma/protocol'
import { isQuiet } from '@daruma/protocol'

/** permanent: after any end. transient: after a crash. temporary: never, and its spec goes with it. */
export type RestartType = 'permanent' | 'transient' | 'temporary'

/** restart: a new process. keep: the spec stays without a process. forget: the spec goes too. */
export type RestartVerdict = 'restart' | 'keep' | 'forget'

/** What becomes of a child that ended by itself (rule 50). Quiet reasons are `normal` and `shutdown`, with any detail. */
export function shouldRestart(type: RestartType, reason: ExitReason): RestartVerdict {
  switch (type) {
    case 'permanent':
      return 'restart'
    case 'transient':
      return isQuiet(reason) ? 'keep' : 'restart'
    case 'temporary':
      return 'forget'
  }
}

/** How many restarts are allowed within a period; `unlimited` leaves the brake to the children's backoff. */
export type Intensity = number | 'unlimited'

/**
 * Counts the restarts of one supervisor within its period, by whole monotonic seconds (rule 51): an instant counts
 * while it is not more than the period ago, so the window is `periodMs` to `periodMs + 1 s` wide.
 *
 * One entry per second that saw a restart, so at most `intensity + 1` entries and at most one per second of the period:
 * a storm costs the same per restart as a single crash.
 */
export class RestartWindow {
  #intensity = 0
  #periodS = 0
  #seconds: number[] = [0, 0]
  #counts: number[] = [0, 0]
  #head = 0
  #size = 0
  #total = 0

  constructor(intensity: Intensity, periodMs: number) {
    this.limit(intensity, periodMs)
  }

  /** New limits from now on; what was counted stays counted as far as the new period reaches. */
  limit(intensity: Intensity, periodMs: number): void {
    this.#intensity = intensity === 'unlimited' ? Infinity : intensity
    this.#periodS = Math.floor(periodMs / 1_000)
  }

  /** Restarts in the window as of the last `add`, that one included. */
  get count(): number {
    return this.#total
  }

  /** Restarts that the window holds at `nowMs`. */
  countAt(nowMs: number): number {
    this.#forgetBefore(Math.floor(nowMs / 1_000) - this.#periodS)
    return this.#total
  }

  /** Counts a restart at `nowMs`. False: one too many, the supervisor has to give up. */
  add(nowMs: number): boolean {
    const second = Math.floor(nowMs / 1_000)
    this.#forgetBefore(second - this.#periodS)
    const last = (this.#head + this.#size - 1) & (this.#seconds.length - 1)
    if (this.#size > 0 && this.#seconds[last] === second) {
      this.#counts[last]!++
    } else {
      if (this.#size === this.#seconds.length) this.#grow()
      const next = (this.#head + this.#size) & (this.#seconds.length - 1)
      this.#seconds[next] = second
      this.#counts[next] = 1
      this.#size++
    }
    this.#total++
    return this.#total <= this.#intensity
  }

  #forgetBefore(second: number): void {
    while (this.#size > 0 && this.#seconds[this.#head]! < second) {
      this.#total -= this.#counts[this.#head]!
      this.#head = (this.#head + 1) & (this.#seconds.length - 1)
      this.#size--
    }
  }

  #grow(): void {
    const unroll = (ring: number[]): number[] => [...ring.slice(this.#head), ...ring.slice(0, this.#head)]
    const empty = new Array<number>(this.#size).fill(0)
    this.#seconds = [...unroll(this.#seconds), ...empty]
    this.#counts = [...unroll(this.#counts), ...empty]
    this.#head = 0
  }
}

/** How long to wait before a restart. Beyond OTP: a child without it is restarted at once. */
export interface BackoffSpec {
  /** Wait before the first restart. Default 1,000 ms. */
  readonly initialMs?: number
  /** Each further restart waits this many times longer, at least 1. Default 2. */
  readonly factor?: number
  /** No wait is longer, jitter included. Default 90,000 ms. */
  readonly maxMs?: number
  /** Part of the wait that is left to chance, both ways: 0.1 is plus or minus 10 %. 0 to 1, default 0.1. */
  readonly jitter?: number
  /** A child that ran this long begins at `initialMs` again. Default 5,000 ms. */
  readonly stableMs?: number
  /** Restarts in a row after which the child is left without a process and reported `exhausted`. Default 0: no limit. */
  readonly maxAttempts?: number
}

export type Backoff = Required<BackoffSpec>

export const backoffDefaults: Backoff = Object.freeze({
  initialMs: 1_000,
  factor: 2,
  maxMs: 90_000,
  jitter: 0.1,
  stableMs: 5_000,
  maxAttempts: 0,
})

/** Milliseconds to wait before the `attempt`-th restart in a row (from 1); `random` is uniform in [0, 1). */
export function backoffDelayMs(backoff: Backoff, attempt: number, random: number): number {
  // The power may overflow to Infinity after a thousand attempts; the minimum brings it back.
  const plainMs = Math.min(backoff.initialMs * backoff.factor ** (attempt - 1), backoff.maxMs)
  return Math.min(plainMs * (1 + backoff.jitter * (2 * random - 1)), backoff.maxMs)
}

import { afterLoopTurn, type Runnable, type Scheduler } from '../scheduler.ts'

/**
 * Runs one message of one process at a time, each in a macrotask of its own, so that every promise has run dry before
 * the next choice is made. Which process is next is `choose`'s decision: that makes a run repeatable.
 */
export class StepScheduler implements Scheduler {
  readonly #runnable: Runnable[] = []
  readonly #choose: (candidates: number) => number
  #pumping = false
  #waiting: (() => void)[] = []
  #stopped = false

  /** `choose` is asked only when there is more than one candidate; they stand in the order in which they woke. */
  constructor(choose: (candidates: number) => number) {
    this.#choose = choose
  }

  enqueue(process: Runnable): void {
    this.#runnable.push(process)
    this.#pump()
  }

  defer(task: () => void): void {
    task()
  }

  /** Resolves when nothing is runnable and every promise that could run has run. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#pump()
    })
  }

  /** Nothing runs any more: for a run that is given up. */
  stop(): void {
    this.#stopped = true
    this.#runnable.length = 0
  }

  #pump(): void {
    if (this.#pumping || this.#stopped) return
    this.#pumping = true
    afterLoopTurn(() => this.#turn())
  }

  #turn(): void {
    this.#pumping = false
    if (this.#runnable.length === 0) {
      const waiting = this.#waiting
      this.#waiting = []
      for (const resolve of waiting) resolve()
      return
    }
    const candidates = this.#runnable.length
    const [process] = this.#runnable.splice(candidates === 1 ? 0 : this.#choose(candidates), 1)
    process!.step(1)
    this.#pump()
  }
}

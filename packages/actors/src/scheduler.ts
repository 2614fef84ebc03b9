import type { Clock } from '@daruma/protocol'

/** What stands in the run queue. The link is its own field: queueing allocates nothing. */
export interface Runnable {
  nextRunnable: Runnable | undefined
  /** Handles up to `budget` messages and says how many it handled. Never throws. */
  step(budget: number): number
}

export interface Scheduler {
  /** The caller sees to it that nothing stands in the queue twice. */
  enqueue(process: Runnable): void
  /** Runs `task` after the work at hand, in this turn of the event loop. */
  defer(task: () => void): void
}

/** Messages for one process before the next has its turn. */
const batchMessages = 64
/** Messages before the event loop gets a turn. */
const turnMessages = 4_096
/** Time before the event loop gets a turn, less than half of the promised 10 ms: a batch may end late. */
const turnMs = 4
/** The time is looked at about this often: where handlers are slow, batches are small. */
const lookMs = 1

/** Runs `task` after the event loop had its turn. */
export function afterLoopTurn(task: () => void): void {
  setImmediate(task)
}

const settled = Promise.resolve()

/**
 * Runs what is runnable, in turns.
 *
 * - S1 A first wake-up runs in a microtask: a call from outside is answered within the same turn of the event loop.
 * - S2 Work beyond one turn's measure goes on in `setImmediate`, after the event loop had its turn.
 * - S3 Microtask turns stop when `turnMs` have passed since the event loop last ran, so that actors that await one
 *   another cannot starve it.
 */
export class LoopScheduler implements Scheduler {
  readonly #clock: Clock
  #first: Runnable | undefined = undefined
  #last: Runnable | undefined = undefined
  #running = false
  #woken = false
  #beating = false
  #loopTurnAtMs = 0
  #batch = 1
  #deferred: (() => void)[] = []
  readonly #turnInMicrotask = (): void => {
    this.#woken = false
    this.#turn()
  }
  readonly #beat = (): void => {
    this.#beating = false
    if (this.#first !== undefined) {
      this.#arm()
      this.#turn()
    }
    const deferred = this.#deferred
    if (deferred.length === 0) return
    this.#deferred = []
    for (const task of deferred) task()
  }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  enqueue(process: Runnable): void {
    if (this.#last === undefined) this.#first = process
    else this.#last.nextRunnable = process
    this.#last = process
    if (!this.#running && !this.#woken) this.#wake()
  }

  defer(task: () => void): void {
    this.#deferred.push(task)
    this.#arm()
  }

  #wake(): void {
    this.#arm()
    this.#woken = true
    void settled.then(this.#turnInMicrotask)
  }

  /** One immediate is on its way while there is work: it carries on what is left, and marks that the loop has turned. */
  #arm(): void {
    if (this.#beating) return
    this.#beating = true
    this.#loopTurnAtMs = this.#clock.monotonicMs()
    afterLoopTurn(this.#beat)
  }

  #turn(): void {
    this.#running = true
    const untilMs = this.#loopTurnAtMs + turnMs
    let messagesLeft = turnMessages
    let sinceLook = 0
    let lookedAtMs = this.#clock.monotonicMs()
    if (lookedAtMs < untilMs) {
      for (let process = this.#first; process !== undefined; process = this.#first) {
        this.#first = process.nextRunnable
        if (this.#first === undefined) this.#last = undefined
        process.nextRunnable = undefined
        const handled = process.step(this.#batch)
        sinceLook += handled === 0 ? 1 : handled
        if (sinceLook < this.#batch) continue
        const nowMs = this.#clock.monotonicMs()
        // Grows by doubling and shrinks at once: one quick message must not buy sixty-four slow ones.
        const affordable = (sinceLook * lookMs) / (nowMs - lookedAtMs)
        this.#batch = Math.max(Math.floor(Math.min(affordable, this.#batch * 2, batchMessages)), 1)
        messagesLeft -= sinceLook
        sinceLook = 0
        lookedAtMs = nowMs
        if (nowMs >= untilMs || messagesLeft <= 0) break
      }
    }
    this.#running = false
    if (this.#first !== undefined) this.#arm()
  }
}

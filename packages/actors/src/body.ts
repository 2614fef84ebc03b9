import { AppError } from '@daruma/protocol'
import type { Body } from './behavior.ts'
import type { Deadline, Expires } from './deadlines.ts'
import { isPromise } from './message-kind.ts'
import { Special } from './notice.ts'
import { EXITED, PARKED, RUNNING, SUSPENDED, WAITING } from './process-status.ts'
import type { Process } from './process.ts'
import { Tick } from './timer.ts'

/** Messages that straight-line code may take in a row before other processes have a turn. */
const creditPerTurn = 64

type Matcher = (message: never) => boolean

/**
 * The straight-line code of one process: where it stands and what it waits for.
 * At most one receive waits; while it does, `#resolve` is there.
 */
export class BodyRun implements Expires {
  readonly #process: Process
  readonly #code: Body<unknown, unknown>
  #args: unknown
  #credit = creditPerTurn
  #resolve: ((message: unknown) => void) | undefined = undefined
  #matches: Matcher | undefined = undefined
  /** So many of the oldest items are known not to match. */
  #scanned = 0
  #deadline: Deadline | undefined = undefined
  #leave: (() => void) | undefined = undefined

  constructor(process: Process, code: Body<unknown, unknown>, args: unknown) {
    this.#process = process
    this.#code = code
    this.#args = args
  }

  get name(): string {
    return this.#code.name || 'function'
  }

  start(): void {
    const process = this.#process
    const args = this.#args
    this.#args = undefined
    let answer: unknown
    try {
      answer = this.#code(process.context, args)
    } catch (thrown) {
      return process.crash(thrown)
    }
    if (!isPromise(answer)) return this.returned(answer)
    this.await(answer)
    if (process.phase === RUNNING) this.rest()
  }

  /** A turn: looks whether what came in meanwhile is what the code waits for. */
  step(): void {
    this.#credit = creditPerTurn
    if (this.#resolve !== undefined) this.tryMatch()
    if (this.#process.phase === RUNNING) this.rest()
  }

  /** The oldest message was dropped: what is known about the mailbox is off by one. */
  rescan(): void {
    this.#scanned = 0
  }

  /** Undefined after `timeoutMs`. Rejects when the process has ended, the matcher throws, or `signal` aborts. */
  receive(
    matches: Matcher | undefined,
    options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } | undefined,
  ): Promise<unknown> {
    const process = this.#process
    if (this.#resolve !== undefined) {
      return Promise.reject(
        new AppError('invalid', `${process.describe()} is already waiting in a receive; await that one first`),
      )
    }
    const signal = options?.signal
    if (signal?.aborted === true) return Promise.reject(aborted(signal))
    return new Promise<unknown>((resolve) => {
      this.#resolve = resolve
      this.#matches = matches
      this.#scanned = 0
      const timeoutMs = options?.timeoutMs
      const isDue = timeoutMs !== undefined && timeoutMs <= 0
      if (isDue || (this.#credit > 0 && (process.irregular & SUSPENDED) === 0)) {
        this.#credit--
        if (this.tryMatch()) return
      }
      if (isDue) return this.expire()
      if (timeoutMs !== undefined && timeoutMs !== Infinity) {
        this.#deadline = process.kernel.deadlines.add(timeoutMs, this)
      }
      if (signal !== undefined) this.listen(signal)
      if (process.phase === PARKED) this.rest()
    })
  }

  expire(): void {
    this.#deadline = undefined
    // What is in the mailbox came in time, even if its turn has not come.
    if (!this.tryMatch()) this.settle()?.(undefined)
  }

  ended(): void {
    this.fail(new AppError('canceled', `${this.#process.describe()} has ended; its code must stop`))
  }

  private listen(signal: AbortSignal): void {
    const abort = (): void => this.fail(aborted(signal))
    signal.addEventListener('abort', abort, { once: true })
    this.#leave = () => signal.removeEventListener('abort', abort)
  }

  /** Takes the first match, if there is one, and answers the receive with it. */
  private tryMatch(): boolean {
    const process = this.#process
    const matches = this.#matches
    let item: unknown
    if (matches === undefined) {
      if (process.length === 0) return false
      item = process.shift()
    } else {
      let taken: { readonly item: unknown } | undefined
      try {
        taken = process.take(
          (candidate) => matches((candidate instanceof Special ? candidate.visible() : candidate) as never),
          this.#scanned,
        )
      } catch (thrown) {
        this.fail(thrown)
        return true
      }
      if (taken === undefined) {
        this.#scanned = process.length
        return false
      }
      item = taken.item
    }
    process.current = item
    process.reductions++
    if (process.kernel.tracer !== undefined) process.kernel.traceReceive(process.pid, item)
    if (item instanceof Tick) item.taken()
    this.settle()?.(item instanceof Special ? item.visible() : item)
    return true
  }

  /** A promise's `reject` is not kept beside its `resolve`: there are many that wait and few that fail. */
  private fail(error: unknown): void {
    this.settle()?.(Promise.reject(error))
  }

  /** The receive is over; gives what answers it. */
  private settle(): ((message: unknown) => void) | undefined {
    const process = this.#process
    const resolve = this.#resolve
    this.#resolve = this.#matches = undefined
    if (this.#deadline !== undefined) process.kernel.deadlines.drop(this.#deadline)
    this.#leave?.()
    this.#deadline = this.#leave = undefined
    // One that stands in the run queue stays there: its next step finds that nothing waits (P1).
    if (process.phase === WAITING) process.phase = PARKED
    return resolve
  }

  /** Asleep until a message comes, or at once in the queue again if there are some that nobody looked at. */
  private rest(): void {
    const process = this.#process
    if (this.#resolve === undefined) {
      process.phase = PARKED
      return
    }
    process.phase = WAITING
    if (process.length > this.#scanned) process.wake()
    else process.trim()
  }

  // By itself, so that the two functions hold on to nothing but this.
  private await(answer: PromiseLike<unknown>): void {
    Promise.resolve(answer).then(
      (value) => this.returned(value),
      (thrown: unknown) => this.#process.crash(thrown),
    )
  }

  private returned(value: unknown): void {
    if (this.#process.phase === EXITED) return
    this.#process.terminate(value === undefined ? { kind: 'normal' } : { kind: 'normal', value })
  }
}

function aborted(signal: AbortSignal): AppError {
  return new AppError('canceled', 'receive aborted', undefined, { cause: signal.reason })
}

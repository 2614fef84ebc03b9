import { AppError, type Clock } from '@daruma/protocol'
import type { FunctionLua } from '@daruma/registry'

/** Per running call, how many may wait when the entry does not say. */
const waitingPerWorker = 64

interface Place {
  start(): void
}

export interface WaitLimits {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

/**
 * How many calls of one function run at once, and how many wait for their turn, first come first served. An entry
 * without `pool` (or of type inline) runs every call at once.
 */
export class CallPool {
  #running = 0
  readonly #waiting: Place[] = []
  readonly #target: string
  readonly #clock: Clock

  constructor(target: string, clock: Clock) {
    this.#target = target
    this.#clock = clock
  }

  /**
   * Runs `call` when there is a place for it: in this very turn if there is one now. It is told how long it had to wait.
   *
   * @throws AppError rate_limited - as many wait as may; canceled - `signal` aborted while it waited; timeout - it
   *   waited for `timeoutMs`
   */
  run<T>(pool: FunctionLua['pool'], limits: WaitLimits, call: (waitedMs: number) => Promise<T>): Promise<T> {
    const places = pool.workers ?? pool.size ?? pool.maxSize
    if (places === undefined) return call(0)
    if (this.#running < places) return this.#take(() => call(0))
    const buffer = pool.buffer ?? places * waitingPerWorker
    if (this.#waiting.length >= buffer) {
      const message = `${this.#target}: its pool runs ${places} calls and ${buffer} wait; more is its limit`
      return Promise.reject(new AppError('rate_limited', message, { entryId: this.#target }, { retryable: true }))
    }
    return new Promise<T>((resolve, reject) => {
      const { signal, timeoutMs } = limits
      const startedMs = this.#clock.monotonicMs()
      const leave = (error: AppError): void => {
        this.#waiting.splice(this.#waiting.indexOf(place), 1)
        settle()
        reject(error)
      }
      const onAbort = (): void => {
        leave(new AppError('canceled', `the call of ${this.#target} was canceled`, undefined, { retryable: false }))
      }
      const stopTimer =
        timeoutMs === undefined
          ? undefined
          : this.#clock.after(timeoutMs, () => {
              const message = `${this.#target} had no place in its pool within ${timeoutMs} ms`
              leave(new AppError('timeout', message, undefined, { retryable: true }))
            })
      const settle = (): void => {
        stopTimer?.()
        signal?.removeEventListener('abort', onAbort)
      }
      const place: Place = {
        start: () => {
          settle()
          this.#take(() => call(this.#clock.monotonicMs() - startedMs)).then(resolve, reject)
        },
      }
      this.#waiting.push(place)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  #take<T>(call: () => Promise<T>): Promise<T> {
    this.#running++
    return call().finally(() => {
      this.#running--
      this.#waiting.shift()?.start()
    })
  }
}

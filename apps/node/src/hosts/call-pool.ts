import { AppError } from '@daruma/protocol'
import type { FunctionLua } from '@daruma/registry'

/** Per running call, how many may wait when the entry does not say. */
const waitingPerWorker = 64

/**
 * How many calls of one function run at once, and how many wait for their turn, first come first served. An entry
 * without `pool` (or of type inline) runs every call at once.
 */
export class CallPool {
  #running = 0
  readonly #waiting: { readonly start: () => void; readonly leave: () => void }[] = []
  readonly #target: string

  constructor(target: string) {
    this.#target = target
  }

  /**
   * Runs `call` when there is a place for it: in this very turn if there is one now.
   *
   * @throws AppError rate_limited - as many wait as may; canceled - `signal` aborted while it waited
   */
  run<T>(pool: FunctionLua['pool'], signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
    const places = pool.workers ?? pool.size ?? pool.maxSize
    if (places === undefined) return call()
    if (this.#running < places) return this.#take(call)
    const buffer = pool.buffer ?? places * waitingPerWorker
    if (this.#waiting.length >= buffer) {
      const message = `${this.#target}: its pool runs ${places} calls and ${buffer} wait; more is its limit`
      return Promise.reject(new AppError('rate_limited', message, { entryId: this.#target }, { retryable: true }))
    }
    return new Promise<T>((resolve, reject) => {
      const place = {
        start: () => {
          signal?.removeEventListener('abort', place.leave)
          this.#take(call).then(resolve, reject)
        },
        leave: () => {
          this.#waiting.splice(this.#waiting.indexOf(place), 1)
          reject(new AppError('canceled', `the call of ${this.#target} was canceled`, undefined, { retryable: false }))
        },
      }
      this.#waiting.push(place)
      signal?.addEventListener('abort', place.leave, { once: true })
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

import type { Settle } from './session.ts'

/** What a generator workflow waits for by `yield*`. Settles once; may be waited for by many, before and after. */
export interface Future<T> {
  [Symbol.iterator](): Generator<Future<unknown>, T, unknown>
}

/** A piece of a generator workflow: waits by `yield*` of futures, and of other pieces. */
export type Steps<T> = Generator<Future<unknown>, T, unknown>

type Outcome<T> = { readonly value: T } | { readonly error: unknown }

/**
 * Runs the branches of one generator workflow, one at a time, in the order in which what they wait for settled.
 *
 * - S1 A branch runs at once up to its first wait, within whoever began it.
 * - S2 A settled future makes its waiters ready, in their order; they run when the queue comes to them, never at once.
 */
export class Scheduler {
  readonly #ready: (() => void)[] = []
  /** Branches that failed while nobody looked. */
  readonly #unseen = new Set<Pick<Deferred<unknown>, 'failure'>>()

  /** Runs whatever can run without an event. */
  drain(): void {
    for (let at = 0; at < this.#ready.length; at++) this.#ready[at]!() // S2
    this.#ready.length = 0
  }

  get isReady(): boolean {
    return this.#ready.length > 0
  }

  /** The failure of a branch for which nobody waits. */
  get unseenFailure(): { readonly error: unknown } | undefined {
    const [first] = this.#unseen
    return first?.failure
  }

  deferred<T>(): Deferred<T> {
    return new Deferred<T>((run) => this.#ready.push(run))
  }

  begin<T>(steps: () => Steps<T>): Deferred<T> {
    const end = this.deferred<T>()
    end.onFailure = () => this.#unseen.add(end)
    end.onSeen = () => this.#unseen.delete(end)
    let running: Steps<T>
    const step = (outcome: Outcome<unknown>): void => {
      let result: IteratorResult<Future<unknown>, T>
      try {
        result = 'error' in outcome ? running.throw(outcome.error) : running.next(outcome.value)
      } catch (error) {
        return end.reject(error)
      }
      if (result.done === true) return end.resolve(result.value)
      if (result.value instanceof Deferred) return result.value.whenSettled(step)
      end.reject(new TypeError('a workflow waits by yield* on what its context gave out, and on nothing else'))
    }
    try {
      running = steps()
    } catch (error) {
      end.reject(error)
      return end
    }
    step({ value: undefined }) // S1
    return end
  }

  /** The values of all, in their order; the first failure, as soon as there is one. */
  all<T>(futures: readonly Future<T>[]): Future<T[]> {
    const all = this.deferred<T[]>()
    const values = new Array<T>(futures.length)
    let left = futures.length
    if (left === 0) all.resolve([])
    futures.forEach((future, at) => {
      expectDeferred(future).whenSettled((outcome) => {
        if ('error' in outcome) return all.reject(outcome.error)
        values[at] = outcome.value as T
        if (--left === 0) all.resolve(values)
      })
    })
    return all
  }

  /** Whichever settles first. The others go on; cancel them by a scope if they shall not. */
  race<T>(futures: readonly Future<T>[]): Future<T> {
    const first = this.deferred<T>()
    for (const future of futures) {
      expectDeferred(future).whenSettled((outcome) => {
        if ('error' in outcome) first.reject(outcome.error)
        else first.resolve(outcome.value as T)
      })
    }
    return first
  }
}

export class Deferred<T> implements Future<T>, Settle<T> {
  #outcome: Outcome<T> | undefined
  readonly #waiters: ((outcome: Outcome<T>) => void)[] = []
  readonly #enqueue: (run: () => void) => void
  #isSeen = false
  onFailure: () => void = () => undefined
  onSeen: () => void = () => undefined

  constructor(enqueue: (run: () => void) => void) {
    this.#enqueue = enqueue
  }

  get failure(): { readonly error: unknown } | undefined {
    return this.#outcome !== undefined && 'error' in this.#outcome ? this.#outcome : undefined
  }

  resolve(value: T): void {
    this.#settle({ value })
  }

  reject(error: unknown): void {
    if (this.#outcome === undefined && !this.#isSeen) this.onFailure()
    this.#settle({ error })
  }

  whenSettled(waiter: (outcome: Outcome<T>) => void): void {
    this.#isSeen = true
    this.onSeen()
    const outcome = this.#outcome
    if (outcome === undefined) this.#waiters.push(waiter)
    else this.#enqueue(() => waiter(outcome))
  }

  *[Symbol.iterator](): Generator<Future<unknown>, T, unknown> {
    return (yield this) as T
  }

  #settle(outcome: Outcome<T>): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    for (const waiter of this.#waiters.splice(0)) this.#enqueue(() => waiter(outcome))
  }
}

function expectDeferred<T>(future: Future<T>): Deferred<unknown> {
  if (future instanceof Deferred) return future
  throw new TypeError('all and race take futures of the context; begin a piece of code by ctx.fork')
}

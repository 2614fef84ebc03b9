import { systemClock, type Clock } from '../clock.ts'
import { AppError } from '../errors.ts'

/** What a memory adapter does to one operation instead of simply doing it. */
export type Fault =
  /** Not done; the caller sees AppError unavailable. */
  | { readonly kind: 'fail' }
  /** Done, but the caller sees AppError timeout. */
  | { readonly kind: 'lose_ack' }
  /** `append` only: answered `refused` although nothing was stored. */
  | { readonly kind: 'refuse' }
  /** `append` only: stored, yet answered `refused`, as when a retry further down met its own record. */
  | { readonly kind: 'refuse_stored' }
  /** `append` only: another writer's record gets in first. */
  | { readonly kind: 'intrude'; readonly bytes: Uint8Array }
  /** Done after `durationMs` by the adapter's clock. */
  | { readonly kind: 'delay_request'; readonly durationMs: number }
  /** Done at once, answered after `durationMs`. */
  | { readonly kind: 'delay_answer'; readonly durationMs: number }

export interface Operation {
  readonly name: string
  /** The partition or key that it concerns. */
  readonly on: string
  /** 1 for the first operation of its handle. */
  readonly count: number
}

/** Asked before each operation; undefined: no fault. */
export type FaultPlan = (operation: Operation) => Fault | undefined

export interface MemoryOptions {
  /** Moves delays and expiry. Default: the system's. */
  readonly clock?: Clock
  readonly faults?: FaultPlan
}

/**
 * One process's connection to a memory store: where faults happen. The content outlives it.
 *
 * - H1 After `crash` or `close` nothing of this handle changes the content, delayed requests included.
 */
export class MemoryHandle {
  readonly clock: Clock
  readonly #plan: FaultPlan | undefined
  readonly #queued: { readonly name: string | undefined; readonly fault: Fault }[] = []
  readonly #aborts = new Set<() => void>()
  #count = 0
  #ended: 'closed' | 'crashed' | undefined

  constructor(options: MemoryOptions) {
    this.clock = options.clock ?? systemClock()
    this.#plan = options.faults
  }

  get ended(): boolean {
    return this.#ended !== undefined
  }

  /** `fault` meets the next operation, or the next one called `name`. Those queued first come first, before any plan. */
  failNext(fault: Fault, name?: string): void {
    this.#queued.push({ name, fault })
  }

  end(how: 'closed' | 'crashed'): void {
    this.#ended ??= how
    for (const abort of [...this.#aborts]) abort()
  }

  /** Runs `effect` once or never, as the fault says. `onFault` answers the kinds that only one operation knows. */
  async perform<T>(name: string, on: string, effect: () => T, onFault?: (fault: Fault) => T): Promise<T> {
    this.#assertOpen()
    const fault = this.#nextFault({ name, on, count: ++this.#count })
    if (fault === undefined) return effect()
    switch (fault.kind) {
      case 'fail':
        throw new AppError('unavailable', `${name} ${on}: injected failure; nothing was stored`)
      case 'lose_ack':
        effect()
        throw new AppError('timeout', `${name} ${on}: injected loss of the acknowledgement`)
      case 'delay_request':
        await this.#delay(fault.durationMs)
        return effect()
      case 'delay_answer': {
        const answer = effect()
        await this.#delay(fault.durationMs)
        return answer
      }
      default:
        if (onFault === undefined) throw new AppError('invalid', `a fault of kind ${fault.kind} cannot meet ${name}`)
        return onFault(fault)
    }
  }

  #assertOpen(): void {
    if (this.#ended !== undefined) throw new AppError('unavailable', `this memory store handle has ${this.#ended}`)
  }

  #nextFault(operation: Operation): Fault | undefined {
    const index = this.#queued.findIndex(({ name }) => name === undefined || name === operation.name)
    return index === -1 ? this.#plan?.(operation) : this.#queued.splice(index, 1)[0]!.fault
  }

  async #delay(durationMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        cancel()
        this.#aborts.delete(finish)
        resolve()
      }
      const cancel = this.clock.after(durationMs, finish)
      this.#aborts.add(finish)
    })
    this.#assertOpen() // H1
  }
}

/** A copy, so that nobody's later writing to `bytes` shows on the other side. Plain, even of a Buffer. */
export const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

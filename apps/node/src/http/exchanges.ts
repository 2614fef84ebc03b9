import { AppError } from '@daruma/protocol'
import type { Exchange } from './exchange.ts'

/** The context key under which a handler finds the request that it serves. */
export const servedKey = '@http'

/**
 * Which answer belongs to which request. A request is found by the very object in the context of those who serve it, so
 * that functions which a handler calls on this node serve it, too, and a copy that travelled anywhere does not.
 */
export class Exchanges {
  readonly #bySubject = new WeakMap<object, Exchange>()

  open(served: object, exchange: Exchange): void {
    this.#bySubject.set(served, exchange)
  }

  /** @throws AppError internal - whoever has this context serves no request */
  of(context: Readonly<Record<string, unknown>>): Exchange {
    const served = context[servedKey]
    const exchange = typeof served === 'object' && served !== null ? this.#bySubject.get(served) : undefined
    if (exchange !== undefined) return exchange
    throw new AppError('internal', 'this program does not serve an HTTP request', undefined, { retryable: false })
  }
}

import { AppError, type CancelTimer, type Clock } from '@daruma/protocol'
import { createInbox, type Msg, type MsgHdrs, type Subscription } from 'nats'
import type { Connection } from './connection.ts'

export interface RequestOptions {
  readonly headers?: MsgHdrs
  /** It may be sent again when its answer was lost with the connection: reads, and writes that the server deduplicates. */
  readonly repeatable?: boolean
}

interface Waiter {
  readonly subject: string
  readonly payload: Uint8Array
  readonly options: RequestOptions
  readonly deadlineMs: number
  readonly resolve: (reply: Msg) => void
  readonly reject: (error: AppError) => void
  sent: boolean
  sentAtMs: number
}

const sweepMs = 250
const retryMs = 50
/** A cluster without a leader does not answer at all: what may be asked again is, after this time. */
const repeatMs = 1_000

/**
 * Requests over one connection at the speed of bare publishes: one subscription for all replies, a table of who waits,
 * and one timer for all deadlines. The client's own `request` arms a timer for each.
 *
 * - Q1 A request settles within its time limit (plus one sweep), connected or not.
 * - Q2 While the connection is down nothing is handed to the client, which would drop it: requests wait here for its return.
 * - Q3 A request whose answer may have been lost, or does not come, is sent again only if it is repeatable.
 * - Q4 "No responders" means that nobody took it: it is sent again until the deadline, whatever it is.
 */
export class Requester {
  readonly connection: Connection
  readonly clock: Clock
  readonly #timeoutMs: number
  readonly #inbox: string
  readonly #subscription: Subscription
  readonly #waiting = new Map<string, Waiter>()
  readonly #stopListening: () => void
  #serial = 0
  #sweep: CancelTimer | undefined
  #closed = false

  constructor(connection: Connection, clock: Clock, timeoutMs: number) {
    this.connection = connection
    this.clock = clock
    this.#timeoutMs = timeoutMs
    this.#inbox = createInbox()
    this.#subscription = connection.client.subscribe(`${this.#inbox}.*`, {
      callback: (_error, reply) => this.#onReply(reply),
    })
    this.#stopListening = connection.listen({ onUp: () => this.#onUp(), onDown: () => this.#onDown() })
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /**
   * @throws AppError timeout - sent, and no answer in time: it may have been done
   * @throws AppError unavailable - the connection broke before the answer came (may have been done), or never stood in time (was not)
   */
  request(subject: string, payload: Uint8Array, options: RequestOptions = {}): Promise<Msg> {
    if (this.#closed) return Promise.reject(new AppError('unavailable', 'the connection to NATS was closed'))
    return new Promise<Msg>((resolve, reject) => {
      const token = (++this.#serial).toString(36)
      const deadlineMs = this.clock.monotonicMs() + this.#timeoutMs
      const waiter: Waiter = { subject, payload, options, deadlineMs, resolve, reject, sent: false, sentAtMs: 0 }
      this.#waiting.set(token, waiter)
      this.#sweep ??= this.clock.after(sweepMs, () => this.#onSweep())
      if (this.connection.isUp) this.#send(token, waiter) // Q2
    })
  }

  close(): void {
    this.#closed = true
    this.#stopListening()
    this.#sweep?.()
    this.#sweep = undefined
    this.#subscription.unsubscribe()
    for (const [token, waiter] of this.#waiting) {
      this.#waiting.delete(token)
      waiter.reject(
        new AppError('unavailable', `${waiter.subject}: the connection to NATS was closed before the answer`),
      )
    }
  }

  #send(token: string, waiter: Waiter): void {
    const { headers } = waiter.options
    const reply = `${this.#inbox}.${token}`
    try {
      this.connection.client.publish(
        waiter.subject,
        waiter.payload,
        headers === undefined ? { reply } : { reply, headers },
      )
      waiter.sent = true
      waiter.sentAtMs = this.clock.monotonicMs()
    } catch (error) {
      this.#waiting.delete(token)
      waiter.reject(
        new AppError('unavailable', `${waiter.subject}: ${(error as Error).message}`, undefined, { cause: error }),
      )
    }
  }

  #onReply(reply: Msg): void {
    const token = reply.subject.slice(this.#inbox.length + 1)
    const waiter = this.#waiting.get(token)
    if (waiter === undefined) return
    if (isNoResponders(reply)) {
      waiter.sent = false
      this.retry(() => this.#resend(token)) // Q4
      return
    }
    this.#waiting.delete(token)
    waiter.resolve(reply)
  }

  /** A little later, for what the server could not take at this moment. */
  retry(again: () => void): void {
    this.clock.after(retryMs, again)
  }

  #resend(token: string): void {
    const waiter = this.#waiting.get(token)
    if (waiter !== undefined && !waiter.sent && this.connection.isUp) this.#send(token, waiter)
  }

  #onUp(): void {
    for (const token of [...this.#waiting.keys()]) this.#resend(token)
  }

  #onDown(): void {
    for (const [token, waiter] of this.#waiting) {
      if (waiter.options.repeatable === true) waiter.sent = false // Q3
      if (!waiter.sent) continue
      this.#waiting.delete(token)
      waiter.reject(new AppError('unavailable', `${waiter.subject}: the connection broke before the answer came`))
    }
  }

  #onSweep(): void {
    this.#sweep = undefined
    const nowMs = this.clock.monotonicMs()
    for (const [token, waiter] of this.#waiting) {
      if (waiter.deadlineMs <= nowMs) {
        this.#waiting.delete(token)
        waiter.reject(overdue(waiter, this.#timeoutMs, this.connection))
      } else if (waiter.options.repeatable === true && waiter.sent && nowMs - waiter.sentAtMs >= repeatMs) {
        waiter.sent = false // Q3
        this.#resend(token)
      }
    }
    if (this.#waiting.size > 0) this.#sweep = this.clock.after(sweepMs, () => this.#onSweep())
  }
}

function overdue({ subject, sent }: Waiter, timeoutMs: number, connection: Connection): AppError {
  if (sent) return new AppError('timeout', `${subject}: no answer within ${timeoutMs} ms; it may have been done`)
  const servers = connection.servers.join(', ')
  return connection.isUp
    ? new AppError(
        'unavailable',
        `${subject}: nobody at ${servers} answers; is JetStream enabled there ("nats-server -js")?`,
      )
    : new AppError('unavailable', `${subject}: no connection to ${servers} within ${timeoutMs} ms`)
}

const isNoResponders = (reply: Msg): boolean => reply.data.length === 0 && reply.headers?.code === 503

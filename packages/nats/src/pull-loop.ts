import { createInbox, type Msg, type Subscription } from 'nats'
import type { CancelTimer } from '@daruma/protocol'
import { callApi, jetStreamCodes } from './api.ts'
import type { Requester } from './requester.ts'

const batch = 250
const expiresMs = 30_000
const heartbeatMs = 5_000
/** So long without a message or heartbeat, and the request counts as lost. */
const silenceMs = 2.5 * heartbeatMs

export interface PullLoopHandlers {
  readonly onMessage: (message: Msg) => void
  /** The consumer does not exist any more. The loop has ended. Called at most once, and not after `stop`. */
  readonly onGone: () => void
}

/**
 * Messages of one pull consumer for as long as it exists, through restarts of server and connection. The client's own loop lets
 * rejections escape when a server goes away, which ends a Node process.
 *
 * - P1 One request for messages is open at a time; each has a number, and only the newest one's end moves the loop on.
 * - P2 Whatever ends a request oddly is looked into before the next one: the consumer may be gone.
 */
export class PullLoop {
  readonly #requester: Requester
  readonly #stream: string
  readonly #consumer: string
  readonly #handlers: PullLoopHandlers
  readonly #inbox = createInbox()
  readonly #subscription: Subscription
  readonly #stopListening: () => void
  #cancelTimer: CancelTimer | undefined
  #number = 0
  #left = 0
  #heardAtMs = 0
  #isChecking = false
  #active = true

  constructor(requester: Requester, stream: string, consumer: string, handlers: PullLoopHandlers) {
    this.#requester = requester
    this.#stream = stream
    this.#consumer = consumer
    this.#handlers = handlers
    this.#subscription = requester.connection.client.subscribe(`${this.#inbox}.*`, {
      callback: (_error, message) => this.#onReply(message),
    })
    this.#stopListening = requester.connection.listen({ onUp: () => void this.#check(), onDown: () => undefined })
    this.#pull()
    this.#watchSilence()
  }

  stop(): void {
    this.#active = false
    this.#stopListening()
    this.#cancelTimer?.()
    this.#subscription.unsubscribe()
  }

  #pull(): void {
    if (!this.#active || !this.#requester.connection.isUp) return
    this.#number += 1 // P1
    this.#left = batch
    this.#heardAtMs = this.#requester.clock.monotonicMs()
    const request = { batch, expires: expiresMs * 1e6, idle_heartbeat: heartbeatMs * 1e6 }
    this.#requester.connection.client.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#consumer}`,
      JSON.stringify(request),
      { reply: `${this.#inbox}.${this.#number}` },
    )
  }

  #onReply(message: Msg): void {
    if (!this.#active) return
    if (message.reply !== undefined && message.reply !== '') {
      // It comes under the subject it was stored by, so that its request cannot be told: any counts for the newest.
      this.#heardAtMs = this.#requester.clock.monotonicMs()
      if (--this.#left === 0) this.#pull()
      this.#handlers.onMessage(message)
      return
    }
    if (!message.subject.endsWith(`.${this.#number}`)) return
    this.#heardAtMs = this.#requester.clock.monotonicMs()
    const code = message.headers?.code
    if (code === 408 || code === 404) this.#pull()
    else if (code !== 100) void this.#check() // P2
  }

  /** Asks whether the consumer still exists, until there is an answer. */
  async #check(): Promise<void> {
    if (this.#isChecking) return
    this.#isChecking = true
    try {
      while (this.#active) {
        const found = await this.#find()
        if (found === 'there') return this.#pull()
        if (found === 'gone') {
          if (!this.#active) return
          this.stop()
          return this.#handlers.onGone()
        }
        await new Promise<void>((resolve) => this.#requester.retry(resolve))
      }
    } finally {
      this.#isChecking = false
    }
  }

  async #find(): Promise<'there' | 'gone' | 'unknown'> {
    try {
      const call = `CONSUMER.INFO.${this.#stream}.${this.#consumer}`
      const info = await callApi<object>(this.#requester, call, undefined, { repeatable: true })
      if (info.error === undefined) return 'there'
      const { consumerNotFound, streamNotFound } = jetStreamCodes
      return info.error.err_code === consumerNotFound || info.error.err_code === streamNotFound ? 'gone' : 'unknown'
    } catch {
      return this.#requester.isClosed ? 'gone' : 'unknown'
    }
  }

  #watchSilence(): void {
    this.#cancelTimer = this.#requester.clock.after(heartbeatMs, () => {
      if (!this.#active) return
      if (this.#requester.clock.monotonicMs() - this.#heardAtMs > silenceMs) void this.#check()
      this.#watchSilence()
    })
  }
}

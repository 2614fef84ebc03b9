import { AppError, type Clock, type Consumption, type Inbox, type InboxMessage } from '@daruma/protocol'
import type { Database } from 'lmdb'
import { assertName, type Bytes, type Environment, type Key } from './environment.ts'

/** Handed out and not yet acknowledged, per consumer; what lies beyond stays on disk until some are. */
const maxUnacknowledged = 1_000
/** Ids forgotten in passing by each delivery: more than it adds, so that they never pile up. */
const forgottenPerDelivery = 4

class Consumer {
  readonly onMessage: (message: InboxMessage) => void
  readonly unacknowledged = new Set<number>()
  nextOrder = 0
  active = true

  constructor(onMessage: (message: InboxMessage) => void) {
    this.onMessage = onMessage
  }
}

/**
 * The messages of one environment and who consumes them. Message ids are remembered for `rememberMs` after they were stored.
 * A new consumer of a partition takes over from the one before.
 */
export class Messages {
  readonly environment: Environment
  readonly #clock: Clock
  readonly #rememberMs: number
  /** [partition, order] -> length of the id, id, bytes. */
  readonly #stored: Bytes
  /** [partition, message id] -> when it was stored, wall clock. */
  readonly #seen: Database<number, Key>
  /** [when it was stored, partition, message id]: the oldest first. */
  readonly #seenByAge: Database<boolean, Key>
  readonly #consumers = new Map<string, Consumer>()
  readonly #attempts = new Map<string, Map<number, number>>()
  readonly #ends = new Map<string, number>()

  constructor(environment: Environment, clock: Clock, rememberMs: number) {
    this.environment = environment
    this.#clock = clock
    this.#rememberMs = rememberMs
    this.#stored = environment.openBytes('inbox')
    this.#seen = environment.openJson('inbox-seen')
    this.#seenByAge = environment.openJson('inbox-seen-by-age')
    environment.onAbort(() => this.#ends.clear())
  }

  async deliver(partition: string, messageId: string, bytes: Uint8Array): Promise<void> {
    assertName('partition', partition)
    assertName('message id', messageId)
    const value = pack(messageId, bytes)
    await this.environment.write(() => {
      const nowMs = this.#clock.wallMs()
      const storedAtMs = this.#seen.get([partition, messageId])
      if (storedAtMs !== undefined && nowMs - storedAtMs < this.#rememberMs) return // B1
      this.#forget(nowMs)
      if (storedAtMs !== undefined) this.#seenByAge.removeSync([storedAtMs, partition, messageId])
      const order = (this.#ends.get(partition) ?? this.#lastOrder(partition)) + 1
      this.#stored.putSync([partition, order], value)
      this.#seen.putSync([partition, messageId], nowMs)
      this.#seenByAge.putSync([nowMs, partition, messageId], true)
      this.#ends.set(partition, order)
    })
    this.#handOut(partition)
  }

  consume(partition: string, onMessage: (message: InboxMessage) => void): Consumer {
    const former = this.#consumers.get(partition)
    if (former !== undefined) former.active = false
    const consumer = new Consumer(onMessage)
    this.#consumers.set(partition, consumer)
    queueMicrotask(() => this.#handOut(partition))
    return consumer
  }

  #handOut(partition: string): void {
    const consumer = this.#consumers.get(partition)
    if (consumer === undefined) return
    const room = maxUnacknowledged - consumer.unacknowledged.size
    if (room <= 0 || !consumer.active) return
    const range = { start: [partition, consumer.nextOrder], end: [partition, Number.MAX_SAFE_INTEGER], limit: room }
    for (const { key, value } of [...this.#stored.getRange(range)]) {
      if (!consumer.active) return
      const order = (key as [string, number])[1]
      consumer.nextOrder = order + 1
      consumer.unacknowledged.add(order)
      consumer.onMessage(this.#message(partition, consumer, order, value))
    }
  }

  #message(partition: string, consumer: Consumer, order: number, value: Buffer): InboxMessage {
    const idSize = value.readUInt16BE(0)
    const attempts = this.#attempts.get(partition) ?? new Map<number, number>()
    this.#attempts.set(partition, attempts)
    const attempt = (attempts.get(order) ?? 0) + 1
    attempts.set(order, attempt)
    return {
      messageId: value.toString('utf8', 2, 2 + idSize),
      bytes: value.subarray(2 + idSize),
      attempt,
      ack: async () => {
        await this.environment.write(() => this.#stored.removeSync([partition, order]))
        attempts.delete(order)
        consumer.unacknowledged.delete(order)
        this.#handOut(partition)
      },
    }
  }

  /** Never below one already given: an order that came again would hide a message from a consumer that is past it. */
  #lastOrder(partition: string): number {
    const range = { start: [partition, Number.MAX_SAFE_INTEGER], end: [partition, 0], reverse: true, limit: 1 }
    for (const key of this.#stored.getKeys(range)) return (key as [string, number])[1]
    return (this.#consumers.get(partition)?.nextOrder ?? 1) - 1
  }

  #forget(nowMs: number): void {
    const range = { start: [0], end: [nowMs - this.#rememberMs + 1], limit: forgottenPerDelivery }
    for (const key of [...this.#seenByAge.getKeys(range)]) {
      const [, partition, messageId] = key as [number, string, string]
      this.#seen.removeSync([partition, messageId])
      this.#seenByAge.removeSync(key)
    }
  }
}

function pack(messageId: string, bytes: Uint8Array): Buffer {
  const idSize = Buffer.byteLength(messageId)
  const value = Buffer.allocUnsafe(2 + idSize + bytes.length)
  value.writeUInt16BE(idSize, 0)
  value.write(messageId, 2)
  value.set(bytes, 2 + idSize)
  return value
}

export class LmdbInbox implements Inbox {
  readonly #messages: Messages
  readonly #mine = new Set<Consumer>()
  #closed = false

  constructor(messages: Messages) {
    this.#messages = messages
  }

  async deliver(partition: string, messageId: string, bytes: Uint8Array): Promise<void> {
    this.#assertOpen()
    await this.#messages.deliver(partition, messageId, bytes)
  }

  async consume(partition: string, onMessage: (message: InboxMessage) => void): Promise<Consumption> {
    this.#assertOpen()
    const consumer = this.#messages.consume(partition, onMessage)
    this.#mine.add(consumer)
    return {
      stop: async () => {
        consumer.active = false
        this.#mine.delete(consumer)
      },
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const consumer of this.#mine) consumer.active = false
  }

  #assertOpen(): void {
    if (this.#closed) throw new AppError('unavailable', 'this inbox was closed')
    this.#messages.environment.assertOpen()
  }
}

import { AppError, uuidFrom, type EntryId } from '@daruma/protocol'
import { isRecord, nearHint, viewOf, type Entry, type Queue } from '@daruma/registry'
import type { NodeParts } from '../parts.ts'

export interface QueueMessage {
  readonly id: string
  readonly queue: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly payload: unknown
  /** 1 at first. */
  readonly attempt: number
}

export type BrokerParts = Pick<NodeParts, 'registry' | 'functions' | 'logger' | 'rng' | 'clock'>

export interface Consuming {
  /** Takes no more and resolves when the calls that run have ended; after `deadlineMs` they are given up. */
  stop(deadlineMs: number): Promise<void>
}

interface Delivery {
  readonly message: QueueMessage
  /** By the function itself, before it ended: what it ends with does not count then. */
  isSettled: boolean
}

interface MemoryQueue {
  readonly waiting: QueueMessage[]
  readonly consumers: Set<Consumer>
}

const defaultMaxLength = 10_000

/**
 * The queues of an app over `queue.driver.memory`: what is published is handed once to one consumer, in order of
 * publication, and is gone with the node. A message whose function fails is dropped with a report; with a `dead_letter`
 * it is tried up to its `max_attempts`, behind what waits, and then goes there.
 */
export class QueueBroker {
  readonly #parts: BrokerParts
  readonly #queues = new Map<string, MemoryQueue>()
  /** Those whose function runs, by message id. */
  readonly #deliveries = new Map<string, Delivery>()

  constructor(parts: BrokerParts) {
    this.#parts = parts
    parts.registry.watch(({ deleted }) => {
      for (const { id } of deleted) this.#queues.delete(id)
    })
  }

  /**
   * @throws AppError not_found - no such queue; unavailable - its driver is not offered here; rate_limited - it holds its
   *   `driver_options.memory.max_length` (10_000) messages
   */
  publish(id: string, payload: unknown, headers: Readonly<Record<string, unknown>>): void {
    const view = this.#view(id)
    const queue = this.#queue(id)
    const maxLength = maxLengthOf(view)
    if (queue.waiting.length >= maxLength) {
      throw new AppError('rate_limited', `queue ${id} holds its limit of ${maxLength} messages`, undefined, {
        retryable: true,
      })
    }
    queue.waiting.push({ id: uuidFrom(this.#parts.rng), queue: id, headers, payload, attempt: 1 })
    this.#feed(queue)
  }

  /**
   * Calls the consumer's function with the payload, `concurrency` at a time, until stopped. What else there is to know of
   * a message the function finds in its context (`queue.message()` in Lua).
   *
   * @throws AppError as publish
   */
  consume(entry: Entry, context: Readonly<Record<string, unknown>> = {}): Consuming {
    const { queue: id, func, concurrency } = viewOf(entry, 'queue.consumer')
    this.#view(id)
    const handle = async (message: QueueMessage, signal: AbortSignal): Promise<void> => {
      const delivery: Delivery = { message, isSettled: false }
      this.#deliveries.set(message.id, delivery)
      try {
        const { payload, ...about } = message
        await this.#parts.functions.call(func, [payload], { context: { ...context, '@queue': about }, signal })
      } catch (error) {
        if (!delivery.isSettled) this.#failed(message, error instanceof Error ? error.message : String(error))
      } finally {
        this.#deliveries.delete(message.id)
      }
    }
    const consumer = new Consumer(concurrency, handle, () => {
      const queue = this.#queues.get(id)
      if (queue !== undefined) this.#feed(queue)
    })
    this.#queue(id).consumers.add(consumer)
    this.#feed(this.#queue(id))
    return {
      stop: async (deadlineMs) => {
        this.#queues.get(id)?.consumers.delete(consumer)
        const cancel = this.#parts.clock.after(deadlineMs, () => consumer.giveUp())
        await consumer.idle()
        cancel()
      },
    }
  }

  /** Settles a delivery before its function has ended. @throws AppError not_found - it is not being delivered */
  settle(messageId: string, how: 'ack' | 'nack'): void {
    const delivery = this.#deliveries.get(messageId)
    if (delivery === undefined || delivery.isSettled) {
      throw new AppError('not_found', `message ${messageId} is not being delivered`, undefined, { retryable: false })
    }
    delivery.isSettled = true
    if (how === 'ack') return
    this.#failed(delivery.message, 'its function refused it')
    this.#feed(this.#queue(delivery.message.queue))
  }

  /** @throws AppError as publish */
  info(id: string): { readonly messages: number; readonly consumers: number; readonly running: number } {
    this.#view(id)
    const { waiting, consumers } = this.#queue(id)
    const running = [...this.#deliveries.values()].filter(({ message }) => message.queue === id)
    return { messages: waiting.length, consumers: consumers.size, running: running.length }
  }

  #feed({ waiting, consumers }: MemoryQueue): void {
    while (waiting.length > 0) {
      const [idlest] = [...consumers].filter(({ free }) => free > 0).toSorted((a, b) => b.free - a.free)
      if (idlest === undefined) return
      idlest.take(waiting.shift()!)
    }
  }

  #failed(message: QueueMessage, why: string): void {
    const { logger, registry } = this.#parts
    const { queue: id, attempt } = message
    const dead = registry.get(id) === undefined ? undefined : this.#view(id).deadLetter
    if (dead !== undefined && attempt < dead.maxAttempts) {
      logger.log('warn', `queue ${id}: attempt ${attempt} failed: ${why}`, { messageId: message.id })
      this.#queue(id).waiting.push({ ...message, attempt: attempt + 1 })
      return
    }
    logger.log('error', `queue ${id}: message ${message.id} failed: ${why}`, { messageId: message.id, attempt })
    if (dead === undefined) return
    try {
      this.publish(dead.queue, message.payload, {
        ...message.headers,
        'x-queue': id,
        'x-error': why,
        'x-attempts': String(attempt),
      })
    } catch (refused) {
      logger.log('error', `queue ${id}: message ${message.id} is lost: ${(refused as Error).message}`)
    }
  }

  #view(id: string): Queue {
    const { registry } = this.#parts
    const entry = registry.get(id)
    if (entry?.kind !== 'queue.queue') {
      const known = registry.entries().filter(({ kind }) => kind === 'queue.queue')
      const near = nearHint(
        id,
        known.map((each) => each.id as EntryId),
      )
      const hint = entry !== undefined ? `: it is a ${entry.kind}` : near === undefined ? '' : `; ${near}`
      throw new AppError('not_found', `no queue ${id}${hint}`, undefined, { retryable: false })
    }
    const view = viewOf(entry, 'queue.queue')
    const driver = registry.get(view.driver)
    if (driver?.kind === 'queue.driver.memory') return view
    throw new AppError(
      'unavailable',
      `queue ${id} is kept by ${view.driver}, a ${driver?.kind ?? 'missing entry'}; this node offers queue.driver.memory`,
      undefined,
      { retryable: false },
    )
  }

  #queue(id: string): MemoryQueue {
    const known = this.#queues.get(id)
    if (known !== undefined) return known
    const queue: MemoryQueue = { waiting: [], consumers: new Set() }
    this.#queues.set(id, queue)
    return queue
  }
}

class Consumer {
  readonly #concurrency: number
  readonly #handle: (message: QueueMessage, signal: AbortSignal) => Promise<void>
  readonly #onFree: () => void
  readonly #abort = new AbortController()
  readonly #running = new Set<Promise<void>>()

  /** `handle` never rejects. `onFree`: a call has ended, and the next can be taken. */
  constructor(
    concurrency: number,
    handle: (message: QueueMessage, signal: AbortSignal) => Promise<void>,
    onFree: () => void,
  ) {
    this.#concurrency = concurrency
    this.#handle = handle
    this.#onFree = onFree
  }

  get free(): number {
    return this.#concurrency - this.#running.size
  }

  take(message: QueueMessage): void {
    const running = this.#handle(message, this.#abort.signal).then(() => {
      this.#running.delete(running)
      this.#onFree()
    })
    this.#running.add(running)
  }

  giveUp(): void {
    this.#abort.abort()
  }

  async idle(): Promise<void> {
    await Promise.all(this.#running)
  }
}

function maxLengthOf({ driverOptions }: Queue): number {
  const options = driverOptions['memory']
  const written = isRecord(options) ? options['max_length'] : undefined
  return typeof written === 'number' && written >= 1 ? written : defaultMaxLength
}

import type { Consumption, Inbox, InboxMessage } from '../log.ts'
import { MemoryHandle, copyOf, type Fault, type MemoryOptions } from './faults.ts'

interface Stored {
  readonly messageId: string
  readonly bytes: Uint8Array
  attempts: number
}

class Consumer {
  readonly onMessage: (message: InboxMessage) => void
  readonly handed = new Set<Stored>()
  active = true

  constructor(onMessage: (message: InboxMessage) => void) {
    this.onMessage = onMessage
  }
}

interface PartitionInbox {
  readonly stored: Set<Stored>
  /** Message id -> when it was stored, by monotonic time. */
  readonly seen: Map<string, number>
  consumer: Consumer | undefined
}

export interface MemoryInboxOptions extends MemoryOptions {
  /** How long a message id is remembered after it was stored. Default 120_000. */
  readonly rememberMs?: number
}

/** An Inbox in memory, with faults to order. A new consumer of a partition takes over from the one before. */
export class MemoryInbox implements Inbox {
  readonly #options: MemoryInboxOptions
  readonly #handle: MemoryHandle
  readonly #mine = new Set<Consumer>()
  #partitions = new Map<string, PartitionInbox>()

  constructor(options: MemoryInboxOptions = {}) {
    this.#options = options
    this.#handle = new MemoryHandle(options)
  }

  /** Another handle on the same content: a second node, or the first one after `crash`. */
  reopen(options: MemoryInboxOptions = {}): MemoryInbox {
    const inbox = new MemoryInbox({ ...this.#options, ...options })
    inbox.#partitions = this.#partitions
    return inbox
  }

  crash(): void {
    this.#end('crashed')
  }

  failNext(fault: Fault, operation?: 'deliver' | 'consume' | 'ack'): void {
    this.#handle.failNext(fault, operation)
  }

  /** Stored messages that nobody has acknowledged. */
  depth(partition: string): number {
    return this.#partitions.get(partition)?.stored.size ?? 0
  }

  async deliver(partition: string, messageId: string, bytes: Uint8Array): Promise<void> {
    const given = copyOf(bytes)
    await this.#handle.perform('deliver', partition, () => {
      const inbox = this.#partition(partition)
      const nowMs = this.#handle.clock.monotonicMs()
      const rememberMs = this.#options.rememberMs ?? 120_000
      for (const [id, storedAtMs] of inbox.seen) {
        if (nowMs - storedAtMs < rememberMs) break
        inbox.seen.delete(id)
      }
      if (inbox.seen.has(messageId)) return
      inbox.seen.set(messageId, nowMs)
      inbox.stored.add({ messageId, bytes: given, attempts: 0 })
      this.#wake(partition)
    })
  }

  async consume(partition: string, onMessage: (message: InboxMessage) => void): Promise<Consumption> {
    const consumer = await this.#handle.perform('consume', partition, () => {
      const inbox = this.#partition(partition)
      if (inbox.consumer !== undefined) inbox.consumer.active = false
      const consumer = new Consumer(onMessage)
      inbox.consumer = consumer
      return consumer
    })
    this.#mine.add(consumer)
    this.#wake(partition)
    return {
      stop: async () => {
        consumer.active = false
        this.#mine.delete(consumer)
      },
    }
  }

  async close(): Promise<void> {
    this.#end('closed')
  }

  #end(how: 'closed' | 'crashed'): void {
    this.#handle.end(how)
    for (const consumer of this.#mine) consumer.active = false
  }

  #partition(partition: string): PartitionInbox {
    const known = this.#partitions.get(partition)
    if (known !== undefined) return known
    const fresh: PartitionInbox = { stored: new Set(), seen: new Map(), consumer: undefined }
    this.#partitions.set(partition, fresh)
    return fresh
  }

  /** Hands out later, never inside of the call that stored: a real inbox never calls back from within `deliver` either. */
  #wake(partition: string): void {
    queueMicrotask(() => {
      const inbox = this.#partition(partition)
      const consumer = inbox.consumer
      if (consumer === undefined) return
      for (const stored of inbox.stored) {
        if (!consumer.active) return
        if (consumer.handed.has(stored)) continue
        consumer.handed.add(stored)
        stored.attempts += 1
        consumer.onMessage(this.#message(partition, inbox, stored))
      }
    })
  }

  #message(partition: string, inbox: PartitionInbox, stored: Stored): InboxMessage {
    return {
      messageId: stored.messageId,
      bytes: copyOf(stored.bytes),
      attempt: stored.attempts,
      ack: async () => {
        await this.#handle.perform('ack', partition, () => {
          inbox.stored.delete(stored)
        })
      },
    }
  }
}

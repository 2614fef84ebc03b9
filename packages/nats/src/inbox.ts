import {
  AppError,
  systemRng,
  uuidFrom,
  type Consumption,
  type Inbox,
  type InboxMessage,
  type Rng,
} from '@daruma/protocol'
import type { Msg } from 'nats'
import { apiError, callApi, jetStreamCodes, positionOf } from './api.ts'
import { plainHeaders } from './headers.ts'
import { headerReserveBytes, publishStored } from './publisher.ts'
import { PullLoop } from './pull-loop.ts'
import type { Requester } from './requester.ts'
import { escapeToken, unescapeToken, type Names } from './subjects.ts'

/** A message whose owner neither acknowledged it nor was replaced comes again after this time. */
const ackWaitNs = 30_000_000_000
const maxUnacknowledged = 1_000
const maxAttempts = 10

interface ConsumerNames {
  readonly total: number
  readonly consumers?: readonly string[] | null
}

/**
 * Inbox on a work-queue stream, one durable pull consumer per partition. A message id is remembered for two minutes (the stream's
 * duplicate window), but that of an acknowledged message no longer than the server runs: a restarted one knows only the ids of what it
 * still stores.
 *
 * - N1 Consuming replaces the partition's consumer by one of another name: what was handed out and not acknowledged comes again at
 *   once, in the order in which it was stored, and a former owner that still lives finds its consumer gone. `attempt` counts anew.
 */
export class NatsInbox implements Inbox {
  readonly #requester: Requester
  readonly #names: Names
  readonly #queue: string
  readonly #rng: Rng
  readonly #loops = new Set<PullLoop>()
  #closed = false

  constructor(requester: Requester, names: Names, queue: string, rng: Rng = systemRng()) {
    this.#requester = requester
    this.#names = names
    this.#queue = queue
    this.#rng = rng
  }

  async deliver(partition: string, messageId: string, bytes: Uint8Array): Promise<void> {
    this.#assertOpen()
    // The server deduplicates per stream, ours is per partition.
    const id = `${escapeToken(partition)}.${escapeToken(messageId)}`
    const size = bytes.length + id.length
    const maxBytes = this.#requester.connection.client.info?.max_payload
    if (maxBytes !== undefined && size > maxBytes - headerReserveBytes) {
      throw new AppError(
        'invalid',
        `message of ${bytes.length} bytes with an id of ${id.length}; this server's max_payload is ${maxBytes}, of which ${headerReserveBytes} are kept for headers`,
      )
    }
    const headers = plainHeaders({ 'Nats-Msg-Id': id })
    await publishStored(this.#requester, this.#names.inboxSubject(this.#queue, partition), bytes, headers, true)
  }

  async consume(partition: string, onMessage: (message: InboxMessage) => void): Promise<Consumption> {
    this.#assertOpen()
    const stream = this.#names.inboxStream(this.#queue)
    const consumer = await this.#replaceConsumer(stream, partition)
    const loop = new PullLoop(this.#requester, stream, consumer, {
      onMessage: (message) => onMessage(this.#messageOf(message)),
      // Another owner has taken over: it gets everything.
      onGone: () => void this.#loops.delete(loop),
    })
    this.#loops.add(loop)
    return {
      stop: async () => {
        this.#loops.delete(loop)
        loop.stop()
      },
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const loop of this.#loops) loop.stop()
    this.#loops.clear()
  }

  /** A work queue has at most one consumer per subject, so that of two who come at once the later one removes the earlier's. */
  async #replaceConsumer(stream: string, partition: string): Promise<string> {
    const prefix = this.#names.inboxConsumerPrefix(partition)
    const subject = this.#names.inboxSubject(this.#queue, partition)
    const name = `${prefix}${uuidFrom(this.#rng).slice(0, 8)}`
    const input = {
      stream_name: stream,
      config: {
        durable_name: name,
        filter_subject: subject,
        deliver_policy: 'all',
        ack_policy: 'explicit',
        ack_wait: ackWaitNs,
        max_ack_pending: maxUnacknowledged,
        replay_policy: 'instant',
      },
    }
    for (let attempt = 1; ; attempt++) {
      await this.#removeConsumers(stream, prefix)
      const call = `CONSUMER.DURABLE.CREATE.${stream}.${name}`
      const made = await callApi<object>(this.#requester, call, input, { repeatable: true })
      if (made.error === undefined) return name
      const isTaken = made.error.err_code === jetStreamCodes.workQueueConsumerNotUnique
      if (!isTaken || attempt >= maxAttempts) throw apiError(`consumer of ${subject}`, made.error)
    }
  }

  async #removeConsumers(stream: string, prefix: string): Promise<void> {
    for (let offset = 0, total = 1; offset < total;) {
      const page = await callApi<ConsumerNames>(
        this.#requester,
        `CONSUMER.NAMES.${stream}`,
        { offset },
        { repeatable: true },
      )
      if (page.error !== undefined) throw apiError(`consumers of stream ${stream}`, page.error)
      const names = page.consumers ?? []
      for (const name of names.filter((name) => name.startsWith(prefix))) {
        const call = `CONSUMER.DELETE.${stream}.${name}`
        const deleted = await callApi<object>(this.#requester, call, undefined, { repeatable: true })
        if (deleted.error !== undefined && deleted.error.err_code !== jetStreamCodes.consumerNotFound) {
          throw apiError(`consumer ${name}`, deleted.error)
        }
      }
      if (names.length === 0) return
      offset += names.length
      total = page.total
    }
  }

  #messageOf(message: Msg): InboxMessage {
    const reply = message.reply!
    const tokens = message.headers?.get('Nats-Msg-Id').split('.') ?? []
    return {
      messageId: unescapeToken(tokens[1] ?? ''),
      bytes: new Uint8Array(message.data),
      attempt: positionOf(reply).deliveries,
      ack: async () => {
        await this.#requester.request(reply, acknowledged, { repeatable: true })
      },
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new AppError('unavailable', 'this inbox was closed')
  }
}

const acknowledged = Buffer.from('+ACK')

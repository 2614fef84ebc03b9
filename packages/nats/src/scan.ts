import { AppError, type LogRecord } from '@daruma/protocol'
import { createInbox } from 'nats'
import { apiError, callApi, positionOf } from './api.ts'
import type { Requester } from './requester.ts'

const batchMessages = 1_000
const batchBytes = 8 << 20
/** How long one batch may be silent before the scan begins again where it stands. */
const silenceMs = 5_000
const maxRestarts = 5

/** What came of one request for a batch: messages, then the reason why it ended. */
type Batch = { readonly records: LogRecord[]; readonly isBroken: boolean }

/**
 * Records of one subject from `fromSeq` to `endSeq`, each once and in order, by batches of a consumer that lives as long as the scan.
 *
 * - C1 The consumer's own counter must grow by one with each message: a gap (a lost connection, a restarted server) makes
 *   a new consumer that goes on behind the last record given.
 * - C2 The scan ends early only when the record at `endSeq` itself is gone: trimmed meanwhile. An empty answer proves
 *   nothing.
 */
export async function* scanSubject(
  requester: Requester,
  stream: string,
  subject: string,
  fromSeq: number,
  endSeq: number,
  isThere: (seq: number) => Promise<boolean>,
): AsyncGenerator<LogRecord> {
  let nextSeq = fromSeq
  for (let restarts = 0; nextSeq <= endSeq; restarts++) {
    if (restarts > maxRestarts)
      throw new AppError('unavailable', `reading ${subject} from ${nextSeq} broke ${restarts} times`)
    const consumer = await SubjectConsumer.create(requester, stream, subject, nextSeq)
    try {
      for (let isBroken = false; !isBroken && nextSeq <= endSeq;) {
        const batch = await consumer.next(endSeq)
        for (const record of batch.records) {
          yield record
          nextSeq = record.seq + 1
          restarts = 0
        }
        isBroken = batch.isBroken
        if (isBroken || batch.records.length > 0) continue
        // C2: a loaded server says "no messages" of a consumer that has not looked yet.
        if (!(await isThere(endSeq))) return
        isBroken = true
      }
    } finally {
      consumer.remove()
    }
  }
}

class SubjectConsumer {
  readonly #requester: Requester
  readonly #stream: string
  readonly #name: string
  /** Messages that this consumer has given. */
  #count = 0

  private constructor(requester: Requester, stream: string, name: string) {
    this.#requester = requester
    this.#stream = stream
    this.#name = name
  }

  static async create(
    requester: Requester,
    stream: string,
    subject: string,
    fromSeq: number,
  ): Promise<SubjectConsumer> {
    const input = {
      stream_name: stream,
      config: {
        deliver_policy: 'by_start_sequence',
        opt_start_seq: Math.max(fromSeq, 1),
        filter_subject: subject,
        ack_policy: 'none',
        replay_policy: 'instant',
        inactive_threshold: 30_000_000_000,
        mem_storage: true,
        num_replicas: 1,
      },
    }
    const made = await callApi<{ readonly name: string }>(requester, `CONSUMER.CREATE.${stream}`, input, {
      repeatable: true,
    })
    if (made.error !== undefined) throw apiError(`reading stream ${stream}`, made.error)
    return new SubjectConsumer(requester, stream, made.name)
  }

  /** The next batch, at the latest up to `endSeq`. Empty and unbroken: there is nothing more. */
  async next(endSeq: number): Promise<Batch> {
    const { client } = this.#requester.connection
    const records: LogRecord[] = []
    return new Promise<Batch>((resolve) => {
      const inbox = createInbox()
      let cancelTimer = this.#requester.clock.after(silenceMs, () => finish(true))
      const finish = (isBroken: boolean): void => {
        cancelTimer()
        stopListening()
        subscription.unsubscribe()
        resolve({ records, isBroken })
      }
      const stopListening = this.#requester.connection.listen({ onUp: () => undefined, onDown: () => finish(true) })
      const subscription = client.subscribe(inbox, {
        callback: (_error, message) => {
          if (message.reply === undefined || message.reply === '') {
            const code = message.headers?.code ?? 0
            // 404: nothing more; 408 and 409 "exceeds": this batch is over. Anything else ended the consumer.
            finish(code !== 404 && code !== 408 && !/exceed/i.test(message.headers?.description ?? ''))
            return
          }
          const { seq, count } = positionOf(message.reply)
          if (count !== ++this.#count) return finish(true) // C1
          records.push({ seq, bytes: new Uint8Array(message.data) })
          if (seq >= endSeq || records.length === batchMessages) return finish(false)
          if (records.length % 100 === 0) {
            cancelTimer()
            cancelTimer = this.#requester.clock.after(silenceMs, () => finish(true))
          }
        },
      })
      const pull = { batch: batchMessages, max_bytes: batchBytes, no_wait: true }
      client.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#name}`, JSON.stringify(pull), { reply: inbox })
    })
  }

  /** Without waiting for the answer: the server forgets an idle one by itself. */
  remove(): void {
    callApi(this.#requester, `CONSUMER.DELETE.${this.#stream}.${this.#name}`, undefined, { repeatable: false }).catch(
      () => undefined,
    )
  }
}

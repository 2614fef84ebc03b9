import { AppError, type AppendAnswer, type Durability, type Log, type LogRecord } from '@daruma/protocol'
import { apiError, callApi } from './api.ts'
import { plainHeaders } from './headers.ts'
import { headerReserveBytes, publishStored, readMessage } from './publisher.ts'
import type { Requester } from './requester.ts'
import { scanSubject } from './scan.ts'
import type { Names } from './subjects.ts'

/** Log on one JetStream stream: a subject per partition, a compare-and-set on the subject's last sequence with each append. */
export class NatsLog implements Log {
  readonly durability: Durability
  readonly maxRecordBytes: number
  readonly #requester: Requester
  readonly #stream: string
  readonly #subjectOf: (partition: string) => string
  /** With one copy of the stream whoever answers is up to date. */
  readonly #isSingle: boolean
  #closed = false

  constructor(requester: Requester, names: Names, queue: string, durability: Durability) {
    this.durability = durability
    this.maxRecordBytes = requester.connection.info.max_payload - headerReserveBytes
    this.#requester = requester
    this.#stream = names.logStream(queue)
    this.#subjectOf = (partition) => names.logSubject(queue, partition)
    this.#isSingle = durability !== 'replica'
  }

  async append(partition: string, expectedSeq: number, bytes: Uint8Array): Promise<AppendAnswer> {
    this.#assertOpen()
    if (bytes.length > this.maxRecordBytes) {
      throw new AppError(
        'invalid',
        `record of ${bytes.length} bytes; this server takes at most ${this.maxRecordBytes} (its max_payload, less ${headerReserveBytes} for headers)`,
      )
    }
    const subject = this.#subjectOf(partition)
    const headers = plainHeaders({ 'Nats-Expected-Last-Subject-Sequence': expectedSeq })
    // Not repeatable: a repeated append would be refused by its own first copy.
    const answer = await publishStored(this.#requester, subject, bytes, headers, false)
    if (answer.kind === 'stored') return { kind: 'appended', seq: answer.seq }
    return { kind: 'refused', lastSeq: answer.lastSeq ?? (await this.last(partition))?.seq ?? 0 }
  }

  async last(partition: string): Promise<LogRecord | undefined> {
    this.#assertOpen()
    const query = { last_by_subj: this.#subjectOf(partition) }
    return readMessage(this.#requester, this.#stream, query, this.#isSingle).then(recordOf)
  }

  async get(partition: string, seq: number): Promise<LogRecord | undefined> {
    this.#assertOpen()
    if (seq < 1) return undefined
    const message = await readMessage(this.#requester, this.#stream, { seq }, this.#isSingle)
    return message?.subject === this.#subjectOf(partition) ? recordOf(message) : undefined
  }

  async *scan(partition: string, fromSeq: number): AsyncIterable<LogRecord> {
    const endSeq = (await this.last(partition))?.seq ?? 0
    if (endSeq < fromSeq || endSeq === 0) return
    const isThere = async (seq: number): Promise<boolean> => (await this.get(partition, seq)) !== undefined
    yield* scanSubject(this.#requester, this.#stream, this.#subjectOf(partition), fromSeq, endSeq, isThere)
  }

  async trim(partition: string, uptoSeq: number): Promise<void> {
    const lastSeq = (await this.last(partition))?.seq ?? 0
    // The purge spares its own `seq`, so it never reaches the last record (L5).
    const input = { filter: this.#subjectOf(partition), seq: Math.min(uptoSeq + 1, lastSeq) }
    if (input.seq <= 1) return
    const answer = await callApi<object>(this.#requester, `STREAM.PURGE.${this.#stream}`, input, { repeatable: true })
    if (answer.error !== undefined) throw apiError(`trimming ${input.filter}`, answer.error)
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #assertOpen(): void {
    if (this.#closed) throw new AppError('unavailable', 'this log was closed')
  }
}

const recordOf = (message: LogRecord | undefined): LogRecord | undefined =>
  message && { seq: message.seq, bytes: message.bytes }

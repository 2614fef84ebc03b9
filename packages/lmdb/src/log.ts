import { AppError, type AppendAnswer, type Durability, type Log, type LogRecord } from '@daruma/protocol'
import { assertName, type Bytes, type Environment } from './environment.ts'

/** A scan reads this much at a time, so that no read transaction stays open while its caller works. */
const scanChunkBytes = 4 << 20
const trimChunkRecords = 5_000

/** What all logs of one environment share: the records, and the end of each chain as far as it was needed. */
export class Chains {
  readonly environment: Environment
  readonly records: Bytes
  readonly #ends = new Map<string, number>()

  constructor(environment: Environment) {
    this.environment = environment
    this.records = environment.openBytes('log')
    environment.onAbort(() => this.#ends.clear())
  }

  /** Within a transaction only: there the owner is the only writer, and what it remembers is true. */
  end(partition: string): number {
    return this.#ends.get(partition) ?? this.lastSeq(partition)
  }

  moveEnd(partition: string, seq: number): void {
    this.#ends.set(partition, seq)
  }

  lastSeq(partition: string): number {
    for (const key of this.records.getKeys({
      start: [partition, maxSeq],
      end: [partition, 0],
      reverse: true,
      limit: 1,
    })) {
      return (key as [string, number])[1]
    }
    return 0
  }
}

const maxSeq = Number.MAX_SAFE_INTEGER

/** Log on LMDB. Sequences of a partition are dense from 1. An append is acknowledged when it is on disk (V1). */
export class LmdbLog implements Log {
  readonly durability: Durability = 'disk'
  readonly maxRecordBytes: number
  readonly #chains: Chains
  #closed = false

  constructor(chains: Chains, maxRecordBytes: number) {
    this.#chains = chains
    this.maxRecordBytes = maxRecordBytes
  }

  async append(partition: string, expectedSeq: number, bytes: Uint8Array): Promise<AppendAnswer> {
    this.#assertOpen()
    assertName('partition', partition)
    if (bytes.length > this.maxRecordBytes) {
      throw new AppError('invalid', `record of ${bytes.length} bytes; this log takes at most ${this.maxRecordBytes}`)
    }
    const given = Buffer.from(bytes)
    return this.#chains.environment.write((): AppendAnswer => {
      const lastSeq = this.#chains.end(partition)
      if (lastSeq !== expectedSeq) return { kind: 'refused', lastSeq } // L1
      const seq = lastSeq + 1
      this.#chains.records.putSync([partition, seq], given)
      this.#chains.moveEnd(partition, seq)
      return { kind: 'appended', seq }
    })
  }

  async last(partition: string): Promise<LogRecord | undefined> {
    this.#assertOpen()
    const seq = this.#chains.lastSeq(partition)
    return seq === 0 ? undefined : this.get(partition, seq)
  }

  async get(partition: string, seq: number): Promise<LogRecord | undefined> {
    this.#assertOpen()
    const bytes = this.#chains.records.get([partition, seq])
    return bytes && { seq, bytes }
  }

  async *scan(partition: string, fromSeq: number): AsyncIterable<LogRecord> {
    this.#assertOpen()
    const endSeq = this.#chains.lastSeq(partition)
    for (let nextSeq = fromSeq; nextSeq <= endSeq;) {
      const chunk = this.#chunk(partition, nextSeq, endSeq)
      if (chunk.length === 0) return
      yield* chunk
      nextSeq = chunk.at(-1)!.seq + 1
      this.#assertOpen()
    }
  }

  async trim(partition: string, uptoSeq: number): Promise<void> {
    this.#assertOpen()
    const { records, environment } = this.#chains
    for (let more = true; more;) {
      more = await environment.write(() => {
        const end = [partition, Math.min(uptoSeq + 1, this.#chains.end(partition))] // L5
        const keys = [...records.getKeys({ start: [partition, 0], end, limit: trimChunkRecords })]
        for (const key of keys) records.removeSync(key)
        return keys.length === trimChunkRecords
      })
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #chunk(partition: string, fromSeq: number, endSeq: number): LogRecord[] {
    const chunk: LogRecord[] = []
    let size = 0
    for (const { key, value } of this.#chains.records.getRange({
      start: [partition, fromSeq],
      end: [partition, endSeq + 1],
    })) {
      chunk.push({ seq: (key as [string, number])[1], bytes: value })
      size += value.length
      if (size >= scanChunkBytes || chunk.length >= 10_000) break
    }
    return chunk
  }

  #assertOpen(): void {
    if (this.#closed) throw new AppError('unavailable', 'this log was closed')
    this.#chains.environment.assertOpen()
  }
}

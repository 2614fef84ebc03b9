import { AppError } from '../errors.ts'
import type { AppendAnswer, Durability, Log, LogRecord } from '../log.ts'
import { MemoryHandle, copyOf, type Fault, type MemoryOptions } from './faults.ts'

export interface MemoryLogOptions extends MemoryOptions {
  /** What it claims to be. Default `process`; in truth it lives as long as its content object. */
  readonly durability?: Durability
  /** Default 1 MiB. */
  readonly maxRecordBytes?: number
}

/** What all handles of one memory log share. One counter runs over all partitions, as on JetStream: sequences have gaps. */
class Records {
  readonly partitions = new Map<string, LogRecord[]>()
  #nextSeq = 11

  append(partition: string, expectedSeq: number, bytes: Uint8Array): AppendAnswer {
    const lastSeq = this.lastSeq(partition)
    if (lastSeq !== expectedSeq) return { kind: 'refused', lastSeq }
    const record: LogRecord = { seq: this.#nextSeq++, bytes: copyOf(bytes) }
    const records = this.partitions.get(partition)
    if (records === undefined) this.partitions.set(partition, [record])
    else records.push(record)
    return { kind: 'appended', seq: record.seq }
  }

  lastSeq(partition: string): number {
    return this.partitions.get(partition)?.at(-1)?.seq ?? 0
  }

  /** Where the first record with `seq >= fromSeq` stands: all of them from there on are in order. */
  indexOf(partition: string, fromSeq: number): number {
    const records = this.partitions.get(partition) ?? []
    let low = 0
    let high = records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (records[middle]!.seq < fromSeq) low = middle + 1
      else high = middle
    }
    return low
  }

  trim(partition: string, uptoSeq: number): void {
    const records = this.partitions.get(partition)
    if (records === undefined) return
    records.splice(0, Math.min(this.indexOf(partition, uptoSeq + 1), records.length - 1)) // L5
  }
}

/**
 * A Log in memory, with faults to order. Its handles share their content: `reopen` is a second node, or the first one after `crash`.
 * Bytes are copied in and out.
 */
export class MemoryLog implements Log {
  readonly durability: Durability
  readonly maxRecordBytes: number
  readonly #options: MemoryLogOptions
  readonly #handle: MemoryHandle
  #records = new Records()

  constructor(options: MemoryLogOptions = {}) {
    this.#options = options
    this.#handle = new MemoryHandle(options)
    this.durability = options.durability ?? 'process'
    this.maxRecordBytes = options.maxRecordBytes ?? 1 << 20
  }

  /** Another handle on the same content; `options` replace those of this one. */
  reopen(options: MemoryLogOptions = {}): MemoryLog {
    const log = new MemoryLog({ ...this.#options, ...options })
    log.#records = this.#records
    return log
  }

  /** Appends of this handle that wait in a `delay_request` are lost; every call from now on rejects. The content stays. */
  crash(): void {
    this.#handle.end('crashed')
  }

  failNext(fault: Fault, operation?: 'append' | 'last' | 'get' | 'scan' | 'trim'): void {
    this.#handle.failNext(fault, operation)
  }

  async append(partition: string, expectedSeq: number, bytes: Uint8Array): Promise<AppendAnswer> {
    if (bytes.length > this.maxRecordBytes) {
      throw new AppError('invalid', `record of ${bytes.length} bytes; this log takes at most ${this.maxRecordBytes}`)
    }
    const given = copyOf(bytes)
    const store = (): AppendAnswer => this.#records.append(partition, expectedSeq, given)
    const refusal = (): AppendAnswer => ({ kind: 'refused', lastSeq: this.#records.lastSeq(partition) })
    return this.#handle.perform('append', partition, store, (fault) => {
      if (fault.kind === 'intrude') {
        this.#records.append(partition, this.#records.lastSeq(partition), fault.bytes)
        return store()
      }
      if (fault.kind === 'refuse_stored') store()
      return refusal()
    })
  }

  async last(partition: string): Promise<LogRecord | undefined> {
    return this.#handle.perform('last', partition, () => copied(this.#records.partitions.get(partition)?.at(-1)))
  }

  async get(partition: string, seq: number): Promise<LogRecord | undefined> {
    return this.#handle.perform('get', partition, () => {
      const record = this.#records.partitions.get(partition)?.[this.#records.indexOf(partition, seq)]
      return record?.seq === seq ? copied(record) : undefined
    })
  }

  async *scan(partition: string, fromSeq: number): AsyncIterable<LogRecord> {
    const records = await this.#handle.perform('scan', partition, () =>
      (this.#records.partitions.get(partition) ?? []).slice(this.#records.indexOf(partition, fromSeq)),
    )
    for (const record of records) yield copied(record)!
  }

  async trim(partition: string, uptoSeq: number): Promise<void> {
    await this.#handle.perform('trim', partition, () => this.#records.trim(partition, uptoSeq))
  }

  async close(): Promise<void> {
    this.#handle.end('closed')
  }
}

const copied = (record: LogRecord | undefined): LogRecord | undefined =>
  record && { seq: record.seq, bytes: copyOf(record.bytes) }

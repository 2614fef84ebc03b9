/** What an acknowledged append survives; docs/durability.md has the table of what each can lose. */
export type Durability = 'process' | 'disk' | 'replica'

export interface LogRecord {
  readonly seq: number
  readonly bytes: Uint8Array
}

export type AppendAnswer =
  | { readonly kind: 'appended'; readonly seq: number }
  /** Somebody else moved the end. `lastSeq` is where it stood when the append was refused. */
  | { readonly kind: 'refused'; readonly lastSeq: number }

/**
 * Ordered records, one chain per partition, extended by compare-and-set: the fence that all of durability stands on.
 *
 * - L1 `append` succeeds only if the partition's last record has `expectedSeq` (0: it has none).
 * - L2 Sequences of one partition only grow; they need not be dense, nor start at 1.
 * - L3 An acknowledged record is returned by every later `last` and `scan`, until trimmed, and survives what `durability` says.
 * - L4 A rejected `append` (AppError unavailable or timeout) says nothing: the record may be stored. Read `last` to know.
 * - L5 `trim` drops records up to `uptoSeq`, never the partition's last one.
 */
export interface Log {
  readonly durability: Durability
  /** Larger records are refused with AppError invalid before anything is sent. */
  readonly maxRecordBytes: number
  append(partition: string, expectedSeq: number, bytes: Uint8Array): Promise<AppendAnswer>
  last(partition: string): Promise<LogRecord | undefined>
  /** One record by its sequence; undefined: trimmed, or never there. */
  get(partition: string, seq: number): Promise<LogRecord | undefined>
  /** Records with `seq >= fromSeq`, up to the end as it stood when the scan began or later. */
  scan(partition: string, fromSeq: number): AsyncIterable<LogRecord>
  trim(partition: string, uptoSeq: number): Promise<void>
  close(): Promise<void>
}

export interface InboxMessage {
  readonly messageId: string
  readonly bytes: Uint8Array
  /** 1 on the first delivery. */
  readonly attempt: number
  /** Forgets the message. Call it only when its effect is durable; without it the message comes again. */
  ack(): Promise<void>
}

export interface Consumption {
  /** No message is handed out after it resolves; those not acknowledged come again to the next consumer. */
  stop(): Promise<void>
}

/**
 * Where those who find no owner leave messages for a partition.
 *
 * - B1 `deliver` resolves when the message is stored; the same `messageId` twice is stored once while the first is remembered.
 * - B2 Messages come in the order in which they were stored, each at least once, until acknowledged.
 */
export interface Inbox {
  deliver(partition: string, messageId: string, bytes: Uint8Array): Promise<void>
  consume(partition: string, onMessage: (message: InboxMessage) => void): Promise<Consumption>
  close(): Promise<void>
}

/** Compacted journals by key. `put` is durable when it resolves and replaces what was there. */
export interface Snapshots {
  get(key: string): Promise<Uint8Array | undefined>
  put(key: string, bytes: Uint8Array): Promise<void>
  delete(key: string): Promise<void>
}

import { AppError, isAppError, toWire, type Clock, type Codec, type Log, type Logger } from '@daruma/protocol'
import { decodeCommit, encodeCommit, entryOverheadBytes, type CarriedEntry, type Commit, type Entry } from './commit.ts'
import type { JournalEvent } from './events.ts'

export interface ChainOptions {
  readonly log: Log
  readonly partition: string
  readonly codec: Codec
  readonly clock: Clock
  readonly logger: Logger
  /** Names this life of this node; written into the claim. */
  readonly node: string
  /** A commit that waits while another is under way takes at most this much. */
  readonly maxCommitBytes: number
  /** Somebody else owns the partition now. Called once; nothing is appended after it. */
  readonly onFenced: (error: AppError) => void
  /** A commit is stored, and everybody in it knows. */
  readonly onCommit?: () => void
}

/** The end of a checkpoint: from now on everything that counts stands behind `from`. */
export interface Mark {
  readonly from: number
  readonly runFloor: number
}

interface Waiting {
  /** Undefined: a barrier, which only waits for what stands before it. */
  readonly entry: Entry | CarriedEntry | Mark | undefined
  readonly onStored: ((seq: number) => void) | undefined
}

const reservedBytes = 1_024

const firstRetryMs = 50
const maxRetryMs = 5_000

/**
 * The one writer's end of a partition's log: group commit with one append under way.
 *
 * Invariants
 * - C1 Entries are stored in the order in which they were added; `onStored` runs in that order, once, after the
 *   acknowledgement of the commit that holds the entry.
 * - C2 Every commit carries epoch and number. A refused or unanswered append is no answer: the end of the log says
 *   whether it is ours (trap 2).
 * - C3 Once fenced, nothing is appended and no `onStored` runs.
 */
export class CommitChain {
  readonly #options: ChainOptions
  readonly #epoch: number
  #seq: number
  #from: number
  #commit = 0
  #commitsWritten = 0
  #bytesWritten = 0
  #waiting: Waiting[] = []
  #underWay = false
  #closed = false
  #idle: (() => void)[] = []
  #doubts: (() => void)[] = []
  #isDoubting = false

  private constructor(options: ChainOptions, epoch: number, seq: number, from: number) {
    this.#options = options
    this.#epoch = epoch
    this.#seq = seq
    this.#from = from
  }

  /**
   * Takes the partition: from now on every append of an earlier owner is refused. The new owner has to read what stands
   * behind `from`, up to `seq`: its claim.
   *
   * @throws AppError invalid - the log was written by a newer version, or is no workflow log
   */
  static async claim(options: ChainOptions): Promise<CommitChain> {
    const { log, partition, codec, node } = options
    for (let round = 0; ; round++) {
      const last = await log.last(partition)
      const before = last === undefined ? undefined : decodeCommit(codec, last.bytes, { partition, seq: last.seq })
      const from = before?.from ?? 0
      if (before?.kind === 'claimed' && before.node === node) {
        return new CommitChain(options, before.epoch, last!.seq, from) // our own, whose acknowledgement was lost (C2)
      }
      const epoch = (before?.epoch ?? 0) + 1
      try {
        const bytes = encodeCommit(codec, { kind: 'claimed', epoch, commit: 0, from, node })
        const answer = await log.append(partition, last?.seq ?? 0, bytes)
        if (answer.kind === 'appended') return new CommitChain(options, epoch, answer.seq, from)
      } catch (error) {
        if (!isRetryable(error)) throw error
        await pause(options.clock, retryDelayMs(round))
      }
    }
  }

  get epoch(): number {
    return this.#epoch
  }

  /** The last sequence that is acknowledged. */
  get seq(): number {
    return this.#seq
  }

  get from(): number {
    return this.#from
  }

  /** By this owner, acknowledged. */
  get commitsWritten(): number {
    return this.#commitsWritten
  }

  get bytesWritten(): number {
    return this.#bytesWritten
  }

  /** Bytes that one entry may have. */
  get maxEntryBytes(): number {
    return this.#options.log.maxRecordBytes - reservedBytes
  }

  encode(event: JournalEvent): Uint8Array {
    return this.#options.codec.encode(event)
  }

  /** Joins the next commit. Nothing is sent before `flush`. */
  add(entry: Entry | CarriedEntry | Mark, onStored?: (seq: number) => void): void {
    if (this.#closed) return // C3
    this.#waiting.push({ entry, onStored })
  }

  /** Resolves when all that was added so far is stored. Never, when the chain is closed first. */
  barrier(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed) return
      this.#waiting.push({ entry: undefined, onStored: () => resolve() })
      this.flush()
    })
  }

  /**
   * Resolves when all that was added so far is stored, and the log was then found to end with this owner's commit: what
   * it knows is all that there is to know. Never, when somebody else has written. An owner that was paused knows too
   * little, and its own appends alone would tell it so: what it answers without one has to be asked for.
   */
  confirm(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed) return
      this.#doubts.push(resolve)
      if (!this.#isDoubting) void this.#resolveDoubts()
    })
  }

  async #resolveDoubts(): Promise<void> {
    const { log, partition, clock, codec } = this.#options
    this.#isDoubting = true
    try {
      for (let round = 0; this.#doubts.length > 0 && !this.#closed; round++) {
        const doubts = this.#doubts
        this.#doubts = []
        await this.barrier()
        try {
          const last = await log.last(partition)
          if (last !== undefined && last.seq !== this.#seq) {
            const { epoch } = decodeCommit(codec, last.bytes, { partition, seq: last.seq })
            if (epoch !== this.#epoch) return this.#fence(this.#takenOver(epoch))
          }
          if (this.#closed) return
          for (const resolve of doubts) resolve()
          round = 0
        } catch (error) {
          if (!isRetryable(error)) throw error
          this.#doubts.unshift(...doubts)
          await pause(clock, retryDelayMs(round))
        }
      }
    } catch (error) {
      this.#fence(new AppError('internal', `partition ${partition} cannot go on`, undefined, { cause: error }))
    } finally {
      this.#isDoubting = false
    }
  }

  /** Sends what waits, unless an append is under way: then it leaves when that one is answered. */
  flush(): void {
    if (this.#underWay || this.#closed || this.#waiting.length === 0) return
    this.#underWay = true
    void this.#drain()
  }

  /** Resolves when everything that was added is stored, or the chain is closed. */
  async settled(): Promise<void> {
    this.flush()
    if (!this.#underWay) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  close(): void {
    this.#closed = true
    this.#waiting = []
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting.length > 0 && !this.#closed) {
        const taken = this.#take()
        const commit = this.#commitOf(taken)
        if (commit !== undefined) {
          const bytes = encodeCommit(this.#options.codec, commit)
          const seq = await this.#append(bytes)
          if (seq === undefined || this.#closed) return // C3
          this.#seq = seq
          this.#commitsWritten++
          this.#bytesWritten += bytes.length
        }
        for (const { onStored } of taken) onStored?.(this.#seq) // C1
        if (commit !== undefined) this.#options.onCommit?.()
      }
    } catch (error) {
      this.#fence(
        new AppError('internal', `partition ${this.#options.partition} cannot go on`, undefined, { cause: error }),
      )
    } finally {
      this.#underWay = false
      for (const resolve of this.#idle.splice(0)) resolve()
      this.flush()
    }
  }

  /** The first that wait: of one kind, as a commit is, and not more than one commit takes. */
  #take(): Waiting[] {
    let bytes = 0
    let count = 0
    let kind: Commit['kind'] | undefined
    const maxBytes = Math.min(this.#options.maxCommitBytes, this.maxEntryBytes)
    while (count < this.#waiting.length) {
      const { entry } = this.#waiting[count]!
      if (entry !== undefined) {
        const next = kindOf(entry)
        if (kind !== undefined && (next !== kind || next === 'checkpointed')) break
        kind = next
        if (!isMark(entry)) bytes += entry.bytes.length + entry.workflow.length * 3 + entryOverheadBytes
        if (count > 0 && bytes > maxBytes) break
      }
      count++
    }
    if (count === this.#waiting.length) {
      const all = this.#waiting
      this.#waiting = []
      return all
    }
    return this.#waiting.splice(0, count)
  }

  #commitOf(taken: readonly Waiting[]): Commit | undefined {
    const entries: (Entry | CarriedEntry | Mark)[] = []
    for (const { entry } of taken) if (entry !== undefined) entries.push(entry)
    const first = entries[0]
    if (first === undefined) return undefined
    const header = { epoch: this.#epoch, commit: ++this.#commit }
    if (isMark(first)) {
      this.#from = first.from
      return { ...header, kind: 'checkpointed', ...first }
    }
    return 'carried' in first
      ? { ...header, from: this.#from, kind: 'carried', entries: entries as CarriedEntry[] }
      : { ...header, from: this.#from, kind: 'events', entries: entries as Entry[] }
  }

  /** The sequence under which the commit is stored; undefined when fenced. Goes on asking for as long as it takes. */
  async #append(bytes: Uint8Array): Promise<number | undefined> {
    const { log, partition, clock, logger } = this.#options
    for (let round = 0; !this.#closed; round++) {
      try {
        const answer = await log.append(partition, this.#seq, bytes)
        if (answer.kind === 'appended') return answer.seq
        const mine = await this.#lookAtEnd()
        if (mine.kind === 'stored') return mine.seq
        if (mine.kind === 'fenced') return undefined
      } catch (error) {
        if (!isRetryable(error)) throw error
        logger.log('warn', `partition ${partition}: commit not acknowledged, asking the log`, {
          error: toWire(error).message,
          round,
        })
        await pause(clock, retryDelayMs(round))
        try {
          const mine = await this.#lookAtEnd()
          if (mine.kind === 'stored') return mine.seq
          if (mine.kind === 'fenced') return undefined
        } catch (readError) {
          if (!isRetryable(readError)) throw readError
        }
      }
    }
    return undefined
  }

  async #lookAtEnd(): Promise<{ kind: 'stored'; seq: number } | { kind: 'absent' } | { kind: 'fenced' }> {
    const { log, partition, codec } = this.#options
    const last = await log.last(partition)
    if (last === undefined || last.seq === this.#seq) return { kind: 'absent' }
    const found = decodeCommit(codec, last.bytes, { partition, seq: last.seq })
    if (found.epoch === this.#epoch && found.commit === this.#commit) return { kind: 'stored', seq: last.seq }
    this.#fence(this.#takenOver(found.epoch))
    return { kind: 'fenced' }
  }

  #takenOver(found: number): AppError {
    const { partition } = this.#options
    const text = `partition ${partition} was taken over: the log ends with epoch ${found}, this owner had epoch ${this.#epoch}`
    return new AppError('conflict', text, { epoch: this.#epoch, found })
  }

  #fence(error: AppError): void {
    if (this.#closed) return
    this.close()
    this.#options.onFenced(error)
  }
}

function isMark(entry: Entry | CarriedEntry | Mark): entry is Mark {
  return 'runFloor' in entry
}

function kindOf(entry: Entry | CarriedEntry | Mark): 'events' | 'carried' | 'checkpointed' {
  return isMark(entry) ? 'checkpointed' : 'carried' in entry ? 'carried' : 'events'
}

function isRetryable(error: unknown): boolean {
  return isAppError(error, 'unavailable') || isAppError(error, 'timeout')
}

function retryDelayMs(round: number): number {
  return Math.min(firstRetryMs * 2 ** round, maxRetryMs)
}

function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve)
  })
}

import { isAppError, toWire, type CancelTimer, type Clock, type Log, type Logger } from '@daruma/protocol'
import type { Carrier } from './carrier.ts'
import type { CommitChain } from './chain.ts'
import type { Head } from './head.ts'
import type { Observer } from './observer.ts'
import { decideFates, type Retention } from './retention.ts'

/** When a checkpoint begins: after so much since the last one, and not before the log has grown by `growth` of its size. */
export interface CheckpointOptions {
  /** Default 16 MiB. */
  readonly everyBytes: number
  /** Default 20_000. */
  readonly everyCommits: number
  /** Default 1: as much as the last checkpoint wrote, so that checkpoints at most double what is written. */
  readonly growth: number
}

export const checkpointDefaults: CheckpointOptions = { everyBytes: 16 << 20, everyCommits: 20_000, growth: 1 }

export interface CheckpointerOptions {
  readonly partition: string
  readonly log: Log
  readonly chain: CommitChain
  readonly carrier: Carrier
  /** Time of workflows: their ages. */
  readonly clock: Clock
  readonly machineClock: Clock
  readonly logger: Logger
  readonly observe: Observer
  readonly when: CheckpointOptions
  readonly retention: Retention
  /** What the log held behind its last checkpoint when it was read. */
  readonly recovered: { readonly bytes: number; readonly commits: number; readonly carriedBytes: number }
  readonly heads: () => readonly Head[]
  /** False: it cannot be let go at this moment. */
  readonly forget: (head: Head) => boolean
  readonly runFloor: () => number
}

/** Journals are read so many at a time. */
const width = 64
const retryMs = 10_000

/**
 * Keeps the log proportional to open work: writes what counts forward, between the turns of the running workflows,
 * then marks the place from which a reader has to read, then trims.
 *
 * - T1 `after` is acknowledged before anything is read, so whatever is not carried stands behind it.
 * - T2 Nothing is trimmed before the mark is stored: a crash at any commit leaves the last complete checkpoint.
 */
export class Checkpointer {
  readonly #options: CheckpointerOptions
  #bytesAtMark: number
  #commitsAtMark: number
  #lastBytes: number
  #underWay = false
  #stopped = false
  #retry: CancelTimer | undefined

  constructor(options: CheckpointerOptions) {
    this.#options = options
    const { chain, recovered } = options
    this.#bytesAtMark = chain.bytesWritten - (recovered.bytes - recovered.carriedBytes)
    this.#commitsAtMark = chain.commitsWritten - recovered.commits
    this.#lastBytes = recovered.carriedBytes
    // A crash may have come before the trim, and a server may have brought back what was trimmed.
    if (chain.from > 0) void this.#trim(chain.from)
  }

  get isUnderWay(): boolean {
    return this.#underWay
  }

  /** Begins a checkpoint if it is time. Called after each commit. */
  consider(): void {
    const { chain, when } = this.#options
    if (this.#underWay || this.#stopped || this.#retry !== undefined) return
    const bytes = chain.bytesWritten - this.#bytesAtMark
    const commits = chain.commitsWritten - this.#commitsAtMark
    if (bytes < when.everyBytes && commits < when.everyCommits) return
    if (bytes < this.#lastBytes * when.growth) return
    void this.run()
  }

  /** Makes a checkpoint now, or joins none: one at a time. */
  async run(): Promise<void> {
    if (this.#underWay || this.#stopped) return
    this.#underWay = true
    try {
      await this.#run()
    } catch (error) {
      if (this.#stopped) return
      const level = isAppError(error, 'unavailable') || isAppError(error, 'timeout') ? 'warn' : 'error'
      this.#options.logger.log(
        level,
        `partition ${this.#options.partition}: checkpoint put off: ${toWire(error).message}`,
      )
      this.#retry = this.#options.machineClock.after(retryMs, () => {
        this.#retry = undefined
        this.consider()
      })
    } finally {
      this.#underWay = false
    }
  }

  stop(): void {
    this.#stopped = true
    this.#retry?.()
  }

  async #run(): Promise<void> {
    const { chain, carrier, partition, clock, retention, forget, observe } = this.#options
    const after = chain.seq // T1
    const bytesBefore = chain.bytesWritten
    const heads = this.#options.heads()
    const fates = decideFates(heads, clock.wallMs(), retention)
    let forgotten = 0
    for (let at = 0; at < heads.length; at += width) {
      await Promise.all(
        heads.slice(at, at + width).map(async (head) => {
          const fate = fates.get(head)!
          if (fate === 'forget' && forget(head)) forgotten++
          else await carrier.carry(head, after, fate === 'journal')
        }),
      )
      if (this.#stopped) return
    }
    await carrier.settled()
    await this.#mark(after)
    if (this.#stopped) return
    this.#lastBytes = chain.bytesWritten - bytesBefore
    this.#bytesAtMark = chain.bytesWritten
    this.#commitsAtMark = chain.commitsWritten
    observe({
      kind: 'checkpointed',
      partition,
      from: after,
      carried: heads.length - forgotten,
      forgotten,
      bytes: this.#lastBytes,
    })
    await this.#trim(after) // T2
  }

  async #mark(from: number): Promise<void> {
    const { chain, runFloor } = this.#options
    await new Promise<void>((resolve) => {
      chain.add({ from, runFloor: runFloor() }, () => resolve())
      chain.flush()
    })
  }

  async #trim(uptoSeq: number): Promise<void> {
    const { log, partition, logger } = this.#options
    try {
      await log.trim(partition, uptoSeq)
    } catch (error) {
      if (!this.#stopped) logger.log('warn', `partition ${partition}: not trimmed yet: ${toWire(error).message}`)
    }
  }
}

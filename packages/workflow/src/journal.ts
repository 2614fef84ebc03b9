import { AppError, type Codec, type Log } from '@daruma/protocol'
import { decodeAt, decodeCommit, decodeEvent, type CarriedEntry, type Commit, type Entry } from './commit.ts'
import type { SizedEvent } from './resident.ts'

/** Commits that were read lately stay decoded up to so many of their bytes: workflows that wake together stand together. */
const cacheBytes = 1 << 20

/** One entry of a journal as it stands in the log, and where. */
export interface RawEntry {
  readonly bytes: Uint8Array
  readonly seq: number
  /** Written forward, with all that came before it. */
  readonly carried: boolean
}

/**
 * The entries of one run from the commits that hold them, in the order of the log.
 *
 * - J1 A carried head settles what stands before it: the last carried journal of the run, and the last `tail` entries.
 */
export class Gathering {
  readonly #workflow: string
  readonly #run: number
  readonly #codec: Codec
  #entries: RawEntry[] = []
  #parts: Uint8Array[] = []

  constructor(workflow: string, run: number, codec: Codec) {
    this.#workflow = workflow
    this.#run = run
    this.#codec = codec
  }

  get entries(): readonly RawEntry[] {
    return this.#entries
  }

  take(entry: Entry | CarriedEntry, seq: number, partition: string): void {
    if (entry.run !== this.#run) return
    if (!('carried' in entry)) return void this.#entries.push({ bytes: entry.bytes, seq, carried: false })
    if (entry.carried === 'journal') {
      if (entry.part === 0) this.#parts = []
      this.#parts.push(entry.bytes)
    } else if (entry.part === entry.parts - 1) {
      const carried = entry.covered === 0 ? [] : this.#decode(seq, partition, entry.covered)
      const tail = entry.tail === 0 ? [] : this.#entries.slice(-entry.tail)
      this.#entries = [...carried, ...tail] // J1
      this.#parts = []
    }
  }

  #decode(seq: number, partition: string, covered: number): RawEntry[] {
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
    const where = { partition, seq, workflow: this.#workflow }
    const carried = decodeAt(this.#codec, bytes, where) as Uint8Array[]
    if (carried.length !== covered) {
      throw new AppError(
        'invalid',
        `log ${partition}, sequence ${seq}, workflow ${this.#workflow}: its carried journal has ${carried.length} entries, not ${covered}`,
        where,
      )
    }
    return carried.map((each) => ({ bytes: each, seq, carried: true }))
  }
}

type ByWorkflow = ReadonlyMap<string, readonly (Entry | CarriedEntry)[]>

/** Reads journals back from the log of one partition. */
export class JournalReader {
  readonly #log: Log
  readonly #partition: string
  readonly #codec: Codec
  readonly #cache = new Map<number, { readonly commit: Promise<ByWorkflow | undefined>; bytes: number }>()
  #cachedBytes = 0

  constructor(log: Log, partition: string, codec: Codec) {
    this.#log = log
    this.#partition = partition
    this.#codec = codec
  }

  /**
   * The journal of a run. `seqs` is asked again when a commit is gone: a checkpoint may have carried the workflow
   * forward meanwhile.
   *
   * @throws AppError internal - a commit that it stands in is gone
   * @throws AppError invalid - damaged
   * @throws AppError unavailable - the log cannot be read now
   */
  async raw(workflow: string, run: number, seqs: () => readonly number[]): Promise<RawEntry[]> {
    for (;;) {
      const asked = [...seqs()]
      const gathering = new Gathering(workflow, run, this.#codec)
      const missing = await this.#gather(gathering, workflow, asked)
      if (missing === undefined) return [...gathering.entries]
      if (seqs().includes(missing)) {
        throw new AppError(
          'internal',
          `log ${this.#partition}, sequence ${missing}: gone, though workflow ${workflow} stands in it`,
        )
      }
    }
  }

  async events(workflow: string, run: number, seqs: () => readonly number[]): Promise<SizedEvent[]> {
    const raw = await this.raw(workflow, run, seqs)
    return raw.map(({ bytes, seq }) => ({
      event: decodeEvent(this.#codec, { workflow, run, bytes }, { partition: this.#partition, seq }),
      bytes: bytes.length,
    }))
  }

  /** The first sequence that is not in the log any longer. */
  async #gather(gathering: Gathering, workflow: string, seqs: readonly number[]): Promise<number | undefined> {
    for (const seq of seqs) {
      const commit = await this.#commit(seq)
      if (commit === undefined) return seq
      for (const entry of commit.get(workflow) ?? []) gathering.take(entry, seq, this.#partition)
    }
    return undefined
  }

  #commit(seq: number): Promise<ByWorkflow | undefined> {
    const cached = this.#cache.get(seq)
    if (cached !== undefined) return cached.commit
    const fetched = { commit: this.#fetch(seq), bytes: 0 }
    this.#cache.set(seq, fetched)
    return fetched.commit
  }

  async #fetch(seq: number): Promise<ByWorkflow | undefined> {
    try {
      const record = await this.#log.get(this.#partition, seq)
      if (record === undefined) {
        this.#cache.delete(seq)
        return undefined
      }
      this.#keep(seq, record.bytes.length)
      return byWorkflow(decodeCommit(this.#codec, record.bytes, { partition: this.#partition, seq }))
    } catch (error) {
      this.#forget(seq)
      throw error
    }
  }

  #forget(seq: number): void {
    this.#cachedBytes -= this.#cache.get(seq)?.bytes ?? 0
    this.#cache.delete(seq)
  }

  #keep(seq: number, bytes: number): void {
    const fetched = this.#cache.get(seq)
    if (fetched === undefined) return
    fetched.bytes = bytes
    this.#cachedBytes += bytes
    for (const [oldest, { bytes: size }] of this.#cache) {
      if (this.#cachedBytes <= cacheBytes) return
      if (size === 0 || oldest === seq) continue // still on its way
      this.#forget(oldest)
    }
  }
}

function byWorkflow(commit: Commit): ByWorkflow {
  const found = new Map<string, (Entry | CarriedEntry)[]>()
  if (commit.kind !== 'events' && commit.kind !== 'carried') return found
  for (const entry of commit.entries) {
    const entries = found.get(entry.workflow)
    if (entries === undefined) found.set(entry.workflow, [entry])
    else entries.push(entry)
  }
  return found
}

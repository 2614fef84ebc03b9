import { AppError, type Codec, type Log, type Logger } from '@daruma/protocol'
import { decodeAt, decodeCommit, decodeEvent, type CarriedEntry, type Entry, type LogPosition } from './commit.ts'
import type { JournalEvent, Started } from './events.ts'
import { Head } from './head.ts'
import { headOf, type HeadImage } from './image.ts'

export interface Recovered {
  readonly heads: Map<string, Head>
  readonly open: number
  /** Entries that were read. */
  readonly events: number
  readonly commits: number
  readonly bytes: number
  /** Those that checkpoints wrote. */
  readonly carriedBytes: number
  /** The run that an unknown id begins with. */
  readonly runFloor: number
}

export interface LogRange {
  /** Nothing up to here counts, also if it is there. */
  readonly from: number
  /** The claim of the new owner. */
  readonly until: number
}

/**
 * The heads of a partition from one scan of its log.
 *
 * - R1 Behind a complete checkpoint, every workflow that counts either begins, or its carried head follows. Events that
 *   come before its head are in the head: they are only remembered as places.
 * - R2 An entry that cannot be read makes its workflow stuck, never others: it is reported with its place, not skipped.
 *
 * - R3 The scan has come to the claim itself, which is the last record that this owner knows of, or nothing is recovered.
 *
 * @throws AppError invalid - a whole commit that cannot be read, or one of a newer version
 * @throws AppError unavailable - the log ended before the claim: try again
 */
export async function recoverHeads(
  log: Log,
  partition: string,
  range: LogRange,
  codec: Codec,
  logger: Logger,
): Promise<Recovered> {
  const recovery = new Recovery(codec, logger)
  let commits = 0
  let read = 0
  let carriedBytes = 0
  let runFloor = 1
  let reached = 0
  for await (const { seq, bytes } of log.scan(partition, range.from + 1)) {
    if (seq > range.until) break
    reached = seq
    commits++
    read += bytes.length
    const where = { partition, seq }
    const commit = decodeCommit(codec, bytes, where)
    if (commit.kind === 'events') for (const entry of commit.entries) recovery.event(entry, where)
    else if (commit.kind === 'carried') {
      carriedBytes += bytes.length
      for (const entry of commit.entries) recovery.carried(entry, where)
    }
    if (commit.kind === 'checkpointed') runFloor = Math.max(runFloor, commit.runFloor)
  }
  // R3: half a log is worse than none: what was not read would be started a second time.
  if (reached !== range.until) {
    const message = `log ${partition}: reading ended at ${reached}, the claim stands at ${range.until}`
    throw new AppError('unavailable', message, undefined, { retryable: true })
  }
  const heads = recovery.heads()
  let open = 0
  for (const head of heads.values()) if (head.isOpen) open++
  return { heads, open, events: recovery.events, commits, bytes: read, carriedBytes, runFloor }
}

/** What is known of one workflow while the log is read. */
interface Place {
  readonly workflow: string
  head: Head | undefined
  seqs: number[]
  parts: Uint8Array[]
  poisoned: { readonly reason: string; readonly run: number } | undefined
}

class Recovery {
  readonly #codec: Codec
  readonly #logger: Logger
  readonly #places = new Map<string, Place>()
  readonly #types = new Map<string, string>()
  events = 0

  constructor(codec: Codec, logger: Logger) {
    this.#codec = codec
    this.#logger = logger
  }

  event(entry: Entry, where: LogPosition): void {
    this.events++
    const place = this.#place(entry.workflow)
    let event: JournalEvent
    try {
      event = decodeEvent(this.#codec, entry, where)
    } catch (error) {
      this.#poison(place, entry, where, error as Error)
      stand(place, where.seq)
      return
    }
    if (event.kind === 'started') {
      const started = this.#lean(event)
      if (place.head === undefined) place.head = new Head(place.workflow, started)
      else place.head.apply(started)
      place.seqs = []
      place.poisoned = undefined
    } else {
      if (event.kind === 'closed' && place.poisoned !== undefined) {
        // An end that the engine decided holds whatever stands before it.
        place.head ??= unreadable(place.workflow, place.poisoned.run)
        place.poisoned = undefined
      }
      place.head?.apply(event) // R1
    }
    if (place.head !== undefined) place.head.bytes += entry.bytes.length
    stand(place, where.seq)
  }

  carried(entry: CarriedEntry, where: LogPosition): void {
    const place = this.#place(entry.workflow)
    stand(place, where.seq)
    if (entry.carried === 'journal') return
    if (entry.part === 0) place.parts = []
    place.parts.push(entry.bytes)
    if (entry.part < entry.parts - 1) return
    const bytes = place.parts.length === 1 ? place.parts[0]! : Buffer.concat(place.parts)
    place.parts = []
    place.seqs = place.seqs.filter((seq) => seq > entry.after)
    try {
      const image = decodeAt(this.#codec, bytes, { ...where, workflow: entry.workflow }) as HeadImage
      place.head = headOf(place.workflow, { ...image, started: this.#lean(image.started) })
      place.poisoned = undefined
    } catch (error) {
      this.#poison(place, entry, where, error as Error)
    }
  }

  /** Of all that are known in the end. One whose head never came was forgotten by the checkpoint (R1). */
  heads(): Map<string, Head> {
    const heads = new Map<string, Head>()
    for (const [workflow, { head: known, seqs, poisoned }] of this.#places) {
      const head = known ?? (poisoned && unreadable(workflow, poisoned.run))
      if (head === undefined) continue
      head.seqs = seqs.slice() // of exact size
      if (poisoned !== undefined) head.stuck = { reason: poisoned.reason, isPoisoned: true }
      heads.set(workflow, head)
    }
    return heads
  }

  #place(workflow: string): Place {
    const known = this.#places.get(workflow)
    if (known !== undefined) return known
    const place: Place = { workflow: copied(workflow), head: undefined, seqs: [], parts: [], poisoned: undefined }
    this.#places.set(place.workflow, place)
    return place
  }

  /** One text for each type, however many workflows have it; and nothing that holds on to the record it was read from. */
  #lean(started: Started): Started {
    const known = this.#types.get(started.type) ?? copied(started.type)
    this.#types.set(known, known)
    return { ...started, type: known, seed: copied(started.seed) }
  }

  #poison(place: Place, entry: Entry, where: LogPosition, error: Error): void {
    place.poisoned ??= { reason: error.message, run: entry.run }
    if (place.head !== undefined) place.head.events++
    this.#logger.log('error', `poisoned entry: ${error.message}`, { ...where, workflow: entry.workflow }) // R2
  }
}

/** A text decoded from a record is a view of it, which would keep all of the record's text in memory. */
function copied(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8')
}

function stand(place: Place, seq: number): void {
  if (place.seqs.at(-1) !== seq) place.seqs.push(seq)
}

/** A head for a run of which not even the start can be read: open, so that its id stays taken. */
function unreadable(workflow: string, run: number): Head {
  const started: Started = { kind: 'started', atMs: 0, run, type: 'unreadable', args: [], seed: '', gates: 0 }
  return new Head(workflow, started)
}

import { AppError, type Codec } from '@daruma/protocol'
import { journalVersion, type JournalEvent } from './events.ts'

/**
 * What one append holds.
 *
 * `from`: everything that is still of use stands behind this sequence; recovery reads from there. The newest record of
 * a log has the one that counts, so a checkpoint is complete when a commit with its `from` is stored, and records that
 * a server brings back after they were trimmed are never looked at.
 */
export type Commit = CommitHeader &
  (
    | { readonly kind: 'claimed'; readonly node: string }
    | { readonly kind: 'events'; readonly entries: readonly Entry[] }
    /** Written forward by a checkpoint: journals and heads, as they stood when they were added. */
    | { readonly kind: 'carried'; readonly entries: readonly CarriedEntry[] }
    /** The first commit with the `from` of its checkpoint. */
    | { readonly kind: 'checkpointed'; readonly runFloor: number }
  )

export interface CommitHeader {
  /** Whose commit it is. An owner that finds another's at the end of the log is out (G4). */
  readonly epoch: number
  readonly commit: number
  readonly from: number
}

/**
 * One event of one run, encoded by itself: its size is known before it may join a commit, and a reader decodes only
 * what it looks for.
 */
export interface Entry {
  readonly workflow: string
  readonly run: number
  readonly bytes: Uint8Array
}

/** A piece of something that may be larger than a record: part `part` of `parts`, in order. */
export interface CarriedEntry extends Entry {
  /** `journal`: the entries of a run so far. `head`: the fold over all of them, which makes the journal before it count. */
  readonly carried: 'journal' | 'head'
  readonly part: number
  readonly parts: number
  /** head: how many entries of the run the journal carried before it holds; 0: there is none. */
  readonly covered: number
  /** head: how many more there are: the last ones before this one. */
  readonly tail: number
  /** head: nothing of the workflow that counts stands up to this sequence. */
  readonly after: number
}

const magic = 'dj'
const fieldsOfCarried = 9

/** Bytes of a commit beyond those of its entries: a bound, for sizing. */
export const entryOverheadBytes = 64

export function encodeCommit(codec: Codec, commit: Commit): Uint8Array {
  return codec.encode([magic, journalVersion, commit.epoch, commit.commit, commit.from, commit.kind, bodyOf(commit)])
}

function bodyOf(commit: Commit): unknown {
  const flat: unknown[] = []
  switch (commit.kind) {
    case 'claimed':
      return commit.node
    case 'checkpointed':
      return commit.runFloor
    case 'events':
      for (const { workflow, run, bytes } of commit.entries) flat.push(workflow, run, bytes)
      return flat
    case 'carried':
      for (const { workflow, run, bytes, carried, part, parts, covered, tail, after } of commit.entries) {
        flat.push(workflow, run, bytes, carried, part, parts, covered, tail, after)
      }
      return flat
  }
}

/** @throws AppError invalid - not a commit, or of a newer format. The text names the partition and the sequence. */
export function decodeCommit(codec: Codec, bytes: Uint8Array, where: LogPosition): Commit {
  const parts = decodeAt(codec, bytes, where)
  if (!Array.isArray(parts) || parts[0] !== magic) {
    throw new AppError('invalid', `${describePosition(where)}: not a commit of a workflow log`, where)
  }
  const version = parts[1] as number
  if (version > journalVersion) {
    throw new AppError(
      'invalid',
      `${describePosition(where)} was written by a newer version (journal format ${version}, this one reads up to ` +
        `${journalVersion}); upgrade this node`,
      { ...where, version },
    )
  }
  return version === 1 ? decodeFirstVersion(parts) : decodeBody(parts)
}

/** Version 1 had no checkpoints; a claim was told by its body. */
function decodeFirstVersion([, , epoch, commit, body]: unknown[]): Commit {
  const header: CommitHeader = { epoch: epoch as number, commit: commit as number, from: 0 }
  return typeof body === 'string'
    ? { ...header, kind: 'claimed', node: body }
    : { ...header, kind: 'events', entries: entriesOf(body as unknown[]) }
}

function decodeBody([, , epoch, commit, from, kind, body]: unknown[]): Commit {
  const header: CommitHeader = { epoch: epoch as number, commit: commit as number, from: from as number }
  switch (kind as Commit['kind']) {
    case 'claimed':
      return { ...header, kind: 'claimed', node: body as string }
    case 'checkpointed':
      return { ...header, kind: 'checkpointed', runFloor: body as number }
    case 'events':
      return { ...header, kind: 'events', entries: entriesOf(body as unknown[]) }
    case 'carried':
      return { ...header, kind: 'carried', entries: carriedOf(body as unknown[]) }
  }
}

function entriesOf(flat: unknown[]): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < flat.length; at += 3) {
    entries.push({ workflow: flat[at] as string, run: flat[at + 1] as number, bytes: flat[at + 2] as Uint8Array })
  }
  return entries
}

function carriedOf(flat: unknown[]): CarriedEntry[] {
  const entries: CarriedEntry[] = []
  for (let at = 0; at < flat.length; at += fieldsOfCarried) {
    const [workflow, run, bytes, carried, part, parts, covered, tail, after] = flat.slice(at, at + fieldsOfCarried)
    entries.push({ workflow, run, bytes, carried, part, parts, covered, tail, after } as CarriedEntry)
  }
  return entries
}

export interface LogPosition {
  readonly partition: string
  readonly seq: number
}

const eventKinds: ReadonlySet<JournalEvent['kind']> = new Set<JournalEvent['kind']>([
  'started',
  'turn',
  'queued',
  'attempt_failed',
  'settled',
  'watched',
  'closed',
])

/** @throws AppError invalid - damaged; the text says where it stands. */
export function decodeEvent(codec: Codec, entry: Entry, where: LogPosition): JournalEvent {
  const place = { ...where, workflow: entry.workflow }
  const event = decodeAt(codec, entry.bytes, place) as JournalEvent | null | undefined
  if (typeof event !== 'object' || event === null || !eventKinds.has(event.kind)) {
    throw new AppError('invalid', `${describePosition(place)}: not a journal event`, place)
  }
  return event
}

/** The same for anything else that stands in an entry. */
export function decodeAt(codec: Codec, bytes: Uint8Array, where: LogPosition & { workflow?: string }): unknown {
  try {
    return codec.decode(bytes)
  } catch (cause) {
    throw new AppError('invalid', `${describePosition(where)}: ${(cause as Error).message}`, where, { cause })
  }
}

function describePosition(where: LogPosition & { workflow?: string }): string {
  const workflow = where.workflow === undefined ? '' : `, workflow ${where.workflow}`
  return `log ${where.partition}, sequence ${where.seq}${workflow}`
}

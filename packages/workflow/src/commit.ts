import { AppError, type Codec } from '@daruma/protocol'
import { journalVersion, type JournalEvent } from './events.ts'

/** What one append holds: a claim of the partition, or events of many workflows. */
export type Commit =
  | {
      readonly kind: 'claimed'
      readonly epoch: number
      readonly commit: number
      readonly node: string
    }
  | {
      readonly kind: 'events'
      /** Whose commit it is. An owner that finds another's at the end of the log is out (G4). */
      readonly epoch: number
      readonly commit: number
      readonly entries: readonly Entry[]
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

const magic = 'dj'

/** Bytes of a commit beyond those of its entries: a bound, for sizing. */
export const entryOverheadBytes = 32

export function encodeCommit(codec: Codec, commit: Commit): Uint8Array {
  const head = [magic, journalVersion, commit.epoch, commit.commit]
  if (commit.kind === 'claimed') return codec.encode([...head, commit.node])
  const flat: unknown[] = []
  for (const { workflow, run, bytes } of commit.entries) flat.push(workflow, run, bytes)
  return codec.encode([...head, flat])
}

/** @throws AppError invalid - not a commit, or of a newer format. The text names the partition and the sequence. */
export function decodeCommit(codec: Codec, bytes: Uint8Array, where: LogPosition): Commit {
  const parts = decodeAt(codec, bytes, where)
  if (!Array.isArray(parts) || parts[0] !== magic) {
    throw new AppError('invalid', `${describePosition(where)}: not a commit of a workflow log`, where)
  }
  const [, version, epoch, commit, body] = parts as [string, number, number, number, unknown]
  if (version > journalVersion) {
    throw new AppError(
      'invalid',
      `${describePosition(where)} was written by a newer version (journal format ${version}, this one reads up to ` +
        `${journalVersion}); upgrade this node`,
      { ...where, version },
    )
  }
  if (typeof body === 'string') return { kind: 'claimed', epoch, commit, node: body }
  const flat = body as unknown[]
  const entries: Entry[] = []
  for (let at = 0; at < flat.length; at += 3) {
    entries.push({ workflow: flat[at] as string, run: flat[at + 1] as number, bytes: flat[at + 2] as Uint8Array })
  }
  return { kind: 'events', epoch, commit, entries }
}

export interface LogPosition {
  readonly partition: string
  readonly seq: number
}

/** @throws AppError invalid - damaged; the text says where it stands. */
export function decodeEvent(codec: Codec, entry: Entry, where: LogPosition): JournalEvent {
  return decodeAt(codec, entry.bytes, { ...where, workflow: entry.workflow }) as JournalEvent
}

function decodeAt(codec: Codec, bytes: Uint8Array, where: LogPosition & { workflow?: string }): unknown {
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

import { AppError } from '@daruma/protocol'
import type { EntryOp, EntryRecord, VersionRecord } from '@daruma/lua'
import { nearHint, type Entry, type EntryInput, type Snapshot, type Version } from '@daruma/registry'
import type { NodeParts } from '../parts.ts'
import type { RequestHandlers } from './table.ts'

/** The entries of the app for its programs. Everything is synchronous: when a change is answered, new code answers. */
export function registryRequests({ registry }: Pick<NodeParts, 'registry'>): RequestHandlers {
  const versionOf = (id: number): Version => {
    const version = registry.history().getVersion(id)
    if (version !== undefined) return version
    const ids = registry.versions().map((known) => known.id)
    throw notFound(`no registry version ${id}; there are ${ids.at(0)} to ${ids.at(-1)}`)
  }
  const snapshotOf = (id: number | undefined): Snapshot =>
    id === undefined ? registry.snapshot() : registry.history().snapshotAt(versionOf(id))

  return {
    'registry.get': ({ id, version }) => {
      const snapshot = snapshotOf(version)
      const entry = snapshot.get(id)
      if (entry !== undefined) return recordOf(entry)
      const near = nearHint(
        id,
        snapshot.entries().map((known) => known.id),
      )
      throw notFound(`no entry ${id}${near === undefined ? '' : `; ${near}`}`)
    },
    'registry.entries': ({ version }) => snapshotOf(version).entries().map(recordOf),
    'registry.version': () => versionRecord(registry.currentVersion()),
    'registry.versions': () => registry.versions().map(versionRecord),
    'registry.apply': ({ base, ops }) => {
      const changes = snapshotOf(base).changes()
      for (const op of ops) {
        if (op.kind === 'entry.create') changes.create(op.entry)
        else if (op.kind === 'entry.update') changes.update(updateOf(op))
        else changes.delete(op.entry.id)
      }
      return versionRecord(changes.apply())
    },
    'registry.apply_version': ({ version }) => {
      registry.applyVersion(versionOf(version))
      return null
    },
  }
}

/** What a program leaves out of an update comes as an empty text or table; left out means that it stays. */
function updateOf({ entry }: EntryOp): EntryInput {
  return {
    id: entry.id,
    ...(entry.kind === '' ? {} : { kind: entry.kind }),
    ...(isEmpty(entry.meta) ? {} : { meta: entry.meta }),
    ...(isEmpty(entry.data) ? {} : { data: entry.data }),
  }
}

const isEmpty = (table: Readonly<Record<string, unknown>>): boolean => Object.keys(table).length === 0

const recordOf = ({ id, kind, meta, data }: Entry): EntryRecord => ({ id, kind, meta, data })
const versionRecord = ({ id }: Version): VersionRecord => ({ id, text: String(id) })
const notFound = (message: string): AppError => new AppError('not_found', message, undefined, { retryable: false })

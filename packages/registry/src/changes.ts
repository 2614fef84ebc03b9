import { AppError, type EntryId } from '@daruma/protocol'
import { checkEntries, fieldName, type Finding } from './check.ts'
import type { Reference } from './references.ts'
import { checkEntryId, freezeEntry, isRecord, makeEntry, type Entry, type EntryInput } from './entry.ts'

/** One step of a changeset. Plain data. */
export type Operation =
  | { readonly kind: 'entry.create'; readonly entry: EntryInput }
  | { readonly kind: 'entry.update'; readonly entry: EntryInput }
  | { readonly kind: 'entry.delete'; readonly entry: { readonly id: string } }

export type References = (entry: Entry) => readonly Reference[]
export type Entries = ReadonlyMap<EntryId, Entry>

/**
 * The state after `operations`, decided without touching `current`.
 *
 * `base` is the state that the writer had seen: an entry that was changed since by somebody else is a conflict; entries
 * that the operations do not name may have changed. Kinds that we do not know are data for programs.
 *
 * @throws AppError invalid - no operations, or an entry that cannot be stored
 * @throws AppError conflict - created and there; updated or deleted and not there; changed since `base`
 * @throws AppError internal - the state would be broken; the text and `details` name every fault
 */
export function decideChanges(
  current: Entries,
  base: Entries,
  operations: readonly Operation[],
  references: References,
): Map<EntryId, Entry> {
  if (operations.length === 0) throw new AppError('invalid', 'nothing to apply: the changeset is empty')
  const next = new Map(current)
  for (const operation of operations) {
    const id = checkEntryId(operation.entry.id)
    const before = next.get(id)
    if (current.get(id) !== base.get(id)) throw conflict(`${id} was changed since this changeset was begun`)
    switch (operation.kind) {
      case 'entry.create':
        if (before !== undefined) throw conflict(`${id} exists already; update it, or create another`)
        next.set(id, makeEntry(operation.entry))
        break
      case 'entry.update':
        if (before === undefined) throw conflict(`${id} does not exist; create it`)
        next.set(id, keepSource(makeEntry(operation.entry, before), before))
        break
      case 'entry.delete':
        if (before === undefined) throw conflict(`${id} does not exist, so it cannot be deleted`)
        next.delete(id)
        break
    }
  }
  refuseBroken(next, references, new Set(operations.map(({ entry }) => entry.id)))
  return next
}

/**
 * Judges the fields of `changed` (absent: of all), and how all fit together.
 *
 * @throws AppError internal - entries that do not fit their kinds, or each other
 */
export function refuseBroken(entries: Entries, references: References, changed?: ReadonlySet<string>): void {
  const { problems } = checkEntries(entries, {
    allowUnknownKinds: true,
    referencesOf: references,
    ...(changed === undefined ? {} : { changed }),
  })
  if (problems.length === 0) return
  const texts = problems.map(describe)
  throw new AppError('internal', `nothing was applied: ${texts.join('; ')}`, { problems: texts }, { retryable: false })
}

function describe({ entry, path, message, hint }: Finding): string {
  const field = fieldName(path)
  const where = field !== '' && !message.includes(field) ? `${entry.id} ${field}` : entry.id
  return `${where}: ${message}${hint === undefined ? '' : ` (${hint})`}`
}

/** Text that was not changed still stands where it was read from. */
function keepSource(entry: Entry, before: Entry): Entry {
  if (before.source === undefined || entry.data['source'] !== before.data['source']) return entry
  return freezeEntry({ ...entry, origin: before.origin, source: before.source })
}

const conflict = (message: string): AppError => new AppError('conflict', message, undefined, { retryable: true })

/** The operations that lead from the entries `from` to the entries `to`: deletes, then creates, then updates, by id. */
export function buildDelta(from: Iterable<EntryInput>, to: Iterable<EntryInput>): Operation[] {
  const before = byId(from)
  const after = byId(to)
  const gone = [...before.keys()].filter((id) => !after.has(id))
  const made = [...after.values()].filter((entry) => !before.has(entry.id))
  const changed = [...after.values()].filter((entry) => {
    const old = before.get(entry.id)
    return old !== undefined && !sameContent(old, entry)
  })
  return [
    ...gone.map((id): Operation => ({ kind: 'entry.delete', entry: { id } })),
    ...made.map((entry): Operation => ({ kind: 'entry.create', entry })),
    ...changed.map((entry): Operation => ({ kind: 'entry.update', entry })),
  ]
}

function byId(entries: Iterable<EntryInput>): Map<string, EntryInput> {
  const sorted = [...entries].toSorted((a, b) => (a.id < b.id ? -1 : 1))
  return new Map(sorted.map((entry) => [checkEntryId(entry.id), entry]))
}

function sameContent(a: EntryInput, b: EntryInput): boolean {
  return (
    a === b || (a.kind === b.kind && canonical(a.meta) === canonical(b.meta) && canonical(a.data) === canonical(b.data))
  )
}

/** Text that is equal for equal data, whatever the order of its keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value ?? {}, (_key, inner: unknown) =>
    isRecord(inner) ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1))) : inner,
  )
}

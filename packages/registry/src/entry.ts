import { AppError, entryName, entryNamespace, findUnsendable, type EntryId } from '@daruma/protocol'

/** Where an entry was written. For an entry made at run time the file is its id. */
export interface Origin {
  readonly file: string
  readonly line: number
}

/**
 * One thing that an app declares. Immutable: an update makes another object, so that the object is the generation.
 * `data` is what was written, with files read in, `${env:...}` resolved and the defaults of its kind left out.
 */
export interface Entry {
  readonly id: EntryId
  readonly kind: string
  readonly meta: Readonly<Record<string, unknown>>
  readonly data: Readonly<Record<string, unknown>>
  readonly origin: Origin
  /** Present where `data.source` is program text. */
  readonly source?: SourceOrigin
}

/** Where program text came from: line 1 of the text is line `lineOffset + 1` of `file`. */
export interface SourceOrigin {
  readonly file: string
  readonly lineOffset: number
}

export interface CodeSource extends SourceOrigin {
  readonly text: string
}

/** What a program hands in to make or change an entry. In an update an absent field keeps what it was. */
export interface EntryInput {
  readonly id: string
  readonly kind?: string | undefined
  readonly meta?: unknown
  readonly data?: unknown
  /** Given by those who read it from a file. Default: the entry's id, line 1. */
  readonly origin?: Origin
  readonly source?: SourceOrigin
}

/** The program text of a code entry with its place, for error messages; undefined for other entries. */
export function sourceOf(entry: Entry): CodeSource | undefined {
  const text = entry.data['source']
  return typeof text !== 'string' || entry.source === undefined ? undefined : { text, ...entry.source }
}

/**
 * A run-time entry. A `data` that is no table is kept as the field `data` of one.
 *
 * @throws AppError invalid - bad id or kind, or something that cannot be stored, such as a function
 */
export function makeEntry(input: EntryInput, previous?: Entry): Entry {
  const id = checkEntryId(input.id)
  const kind = input.kind ?? previous?.kind
  if (typeof kind !== 'string' || kind === '') throw new AppError('invalid', `entry ${id} has no kind`)
  const unsendable = findUnsendable(input.meta, 'meta') ?? findUnsendable(input.data, 'data')
  if (unsendable !== undefined) throw new AppError('invalid', `entry ${id}: ${unsendable}`)
  const meta = input.meta === undefined ? (previous?.meta ?? {}) : input.meta
  if (!isRecord(meta)) throw new AppError('invalid', `entry ${id}: meta is not a table`)
  const data = input.data === undefined ? (previous?.data ?? {}) : input.data
  return freezeEntry({
    id,
    kind,
    meta: structuredClone(meta),
    data: structuredClone(isRecord(data) ? data : { data }),
    origin: input.origin ?? { file: id, line: 1 },
    ...(isRecord(data) && typeof data['source'] === 'string'
      ? { source: input.source ?? { file: id, lineOffset: 0 } }
      : {}),
  })
}

/** @throws AppError invalid - not `namespace:name` */
export function checkEntryId(text: unknown): EntryId {
  if (typeof text === 'string' && entryIdText.test(text)) return text as EntryId
  throw new AppError('invalid', `not an entry id: ${JSON.stringify(text) ?? String(text)}; write it as namespace:name`)
}

/** Both halves without colon and blanks; names may hold dots and slashes. */
export const entryIdText = /^[^\s:]+:[^\s:]+$/

/** The full id that `text` means when written in an entry of `namespace`: a bare name means a neighbour. */
export function resolveId(text: string, namespace: string): EntryId {
  return (text.includes(':') ? text : `${namespace}:${text}`) as EntryId
}

export function parseId(id: EntryId): { readonly ns: string; readonly name: string } {
  return { ns: entryNamespace(id), name: entryName(id) }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

export function freezeEntry(entry: Entry): Entry {
  deepFreeze(entry.meta)
  deepFreeze(entry.data)
  return Object.freeze(entry)
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return
  Object.freeze(value)
  for (const item of Object.values(value)) deepFreeze(item)
}

import { Regexp } from './regexp.ts'
import type { EntryOp, EntryRecord } from '../requests.ts'

export type EntryFilter = Readonly<Record<string, unknown>>

type Match = (found: unknown, wanted: unknown) => boolean

const scalar = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined

const text =
  (test: (found: string, wanted: string) => boolean): Match =>
  (found, wanted) => {
    const a = scalar(found)
    const b = scalar(wanted)
    return a !== undefined && b !== undefined && test(a, b)
  }

const equal: Match = (found, wanted) =>
  found === wanted ||
  (Array.isArray(found) && found.includes(wanted)) ||
  (Array.isArray(wanted) && wanted.includes(found))

const prefixed: Readonly<Record<string, Match>> = {
  '~': text((found, wanted) => new Regexp(wanted).test(found)),
  '*': text((found, wanted) => found.includes(wanted)),
  '^': text((found, wanted) => found.startsWith(wanted)),
  $: text((found, wanted) => found.endsWith(wanted)),
}

/** Keys that a filter passes over, because they are neither `.kind .name .ns .id` nor `meta.x`. */
export const ignoredKeys = (filter: EntryFilter): readonly string[] =>
  Object.keys(filter).filter((key) => parseKey(key) === undefined)

function parseKey(key: string): { readonly match: Match; readonly path: string } | undefined {
  const prefix = key.charAt(0)
  const match = prefixed[prefix]
  const path = match === undefined ? key : key.slice(1)
  if (!path.startsWith('.') && !path.startsWith('meta.')) return undefined
  return { match: match ?? equal, path }
}

/** The entries for which every key of the filter holds, in their order. */
export function findEntries(entries: readonly EntryRecord[], filter: EntryFilter): readonly EntryRecord[] {
  const tests = Object.entries(filter).flatMap(([key, wanted]) => {
    const parsed = parseKey(key)
    return parsed === undefined ? [] : [{ ...parsed, wanted }]
  })
  return entries.filter((entry) => tests.every(({ match, path, wanted }) => match(fieldOf(entry, path), wanted)))
}

function fieldOf(entry: EntryRecord, path: string): unknown {
  switch (path) {
    case '.id':
      return entry.id
    case '.kind':
      return entry.kind
    case '.ns':
      return splitId(entry.id).ns
    case '.name':
      return splitId(entry.id).name
  }
  if (!path.startsWith('meta.')) return undefined
  const key = path.slice('meta.'.length)
  // A meta key may itself hold dots; the whole name is tried before the path.
  if (key in entry.meta) return entry.meta[key]
  let at: unknown = entry.meta
  for (const step of key.split('.')) {
    if (typeof at !== 'object' || at === null) return undefined
    at = (at as Record<string, unknown>)[step]
  }
  return at
}

export function splitId(id: string): { readonly ns: string; readonly name: string } {
  const colon = id.indexOf(':')
  return colon < 0 ? { ns: '', name: id } : { ns: id.slice(0, colon), name: id.slice(colon + 1) }
}

/** What turns `from` into `to`: deletions, then creations, then updates of what differs; each by id. */
export function deltaOf(from: readonly EntryRecord[], to: readonly EntryRecord[]): readonly EntryOp[] {
  const before = new Map(from.map((entry) => [entry.id, entry]))
  const after = new Map(to.map((entry) => [entry.id, entry]))
  const ops: EntryOp[] = []
  for (const entry of from) if (!after.has(entry.id)) ops.push({ kind: 'entry.delete', entry })
  for (const entry of to) if (!before.has(entry.id)) ops.push({ kind: 'entry.create', entry })
  for (const entry of to) {
    const old = before.get(entry.id)
    if (old !== undefined && canonical(old) !== canonical(entry)) ops.push({ kind: 'entry.update', entry })
  }
  return ops
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  )
}

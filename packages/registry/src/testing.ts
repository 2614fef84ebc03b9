import { makeEntry, type Entry, type EntryInput } from './entry.ts'

/** An entry without a folder: `entry('app:charge', 'function.lua', { source: '...', method: 'main' })`. Not checked. */
export function entry(id: string, kind: string, data: unknown = {}, meta: unknown = {}): Entry {
  return makeEntry({ id, kind, data, meta } satisfies EntryInput)
}

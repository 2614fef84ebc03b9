import { entryNamespace, type EntryId } from '@daruma/protocol'
import { resolveId, type Entry } from './entry.ts'
import { kindSchema } from './kinds.ts'
import type { ReferenceSpec } from './schema.ts'
import { traverse, type Path } from './traverse.ts'

/** One entry names another. */
export interface Reference {
  /** Starts with `data` or `meta`. */
  readonly path: Path
  readonly target: EntryId
  readonly spec: ReferenceSpec
}

/** The references that `entry` makes in the fields that its kind knows, with full ids; none for unknown kinds. */
export function referencesOf(entry: Entry): Reference[] {
  const schema = kindSchema(entry.kind)
  if (schema === undefined) return []
  const references: Reference[] = []
  const namespace = entryNamespace(entry.id)
  const collect = (part: 'data' | 'meta') => ({
    reference(path: Path, text: string, spec: ReferenceSpec) {
      references.push({ path: [part, ...path], target: resolveId(text, namespace), spec })
      return text
    },
  })
  traverse(schema.data, entry.data, collect('data'))
  if (schema.meta !== undefined) traverse(schema.meta, entry.meta, collect('meta'))
  return references
}

/** `referencesOf` for whoever asks again and again: entries are immutable, so each is walked once. */
export function rememberReferences(): (entry: Entry) => readonly Reference[] {
  const known = new WeakMap<Entry, readonly Reference[]>()
  return (entry) => {
    let references = known.get(entry)
    if (references === undefined) known.set(entry, (references = referencesOf(entry)))
    return references
  }
}

import { coerce } from './config.ts'
import type { Problem } from './problem.ts'
import type { Path } from './traverse.ts'

/** A field of an entry that is set from outside of its YAML. */
export interface Override {
  readonly id: string
  /** `['kind']`, or a path that starts with `data` or `meta`. */
  readonly path: Path
  readonly value: unknown
  readonly place: { readonly file: string; readonly line: number; readonly column?: number }
}

/**
 * `ns:entry:field=value`. A path that does not start with `meta.` or `data.` means a field of data, `kind` the entry's kind.
 * Values are read by their shape: true, false and numbers, else text.
 */
export function parseOverride(written: string): Override | Problem {
  const file = `-o ${written}`
  const match = /^([^:=\s]+:[^:=\s]+):([^=\s]+)=(.*)$/s.exec(written)
  if (match === null) {
    return { file, line: 0, message: 'not an override', hint: 'write it as ns:entry:field=value' }
  }
  const [, id, field, value] = match
  return { id: id!, path: overridePath(field!), value: coerce(value!), place: { file, line: 0 } }
}

/** The entries of the section `override` in the configuration: `ns:entry:field: value`, values as YAML has them. */
export function overrideOf(key: string, value: unknown, place: Override['place']): Override | Problem {
  const match = /^([^:\s]+:[^:\s]+):(\S+)$/.exec(key)
  if (match === null) {
    return { ...place, message: `override: "${key}" names no field`, hint: 'write it as ns:entry:field: value' }
  }
  return { id: match[1]!, path: overridePath(match[2]!), value, place }
}

function overridePath(field: string): Path {
  const keys = field.split('.')
  if (field === 'kind' || (keys.length > 1 && (keys[0] === 'meta' || keys[0] === 'data'))) return keys
  return ['data', ...keys]
}

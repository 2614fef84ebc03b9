import { referenceSpecOf, type ReferenceSpec, type Schema } from './schema.ts'

export type Path = readonly (string | number)[]

/** What a walk over a value beside its schema reports. Values that do not fit are left to the schema itself. */
export interface Visitor {
  /** Returns what stands in the copy in place of `text`. */
  readonly reference?: (path: Path, text: string, spec: ReferenceSpec) => string
  readonly unknownField?: (path: Path, known: readonly string[]) => void
  /** A leaf that the schema wants as number or boolean. Returns what stands in the copy. */
  readonly leaf?: (path: Path, value: unknown, wanted: 'number' | 'boolean') => unknown
}

/** The parts of valibot's schema objects that the walk reads: they are plain data, made to be inspected. */
interface Inspectable extends Schema {
  readonly entries?: Readonly<Record<string, Schema>>
  readonly wrapped?: Schema
  readonly item?: Schema
  readonly value?: Schema
  readonly options?: readonly Schema[]
}

/** Walks `value` along `schema` and returns the copy that the visitor made of it. */
export function traverse(schema: Schema, value: unknown, visitor: Visitor, path: Path = []): unknown {
  const { type, entries, wrapped, item, value: member, options } = schema as Inspectable
  const spec = referenceSpecOf(schema)
  if (spec !== undefined) {
    return typeof value === 'string' && value !== '' ? (visitor.reference?.(path, value, spec) ?? value) : value
  }
  switch (type) {
    case 'optional':
    case 'exact_optional':
    case 'nullish':
    case 'nullable':
      return value === undefined || value === null ? value : traverse(wrapped!, value, visitor, path)
    case 'number':
    case 'boolean':
      return visitor.leaf?.(path, value, type) ?? value
    case 'array':
      return Array.isArray(value)
        ? value.map((element, index) => traverse(item!, element, visitor, [...path, index]))
        : value
    case 'record':
      return isPlain(value)
        ? mapFields(value, (key, field) => traverse(member!, field, visitor, [...path, key]))
        : value
    case 'object':
    case 'strict_object':
    case 'loose_object': {
      if (!isPlain(value)) return value
      const known = Object.keys(entries!)
      return mapFields(value, (key, field) => {
        const next = Object.hasOwn(entries!, key) ? entries![key] : undefined
        if (next !== undefined) return traverse(next, field, visitor, [...path, key])
        if (type !== 'loose_object') visitor.unknownField?.([...path, key], known)
        return field
      })
    }
    case 'union': {
      const option = options!.find((candidate) => shapeOf(candidate) === shapeOfValue(value))
      return option === undefined ? value : traverse(option, value, visitor, path)
    }
    default:
      return value
  }
}

function mapFields(value: Record<string, unknown>, map: (key: string, field: unknown) => unknown) {
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, map(key, field)]))
}

function shapeOf(schema: Schema): string {
  if (schema.type === 'array') return 'list'
  return schema.type.endsWith('object') || schema.type === 'record' ? 'map' : schema.type
}

function shapeOfValue(value: unknown): string {
  return Array.isArray(value) ? 'list' : isPlain(value) ? 'map' : typeof value
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

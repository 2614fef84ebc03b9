import { isAppError, parseDurationMs, type EntryId } from '@daruma/protocol'
import * as v from 'valibot'

/** The words that schemas of kinds are written in: valibot's, and ours for durations, references and texts. */

export type Schema = v.GenericSchema

/** What a reference field may point to. A kind that ends in `.*` stands for all kinds with that prefix. */
export interface ReferenceSpec {
  readonly kinds: readonly string[]
  /** False: the target need not be started before the one that refers to it. */
  readonly order: boolean
}

/** Any kind will do. */
export const anyKind = ['*'] as const

/** A field that names another entry: a full id, or a bare name of the same namespace. Full ids come out. */
export function ref(kinds: readonly string[], options: { readonly order?: boolean } = {}) {
  const reference: ReferenceSpec = { kinds, order: options.order ?? true }
  return v.pipe(
    v.string(),
    v.nonEmpty('expected the id of an entry, found ""'),
    v.metadata({ reference }),
    v.transform((text) => text as EntryId),
  )
}

export function referenceSpecOf(schema: Schema): ReferenceSpec | undefined {
  if (!('pipe' in schema)) return undefined
  const found = v.getMetadata(schema as unknown as Parameters<typeof v.getMetadata>[0])['reference']
  return found as ReferenceSpec | undefined
}

/** `"30s"` or a number of milliseconds; not negative. Milliseconds come out. */
export function duration() {
  return v.pipe(
    v.union([v.string(), v.number()], 'expected a duration like "30s"'),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        const durationMs = parseDurationMs(dataset.value)
        if (durationMs >= 0) return durationMs
        addIssue({ message: `a duration cannot be negative, found ${JSON.stringify(dataset.value)}` })
      } catch (error) {
        if (!isAppError(error, 'invalid')) throw error
        addIssue({ message: error.message })
      }
      return NEVER
    }),
  )
}

/** A text that says something. */
export const text = () => v.pipe(v.string(), v.nonEmpty('expected a text, found ""'))
export const count = (least = 0) => v.pipe(v.number(), v.integer(), v.minValue(least))
export const listOf = <T extends Schema>(item: T) => v.array(item)
export const mapOf = <T extends Schema>(item: T) => v.record(v.string(), item)
/** Fields that are nobody's business but the entry's: kept, never warned about. */
export const open = () => v.looseObject({})

/** A list, or the only item of one. */
export function oneOrMany<T extends Schema>(item: T) {
  return v.pipe(
    v.union([v.array(item), item]),
    v.transform((found): v.InferOutput<T>[] => (Array.isArray(found) ? found : [found]) as v.InferOutput<T>[]),
  )
}

/** Leaves out what is undefined, so that an optional field is absent and not undefined. */
export function defined<T extends Record<string, unknown>>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
}

type Defined<T> = { readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** `data` and `meta` as written, to what the hosts read. */
export interface KindSchema<View> {
  readonly data: Schema
  /** Fields of `meta` that mean something for this kind. Other fields of meta are free. */
  readonly meta?: Schema
  /** Entries whose `source` is program text, and kinds whose `data` is theirs alone, skip parts of the loading. */
  readonly opaque?: readonly string[]
  readonly view: (data: never, meta: never) => View
}

/** Ties a view's type to the schemas it is made from. */
export function kind<D extends Schema, M extends Schema, View>(spec: {
  readonly data: D
  readonly meta?: M
  readonly opaque?: readonly string[]
  readonly view: (data: v.InferOutput<D>, meta: v.InferOutput<M>) => View
}): KindSchema<View> {
  return spec
}

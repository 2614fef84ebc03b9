import type { EntryId } from '@daruma/protocol'
import * as v from 'valibot'
import { lifecycle } from '../lifecycle.ts'
import { count, defined, kind, mapOf, ref, text } from '../schema.ts'

/** Where environment variables are kept, and the names by which programs read them. */

export type EnvStorage =
  | { readonly type: 'memory' }
  | { readonly type: 'os' }
  | { readonly type: 'static'; readonly values: Readonly<Record<string, string>> }
  | {
      readonly type: 'file'
      readonly filePath: string
      readonly autoCreate: boolean
      readonly fileMode: number
      readonly dirMode: number
    }
  /** Read in order; writes go to the first. */
  | { readonly type: 'router'; readonly storages: readonly EntryId[] }

export interface EnvVariable {
  /** Absent: readable by entry id alone. */
  readonly variable?: string
  readonly storage: EntryId
  readonly default?: string
  readonly readonly: boolean
}

const storageKinds = ['env.storage.*'] as const
/** YAML reads `values: {PORT: 8080}` as a number; the environment holds texts. */
const asText = v.pipe(v.union([v.string(), v.number(), v.boolean()]), v.transform(String))

export const envMemory = kind({ data: v.object({ lifecycle }), view: (): EnvStorage => ({ type: 'memory' }) })
export const envOs = kind({ data: v.object({ lifecycle }), view: (): EnvStorage => ({ type: 'os' }) })
export const envStatic = kind({
  data: v.object({ values: mapOf(asText), lifecycle }),
  view: ({ values }): EnvStorage => ({ type: 'static', values }),
})
export const envFile = kind({
  data: v.object({
    file_path: text(),
    auto_create: v.optional(v.boolean(), false),
    file_mode: v.optional(count(), 0o644),
    dir_mode: v.optional(count(), 0o755),
    lifecycle,
  }),
  view: ({ file_path, auto_create, file_mode, dir_mode }): EnvStorage => ({
    type: 'file',
    filePath: file_path,
    autoCreate: auto_create,
    fileMode: file_mode,
    dirMode: dir_mode,
  }),
})
export const envRouter = kind({
  data: v.object({ storages: v.pipe(v.array(ref(storageKinds)), v.minLength(1)), lifecycle }),
  view: ({ storages }): EnvStorage => ({ type: 'router', storages }),
})

export const envVariable = kind({
  data: v.object({
    variable: v.optional(v.pipe(v.string(), v.regex(/^\w+$/, 'expected letters, digits and _'))),
    storage: ref(storageKinds),
    default: v.optional(asText),
    readonly: v.optional(v.boolean(), false),
    lifecycle,
  }),
  view: ({ variable, storage, default: fallback, readonly }): EnvVariable => ({
    storage,
    readonly,
    ...defined({ variable, default: fallback }),
  }),
})

import type { EntryId } from '@daruma/protocol'
import * as v from 'valibot'
import { lifecycle } from '../lifecycle.ts'
import { defined, kind, open, ref } from '../schema.ts'

/** Entries that are data for programs, and templates. */

export type PlainEntry = Readonly<Record<string, unknown>>

export interface TemplateSet {
  readonly engine: Readonly<Record<string, unknown>>
}

export interface Template {
  readonly source: string
  readonly set?: EntryId
}

export const plainEntry = kind({ data: open(), view: (data): PlainEntry => data })

export const templateSet = kind({
  data: v.object({ engine: v.optional(open(), {}), lifecycle }),
  view: ({ engine }): TemplateSet => ({ engine }),
})

export const template = kind({
  data: v.object({ source: v.string(), set: v.optional(ref(['template.set'])) }),
  opaque: ['source'],
  view: ({ source, set }): Template => ({ source, ...defined({ set }) }),
})

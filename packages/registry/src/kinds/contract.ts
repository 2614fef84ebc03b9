import type { EntryId } from '@daruma/protocol'
import * as v from 'valibot'
import { lifecycle } from '../lifecycle.ts'
import { kind, listOf, mapOf, open, ref, text } from '../schema.ts'
import { callableKinds } from './code.ts'

export interface ContractDefinition {
  readonly methods: readonly ContractMethod[]
}

export interface ContractMethod {
  readonly name: string
  readonly description: string
  readonly inputSchemas: readonly Readonly<Record<string, unknown>>[]
  readonly outputSchemas: readonly Readonly<Record<string, unknown>>[]
}

export interface ContractBinding {
  readonly contracts: readonly BoundContract[]
}

export interface BoundContract {
  readonly contract: EntryId
  /** Opened when a contract is asked for without naming a binding. */
  readonly default: boolean
  /** Name of a method to the function that does it. */
  readonly methods: Readonly<Record<string, EntryId>>
  readonly contextRequired: readonly string[]
  readonly contextValues: Readonly<Record<string, unknown>>
}

const schemas = v.optional(listOf(open()), [])

export const contractDefinition = kind({
  data: v.object({
    methods: listOf(
      v.pipe(
        v.object({
          name: text(),
          description: v.optional(v.string(), ''),
          input_schemas: schemas,
          output_schemas: schemas,
        }),
        v.transform(({ name, description, input_schemas, output_schemas }): ContractMethod => ({
          name,
          description,
          inputSchemas: input_schemas,
          outputSchemas: output_schemas,
        })),
      ),
    ),
    lifecycle,
  }),
  view: ({ methods }): ContractDefinition => ({ methods }),
})

export const contractBinding = kind({
  data: v.object({
    contracts: listOf(
      v.pipe(
        v.object({
          contract: ref(['contract.definition']),
          default: v.optional(v.boolean(), false),
          methods: v.optional(mapOf(ref(callableKinds)), {}),
          context_required: v.optional(listOf(text()), []),
          context_values: v.optional(open(), {}),
        }),
        v.transform((written): BoundContract => ({
          contract: written.contract,
          default: written.default,
          methods: written.methods,
          contextRequired: written.context_required,
          contextValues: written.context_values,
        })),
      ),
    ),
    lifecycle,
  }),
  view: ({ contracts }): ContractBinding => ({ contracts }),
})

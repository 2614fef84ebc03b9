import type { EntryId } from '@daruma/protocol'
import * as v from 'valibot'
import { lifecycle } from '../lifecycle.ts'
import { count, defined, duration, kind, oneOrMany, ref, text } from '../schema.ts'
import { storeKinds } from './store.ts'

export const conditionOperators = [
  'eq',
  'ne',
  'lt',
  'gt',
  'lte',
  'gte',
  'in',
  'nin',
  'exists',
  'nexists',
  'contains',
  'ncontains',
  'matches',
  'nmatches',
] as const

export interface Condition {
  readonly field: string
  readonly operator: (typeof conditionOperators)[number]
  readonly value?: unknown
  /** Path of the field to compare with, in place of `value`. */
  readonly valueFrom?: string
}

export interface SecurityPolicy {
  /** Patterns: `*` alone or at an end or the start of a text. */
  readonly actions: readonly string[]
  readonly resources: readonly string[]
  readonly effect: 'allow' | 'deny'
  /** All must hold. */
  readonly conditions: readonly Condition[]
  /** Present for security.policy.expr. */
  readonly expression?: string
  /** As `namespace:name`; a bare name is completed with the policy's own namespace. */
  readonly groups: readonly string[]
}

export interface TokenStore {
  readonly store: EntryId
  readonly tokenLengthBytes: number
  readonly defaultExpirationMs: number
  readonly tokenKey?: string
}

const condition = v.pipe(
  v.object({
    field: text(),
    operator: v.picklist(conditionOperators),
    value: v.optional(v.unknown()),
    value_from: v.optional(text()),
  }),
  v.transform(({ field, operator, value, value_from }): Condition => ({
    field,
    operator,
    ...(value === undefined ? {} : { value }),
    ...defined({ valueFrom: value_from }),
  })),
)

const reach = {
  actions: oneOrMany(text()),
  resources: oneOrMany(text()),
  effect: v.picklist(['allow', 'deny']),
}
// A group is a name that policies share, not an entry: nothing is looked up.
const groups = v.optional(oneOrMany(text()), [])

export const securityPolicy = kind({
  data: v.object({
    policy: v.object({ ...reach, conditions: v.optional(v.array(condition), []) }),
    groups,
    lifecycle,
  }),
  view: ({ policy, groups }): SecurityPolicy => ({ ...policy, groups }),
})

export const securityPolicyExpr = kind({
  data: v.object({ policy: v.object({ ...reach, expression: text() }), groups, lifecycle }),
  view: ({ policy, groups }): SecurityPolicy => ({ ...policy, conditions: [], groups }),
})

export const tokenStore = kind({
  data: v.object({
    store: ref(storeKinds),
    token_length: v.optional(count(16), 32),
    default_expiration: v.optional(duration(), '24h'),
    token_key: v.optional(text()),
    lifecycle,
  }),
  view: ({ store, token_length, default_expiration, token_key }): TokenStore => ({
    store,
    tokenLengthBytes: token_length,
    defaultExpirationMs: default_expiration,
    ...defined({ tokenKey: token_key }),
  }),
})

import { Regexp } from './regexp.ts'

/** One rule of access: who may do what on which resource, and under which conditions. */
export interface Policy {
  readonly id: string
  readonly effect: 'allow' | 'deny'
  /** Patterns: "*" stands for any run of characters. */
  readonly actions: readonly string[]
  readonly resources: readonly string[]
  readonly conditions: readonly Condition[]
}

export interface Condition {
  /** Path into `{ actor: { id, meta }, action, resource, meta }`. */
  readonly field: string
  readonly operator: string
  readonly value?: unknown
  readonly value_from?: string
}

export interface AccessQuestion {
  readonly actor: { readonly id: string; readonly meta: Readonly<Record<string, unknown>> } | undefined
  readonly action: string
  readonly resource: string
  readonly meta: Readonly<Record<string, unknown>>
}

export type Verdict = 'allow' | 'deny' | 'undefined'

/** The policy of an entry's data: `policy: { actions, resources, effect, conditions }`, texts or lists. */
export function policyOf(id: string, data: unknown): Policy {
  const fields = (typeof data === 'object' && data !== null ? data : {}) as Record<string, unknown>
  const rule = (
    typeof fields['policy'] === 'object' && fields['policy'] !== null ? fields['policy'] : fields
  ) as Record<string, unknown>
  return {
    id,
    // What is not clearly an allowance must not become one.
    effect: rule['effect'] === 'allow' ? 'allow' : 'deny',
    actions: texts(rule['actions']),
    resources: texts(rule['resources']),
    conditions: Array.isArray(rule['conditions']) ? (rule['conditions'] as Condition[]) : [],
  }
}

/** Deny wins over allow; `undefined` when no policy applies. */
export function evaluate(policies: readonly Policy[], question: AccessQuestion): Verdict {
  let verdict: Verdict = 'undefined'
  for (const policy of policies) {
    if (!applies(policy, question)) continue
    if (policy.effect === 'deny') return 'deny'
    verdict = 'allow'
  }
  return verdict
}

function applies(policy: Policy, question: AccessQuestion): boolean {
  return (
    policy.actions.some((pattern) => matchesPattern(pattern, question.action)) &&
    policy.resources.some((pattern) => matchesPattern(pattern, question.resource)) &&
    policy.conditions.every((condition) => holds(condition, question))
  )
}

export function matchesPattern(pattern: string, text: string): boolean {
  if (pattern === '*') return true
  const source = pattern.split('*').map(escapeRegExp).join('.*')
  return new RegExp(`^${source}$`, 's').test(text)
}

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

function holds(condition: Condition, question: AccessQuestion): boolean {
  const found = lookup(question, condition.field)
  const wanted = condition.value_from === undefined ? condition.value : lookup(question, condition.value_from)
  switch (condition.operator) {
    case 'eq':
      return found === wanted
    case 'ne':
      return found !== wanted
    case 'lt':
      return comparable(found, wanted) && (found as number) < (wanted as number)
    case 'gt':
      return comparable(found, wanted) && (found as number) > (wanted as number)
    case 'lte':
      return comparable(found, wanted) && (found as number) <= (wanted as number)
    case 'gte':
      return comparable(found, wanted) && (found as number) >= (wanted as number)
    case 'in':
      return Array.isArray(wanted) && wanted.includes(found)
    case 'nin':
      return !(Array.isArray(wanted) && wanted.includes(found))
    case 'exists':
      return (found !== undefined) === (wanted !== false)
    case 'nexists':
      return (found === undefined) === (wanted !== false)
    case 'contains':
      return contains(found, wanted)
    case 'ncontains':
      return !contains(found, wanted)
    case 'matches':
      return typeof found === 'string' && regexp(wanted)?.test(found) === true
    case 'nmatches':
      return !(typeof found === 'string' && regexp(wanted)?.test(found) === true)
    default:
      // A rule that cannot be understood never applies.
      return false
  }
}

function lookup(question: AccessQuestion, path: string): unknown {
  let at: unknown = question
  for (const key of path.split('.')) {
    if (typeof at !== 'object' || at === null) return undefined
    at = (at as Record<string, unknown>)[key]
  }
  return at
}

const comparable = (a: unknown, b: unknown): boolean =>
  (typeof a === 'number' && typeof b === 'number') || (typeof a === 'string' && typeof b === 'string')

const contains = (found: unknown, wanted: unknown): boolean =>
  typeof found === 'string' ? found.includes(String(wanted)) : Array.isArray(found) && found.includes(wanted)

function regexp(source: unknown): Regexp | undefined {
  try {
    return new Regexp(String(source))
  } catch {
    return undefined
  }
}

function texts(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
}

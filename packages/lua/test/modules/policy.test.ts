import { expect, test } from 'vitest'
import { evaluate, matchesPattern, policyOf, type AccessQuestion } from '../../src/modules/support/policy.ts'

const question: AccessQuestion = {
  actor: { id: 'user:1', meta: { role: 'editor', level: 3, tags: ['a', 'b'] } },
  action: 'document.read',
  resource: 'document:42',
  meta: { owner: 'user:1', status: 'draft' },
}

const allow = (conditions: readonly object[] = []) =>
  policyOf('app:p', { policy: { actions: 'document.*', resources: 'document:*', effect: 'allow', conditions } })

test.each([
  ['actor.meta.role', 'eq', 'editor', 'allow'],
  ['actor.meta.role', 'eq', 'admin', 'undefined'],
  ['meta.status', 'ne', 'deleted', 'allow'],
  ['actor.meta.level', 'lt', 3, 'undefined'],
  ['actor.meta.level', 'lte', 3, 'allow'],
  ['actor.meta.level', 'gt', 2, 'allow'],
  ['actor.meta.level', 'gte', 4, 'undefined'],
  ['action', 'in', ['document.read', 'x'], 'allow'],
  ['action', 'nin', ['document.read'], 'undefined'],
  ['meta.owner', 'exists', true, 'allow'],
  ['meta.deleted', 'nexists', true, 'allow'],
  ['resource', 'contains', '42', 'allow'],
  ['actor.meta.tags', 'contains', 'b', 'allow'],
  ['resource', 'ncontains', '42', 'undefined'],
  ['resource', 'matches', '^document:\\d+$', 'allow'],
  ['actor.id', 'nmatches', '^user:', 'undefined'],
  ['resource', 'no such operator', 1, 'undefined'],
])('a condition on %s %s %j makes an allowing policy answer %3$s', (field, operator, value, verdict) => {
  expect(evaluate([allow([{ field, operator, value }])], question)).toBe(verdict)
})

test('a condition may compare two fields', () => {
  expect(evaluate([allow([{ field: 'meta.owner', operator: 'eq', value_from: 'actor.id' }])], question)).toBe('allow')
})

test('deny wins over allow, and nothing said is undefined', () => {
  const deny = policyOf('app:d', { policy: { actions: '*', resources: '*', effect: 'deny' } })
  expect(evaluate([allow(), deny], question)).toBe('deny')
  expect(evaluate([], question)).toBe('undefined')
})

test('a policy whose effect is not understood never allows', () => {
  const odd = policyOf('app:o', { policy: { actions: '*', resources: '*', effect: 'alow' } })
  expect(evaluate([odd], question)).toBe('deny')
})

test.each([
  ['*', 'anything', true],
  ['*.read', 'document.read', true],
  ['*.read', 'document.write', false],
  ['a.b', 'axb', false],
  ['doc:*:x', 'doc:1:2:x', true],
])('pattern %s against %s is %s', (pattern, text, matches) => {
  expect(matchesPattern(pattern, text)).toBe(matches)
})

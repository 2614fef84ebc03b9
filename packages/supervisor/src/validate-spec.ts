import { AppError } from '@daruma/protocol'
import type { AutoShutdown } from './child-spec.ts'

/** One thing that is wrong with a spec: where, what was found there, and what may stand there. */
export interface SpecProblem {
  /** Like `children[2].shutdownMs`. */
  readonly path: string
  readonly found: unknown
  readonly expected: string
}

type Fields = Readonly<Record<string, unknown>>

const strategies = ['one_for_one', 'one_for_all', 'rest_for_one']
const autoShutdowns = ['never', 'any_significant', 'all_significant']
const restartTypes = ['permanent', 'transient', 'temporary']
const childTypes = ['worker', 'supervisor']

/** Everything that is wrong with a supervisor spec, in the order in which it stands there (rule 44). Empty: valid. */
export function validateSpec(spec: unknown): readonly SpecProblem[] {
  if (!isFields(spec)) return [{ path: '', found: spec, expected: 'an object with children' }]
  const check = new Checker('')
  check.oneOf(spec, 'strategy', strategies)
  checkIntensity(check, spec)
  check.oneOf(spec, 'autoShutdown', autoShutdowns)
  const autoShutdown = (spec.autoShutdown ?? 'never') as AutoShutdown
  const problems = [...check.problems]
  if (!Array.isArray(spec.children)) {
    return [...problems, { path: 'children', found: spec.children, expected: 'a list of child specs' }]
  }
  const seen = new Set<unknown>()
  for (const [at, child] of spec.children.entries()) {
    problems.push(...validateChildSpec(child, autoShutdown, `children[${at}]`))
    if (!isFields(child) || typeof child.id !== 'string') continue
    if (seen.has(child.id)) {
      problems.push({ path: `children[${at}].id`, found: child.id, expected: 'an id that no other child has' })
    }
    seen.add(child.id)
  }
  return problems
}

/** Everything that is wrong with one child spec under a supervisor with this `autoShutdown`. */
export function validateChildSpec(spec: unknown, autoShutdown: AutoShutdown, path = 'child'): readonly SpecProblem[] {
  if (!isFields(spec)) return [{ path, found: spec, expected: 'a child spec: an object with id and start' }]
  const check = new Checker(path)
  check.that(spec, 'id', typeof spec.id === 'string' && spec.id !== '', 'a text that is not empty')
  checkTemplate(check, spec)
  check.that(
    spec,
    'name',
    isAbsent(spec.name) || (typeof spec.name === 'string' && spec.name !== ''),
    'a text that is not empty',
  )
  check.that(spec, 'significant', isOptional(spec.significant, 'boolean'), 'true or false')
  if (spec.significant === true) {
    const restart = spec.restart ?? 'permanent'
    check.that(
      spec,
      'significant',
      restart !== 'permanent',
      'false, since restart is permanent: it never ends by itself',
    )
    check.that(spec, 'significant', autoShutdown !== 'never', 'false, since autoShutdown of the supervisor is never')
  }
  return check.problems
}

/** Everything that is wrong with the spec of a dynamic supervisor: limits, and the one template of its children. */
export function validateDynamicSpec(spec: unknown): readonly SpecProblem[] {
  if (!isFields(spec)) return [{ path: '', found: spec, expected: 'an object with child' }]
  const check = new Checker('')
  checkIntensity(check, spec)
  const { maxChildren } = spec
  check.that(
    spec,
    'maxChildren',
    isAbsent(maxChildren) || isCount(maxChildren) || maxChildren === 'infinity',
    wholeOr('infinity'),
  )
  if (!isFields(spec.child))
    return [...check.problems, { path: 'child', found: spec.child, expected: 'a child template' }]
  const template = new Checker('child')
  checkTemplate(template, spec.child)
  template.that(
    spec.child,
    'significant',
    spec.child.significant !== true,
    'false: children on demand cannot be significant',
  )
  return [...check.problems, ...template.problems]
}

/** The error for a spec with these problems: one line per problem, and the problems as details. */
export function invalidSpec(what: string, problems: readonly SpecProblem[]): AppError {
  const lines = problems.map(
    ({ path, found, expected }) => `  ${path || 'spec'}: expected ${expected}, found ${show(found)}`,
  )
  return new AppError('invalid', `${what} has ${count(problems.length)}:\n${lines.join('\n')}`, { problems })
}

function checkIntensity(check: Checker, spec: Fields): void {
  const { intensity, periodMs } = spec
  check.that(
    spec,
    'intensity',
    isAbsent(intensity) || isCount(intensity) || intensity === 'unlimited',
    wholeOr('unlimited'),
  )
  check.that(spec, 'periodMs', isAbsent(periodMs) || (isMs(periodMs) && periodMs > 0), 'milliseconds above 0')
}

function checkTemplate(check: Checker, spec: Fields): void {
  const { start, shutdownMs, startTimeoutMs, backoff } = spec
  const startable = typeof start === 'function' || (typeof start === 'object' && start !== null)
  check.that(spec, 'start', startable, 'a behavior, or a function that makes one')
  check.oneOf(spec, 'restart', restartTypes)
  const validShutdown =
    isAbsent(shutdownMs) || isMs(shutdownMs) || shutdownMs === 'brutal_kill' || shutdownMs === 'infinity'
  check.that(spec, 'shutdownMs', validShutdown, 'milliseconds from 0, brutal_kill or infinity')
  const validTimeout =
    isAbsent(startTimeoutMs) || (isMs(startTimeoutMs) && startTimeoutMs > 0) || startTimeoutMs === 'infinity'
  check.that(spec, 'startTimeoutMs', validTimeout, 'milliseconds above 0 or infinity')
  check.oneOf(spec, 'type', childTypes)
  check.that(spec, 'spawn', isAbsent(spec.spawn) || isFields(spec.spawn), 'an object of spawn options')
  check.that(spec, 'isTerminal', isOptional(spec.isTerminal, 'function'), 'a function of the exit reason')
  if (isAbsent(backoff)) return
  check.that(spec, 'backoff', isFields(backoff), 'an object')
  if (isFields(backoff)) checkBackoff(check.under('backoff'), backoff)
}

function checkBackoff(check: Checker, backoff: Fields): void {
  for (const key of ['initialMs', 'maxMs', 'stableMs'] as const) {
    check.that(backoff, key, isAbsent(backoff[key]) || isMs(backoff[key]), 'milliseconds from 0')
  }
  const { factor, jitter, maxAttempts } = backoff
  check.that(backoff, 'factor', isAbsent(factor) || (isMs(factor) && factor >= 1), 'a number from 1')
  check.that(backoff, 'jitter', isAbsent(jitter) || (isMs(jitter) && jitter <= 1), 'a number from 0 to 1')
  check.that(backoff, 'maxAttempts', isAbsent(maxAttempts) || isCount(maxAttempts), 'a whole number from 0')
}

class Checker {
  readonly problems: SpecProblem[]
  readonly #path: string

  constructor(path: string, problems: SpecProblem[] = []) {
    this.#path = path
    this.problems = problems
  }

  under(key: string): Checker {
    return new Checker(this.#at(key), this.problems)
  }

  that(fields: Fields, key: string, holds: boolean, expected: string): void {
    if (!holds) this.problems.push({ path: this.#at(key), found: fields[key], expected })
  }

  oneOf(fields: Fields, key: string, allowed: readonly string[]): void {
    const found = fields[key]
    this.that(fields, key, isAbsent(found) || allowed.includes(found as string), allowed.join(', '))
  }

  #at(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`
  }
}

const isAbsent = (value: unknown): value is undefined => value === undefined
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isMs = (value: unknown): value is number => Number.isFinite(value) && (value as number) >= 0
const isOptional = (value: unknown, type: string): boolean => value === undefined || typeof value === type
const wholeOr = (word: string): string => `a whole number from 0 or ${word}`
const count = (problems: number): string => (problems === 1 ? 'a problem' : `${problems} problems`)

function show(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return typeof value === 'string' ? `"${value}"` : String(value)
}

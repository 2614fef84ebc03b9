import { isAppError } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { completeChildSpec, markSupervisor } from '../src/child-spec.ts'
import { invalidSpec, validateChildSpec, validateDynamicSpec, validateSpec } from '../src/validate-spec.ts'

const start = { receive: (): void => undefined }
const child = { id: 'a', start }

describe('defaults (rule 44)', () => {
  test('a worker is permanent, not significant, has 5,000 ms to stop and all the time to start', () => {
    expect(completeChildSpec(child)).toMatchObject({
      restart: 'permanent',
      significant: false,
      type: 'worker',
      shutdownMs: 5_000,
      startTimeoutMs: 'infinity',
      backoff: undefined,
    })
  })

  test('a supervisor as child has infinity to stop', () => {
    expect(completeChildSpec({ ...child, start: markSupervisor({ ...start }) })).toMatchObject({
      type: 'supervisor',
      shutdownMs: 'infinity',
    })
    expect(completeChildSpec({ ...child, type: 'supervisor' }).shutdownMs).toBe('infinity')
  })

  test('a backoff that says little waits 1 s, then twice as long each time up to 90 s, 10 % of it by chance', () => {
    expect(completeChildSpec({ ...child, backoff: {} }).backoff).toEqual({
      initialMs: 1_000,
      factor: 2,
      maxMs: 90_000,
      jitter: 0.1,
      stableMs: 5_000,
      maxAttempts: 0,
    })
  })
})

describe('bad values are refused by name before any child starts (rule 44)', () => {
  const paths = (spec: unknown): string[] => validateSpec(spec).map(({ path }) => path)

  test('a spec with nothing but children is valid, and unknown keys are ignored', () => {
    expect(paths({ children: [] })).toEqual([])
    expect(paths({ children: [{ ...child, colour: 'red' }], mood: 'good' })).toEqual([])
  })

  test.each([
    ['strategy', 'one_for_two'],
    ['strategy', null],
    ['intensity', -1],
    ['intensity', 1.5],
    ['intensity', '3'],
    ['periodMs', 0],
    ['periodMs', Infinity],
    ['autoShutdown', true],
    ['children', {}],
    ['children', undefined],
  ])('%s: %o', (key, value) => {
    expect(paths({ children: [child], [key]: value })).toEqual([key])
  })

  test.each([
    ['id', ''],
    ['id', 7],
    ['start', undefined],
    ['start', 'worker.js'],
    ['restart', 'always'],
    ['shutdownMs', -1],
    ['shutdownMs', 'soon'],
    ['shutdownMs', Infinity],
    ['startTimeoutMs', 0],
    ['startTimeoutMs', 'brutal_kill'],
    ['type', 'boss'],
    ['significant', 'yes'],
    ['backoff', 5],
    ['isTerminal', true],
    ['name', ''],
    ['spawn', 'fast'],
  ])('child with %s: %o', (key, value) => {
    expect(paths({ children: [{ ...child, [key]: value }] })).toEqual([`children[0].${key}`])
  })

  test.each([
    ['initialMs', -1],
    ['factor', 0.5],
    ['maxMs', 'long'],
    ['jitter', 1.1],
    ['stableMs', NaN],
    ['maxAttempts', 0.5],
  ])('backoff with %s: %o', (key, value) => {
    expect(paths({ children: [{ ...child, backoff: { [key]: value } }] })).toEqual([`children[0].backoff.${key}`])
  })

  test('two children with one id', () => {
    expect(paths({ children: [child, { ...child, id: 'b' }, child] })).toEqual(['children[2].id'])
  })

  test('every problem is reported, not the first', () => {
    expect(
      paths({ strategy: 'x', intensity: -1, children: [{ id: '' }, null, { id: 'b', start, restart: 1 }] }),
    ).toEqual(['strategy', 'intensity', 'children[0].id', 'children[0].start', 'children[1]', 'children[2].restart'])
  })

  test('the error names each problem with what was found and what may stand there', () => {
    const error = invalidSpec(
      'supervisor',
      validateSpec({ strategy: 'all', children: [{ id: 'a', start, shutdownMs: -1 }] }),
    )
    expect(isAppError(error, 'invalid')).toBe(true)
    expect(error.message).toBe(
      'supervisor has 2 problems:\n' +
        '  strategy: expected one_for_one, one_for_all, rest_for_one, found "all"\n' +
        '  children[0].shutdownMs: expected milliseconds from 0, brutal_kill or infinity, found -1',
    )
  })
})

describe('significant children (rule 58)', () => {
  test.each([
    ['permanent', 'any_significant', 1],
    ['permanent', 'never', 2],
    ['transient', 'any_significant', 0],
    ['transient', 'all_significant', 0],
    ['transient', 'never', 1],
    ['temporary', 'any_significant', 0],
    ['temporary', 'never', 1],
  ] as const)('%s and significant under %s has %i problems', (restart, autoShutdown, count) => {
    expect(validateChildSpec({ ...child, restart, significant: true }, autoShutdown)).toHaveLength(count)
  })

  test('is refused for children on demand', () => {
    const problems = validateDynamicSpec({ child: { start, restart: 'temporary', significant: true } })
    expect(problems.map(({ path }) => path)).toEqual(['child.significant'])
  })
})

test('a dynamic supervisor names every problem of its template and limits', () => {
  const problems = validateDynamicSpec({ maxChildren: -1, periodMs: 'x', child: { start, shutdownMs: 'later' } })
  expect(problems.map(({ path }) => path)).toEqual(['periodMs', 'maxChildren', 'child.shutdownMs'])
  expect(validateDynamicSpec({ maxChildren: 'infinity', child: { start } })).toEqual([])
  expect(validateDynamicSpec({}).map(({ path }) => path)).toEqual(['child'])
})

import { AppError } from '@daruma/protocol'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { createRegistry, sourceOf, type Entry, type Registry, type RegistryChange } from '../src/index.ts'
import { entry } from '../src/testing.ts'
import { loaded, index } from './app-folder.ts'

const code = (text: string, imports: Record<string, string> = {}) => ({ source: text, method: 'main', imports })
const start = (): Registry =>
  createRegistry([
    entry('app:f', 'function.lua', code('return 1', { l: 'lib' }), { type: 'api', tags: ['a', 'b'], rank: 2 }),
    entry('app:lib', 'library.lua', { source: 'return {}', imports: { base: 'base' } }),
    entry('app:base', 'library.lua', { source: 'return {}' }),
    entry('app.jobs:g', 'function.lua', code('return 2'), { type: 'job', deep: { er: 'value' }, 'dotted.key': 1 }),
  ])
const kindOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return error instanceof AppError ? error.kind : String(error)
  }
  return 'nothing thrown'
}
const note = (id: string, text: string) => ({ id, kind: 'registry.entry', data: { text } })

describe('find', () => {
  test.each([
    [{}, ['app.jobs:g', 'app:base', 'app:f', 'app:lib']],
    [{ '.kind': 'function.lua' }, ['app.jobs:g', 'app:f']],
    [{ '.ns': 'app.jobs' }, ['app.jobs:g']],
    [{ '.name': 'lib' }, ['app:lib']],
    [{ '.id': 'app:f' }, ['app:f']],
    [{ '.kind': 'function.lua', '.ns': 'app' }, ['app:f']],
    [{ '.name': ['lib', 'base'] }, ['app:base', 'app:lib']],
    [{ 'meta.type': 'api' }, ['app:f']],
    [{ 'meta.rank': 2 }, ['app:f']],
    [{ 'meta.tags': ['a', 'b'] }, ['app:f']],
    [{ 'meta.deep.er': 'value' }, ['app.jobs:g']],
    [{ 'meta.dotted.key': 1 }, ['app.jobs:g']],
    [{ 'meta.missing': 'x' }, []],
    [{ '~meta.type': '^(api|job)$' }, ['app.jobs:g', 'app:f']],
    [{ '~meta.type': '(?i)^API$' }, ['app:f']],
    [{ '*meta.type': 'o' }, ['app.jobs:g']],
    [{ '*meta.tags': 'b' }, ['app:f']],
    [{ '^meta.type': 'ap' }, ['app:f']],
    [{ '$meta.type': 'b' }, ['app.jobs:g']],
    [{ '^.name': 'l' }, ['app:lib']],
  ])('%j finds %j', (filter, expected) => {
    expect(
      start()
        .find(filter as Record<string, unknown>)
        .entries.map(({ id }) => id),
    ).toEqual(expected)
  })

  test('keys that name neither a property nor meta are ignored and told', () => {
    const found = start().find({ type: 'x' })
    expect(found.entries).toHaveLength(4)
    expect(found.ignored).toEqual(['type'])
  })

  test('a pattern that is no regular expression is invalid', () => {
    expect(kindOf(() => start().find({ '~meta.type': '(' }))).toBe('invalid')
  })
})

describe('changes', () => {
  test('create, update and delete are applied together and are in force on return', () => {
    const registry = start()
    const changes = registry
      .changes()
      .create(note('app:n', 'x'))
      .update({ id: 'app:f', data: code('return 9') })
    expect(changes.delete('app.jobs:g').ops()).toMatchObject([
      { kind: 'entry.create', entry: { id: 'app:n' } },
      { kind: 'entry.update', entry: { id: 'app:f' } },
      { kind: 'entry.delete', entry: { id: 'app.jobs:g' } },
    ])
    const version = changes.apply()
    expect([version.id, String(version)]).toEqual([1, 'Version 1'])
    expect(registry.get('app:n')!.data).toEqual({ text: 'x' })
    expect(sourceOf(registry.get('app:f')!)).toEqual({ text: 'return 9', file: 'app:f', lineOffset: 0 })
    expect(registry.get('app.jobs:g')).toBeUndefined()
  })

  test('fields that an update leaves out stay as they were, and untouched text keeps its place', () => {
    const { entries, dir } = loaded({
      'src/_index.yaml': index('  - {name: l, kind: library.lua, source: file://l.lua, meta: {a: 1}}'),
      'src/l.lua': 'return 1',
    })
    const registry = createRegistry(entries)
    registry
      .changes()
      .update({ id: 'app:l', meta: { a: 2 } })
      .apply()
    expect(registry.get('app:l')).toMatchObject({ kind: 'library.lua', meta: { a: 2 }, data: { source: 'return 1' } })
    expect(sourceOf(registry.get('app:l')!)!.file).toBe(`${dir}/src/l.lua`)
  })

  test.each<[string, string, (registry: Registry) => unknown]>([
    ['nothing', 'invalid', (r) => r.changes().apply()],
    ['a bad id', 'invalid', (r) => r.changes().create(note('nocolon', 'x')).apply()],
    ['no kind', 'invalid', (r) => r.changes().create({ id: 'app:n' }).apply()],
    [
      'a function in data',
      'invalid',
      (r) =>
        r
          .changes()
          .create({ ...note('app:n', ''), data: { f() {} } })
          .apply(),
    ],
    ['creating what exists', 'conflict', (r) => r.changes().create(note('app:f', 'x')).apply()],
    ['updating what does not', 'conflict', (r) => r.changes().update(note('app:n', 'x')).apply()],
    ['deleting what does not', 'conflict', (r) => r.changes().delete('app:n').apply()],
    ['data that does not fit the kind', 'internal', (r) => r.changes().update({ id: 'app:f', data: {} }).apply()],
    ['deleting what is still imported', 'internal', (r) => r.changes().delete('app:base').apply()],
    [
      'a good step beside a bad one',
      'conflict',
      (r) => r.changes().create(note('app:n', 'x')).create(note('app:f', 'x')).apply(),
    ],
  ])('applying %s is %s, and nothing is applied', (_title, kind, run) => {
    const registry = start()
    const before = registry.entries()
    expect(kindOf(() => run(registry))).toBe(kind)
    expect(registry.entries()).toEqual(before)
    expect(registry.versions()).toHaveLength(1)
  })

  test('a changeset conflicts with what others changed since it was begun, and with nothing else', () => {
    const registry = createRegistry([entry('app:a', 'registry.entry'), entry('app:b', 'registry.entry')])
    const first = registry.snapshot().changes().update(note('app:a', 'first'))
    const second = registry.snapshot().changes().update(note('app:b', 'second'))
    const late = registry.snapshot().changes().update(note('app:a', 'late'))
    first.apply()
    expect(second.apply().id).toBe(2)
    expect(kindOf(() => late.apply())).toBe('conflict')
    expect(registry.get('app:a')!.data).toEqual({ text: 'first' })
  })

  test('entries of kinds that nobody runs are data for programs', () => {
    const registry = start()
    registry
      .changes()
      .create({ id: 'app:x', kind: 'test.kind', meta: { type: 'test' }, data: 'text' })
      .apply()
    expect(registry.find({ '.kind': 'test.kind' }).entries[0]!.data).toEqual({ data: 'text' })
  })

  test('what was handed in is copied: changing it afterwards changes nothing', () => {
    const registry = start()
    const mine = { id: 'app:n', kind: 'registry.entry', data: { list: [1] } }
    registry.changes().create(mine).apply()
    mine.data.list.push(2)
    expect(registry.get('app:n')!.data).toEqual({ list: [1] })
  })
})

describe('versions', () => {
  const withNotes = (): Registry => {
    const registry = createRegistry([entry('app:n', 'registry.entry', { text: 'boot' })])
    for (const text of ['one', 'two', 'three']) registry.changes().update(note('app:n', text)).apply()
    return registry
  }
  const textOf = (registry: Registry): unknown => registry.get('app:n')!.data['text']

  test('the state at boot is version 0; snapshots never change', () => {
    const registry = createRegistry([entry('app:n', 'registry.entry', { text: 'boot' })])
    const before = registry.snapshot()
    registry.changes().update(note('app:n', 'new')).apply()
    expect(before.version.id).toBe(0)
    expect(before.get('app:n')!.data).toEqual({ text: 'boot' })
    expect(registry.snapshot().namespace('app')[0]!.data).toEqual({ text: 'new' })
  })

  test('version 0 is refused by number and given by the history', () => {
    const registry = withNotes()
    expect(kindOf(() => registry.snapshotAt(0))).toBe('invalid')
    expect(kindOf(() => registry.snapshotAt(77))).toBe('not_found')
    expect(registry.snapshotAt(2).get('app:n')!.data).toEqual({ text: 'two' })
    const history = registry.history()
    expect(history.snapshotAt(history.getVersion(0)!).get('app:n')!.data).toEqual({ text: 'boot' })
    expect(history.getVersion(77)).toBeUndefined()
  })

  test('versions are sorted, and previous and next are the neighbours in that list', () => {
    const registry = withNotes()
    expect(registry.versions().map(({ id }) => id)).toEqual([0, 1, 2, 3])
    const two = registry.history().getVersion(2)!
    expect([two.previous()?.id, two.next()?.id]).toEqual([1, 3])
    expect(registry.history().getVersion(0)!.previous()).toBeUndefined()
    expect(registry.currentVersion().next()).toBeUndefined()
  })

  test('a rollback makes the old id current; versions after it stay and can be applied again; ids only grow', () => {
    const registry = withNotes()
    const three = registry.currentVersion()
    expect(registry.applyVersion(registry.history().getVersion(1)!)).toBe(true)
    expect([registry.currentVersion().id, textOf(registry)]).toEqual([1, 'one'])
    registry.applyVersion(three)
    expect([registry.currentVersion().id, textOf(registry)]).toEqual([3, 'three'])
    registry.applyVersion(registry.history().getVersion(0)!)
    expect(registry.changes().update(note('app:n', 'four')).apply().id).toBe(4)
    expect(registry.versions().map(({ id }) => id)).toEqual([0, 1, 2, 3, 4])
  })

  test('beyond the limit the oldest states go, never the first and the current one', () => {
    const registry = createRegistry([entry('app:n', 'registry.entry')], { maxVersions: 2 })
    for (let at = 1; at <= 6; at++)
      registry
        .changes()
        .update(note('app:n', String(at)))
        .apply()
    expect(registry.versions().map(({ id }) => id)).toEqual([0, 4, 5, 6])
    expect(kindOf(() => registry.snapshotAt(2))).toBe('not_found')
  })

  test('every kept version holds exactly the entries that it was made with, whatever was applied and rolled back', () => {
    const id = fc.constantFrom('a:1', 'a:2', 'a:3')
    const step = fc.oneof(
      fc.record({ do: fc.constant('put' as const), id, text: fc.string({ maxLength: 3 }) }),
      fc.record({ do: fc.constant('delete' as const), id }),
      fc.record({ do: fc.constant('rollback' as const), to: fc.nat(12) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), fc.integer({ min: 0, max: 6 }), (steps, maxVersions) => {
        const registry = createRegistry([entry('a:1', 'registry.entry', { text: 'boot' })], { maxVersions })
        const model = new Map<number, Record<string, unknown>>([[0, { 'a:1': 'boot' }]])
        const stateOf = (entries: readonly Entry[]): Record<string, unknown> =>
          Object.fromEntries(entries.map((one) => [one.id, one.data['text']]))
        for (const one of steps) {
          const state = { ...model.get(registry.currentVersion().id)! }
          if (one.do === 'rollback') {
            const version = registry.history().getVersion(one.to)
            if (version !== undefined) registry.applyVersion(version)
          } else if (one.do === 'delete') {
            if (!(one.id in state)) continue
            delete state[one.id]
            model.set(registry.changes().delete(one.id).apply().id, state)
          } else {
            const changes = registry.changes()
            const known = one.id in state
            state[one.id] = one.text
            const input = note(one.id, one.text)
            model.set((known ? changes.update(input) : changes.create(input)).apply().id, state)
          }
          for (const version of registry.versions()) {
            expect(stateOf(registry.history().snapshotAt(version).entries())).toEqual(model.get(version.id))
          }
          expect(stateOf(registry.entries())).toEqual(model.get(registry.currentVersion().id))
        }
      }),
    )
  })

  test('a delta leads from one list of entries to another', () => {
    const registry = start()
    const a = note('test:a', '1')
    const changed = { ...note('test:b', '2'), data: { text: '2', more: { y: 1, x: 2 } } }
    const same = { ...note('test:c', '3'), meta: {} }
    const ops = registry.buildDelta([a, note('test:b', '1'), same], [changed, note('test:c', '3'), note('test:d', '4')])
    expect(ops.map((op) => `${op.kind} ${op.entry.id}`)).toEqual([
      'entry.delete test:a',
      'entry.create test:d',
      'entry.update test:b',
    ])
  })
})

describe('guards and watchers', () => {
  const summary = ({ version, created, updated, deleted, invalidated }: RegistryChange) => ({
    version: version.id,
    created: created.map(({ id }) => id),
    updated: updated.map(({ after }) => after.id),
    deleted: deleted.map(({ id }) => id),
    invalidated: invalidated.map(({ id }) => id),
  })

  test('a change tells what it did, and which code imports what it did', () => {
    const registry = start()
    const told: unknown[] = []
    const stop = registry.watch((change) => told.push(summary(change)))
    registry
      .changes()
      .update({ id: 'app:base', data: { source: 'return 2' } })
      .create(note('app:n', ''))
      .apply()
    registry.changes().delete('app:n').apply()
    registry.applyVersion(registry.history().getVersion(0)!)
    stop()
    registry.changes().create(note('app:m', '')).apply()
    expect(told).toEqual([
      { version: 1, created: ['app:n'], updated: ['app:base'], deleted: [], invalidated: ['app:f', 'app:lib'] },
      { version: 2, created: [], updated: [], deleted: ['app:n'], invalidated: [] },
      { version: 0, created: [], updated: ['app:base'], deleted: [], invalidated: ['app:f', 'app:lib'] },
    ])
  })

  test('what a guard throws keeps the state from being applied', () => {
    const registry = start()
    const watcher = vi.fn<(change: RegistryChange) => void>()
    registry.watch(watcher)
    registry.guard(({ version, updated }) => {
      expect(version.id).toBe(1)
      if (updated.some(({ after }) => after.data['source'] === 'syntax!')) throw new Error('app:f:1: syntax')
    })
    const bad = registry.changes().update({ id: 'app:f', data: code('syntax!') })
    expect(() => bad.apply()).toThrow('nothing was applied: app:f:1: syntax')
    expect(registry.currentVersion().id).toBe(0)
    expect(watcher).not.toHaveBeenCalled()
    expect(
      registry
        .changes()
        .update({ id: 'app:f', data: code('return 3') })
        .apply().id,
    ).toBe(1)
  })

  test('a watcher that throws keeps nobody else from being told', () => {
    const registry = start()
    const watcher = vi.fn<(change: RegistryChange) => void>()
    registry.watch(() => {
      throw new Error('oops')
    })
    registry.watch(watcher)
    expect(kindOf(() => registry.changes().create(note('app:n', '')).apply())).toBe('internal')
    expect(watcher).toHaveBeenCalledOnce()
    expect(registry.get('app:n')).toBeDefined()
  })

  test('a watcher cannot change the registry while it is being changed', () => {
    const registry = start()
    let kind = ''
    registry.watch(() => {
      kind = kindOf(() => registry.changes().create(note('app:m', '')).apply())
    })
    registry.changes().create(note('app:n', '')).apply()
    expect(kind).toBe('conflict')
  })
})

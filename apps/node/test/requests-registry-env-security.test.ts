import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { entry } from '@daruma/registry/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseEnv, withValue } from '../src/requests/env-file.ts'
import { envRequests } from '../src/requests/env.ts'
import { registryRequests } from '../src/requests/registry.ts'
import { actingAs, securityRequests } from '../src/requests/security.ts'
import { World } from './requests-world.ts'

describe('registry', () => {
  const entries = [
    entry('app:config', 'registry.entry', { rate: 1 }, { title: 'Config' }),
    entry('app:fn', 'function.lua', { source: 'return function() end', method: 'main' }),
  ]
  const record = (id: string, data: Record<string, unknown>) => ({ id, kind: 'registry.entry', meta: {}, data })

  test('a change is in force when it is answered, under an id that grows', async () => {
    const world = new World(entries)
    const { ask } = await world.asker(registryRequests(world))
    expect(ask('registry.version', null)).toEqual({ id: 0, text: '0' })
    const op = { kind: 'entry.create', entry: record('app:new', { a: 1 }) } as const
    expect(ask('registry.apply', { base: 0, ops: [op] })).toEqual({ id: 1, text: '1' })
    expect(ask('registry.get', { id: 'app:new' })).toEqual(record('app:new', { a: 1 }))
    expect(ask('registry.versions', null)).toEqual([
      { id: 0, text: '0' },
      { id: 1, text: '1' },
    ])
  })

  test('a changeset whose entries were changed meanwhile is a conflict, and nothing of it is applied', async () => {
    const world = new World(entries)
    const { ask, failure } = await world.asker(registryRequests(world))
    const update = (rate: number) => ({ kind: 'entry.update', entry: record('app:config', { rate }) }) as const
    ask('registry.apply', { base: 0, ops: [update(2)] })
    const ops = [{ kind: 'entry.create', entry: record('app:x', {}) } as const, update(3)]
    expect(await failure('registry.apply', { base: 0, ops })).toBe('conflict')
    expect(ask('registry.entries', {}).map(({ id }) => id)).toEqual(['app:config', 'app:fn'])
    expect(ask('registry.get', { id: 'app:config' }).data).toEqual({ rate: 2 })
  })

  test('what an update leaves out stays', async () => {
    const world = new World(entries)
    const { ask } = await world.asker(registryRequests(world))
    const update = { id: 'app:config', kind: '', meta: {}, data: { rate: 9 } }
    ask('registry.apply', { base: 0, ops: [{ kind: 'entry.update', entry: update }] })
    expect(ask('registry.get', { id: 'app:config' })).toEqual({
      id: 'app:config',
      kind: 'registry.entry',
      meta: { title: 'Config' },
      data: { rate: 9 },
    })
  })

  test('a rollback makes the old version current under its old id, and old states can be read', async () => {
    const world = new World(entries)
    const { ask, failure } = await world.asker(registryRequests(world))
    ask('registry.apply', { base: 0, ops: [{ kind: 'entry.delete', entry: record('app:config', {}) }] })
    expect(await failure('registry.get', { id: 'app:config' })).toBe('not_found')
    expect(ask('registry.get', { id: 'app:config', version: 0 }).data).toEqual({ rate: 1 })
    ask('registry.apply_version', { version: 0 })
    expect(ask('registry.version', null).id).toBe(0)
    expect(await failure('registry.apply_version', { version: 7 })).toBe('not_found')
    expect(await failure('registry.entries', { version: 7 })).toBe('not_found')
  })

  test('a changeset that would break the app is refused with internal', async () => {
    const world = new World(entries)
    const { failure } = await world.asker(registryRequests(world))
    const broken = { id: 'app:fn', kind: 'function.lua', meta: {}, data: { method: 'main' } }
    expect(await failure('registry.apply', { base: 0, ops: [{ kind: 'entry.update', entry: broken }] })).toBe(
      'internal',
    )
  })

  test('Lua: snapshot, changes, apply, roll back', async () => {
    const world = new World(entries)
    const source = `local registry = require("registry")
    return function()
      local before = registry.current_version()
      local changes = registry.snapshot():changes()
      changes:create({ id = "app:made", kind = "registry.entry", data = { n = 5 } })
      local version = changes:apply()
      local made = registry.get("app:made").data.n
      registry.apply_version(before)
      local _, gone = registry.get("app:made")
      return { version:id(), made, gone:kind(), #registry.versions() }
    end`
    expect(await world.run(source, ['registry'], registryRequests(world))).toEqual([1, 5, 'NotFound', 2])
  })
})

describe('env', () => {
  function folder(): string {
    const path = mkdtempSync(join(tmpdir(), 'daruma-env-'))
    onTestFinished(() => rmSync(path, { recursive: true, force: true }))
    return path
  }
  const storages = [
    entry('app:os', 'env.storage.os'),
    entry('app:mem', 'env.storage.memory'),
    entry('app:fixed', 'env.storage.static', { values: { REGION: 'eu', PORT: 8080 } }),
    entry('app:file', 'env.storage.file', { file_path: 'vars.env', auto_create: true }),
    entry('app:both', 'env.storage.router', { storages: ['mem', 'fixed'] }),
    entry('app:home', 'env.variable', { variable: 'HOME_DIR', storage: 'os' }),
    entry('app:region', 'env.variable', { variable: 'REGION', storage: 'both' }),
    entry('app:locked', 'env.variable', { variable: 'LOCKED', storage: 'mem', default: 'x', readonly: true }),
    entry('app:note', 'env.variable', { variable: 'NOTE', storage: 'file' }),
    entry('app:token', 'env.variable', { storage: 'mem', default: 't' }),
  ]
  const environment = { HOME_DIR: '/home/me', SECRET: 'hidden' }

  test('programs see what the app declares, by variable name or entry id, and nothing else', async () => {
    const world = new World(storages)
    const { later, failure } = await world.asker(envRequests(world, { environment, folder: folder() }))
    expect(await later('env.get', { key: 'HOME_DIR' })).toBe('/home/me')
    expect(await later('env.get', { key: 'app:home' })).toBe('/home/me')
    expect(await later('env.get', { key: 'app:token' })).toBe('t')
    expect(await failure('env.get', { key: 'SECRET' })).toBe('not_found')
    expect(await failure('env.get', { key: 'NOTE' })).toBe('not_found')
    expect(await later('env.all', null)).toEqual({ HOME_DIR: '/home/me', REGION: 'eu', LOCKED: 'x' })
  })

  test('a router reads in order and writes to its first storage', async () => {
    const world = new World(storages)
    const { later } = await world.asker(envRequests(world, { environment, folder: folder() }))
    await later('env.set', { key: 'REGION', value: 'us' })
    expect(await later('env.get', { key: 'REGION' })).toBe('us')
  })

  test.each(['LOCKED', 'HOME_DIR'])('%s cannot be set: permission_denied', async (key) => {
    const world = new World(storages)
    const { failure } = await world.asker(envRequests(world, { environment, folder: folder() }))
    expect(await failure('env.set', { key, value: 'y' })).toBe('permission_denied')
  })

  test('values in a file stand there with what people wrote beside them', async () => {
    const world = new World(storages)
    const path = folder()
    writeFileSync(join(path, 'vars.env'), '# mine\nNOTE="a b"\nOTHER=1\n')
    const { later } = await world.asker(envRequests(world, { environment, folder: path }))
    expect(await later('env.get', { key: 'NOTE' })).toBe('a b')
    await Promise.all(['c "d"', 'last one'].map((value) => later('env.set', { key: 'NOTE', value })))
    expect(readFileSync(join(path, 'vars.env'), 'utf8')).toBe('# mine\nNOTE="last one"\nOTHER=1\n')
  })

  test.each([
    ['A=1', '1'],
    ['export A = 1 # one', '1'],
    ["A='x # y'", 'x # y'],
    ['A="a\\nb\\"c\\\\"', 'a\nb"c\\'],
    ['A=', ''],
    ['A=1\nA=2', '2'],
  ])('the line %j gives %j', (text, value) => {
    expect(parseEnv(text).get('A')).toBe(value)
  })

  test('what is written is read back', () => {
    for (const value of ['', 'plain', 'two words', 'q"\\', 'line\nline', "it's", '#']) {
      expect(parseEnv(withValue('B=1', 'A', value)).get('A')).toBe(value)
    }
  })
})

describe('security', () => {
  const policy = (effect: string, groups: string[]) => ({ policy: { actions: '*', resources: 'db.*', effect }, groups })
  const entries = [
    entry('app:read', 'security.policy', policy('allow', ['staff'])),
    entry('app:never', 'security.policy', policy('deny', ['app:staff'])),
    entry('app:sometimes', 'security.policy.expr', {
      policy: { actions: '*', resources: '*', effect: 'allow', expression: 'actor.id == "x"' },
      groups: ['odd'],
    }),
  ]

  test('a group is all policies that name it, bare or in full', async () => {
    const world = new World(entries)
    const { ask, failure } = await world.asker(securityRequests(world))
    expect(ask('security.group', { id: 'app:staff' }).map(({ id }) => id)).toEqual(['app:never', 'app:read'])
    expect(ask('security.policy', { id: 'app:read' }).data).toEqual(policy('allow', ['staff']))
    expect(await failure('security.policy', { id: 'app:none' })).toBe('not_found')
    expect(await failure('security.group', { id: 'app:none' })).toBe('not_found')
  })

  test('a policy with an expression is refused, since ignoring the expression would allow too much', async () => {
    const world = new World(entries)
    const { failure } = await world.asker(securityRequests(world))
    expect(await failure('security.policy', { id: 'app:sometimes' })).toBe('unavailable')
    expect(await failure('security.group', { id: 'app:odd' })).toBe('unavailable')
  })

  test('a security block becomes an actor and a scope that programs find', async () => {
    const world = new World(entries)
    const context = actingAs(world.registry, {
      actor: { id: 'gateway', meta: {} },
      policies: [world.registry.get('app:read')!.id],
      groups: [],
    })
    const create = world.lua.define({
      id: 'test:p',
      kind: 'process',
      modules: ['security'],
      source: `local s = require("security")
        return function() return { s.actor():id(), s.can("get", "db.users"), s.can("get", "files") } end`,
    })
    const { programBehavior } = await import('@daruma/actors')
    const pid = world.system.spawn(programBehavior({ entry: 'test:p', args: [], context, create, handlers: {} }))
    expect(await world.test.exitOf(pid)).toEqual({ kind: 'normal', value: ['gateway', true, false] })
  })
})

import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { entry } from '@daruma/registry/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { contractRequests } from '../src/requests/contract.ts'
import { fsRequests } from '../src/requests/fs.ts'
import { Metrics } from '../src/requests/metrics.ts'
import { World } from './requests-world.ts'

describe('fs', () => {
  async function files() {
    const folder = mkdtempSync(join(tmpdir(), 'daruma-fs-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    mkdirSync(join(folder, 'data'))
    mkdirSync(join(folder, 'data-not'))
    writeFileSync(join(folder, 'secret.txt'), 'secret')
    const world = new World([
      entry('app:data', 'fs.directory', { directory: 'data' }),
      entry('app:made', 'fs.directory', { directory: 'made', auto_init: true }),
      entry('app:missing', 'fs.directory', { directory: 'missing' }),
    ])
    const asker = await world.asker(fsRequests(world, { folder, maxReadBytes: 100 }))
    return { folder, ...asker }
  }
  const fs = 'app:data'

  test('files and folders are made, read, listed and removed', async () => {
    const { later, failure } = await files()
    await later('fs.mkdir', { fs, path: '/a/b' })
    await later('fs.write', { fs, path: '/a/x.txt', data: 'one', append: false })
    await later('fs.write', { fs, path: '/a/x.txt', data: Uint8Array.of(0xff), append: true })
    expect(await later('fs.read', { fs, path: '/a/x.txt' })).toEqual(Uint8Array.from([...Buffer.from('one'), 0xff]))
    expect(await later('fs.list', { fs, path: '/a' })).toEqual([
      { name: 'b', isDirectory: true },
      { name: 'x.txt', isDirectory: false },
    ])
    expect(await later('fs.stat', { fs, path: '/a/x.txt' })).toMatchObject({
      name: 'x.txt',
      sizeBytes: 4,
      isDirectory: false,
    })
    expect(await failure('fs.remove', { fs, path: '/a' })).toBe('conflict')
    await later('fs.remove', { fs, path: '/a/x.txt' })
    expect(await failure('fs.stat', { fs, path: '/a/x.txt' })).toBe('not_found')
    await later('fs.remove', { fs, path: '/a/b' })
    expect(await failure('fs.remove', { fs, path: '/' })).toBe('permission_denied')
  })

  test.each([
    ['fs.read', '../secret.txt'],
    ['fs.read', '/../secret.txt'],
    ['fs.read', 'link.txt'],
    ['fs.read', 'folder/secret.txt'],
    ['fs.stat', '../data-not'],
    ['fs.list', 'folder'],
    ['fs.remove', 'folder/secret.txt'],
  ] as const)('%s %s leaves the folder: permission_denied', async (name, path) => {
    const { folder, failure } = await files()
    symlinkSync(join(folder, 'secret.txt'), join(folder, 'data/link.txt'))
    symlinkSync(folder, join(folder, 'data/folder'))
    expect(await failure(name, { fs, path })).toBe('permission_denied')
    expect(existsSync(join(folder, 'secret.txt'))).toBe(true)
  })

  test('nothing is written through a link, not even one that leads to nothing yet', async () => {
    const { folder, later, failure } = await files()
    symlinkSync(join(folder, 'new.txt'), join(folder, 'data/out.txt'))
    expect(await failure('fs.write', { fs, path: 'out.txt', data: 'x', append: false })).toBe('permission_denied')
    expect(existsSync(join(folder, 'new.txt'))).toBe(false)
    await later('fs.remove', { fs, path: 'out.txt' })
    expect(await later('fs.list', { fs, path: '/' })).toEqual([])
  })

  test.each([
    ['fs.read', { fs, path: 'none' }, 'not_found'],
    ['fs.read', { fs, path: '/' }, 'invalid'],
    ['fs.read', { fs, path: 'big' }, 'invalid'],
    ['fs.list', { fs, path: 'big' }, 'not_found'],
    ['fs.open', { fs: 'app:missing' }, 'not_found'],
    ['fs.open', { fs: 'app:none' }, 'not_found'],
    ['fs.open', { fs: 'app:made' }, 'no failure'],
  ] as const)('%s %j: %s', async (name, input, kind) => {
    const { folder, failure } = await files()
    writeFileSync(join(folder, 'data/big'), 'x'.repeat(101))
    expect(await failure(name, input as never)).toBe(kind)
  })
})

describe('contracts', () => {
  const fn = (id: string) => entry(id, 'function.lua', { source: 'return function() end', method: 'main' })
  const entries = [
    fn('app:a'),
    fn('app:b'),
    entry('app:greeter', 'contract.definition', { methods: [{ name: 'greet', description: 'Says hello' }] }),
    entry('app:counter', 'contract.definition', { methods: [{ name: 'count' }] }),
    entry('app:first', 'contract.binding', { contracts: [{ contract: 'greeter', methods: { greet: 'a' } }] }),
    entry('app:second', 'contract.binding', {
      contracts: [
        { contract: 'greeter', default: true, methods: { greet: 'b' } },
        { contract: 'counter', methods: { count: 'a' } },
      ],
    }),
  ]

  test('a contract is opened by its default binding, or by the one that is named', async () => {
    const world = new World(entries)
    const { ask, failure } = await world.asker(contractRequests(world))
    expect(ask('contract.get', { id: 'app:greeter' }).methods[0]).toMatchObject({
      name: 'greet',
      description: 'Says hello',
    })
    expect(ask('contract.implementations', { contract: 'app:greeter' })).toEqual(['app:first', 'app:second'])
    expect(ask('contract.open', { contract: 'app:greeter' })).toEqual({
      id: 'app:second',
      contracts: ['app:greeter'],
      methods: { greet: 'app:b' },
    })
    expect(ask('contract.open', { contract: 'app:counter' }).id).toBe('app:second')
    expect(ask('contract.open', { binding: 'app:second' }).methods).toEqual({ greet: 'app:b', count: 'app:a' })
    expect(await failure('contract.open', { contract: 'app:counter', binding: 'app:first' })).toBe('not_found')
    expect(await failure('contract.open', { binding: 'app:greeter' })).toBe('not_found')
    expect(await failure('contract.open', {})).toBe('invalid')
  })
})

describe('metrics', () => {
  test('what programs count is shown in the exposition format', () => {
    const metrics = new Metrics()
    const labels = { path: '/a"b', method: 'GET' }
    metrics.record({ kind: 'counter', name: 'asked.total', value: 2, labels })
    metrics.record({ kind: 'counter', name: 'asked.total', value: 1, labels: { method: 'GET', path: '/a"b' } })
    metrics.record({ kind: 'gauge_set', name: 'open', value: 5, labels: {} })
    metrics.record({ kind: 'gauge_add', name: 'open', value: -1, labels: {} })
    for (const value of [0.02, 3]) metrics.record({ kind: 'histogram', name: 'took', value, labels: {} })
    const text = metrics.text()
    expect(text).toContain('# TYPE asked_total counter\nasked_total{method="GET",path="/a\\"b"} 3\n')
    expect(text).toContain('# TYPE open gauge\nopen 4\n')
    expect(text).toContain('took_bucket{le="0.025"} 1\n')
    expect(text).toContain('took_bucket{le="5"} 2\n')
    expect(text).toContain('took_bucket{le="+Inf"} 2\ntook_sum 3.02\ntook_count 2\n')
  })

  test.each([
    [{ kind: 'counter', name: 'c', value: -1, labels: {} }, 'invalid'],
    [{ kind: 'counter', name: 'no name', value: 1, labels: {} }, 'invalid'],
    [{ kind: 'gauge_set', name: 'g', value: Number.NaN, labels: {} }, 'invalid'],
    [{ kind: 'gauge_set', name: 'known', value: 1, labels: {} }, 'conflict'],
  ] as const)('%j: %s', (record, kind) => {
    const metrics = new Metrics()
    metrics.record({ kind: 'counter', name: 'known', value: 1, labels: {} })
    expect(() => metrics.record(record)).toThrow(expect.objectContaining({ kind }))
  })
})

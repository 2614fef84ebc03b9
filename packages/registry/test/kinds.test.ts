import { describe, expect, test } from 'vitest'
import { checkEntries } from '../src/check.ts'
import { kindNames, referencesOf, viewOf, type Kind } from '../src/index.ts'
import { entry } from '../src/testing.ts'

const lifecycle = {
  autoStart: false,
  startTimeoutMs: 10_000,
  stopTimeoutMs: 10_000,
  stableThresholdMs: 5_000,
  requires: [],
  restart: { initialDelayMs: 1_000, maxDelayMs: 90_000, backoffFactor: 2, jitter: 0.1, maxAttempts: 0 },
}
const source = 'return {}'
const program = { source, method: 'main' }

describe('an entry with the least that its kind needs reads as its documented defaults', () => {
  test.each<[Kind, unknown, unknown]>([
    ['library.lua', { source }, { source, modules: [], imports: {} }],
    [
      'function.lua',
      program,
      { ...program, modules: [], imports: {}, pool: { type: 'inline', warmStart: false }, options: {} },
    ],
    ['process.lua', program, { ...program, modules: [], imports: {}, options: {} }],
    ['workflow.lua', program, { ...program, modules: [], imports: {}, options: {} }],
    ['process.host', {}, { lifecycle }],
    ['process.service', { process: 'p', host: 'other:h' }, { process: 'app:p', host: 'other:h', input: [], lifecycle }],
    ['terminal.host', {}, { hideLogs: false, lifecycle }],
    ['pg.scope', {}, { broadcastTimeoutMs: 5_000, maxGroups: 0, maxMembersPerGroup: 0, lifecycle }],
    ['nats.client', {}, { servers: [], embedded: true, namespace: 'default', lifecycle }],
    [
      'temporal.client',
      { address: 'n:4222' },
      { servers: ['n:4222'], embedded: false, namespace: 'default', lifecycle },
    ],
    ['workflow.worker', { client: 'c', task_queue: 'q' }, { client: 'app:c', taskQueue: 'q', lifecycle }],
    ['temporal.worker', { client: 'c', task_queue: 'q' }, { client: 'app:c', taskQueue: 'q', lifecycle }],
    ['store.memory', {}, { maxSize: 10_000, cleanupIntervalMs: 300_000, lifecycle }],
    ['store.kv', {}, { lifecycle }],
    ['queue.driver.memory', {}, { lifecycle }],
    ['queue.driver.jetstream', { client: 'c' }, { client: 'app:c', lifecycle }],
    ['queue.queue', { driver: 'd' }, { driver: 'app:d', codec: 'json/plain', driverOptions: {} }],
    [
      'queue.consumer',
      { queue: 'q', func: 'f' },
      { queue: 'app:q', func: 'app:f', concurrency: 1, prefetch: 10, autoAck: false, lifecycle },
    ],
    [
      'security.policy',
      { policy: { actions: '*', resources: ['a', 'b'], effect: 'allow' } },
      { actions: ['*'], resources: ['a', 'b'], effect: 'allow', conditions: [], groups: [] },
    ],
    [
      'security.policy.expr',
      { policy: { actions: 'x', resources: '*', effect: 'deny', expression: 'true' }, groups: ['g'] },
      { actions: ['x'], resources: ['*'], effect: 'deny', expression: 'true', conditions: [], groups: ['g'] },
    ],
    ['security.token_store', { store: 's' }, { store: 'app:s', tokenLengthBytes: 32, defaultExpirationMs: 86_400_000 }],
    ['env.storage.os', {}, { type: 'os' }],
    ['env.storage.static', { values: { PORT: 80 } }, { type: 'static', values: { PORT: '80' } }],
    ['env.storage.router', { storages: ['a', 'b:c'] }, { type: 'router', storages: ['app:a', 'b:c'] }],
    ['env.variable', { storage: 's' }, { storage: 'app:s', readonly: false }],
    [
      'contract.binding',
      { contracts: [{ contract: 'c', methods: { greet: 'f' } }] },
      {
        contracts: [
          { contract: 'app:c', default: false, methods: { greet: 'app:f' }, contextRequired: [], contextValues: {} },
        ],
      },
    ],
    ['http.service', { addr: ':8080' }, { addr: ':8080', timeouts: {}, lifecycle }],
    ['http.endpoint', { method: 'GET', path: '/', func: 'f' }, { method: 'GET', path: '/', func: 'app:f' }],
    ['fs.directory', { directory: './data' }, { directory: './data', autoInit: false, lifecycle }],
    ['registry.entry', { any: ['thing'] }, { any: ['thing'] }],
  ])('%s', (kind, data, expected) => {
    expect(viewOf(entry('app:x', kind, data), kind)).toEqual(expected)
  })
})

test('lifecycle reads durations as milliseconds and joins requires with depends_on', () => {
  const one = entry('app:x', 'store.memory', {
    lifecycle: {
      auto_start: true,
      start_timeout: '1m30s',
      stop_timeout: 250,
      requires: 'a',
      depends_on: ['b', 'app:a'],
      restart: { initial_delay: '50ms', jitter: 0 },
      security: { actor: { id: 'svc' }, policies: ['p'] },
    },
  })
  expect(viewOf(one, 'store.memory').lifecycle).toEqual({
    ...lifecycle,
    autoStart: true,
    startTimeoutMs: 90_000,
    stopTimeoutMs: 250,
    requires: ['app:a', 'app:b'],
    restart: { ...lifecycle.restart, initialDelayMs: 50, jitter: 0 },
    security: { actor: { id: 'svc', meta: {} }, policies: ['app:p'], groups: [] },
  })
})

test.each([
  ['meta.temporal.activity', { temporal: { activity: { worker: 'w', local: true } } }],
  ['meta.activity', { activity: { worker: 'app:w', local: true } }],
])('%s binds a function to a worker', (_title, meta) => {
  const view = viewOf(entry('app:f', 'function.lua', program, meta), 'function.lua')
  expect(view.activity).toEqual({ worker: 'app:w', local: true })
})

test.each([
  ['meta.temporal.workflow', { temporal: { workflow: { worker: 'w' } } }],
  ['meta.workflow', { workflow: { worker: 'app:w' } }],
])('%s binds a workflow to a worker', (_title, meta) => {
  expect(viewOf(entry('app:f', 'workflow.lua', program, meta), 'workflow.lua').worker).toBe('app:w')
})

test('a process tells the name of its command and the host on which it is called', () => {
  const one = entry('app:p', 'process.lua', program, { command: { name: 'greet' }, default_host: 'h' })
  expect(viewOf(one, 'process.lua')).toMatchObject({ command: { name: 'greet', short: '' }, defaultHost: 'app:h' })
})

test('a host reads its capacity from host, and from where older apps have it', () => {
  expect(viewOf(entry('app:h', 'process.host', { host: { workers: 4, queue_size: 9 } }), 'process.host')).toMatchObject(
    {
      workers: 4,
      queueSize: 9,
    },
  )
  expect(viewOf(entry('app:h', 'process.host', { max_processes: 5 }), 'process.host')).toMatchObject({
    maxProcesses: 5,
  })
})

test('asking for an entry as another kind than it is names both', () => {
  expect(() => viewOf(entry('app:x', 'store.memory'), 'process.host')).toThrow(
    'app:x is a store.memory, asked for as process.host',
  )
})

test('references are full ids with the path of their field', () => {
  const one = entry(
    'app:f',
    'function.lua',
    { ...program, imports: { a: 'lib', b: 'x:y' }, security: { policies: ['p'] } },
    { temporal: { activity: { worker: 'w' } } },
  )
  expect(referencesOf(one).map(({ path, target }) => `${path.join('.')} ${target}`)).toEqual([
    'data.imports.a app:lib',
    'data.imports.b x:y',
    'data.security.policies.0 app:p',
    'meta.temporal.activity.worker app:w',
  ])
})

test.each(kindNames())('a %s whose every field is of the wrong type is refused without an exception', (kind) => {
  for (const wrong of [5, 'x', true, null, [], [5], {}, { a: 5 }]) {
    const fields = ['source', 'method', 'lifecycle', 'host', 'policy', 'contracts', 'methods', 'values', 'storages']
    const data = Object.fromEntries(fields.map((field) => [field, wrong]))
    const one = entry('app:x', kind, data, { temporal: wrong, router: wrong })
    expect(() => checkEntries(new Map([[one.id, one]]))).not.toThrow()
  }
})

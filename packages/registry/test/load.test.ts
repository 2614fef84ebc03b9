import { describe, expect, test } from 'vitest'
import { loadApp, sourceOf, viewOf } from '../src/index.ts'
import { appFolder, index, load, loaded, problemsOf, told } from './app-folder.ts'

const hello = `
  - name: hello
    kind: function.lua
    source: file://hello.lua
    method: main
`

describe('which files hold entries', () => {
  test('every yaml, yml and json file below src with version and namespace does; others are ignored', () => {
    const { entries, warnings } = loaded({
      'src/_index.yaml': index(hello),
      'src/hello.lua': 'return {}',
      'src/deep/er/things.yml':
        'version: "1.0"\nnamespace: app.deep\nentries:\n  - {name: a.b/c, kind: registry.entry}\n',
      'src/more.json':
        '{"version": "1.0", "namespace": "app.json", "entries": [{"name": "x", "kind": "registry.entry"}]}',
      'src/compose.yaml': 'version: "3"\nservices: {}\n',
      'src/notes.yaml': 'just: [text\n',
      'src/node_modules/_index.yaml': 'nonsense',
      'src/.hidden/_index.yaml': 'nonsense',
      'elsewhere/_index.yaml': 'nonsense',
    })
    expect(entries.map((entry) => entry.id)).toEqual(['app.deep:a.b/c', 'app.json:x', 'app:hello'])
    expect(warnings).toEqual([])
  })

  test('a folder without src is itself the source folder', () => {
    const { entries } = loaded({ '_index.yaml': index(hello), 'hello.lua': 'return {}', 'daruma.yaml': 'logger: {}' })
    expect(entries.map((entry) => entry.id)).toEqual(['app:hello'])
  })

  test('wippy.lock names the source folder and replacements, each with its own src or none', () => {
    const { entries, dir } = loaded({
      'wippy.lock': `
directories:
  src: ./code
replacements:
  - from: acme/one
    to: local/one
  - from: acme/two
    to: local/two
`,
      'code/_index.yaml': index(hello),
      'code/hello.lua': 'return {}',
      'local/one/src/_index.yaml': 'version: "1.0"\nnamespace: one\nentries:\n  - {name: x, kind: registry.entry}\n',
      'local/two/_index.yaml': 'version: "1.0"\nnamespace: two\nentries:\n  - {name: x, kind: registry.entry}\n',
    })
    expect(entries.map((entry) => entry.id)).toEqual(['app:hello', 'one:x', 'two:x'])
    expect(entries[0]!.origin).toEqual({ file: `${dir}/code/_index.yaml`, line: 5 })
  })

  test('a file may hold a single entry without a list', () => {
    const { byId } = loaded({
      'src/one.yaml': 'version: "1.0"\nnamespace: app\nname: only\nkind: registry.entry\nmeta: {tag: x}\nsize: 3\n',
    })
    expect(byId.get('app:only')).toMatchObject({ kind: 'registry.entry', meta: { tag: 'x' }, data: { size: 3 } })
  })

  test('a folder that is not there is a problem, not an exception', () => {
    const app = loadApp('/no/such/folder', { env: {} })
    expect(app).toMatchObject({ kind: 'invalid', problems: [{ file: '/no/such/folder', message: 'no such folder' }] })
  })
})

describe('what an entry is', () => {
  test('every field but name, kind and meta is data, with or without an explicit data', () => {
    const { byId } = loaded({
      'src/_index.yaml': index(`
  - {name: plain, kind: registry.entry, size: 1, tags: [a, b]}
  - {name: explicit, kind: registry.entry, data: {size: 1, tags: [a, b]}}
  - {name: scalar, kind: registry.entry, data: 5}
`),
    })
    expect(byId.get('app:plain')!.data).toEqual({ size: 1, tags: ['a', 'b'] })
    expect(byId.get('app:explicit')!.data).toEqual({ size: 1, tags: ['a', 'b'] })
    expect(byId.get('app:scalar')!.data).toEqual({ data: 5 })
  })

  test('a number with a leading zero is octal, as permissions are written', () => {
    const { byId } = loaded({
      'src/_index.yaml': index(
        '  - {name: a, kind: env.storage.file, file_path: x, file_mode: 0600, n: [07, 08, 10, -1]}',
      ),
    })
    expect(byId.get('app:a')!.data).toMatchObject({ file_mode: 0o600, n: [7, 8, 10, -1] })
  })

  test('the meta of the file is merged into that of each entry, which wins', () => {
    const { byId } = loaded({
      'src/_index.yaml': `
version: "1.0"
namespace: app
meta: {team: orders, level: 1}
entries:
  - {name: a, kind: registry.entry, meta: {level: 2}}
  - {name: b, kind: registry.entry}
`,
    })
    expect(byId.get('app:a')!.meta).toEqual({ team: 'orders', level: 2 })
    expect(byId.get('app:b')!.meta).toEqual({ team: 'orders', level: 1 })
  })

  test('file:// anywhere in an entry is replaced by the text of that file, relative to the YAML file', () => {
    const { byId } = loaded({
      'src/sub/_index.yaml': index(`
  - name: a
    kind: registry.entry
    meta: {readme: file://readme.md}
    nested: {list: [file://../shared.txt]}
`),
      'src/sub/readme.md': '# hi',
      'src/shared.txt': 'shared ${env:NOT_ASKED}',
    })
    expect(byId.get('app:a')).toMatchObject({
      meta: { readme: '# hi' },
      data: { nested: { list: ['shared ${env:NOT_ASKED}'] } },
    })
  })

  test('the source of a program knows its file, and inline text the line it starts at', () => {
    const { byId, dir } = loaded({
      'src/_index.yaml': index(`
  - name: outside
    kind: library.lua
    source: file://lib/a.lua
  - name: block
    kind: library.lua
    source: |
      local x = 1
      return x
  - name: inline
    kind: library.lua
    source: "return 1"
  - name: explicit
    kind: library.lua
    data:
      source: |-
        return 2
`),
      'src/lib/a.lua': 'return {}\n',
    })
    const source = (id: string) => sourceOf(byId.get(id)!)
    expect(source('app:outside')).toEqual({ text: 'return {}\n', file: `${dir}/src/lib/a.lua`, lineOffset: 0 })
    expect(source('app:block')).toEqual({
      text: 'local x = 1\nreturn x\n',
      file: `${dir}/src/_index.yaml`,
      lineOffset: 10,
    })
    expect(source('app:inline')).toMatchObject({ lineOffset: 14 })
    expect(source('app:explicit')).toMatchObject({ text: 'return 2', lineOffset: 19 })
  })

  test('entries are immutable', () => {
    const { entries } = loaded({ 'src/_index.yaml': index('  - {name: a, kind: registry.entry, deep: {er: [1]}}') })
    const { deep } = entries[0]!.data as { deep: { er: number[] } }
    expect(() => deep.er.push(2)).toThrow(TypeError)
  })
})

describe('the environment', () => {
  const store = (field: string) => ({ 'src/_index.yaml': index(`  - {name: cache, kind: store.memory, ${field}}`) })

  test.each([
    ['a set variable', 'note: "${env:NAME}"', { NAME: 'x' }, { note: 'x' }],
    ['within other text', 'note: "a ${env:NAME} b"', { NAME: 'x' }, { note: 'a x b' }],
    ['a default', 'note: "${env:NAME:-y z}"', {}, { note: 'y z' }],
    ['a default in the other form', 'note: "${env:NAME|y}"', {}, { note: 'y' }],
    ['an empty value with :-', 'note: "${env:NAME:-y}"', { NAME: '' }, { note: 'y' }],
    ['an empty value', 'note: "${env:NAME}"', { NAME: '' }, { note: '' }],
    ['an escaped placeholder', 'note: "$${env:NAME}"', {}, { note: '${env:NAME}' }],
    ['a number where the kind wants one', 'max_size: "${env:NAME}"', { NAME: '42' }, { max_size: 42 }],
    ['text that looks like a number elsewhere', 'note: "${env:NAME}"', { NAME: '42' }, { note: '42' }],
  ])('%s is filled in', (_title, field, env, data) => {
    expect(loaded(store(field), { env }).byId.get('app:cache')!.data).toEqual(data)
  })

  test('a variable that is not set is a problem that names entry and field', () => {
    expect(problemsOf(store('max_size: "${env:CACHE_SIZE}"'))).toEqual([
      'src/_index.yaml:4 app:cache: max_size: environment variable CACHE_SIZE is not set ' +
        '(set it, or give a default: ${env:CACHE_SIZE:-value})',
    ])
  })

  test('program text and meta are not touched', () => {
    const { byId } = loaded({
      'src/_index.yaml': index(`
  - name: lib
    kind: library.lua
    meta: {note: "\${env:X}"}
    source: return "\${env:X}"
`),
    })
    expect(byId.get('app:lib')).toMatchObject({
      meta: { note: '${env:X}' },
      data: { source: 'return "${env:X}"' },
    })
  })
})

describe('configuration', () => {
  test('sections of daruma.yaml win over those of .wippy.yaml, settings over both', () => {
    const { config, dir } = loaded(
      {
        '.wippy.yaml': 'logger: {encoding: json}\nshutdown: {timeout: 60s}\n',
        'daruma.yaml': 'version: "1.0"\nlogger:\n  encoding: console\n  level: ${env:LEVEL:-info}\n',
        'src/_index.yaml': index(hello),
        'src/hello.lua': 'return {}',
      },
      { settings: ['logger.level=debug', 'cluster.size=3'] },
    )
    expect(config.values).toEqual({
      version: '1.0',
      logger: { encoding: 'console', level: 'debug' },
      shutdown: { timeout: '60s' },
      cluster: { size: 3 },
    })
    expect(config.locate(['logger', 'level'])).toMatchObject({ file: `${dir}/daruma.yaml`, line: 4 })
    expect(config.locate(['shutdown', 'timeout'])).toMatchObject({ file: `${dir}/.wippy.yaml`, line: 2 })
  })

  test('overrides change data, meta and kind; those of the command line win and are read by their shape', () => {
    const { byId } = loaded(
      {
        'daruma.yaml': 'override:\n  app:cache:max_size: 5\n  app:cache:meta.tier: gold\n',
        'src/_index.yaml': index(
          '  - {name: cache, kind: store.memory, max_size: 1}\n  - {name: b, kind: store.memory}',
        ),
      },
      {
        overrides: [
          'app:cache:max_size=7',
          'app:b:kind=store.kv',
          'app:b:data.note=a=b',
          'app:b:lifecycle.auto_start=true',
        ],
      },
    )
    expect(byId.get('app:cache')).toMatchObject({ data: { max_size: 7 }, meta: { tier: 'gold' } })
    expect(byId.get('app:b')).toMatchObject({
      kind: 'store.kv',
      data: { note: 'a=b', lifecycle: { auto_start: true } },
    })
  })

  test('an override that fits nothing is a problem of its own', () => {
    const files = { 'src/_index.yaml': index('  - {name: cache, kind: store.memory, max_size: 1}') }
    expect(problemsOf(files, { overrides: ['app:cach:max_size=7', 'nonsense', 'app:cache:max_size=lots'] })).toEqual([
      '-o app:cach:max_size=7:0 override of app:cach, which does not exist (did you mean app:cache?)',
      '-o app:cache:max_size=lots:0 app:cache: max_size: expected number, found "lots"',
      '-o nonsense:0 not an override (write it as ns:entry:field=value)',
    ])
  })
})

test('the YAML of the seed loads as it is written', () => {
  const { byId } = loaded({
    'src/_index.yaml': `version: "1.0"
namespace: app
entries:
# プロセス定義
- name: session_handler
  kind: process.lua
  source: file://session_handler.lua
  method: main

# プロセスをラップする監督されたサービス
- name: session_manager
  kind: process.service
  process: app:session_handler
  host: app:processes
  lifecycle:
    auto_start: true
    restart:
      max_attempts: 10
- name: order_processor
  kind: workflow.lua
  source: file://order_processor.lua
  method: main
  modules:
    - funcs
    - time
- name: temporal_worker
  kind: temporal.worker
  client: app:temporal_client
  task_queue: "orders"
  lifecycle:
    auto_start: true
- name: processes
  kind: process.host
- name: temporal_client
  kind: temporal.client
  address: embedded
`,
    'src/session_handler.lua': 'return {}',
    'src/order_processor.lua': 'return {}',
  })
  expect(viewOf(byId.get('app:session_manager')!, 'process.service')).toMatchObject({
    process: 'app:session_handler',
    host: 'app:processes',
    lifecycle: { autoStart: true, restart: { maxAttempts: 10 } },
  })
  expect(viewOf(byId.get('app:temporal_worker')!, 'temporal.worker', 'workflow.worker')).toMatchObject({
    client: 'app:temporal_client',
    taskQueue: 'orders',
  })
  expect(viewOf(byId.get('app:temporal_client')!, 'temporal.client')).toMatchObject({ embedded: true, servers: [] })
  expect(viewOf(byId.get('app:order_processor')!, 'workflow.lua').modules).toEqual(['funcs', 'time'])
})

describe('faults', () => {
  test('everything that is wrong with an app is reported at once, each with file and line', () => {
    const { app, dir } = load(
      {
        'daruma.yaml': 'logger:\n  level: ${env:LOG_LEVEL}\n',
        'src/_index.yaml': index(`
  - name: worker_process
    kind: process.lua
    source: file://wroker.lua
    method: main
  - name: worker
    kind: process.servce
    process: app:worker_process
  - name: service
    kind: process.service
    process: app:worker_proces
    host: processes
    lifecycle:
      auto_start: "yes"
      start_timeout: soon
      restart:
        max_attempts: -1
        max_atempts: 3
  - name: cache
    kind: store.memory
    max_size: \${env:CACHE_SIZE}
  - name: cache
    kind: store.memory
  - name: flow
    kind: workflow.lua
    source: return {}
    modules: [funcs, http_client]
    imports:
      util: app.lib:utli
  - name: call
    kind: function.lua
    source: return {}
    pool: {type: lasy}
  - kind: store.memory
  - just text
  - name: consumer
    kind: queue.consumer
    queue: cache
    func: call
`),
        'src/worker.lua': 'return {}',
        'src/lib/_index.yaml': `version: "1.0"
namespace: app.lib
entries:
  - name: util
    kind: library.lua
    source: return {}
    imports: {b: other}
  - name: other
    kind: library.lua
    source: return {}
    imports: {a: util}
  - name: one
    kind: store.memory
    lifecycle: {requires: [two]}
  - name: two
    kind: store.memory
    lifecycle: {depends_on: app.lib:one}
`,
        'src/broken/_index.yaml': 'version: "1.0"\nnamespace: app.broken\nentries:\n  - name: x\n   kind: oops\n',
        'src/headless/_index.yaml': 'version: "1.0"\nentries: []\n',
      },
      { modules: ['funcs', 'time'] },
    )
    expect(app.kind).toBe('invalid')
    if (app.kind !== 'invalid') return
    expect(told(app.problems, dir)).toEqual([
      'daruma.yaml:2 logger.level: environment variable LOG_LEVEL is not set ' +
        '(set it, or give a default: ${env:LOG_LEVEL:-value})',
      'src/_index.yaml:7 app:worker_process: source: no file src/wroker.lua (did you mean worker.lua?)',
      'src/_index.yaml:10 app:worker: unknown kind "process.servce" (did you mean process.service?)',
      'src/_index.yaml:14 app:service: process refers to app:worker_proces, which does not exist ' +
        '(did you mean app:worker_process?)',
      'src/_index.yaml:15 app:service: host refers to app:processes, which does not exist ' +
        '(the app has no process.host or terminal.host)',
      'src/_index.yaml:17 app:service: lifecycle.auto_start: expected boolean, found "yes"',
      'src/_index.yaml:18 app:service: lifecycle.start_timeout: invalid duration "soon"; ' +
        'write it like "500ms", "30s", "24h" or "1h30m"',
      'src/_index.yaml:20 app:service: lifecycle.restart.max_attempts: expected >=0, found -1',
      'src/_index.yaml:24 app:cache: max_size: environment variable CACHE_SIZE is not set ' +
        '(set it, or give a default: ${env:CACHE_SIZE:-value})',
      'src/_index.yaml:25 app:cache is declared twice (first in src/_index.yaml:22)',
      'src/_index.yaml:27 app:flow: missing field method (a workflow.lua needs it)',
      expect.stringMatching(
        /^src\/_index.yaml:30 app:flow: module "http_client" is not deterministic; .* \(call a function that uses it/,
      ),
      'src/_index.yaml:32 app:flow: imports.util refers to app.lib:utli, which does not exist (did you mean app.lib:util?)',
      'src/_index.yaml:33 app:call: missing field method (a function.lua needs it)',
      'src/_index.yaml:36 app:call: pool.type: expected "inline" or "lazy" or "static" or "adaptive", found "lasy" ' +
        '(did you mean lazy?)',
      'src/_index.yaml:37 entry 8: missing field name',
      'src/_index.yaml:38 expected an entry with name and kind, found "just text"',
      'src/_index.yaml:41 app:consumer: queue refers to app:cache, a store.memory; expected a queue.queue',
      expect.stringMatching(/^src\/broken\/_index.yaml:5 YAML: /),
      'src/headless/_index.yaml:1 missing field namespace ' +
        '(a file of entries starts with version: "1.0" and namespace: name)',
      'src/lib/_index.yaml:8 app.lib:other: libraries import each other: app.lib:other -> app.lib:util -> app.lib:other',
      'src/lib/_index.yaml:12 app.lib:one: entries wait for each other to start: app.lib:one -> app.lib:two -> app.lib:one',
    ])
    expect(told(app.warnings, dir)).toEqual([
      'src/_index.yaml:21 app:service: unknown field lifecycle.restart.max_atempts of a process.service ' +
        '(did you mean max_attempts?)',
    ])
  })

  test('a reference into a file that could not be read is not reported on top', () => {
    expect(
      problemsOf({
        'src/a.yaml': index('  - {name: s, kind: process.service, process: app.b:p, host: app.b:h}'),
        'src/_index.yaml': 'version: "1.0"\nnamespace: app.b\nentries:\n  - {name: p}\n  - name: h\n    kind: "open\n',
      }).map((line) => line.split(' ')[0]),
    ).toEqual(['src/_index.yaml:7'])
  })

  test.each([
    ['outside of the app', 'file://../../etc/passwd', /lies outside of the app/],
    ['an absolute path outside', 'file:///etc/passwd', /lies outside of the app/],
    ['a folder', 'file://sub', /cannot be read/],
    ['a file in a folder that is not there', 'file://none/x.lua', /there is no folder/],
  ])('a source that is %s is a problem', (_title, source, expected) => {
    const problems = problemsOf({
      'src/_index.yaml': index(`  - {name: l, kind: library.lua, source: "${source}"}`),
      'src/sub/x.txt': '',
    })
    expect(problems).toEqual([expect.stringMatching(expected)])
  })

  test.each([
    ['entries: 5', 'src/_index.yaml:3 entries: expected a list, found 5'],
    ['entries: []\nmeta: 4', 'src/_index.yaml:4 meta: expected a map'],
  ])('a file with `%s` is told what was expected', (rest, expected) => {
    expect(problemsOf({ 'src/_index.yaml': `version: "1.0"\nnamespace: app\n${rest}\n` })).toEqual([expected])
  })

  test('duplicate keys, unknown aliases and bad namespaces are problems with a line', () => {
    expect(problemsOf({ 'src/_index.yaml': index('  - {name: a, kind: registry.entry}\nentries: []\n') })).toEqual([
      'src/_index.yaml:5 YAML: Map keys must be unique',
    ])
    expect(problemsOf({ 'src/_index.yaml': 'version: 1\nnamespace: "a:b"\nentries: []\n' })).toEqual([
      'src/_index.yaml:2 namespace: expected a name like app.orders, found "a:b"',
    ])
    expect(problemsOf({ 'src/_index.yaml': index('  - *nobody\n') })).toHaveLength(1)
  })

  test('unknown fields of data are tolerated with a warning, those of meta without', () => {
    const { warnings, dir } = loaded({
      'src/_index.yaml': index(`
  - name: cache
    kind: store.memory
    max_siez: 5
    meta: {anything: goes}
extra: 1
`),
    })
    expect(told(warnings, dir)).toEqual([
      'src/_index.yaml:7 app:cache: unknown field max_siez of a store.memory (did you mean max_size?)',
      'src/_index.yaml:9 unknown field extra beside entries',
    ])
  })

  test('unknown modules and libraries that a workflow cannot use are warnings', () => {
    const { warnings, dir } = loaded(
      {
        'src/_index.yaml': index(`
  - {name: f, kind: function.lua, method: m, source: "", modules: [jsn, os, process]}
  - {name: l, kind: library.lua, source: "", modules: [http_client]}
  - {name: w, kind: workflow.lua, method: m, source: "", imports: {l: l}}
`),
      },
      { modules: ['json', 'http_client'] },
    )
    expect(told(warnings, dir)).toEqual([
      'src/_index.yaml:5 app:f: unknown module "jsn"; require("jsn") will fail (did you mean json?)',
      'src/_index.yaml:7 app:w: imports app:l, which declares http_client: not to be had inside a workflow',
    ])
  })

  test('an endpoint without router belongs to the only one; with none or several it is a problem', () => {
    const endpoint =
      '  - {name: f, kind: function.lua, method: m, source: ""}\n  - {name: e, kind: http.endpoint, method: GET, path: /, func: f}\n'
    const service = '  - {name: s, kind: http.service, addr: ":8080"}\n'
    const router = (name: string) => `  - {name: ${name}, kind: http.router}\n`
    expect(problemsOf({ 'src/_index.yaml': index(endpoint + service + router('r')) })).toEqual([])
    expect(problemsOf({ 'src/_index.yaml': index(endpoint) })).toEqual([
      'src/_index.yaml:5 app:e: missing field meta.router (the app has no http.router)',
    ])
    expect(problemsOf({ 'src/_index.yaml': index(endpoint + service + router('r') + router('q')) })).toHaveLength(1)
  })

  test('whatever stands on disk, loading answers and does not throw', () => {
    const texts = [
      '',
      '\0',
      '- - -',
      '&a [*a]',
      '{',
      '%YAML 9.9\n---\n',
      'version: 1\nnamespace: app\nentries: [[], null, {}, 5]',
      'a: &a [*a, *a]\nversion: 1\nnamespace: *a',
      '<<: 5\nversion: 1\nnamespace: x\nentries: {<<: *q}',
      '? {a: b}\n: c',
    ]
    for (const text of texts) {
      for (const name of ['src/_index.yaml', 'daruma.yaml', 'wippy.lock', 'src/x.json']) {
        expect(['loaded', 'invalid']).toContain(loadApp(appFolder({ [name]: text, 'src/k': '' }), { env: {} }).kind)
      }
    }
  })
})

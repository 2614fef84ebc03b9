import { silentLogger } from '@daruma/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { loadWholeApp } from '../../src/app.ts'
import { boot, type RunningNode } from '../../src/compose.ts'
import { appFolder, cli, type AppFolder } from '../cli.ts'

/** What the fields of code entries do, and what a command leaves behind. */

const app = (entries: string, files: Record<string, string> = {}): AppFolder => {
  const folder = appFolder({
    'daruma.yaml': 'workflow: { partitions: 2 }\nlogger: { level: silent }\n',
    'src/_index.yaml': `version: "1.0"\nnamespace: app\nentries:\n${entries}`,
    ...files,
  })
  onTestFinished(() => folder.remove())
  return folder
}

async function booted(entries: string, files: Record<string, string> = {}): Promise<RunningNode> {
  const node = await boot(loadWholeApp({ folder: app(entries, files).folder, env: {} }), { logger: silentLogger })
  onTestFinished(() => node.stop(0))
  return node
}

const call = (node: RunningNode, id: string, ...args: unknown[]): Promise<unknown> =>
  node.parts.functions.call(id, args, { context: {} })

describe('code entries', () => {
  test('a chunk that returns a function is the method, whatever method says', async () => {
    const node = await booted(
      '  - { name: f, kind: function.lua, source: "return function(v) return v end", method: anything }\n',
    )
    expect(await call(node, 'app:f', 4)).toBe(4)
  })

  test('libraries run once per state, before the chunk that imports them, and are globals under their alias', async () => {
    const node = await booted(
      `  - { name: f, kind: function.lua, source: "file://f.lua", method: main, imports: { a: a, b: "app:b", fn: g } }
  - { name: a, kind: library.lua, source: "file://a.lua", imports: { base: base } }
  - { name: b, kind: library.lua, source: "file://b.lua", imports: { base: base } }
  - { name: base, kind: library.lua, source: "file://base.lua" }
  - { name: g, kind: function.lua, source: "return { main = function() return 1 end, twice = function(n) return 2 * n end }", method: main }
`,
      {
        'src/base.lua': 'runs = (runs or 0) + 1\nreturn { runs = function() return runs end }\n',
        'src/a.lua': 'local base = require("base")\nreturn { runs = base.runs }\n',
        'src/b.lua': 'return { runs = function() return require("base").runs() end }\n',
        'src/f.lua':
          'local early = runs\nreturn { main = function()\n  local b = require("b")\n  return { early, a.runs(), b.runs(), require("fn").twice(21), a == require("a") }\nend }\n',
      },
    )
    expect(await call(node, 'app:f')).toEqual([1, 1, 1, 42, true])
  })

  test('a process runs its libraries in a state of its own', async () => {
    const node = await booted(
      `  - { name: f, kind: function.lua, source: "file://f.lua", method: main, imports: { lib: lib } }
  - { name: lib, kind: library.lua, source: "return { count = 0 }" }
`,
      { 'src/f.lua': 'return function() lib.count = lib.count + 1 return lib.count end\n' },
    )
    expect([await call(node, 'app:f'), await call(node, 'app:f')]).toEqual([1, 1])
  })

  test.each(['temporal: { workflow: { worker: second } }', 'workflow: { worker: second }'])(
    'a workflow that is bound by "%s" runs on that worker, wherever it is spawned',
    async (meta) => {
      const node = await booted(
        `  - { name: client, kind: temporal.client, address: embedded, lifecycle: { auto_start: true } }
  - { name: first, kind: temporal.worker, client: client, task_queue: one, lifecycle: { auto_start: true } }
  - { name: second, kind: workflow.worker, client: client, task_queue: two, lifecycle: { auto_start: true } }
  - { name: flow, kind: workflow.lua, source: "file://f.lua", method: main, modules: [workflow], meta: { ${meta} } }
  - { name: free, kind: workflow.lua, source: "file://f.lua", method: main, modules: [workflow] }
  - { name: f, kind: function.lua, source: "file://f.lua", method: both }
`,
        {
          'src/f.lua':
            'local function main() return workflow.info().task_queue end\nreturn { main = main, both = function() return { process.exec("app:flow", "app:first"), process.exec("app:free", "app:first") } end }\n',
        },
      )
      expect(await call(node, 'app:f')).toEqual(['two', 'one'])
    },
  )

  test.each([
    ['function.lua', '', /module 'store' not found.*app:f does not declare it/s],
    ['workflow.lua', 'modules: [store]', /store/],
    ['function.lua', 'modules: [stroe]', /stroe.*did you mean.*store/s],
  ])('a %s that requires the module store with "%s" is a fault of the app', (kind, modules, message) => {
    const { folder } = app(
      `  - { name: f, kind: ${kind}, source: "file://f.lua", method: main${modules === '' ? '' : `, ${modules}`} }\n`,
      { 'src/f.lua': 'local store = require("store")\nreturn { main = function() end }\n' },
    )
    expect(() => loadWholeApp({ folder, env: {} })).toThrow(message)
  })
})

describe('a command', () => {
  const files = {
    'src/code.lua': `
local m = {}
function m.main(how)
  process.spawn("app:stays", "app:host")
  process.spawn("app:spins", "app:host")
  coroutine.spawn(function() require("time").sleep("1h") end)
  require("io").print("started")
  return how == "fail" and 3 or 0
end
function m.stays() process.inbox():receive() end
function m.spins() while true do end end
function m.add(a, b) return tonumber(a) + tonumber(b) end
return m
`,
  }
  const entries = `  - { name: host, kind: process.host, lifecycle: { auto_start: true } }
  - { name: stays, kind: process.lua, source: "file://code.lua", method: stays }
  - { name: spins, kind: process.lua, source: "file://code.lua", method: spins }
  - { name: add, kind: function.lua, source: "file://code.lua", method: add }
  - { name: main, kind: process.lua, source: "file://code.lua", method: main, modules: [io, time], meta: { command: { name: go } } }
`

  test('is neither delayed nor failed by processes that still run when it ends', async () => {
    const { folder } = app(entries, files)
    expect(await cli(['run', folder, 'go'])).toEqual({ code: 0, stdout: 'started\n', stderr: '' })
    expect((await cli(['run', folder, 'go', 'fail'])).code).toBe(3)
  })

  test('may be any entry, by --exec, on a host of its own', async () => {
    const { folder } = app(entries, files)
    expect((await cli(['run', folder, '--exec', 'app:add', '20', '22'])).code).toBe(42)
    expect((await cli(['run', folder, '--exec', 'app:main', '--host', 'app:host', 'fail'])).code).toBe(3)
    expect((await cli(['run', folder, '--exec', 'app:addd'])).stderr).toContain('app:add')
  })

  test('two terminals are an error that says so; one that is declared is taken', async () => {
    const one = app(`${entries}  - { name: terminal, kind: terminal.host, lifecycle: { auto_start: true } }\n`, files)
    expect((await cli(['run', one.folder, 'go'])).code).toBe(0)
    const two = app(`${entries}  - { name: t1, kind: terminal.host }\n  - { name: t2, kind: terminal.host }\n`, files)
    const { code, stderr } = await cli(['run', two.folder, 'go'])
    expect([code, stderr]).toEqual([2, expect.stringMatching(/terminal.host.*app:t1, app:t2/)])
  })
})

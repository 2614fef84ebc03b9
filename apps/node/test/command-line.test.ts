import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { openLmdb } from '@daruma/lmdb'
import { startNatsServer } from '@daruma/nats/testing'
import { msgpackCodec } from '@daruma/protocol'
import { appFolder, begin, cli, type AppFolder, type Running } from './cli.ts'

const running: Running[] = []
const folders: AppFolder[] = []
afterEach(async () => {
  for (const { process } of running.splice(0)) {
    if (process.exitCode !== null || process.signalCode !== null) continue
    process.kill('SIGKILL')
    await once(process, 'close')
  }
  for (const folder of folders.splice(0)) folder.remove()
})

function app(files: Record<string, string>): AppFolder {
  const folder = appFolder(files)
  folders.push(folder)
  return folder
}

async function up(folder: string, ...args: string[]): Promise<Running> {
  const node = begin(['run', folder, '--node', 'test', ...args])
  running.push(node)
  await node.says('is up with')
  return node
}

const worker = `
  - name: client
    kind: temporal.client
  - name: worker
    kind: temporal.worker
    client: app:client
    task_queue: "q"
    lifecycle:
      auto_start: true
`
const durable = {
  'src/_index.yaml': `version: "1.0"
namespace: app
entries:${worker}
  - name: echo
    kind: function.lua
    source: file://echo.lua
    method: main
  - name: flow
    kind: workflow.lua
    source: file://flow.lua
    method: main
    modules: [funcs]
`,
  'src/echo.lua': 'return {main = function(x) return x end}',
  'src/flow.lua': `local funcs = require("funcs")
local function main(n)
    local first = funcs.call("app:echo", n)
    local msg = process.inbox():receive()
    return {first = first, second = funcs.call("app:echo", msg.value)}
end
return {main = main}`,
}

describe('an app that is not valid', () => {
  test('is told everything that is wrong with it, each fault with file and line, and exits with 2', async () => {
    const { folder } = app({
      'src/_index.yaml': `version: "1.0"
namespace: app
entries:
  - name: a
    kind: proces.lua
    source: file://a.lua
  - name: b
    kind: function.lua
    source: file://missing.lua
    method: main
  - name: c
    kind: function.lua
    source: file://broken.lua
    method: main
  - name: d
    kind: process.service
    process: app:nobody
    host: app:e
  - name: e
    kind: process.host
  - name: w
    kind: workflow.lua
    method: main
    modules: [http_client]
    source: |
      return {main = function() end}
`,
      'src/a.lua': 'return 1',
      'src/broken.lua': 'local x = 1\nif x then\nreturn x',
    })
    const { code, stderr, stdout } = await cli(['check', folder])
    expect(code).toBe(2)
    expect(stdout).toBe('')
    for (const text of ['proces.lua', 'process.lua', 'missing.lua', 'app:nobody', 'http_client'])
      expect(stderr).toContain(text)
    expect(stderr).toMatch(/_index\.yaml:5/)
    expect(stderr).not.toContain('    at ')
  })

  test('tells of all Lua files that do not compile, with their own file and line', async () => {
    const entry = (name: string): string => `
  - name: ${name}
    kind: function.lua
    source: file://${name}.lua
    method: main`
    const { folder } = app({
      'src/_index.yaml': `version: "1.0"\nnamespace: app\nentries:${entry('one')}${entry('two')}\n`,
      'src/one.lua': 'local x = 1\nif x then\nreturn x',
      'src/two.lua': 'local function main()\n  return )\nend',
    })
    const { code, stderr } = await cli(['run', folder])
    expect(code).toBe(2)
    expect(stderr).toContain('2 problems')
    expect(stderr).toMatch(/one\.lua:3/)
    expect(stderr).toMatch(/two\.lua:2/)
  })

  test('a bad setting is named with what was found', async () => {
    const { folder } = app(durable)
    const { code, stderr } = await cli(['run', folder, '--set', 'workflow.time_scale=fast'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('workflow.time_scale')])
  })
})

describe('an environment that is not there ends with one message and exit code 1', () => {
  const oneMessage = (stderr: string): void => {
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toMatch(/^daruma: /)
  }

  test('the data folder is held by another process: its pid is named', async () => {
    const { folder } = app(durable)
    const first = await up(folder)
    const { code, stderr } = await cli(['run', folder])
    expect(code).toBe(1)
    oneMessage(stderr)
    expect(stderr).toContain(`in use by process ${first.process.pid}`)
    const { code: still } = await cli(['workflow', 'list'], { cwd: folder })
    expect(still).toBe(0)
  })

  test('no NATS answers: its address is named', async () => {
    const { folder } = app(durable)
    const { code, stderr } = await cli(['run', folder, '--nats', 'nats://127.0.0.1:1'])
    expect(code).toBe(1)
    oneMessage(stderr)
    expect(stderr).toContain('127.0.0.1:1')
  })

  test('a NATS server too old for the durability that was asked for', async () => {
    const server = await startNatsServer()
    try {
      const { folder } = app({ ...durable, 'daruma.yaml': `nats:\n  servers: ${server.url}\n  durability: replica\n` })
      const { code, stderr } = await cli(['run', folder])
      expect(code).toBe(1)
      oneMessage(stderr)
      expect(stderr).toContain('replica')
    } finally {
      await server.stop()
    }
  })

  test('a log that was written by a newer version', async () => {
    const { folder } = app(durable)
    const store = await openLmdb(join(folder, '.daruma', 'data'))
    for (let at = 0; at < 8; at++)
      await store.log.append(`q.${at}`, 0, msgpackCodec().encode(['dj', 99, 1, 0, 'future']))
    await store.close()
    const { code, stderr } = await cli(['run', folder])
    expect(code).toBe(1)
    oneMessage(stderr)
    expect(stderr).toContain('written by a newer version (journal format 99')
  })

  test('the port of an HTTP service is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const address = taken.address()
    const port = typeof address === 'object' ? address!.port : 0
    try {
      const { folder } = app({
        'src/_index.yaml': `version: "1.0"
namespace: app
entries:
  - name: server
    kind: http.service
    addr: "127.0.0.1:${port}"
    lifecycle:
      auto_start: true
`,
      })
      const { code, stderr } = await cli(['run', folder])
      expect(code).toBe(1)
      oneMessage(stderr)
      expect(stderr).toContain(String(port))
    } finally {
      taken.close()
    }
  })

  test('no node to talk to', async () => {
    const { folder } = app(durable)
    const { code, stderr } = await cli(['workflow', 'list'], { cwd: folder })
    expect(code).toBe(1)
    oneMessage(stderr)
    expect(stderr).toContain('no node runs')
  })
})

describe('a command of an app', () => {
  const commands = (): AppFolder =>
    app({
      'src/_index.yaml': `version: "1.0"
namespace: app
entries:
  - name: exit
    kind: process.lua
    source: file://exit.lua
    method: main
    modules: [io]
    meta:
      command:
        name: exit
        short: ends as it is told
`,
      'src/exit.lua': `local io = require("io")
local ends = {
    number = function() return 7 end,
    yes = function() return true end,
    no = function() return false end,
    nothing = function() end,
    error = function() return nil, "went wrong" end,
    raise = function() error("broke") end,
    left = function() coroutine.spawn(function() channel.new():receive() end) return 3 end,
}
return {main = function(how, ...)
    io.print("args", how, ...)
    return ends[how]()
end}`,
    })

  test.each([
    ['number', 7],
    ['yes', 0],
    ['nothing', 0],
    ['no', 1],
    ['error', 1],
    ['raise', 1],
    ['left', 3],
  ])('that ends with "%s" exits with %i', async (how, expected) => {
    const { folder } = commands()
    const { code, stdout, stderr } = await cli(['run', folder, 'exit', how, '--dashes', 'x'])
    expect([code, stdout]).toEqual([expected, `args\t${how}\t--dashes\tx\n`])
    if (how === 'error') expect(stderr).toContain('went wrong')
    if (how === 'raise') expect(stderr).toMatch(/exit\.lua:\d+: broke/)
  })

  test('may be run from within the folder, and an unknown one is told the nearest', async () => {
    const { folder } = commands()
    expect((await cli(['run', 'exit', 'number'], { cwd: folder })).code).toBe(7)
    const { code, stderr } = await cli(['run', 'exti'], { cwd: folder })
    expect([code, stderr]).toEqual([2, expect.stringContaining('exit')])
  })

  test('are listed with what they do', async () => {
    const { folder } = commands()
    expect((await cli(['list', folder])).stdout).toContain('ends as it is told')
  })
})

describe('a node that stays up', () => {
  test('takes starts and signals from a second shell, shows what it has, and stops at SIGTERM', async () => {
    const { folder } = app(durable)
    const node = await up(folder)
    const shell = (...args: string[]) => cli(['workflow', ...args], { cwd: folder })
    expect((await shell('start', 'app:flow', '41', '--id', 'w1')).stdout).toBe('w1\n')
    expect((await shell('list')).stdout).toMatch(/w1 +app:flow +running/)
    expect((await shell('signal', 'w1', 'go', '{"value": 42}')).code).toBe(0)
    expect(await completed(folder, 'w1')).toEqual({ first: 41, second: 42 })
    expect((await shell('history', 'w1')).stdout).toContain('message "go": call app:echo')
    expect((await cli(['ps'], { cwd: folder })).stdout).toMatch(/app:worker +temporal.worker +running/)
    node.process.kill('SIGTERM')
    const [code] = (await once(node.process, 'close')) as [number]
    expect(code).toBe(0)
  })

  test('goes on after kill -9 where it was', async () => {
    const { folder } = app(durable)
    const first = await up(folder)
    const shell = (...args: string[]) => cli(['workflow', ...args], { cwd: folder })
    await shell('start', 'app:flow', '41', '--id', 'w1')
    first.process.kill('SIGKILL')
    await once(first.process, 'close')
    await up(folder)
    await shell('signal', 'w1', 'go', '{"value": 42}')
    expect(await completed(folder, 'w1')).toEqual({ first: 41, second: 42 })
  })
})

/** The result of a workflow, as a second shell sees it come. */
async function completed(folder: string, id: string): Promise<unknown> {
  for (;;) {
    const { stdout } = await cli(['workflow', 'show', id, '--json'], { cwd: folder })
    const shown = JSON.parse(stdout) as { status: string; result?: unknown }
    if (shown.status !== 'running') return shown.result
  }
}

import { createServer } from 'node:net'
import { once } from 'node:events'
import { isAppError, silentLogger, toWire, type WireError } from '@daruma/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadWholeApp } from '../../src/app.ts'
import { boot, type RunningNode } from '../../src/compose.ts'
import { appFolder } from '../cli.ts'

/** Programs that mean no good, or know no better, on a node that others use. */

const files = {
  'daruma.yaml': 'logger: { level: silent }\n',
  'src/_index.yaml': `
version: "1.0"
namespace: app
entries:
  - { name: host, kind: process.host, lifecycle: { auto_start: true } }
  - { name: gateway, kind: http.service, addr: "127.0.0.1:\${env:PORT}", lifecycle: { auto_start: true } }
  - { name: api, kind: http.router, meta: { server: gateway } }
  - { name: get, kind: http.endpoint, meta: { router: api }, method: GET, path: /hello, func: hello }
  - { name: hello, kind: function.lua, source: "file://code.lua", method: hello, modules: [http] }
  - { name: fine, kind: function.lua, source: "file://code.lua", method: fine }
  - { name: spin, kind: function.lua, source: "file://code.lua", method: spin }
  - { name: spinner, kind: process.lua, source: "file://code.lua", method: spin }
  - { name: spin_caught, kind: function.lua, source: "file://code.lua", method: spin_caught }
  - { name: bounded, kind: function.lua, source: "file://code.lua", method: spin_caught, meta: { limits: { instructions: 3000000 } } }
  - { name: bomb, kind: function.lua, source: "file://code.lua", method: bomb, meta: { limits: { memory: 8000000 } } }
  - { name: default_bomb, kind: function.lua, source: "file://code.lua", method: text_bomb }
  - { name: text_bomb, kind: function.lua, source: "file://code.lua", method: text_bomb, meta: { limits: { memory: 8000000 } } }
  - { name: rep, kind: function.lua, source: "file://code.lua", method: rep }
  - { name: pattern, kind: function.lua, source: "file://code.lua", method: pattern }
  - { name: recursion, kind: function.lua, source: "file://code.lua", method: recursion }
  - { name: coroutines, kind: function.lua, source: "file://code.lua", method: coroutines }
  - { name: meddler, kind: function.lua, source: "file://code.lua", method: meddler }
  - { name: victim, kind: function.lua, source: "file://code.lua", method: victim }
  - { name: escapes, kind: function.lua, source: "file://code.lua", method: escapes }
`,
  'src/code.lua': `
local m = {}
function m.hello() require("http").response():write("hello") end
function m.fine(v) return v end
function m.spin() while true do end end
function m.spin_caught() while true do pcall(function() while true do end end) end end
function m.bomb() local t = {} while true do t[#t + 1] = { #t, tostring(#t) } end end
function m.text_bomb() local s = "x" local all = {} while true do s = s .. s all[#all + 1] = s if #s > 1000000 then s = "x" end end end
function m.rep() return #string.rep("x", 1e9) end
function m.pattern() return string.find(string.rep("a", 50000), ".-.-.-.-b") end
function m.recursion() local function f(n) return 1 + f(n + 1) end return f(1) end
function m.coroutines() while true do coroutine.spawn(function() channel.new():receive() end) end end
function m.meddler()
  local done = {}
  for name, change in pairs({
    string = function() string.upper = function() return "hacked" end end,
    table = function() rawset(table, "insert", print) end,
    meta = function() getmetatable("").__index = { upper = function() return "hacked" end } end,
    base = function() rawset(getmetatable(_G) or {}, "__index", {}) end,
    process = function() process.send = nil end,
  }) do done[name] = pcall(change) end
  leaked = "leaked"
  return done
end
function m.victim() return { ("abc"):upper(), string.upper("x"), leaked == nil, type(process.send) } end
function m.escapes()
  return { io == nil, debug == nil, load == nil, loadstring == nil, dofile == nil, package == nil, os.execute == nil, os.exit == nil, os.getenv == nil, string.dump == nil }
end
return m
`,
}

describe('on a node with hostile programs', () => {
  const folder = appFolder(files)
  let node: RunningNode
  let url: string
  const call = (name: string, ...args: unknown[]): Promise<unknown> =>
    node.parts.functions.call(`app:${name}`, args, { context: {}, timeoutMs: 15_000 })
  const failure = (name: string): Promise<WireError> =>
    call(name).then(
      (value) => expect.unreachable(`returned ${JSON.stringify(value)}`),
      (error: unknown) => toWire(error),
    )
  const elapsedMs = async (work: () => Promise<unknown>): Promise<number> => {
    const { clock } = node.parts
    const startedMs = clock.monotonicMs()
    await work()
    return clock.monotonicMs() - startedMs
  }

  beforeAll(async () => {
    const port = await freePort()
    url = `http://127.0.0.1:${port}/hello`
    node = await boot(loadWholeApp({ folder: folder.folder, env: { PORT: String(port) } }), { logger: silentLogger })
  })
  afterAll(async () => {
    await node?.stop(0)
    folder.remove()
  })

  test('an endless loop in a function and in a process: others answer meanwhile, HTTP too, and both can be ended', async () => {
    const abort = new AbortController()
    const spinning = node.parts.functions.call('app:spin', [], { context: {}, signal: abort.signal })
    const caught = node.parts.functions.call('app:spin_caught', [], { context: {}, signal: abort.signal })
    const outcomes = Promise.allSettled([spinning, caught])
    const process = await node.parts.spawner.spawn('app:spinner', 'app:host', [], {}, undefined)
    for (let round = 0; round < 5; round++) {
      expect(await elapsedMs(() => call('fine', round))).toBeLessThan(1_000)
      expect(await elapsedMs(async () => expect(await (await fetch(url)).text()).toBe('hello'))).toBeLessThan(2_000)
    }
    abort.abort()
    for (const outcome of await outcomes)
      expect(isAppError((outcome as PromiseRejectedResult).reason, 'canceled')).toBe(true)
    node.parts.system.exit(process, { kind: 'kill' })
    expect((await node.parts.system.exited(process)).kind).toMatch(/killed|noproc/)
    expect(await call('fine', 'after')).toBe('after')
  })

  test('a call that spins is ended by its timeout', async () => {
    const spinning = node.parts.functions.call('app:spin', [], { context: {}, timeoutMs: 50 })
    await expect(spinning).rejects.toMatchObject({ kind: 'timeout' })
  })

  test('meta.limits.instructions ends it, past every pcall', async () => {
    expect(await failure('bounded')).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/instructions/),
    })
  })

  test.each(['bomb', 'text_bomb', 'default_bomb'])('%s: its memory ends it, not the node', async (name) => {
    expect(await failure(name)).toMatchObject({ kind: 'unavailable', message: expect.stringMatching(/memory|bytes/) })
  })

  test.each([
    ['rep', /too large|limit|long/],
    ['pattern', /pattern/],
    ['recursion', /stack overflow/],
    ['coroutines', /coroutines/],
  ])('%s is an error in the program', async (name, message) => {
    expect(await failure(name)).toMatchObject({ message: expect.stringMatching(message) })
  })

  test('nobody changes what others see', async () => {
    await call('meddler')
    expect(await call('victim')).toEqual(['ABC', 'X', true, 'function'])
  })

  test('nothing leads out of the program', async () => {
    expect(await call('escapes')).toEqual(Array.from({ length: 10 }, () => true))
  })

  test('a limit that is no number is a fault of the app, with its place', () => {
    const wrong = appFolder({
      'src/_index.yaml': `
version: "1.0"
namespace: app
entries:
  - { name: f, kind: function.lua, source: "return function() end", method: main, meta: { limits: { memory: many } } }
`,
    })
    expect(() => loadWholeApp({ folder: wrong.folder, env: {} })).toThrow(/_index.yaml:5.*meta.limits.memory/s)
    wrong.remove()
  })
})

async function freePort(): Promise<number> {
  const probe = createServer()
  probe.listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  return port
}

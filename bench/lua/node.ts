import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { boot, loadWholeApp, type RunningNode } from '@daruma/node'
import { silentLogger } from '@daruma/protocol'
import { collectGarbage, rate, scaled, type Measurement } from '../harness.ts'
import { bare, bareChunk, bareState, bareThread, call } from './bare.ts'

/**
 * Lua processes on a whole node: spawned by a host, scheduled, with mailbox, links, monitors, names and budgets.
 * The floor of each is what fengari alone needs for the bare coroutines in it, in one state that all share.
 */

const index = `
version: "1.0"
namespace: bench
entries:
  - { name: host, kind: process.host, lifecycle: { auto_start: true } }
  - { name: ends, kind: process.lua, source: "file://bench.lua", method: ends, modules: [funcs, time, json, uuid, store] }
  - { name: idles, kind: process.lua, source: "file://bench.lua", method: idles, modules: [funcs, time, json, uuid, store] }
  - { name: pong, kind: process.lua, source: "file://bench.lua", method: pong }
  - { name: ping, kind: process.lua, source: "file://bench.lua", method: ping }
  - { name: spawns, kind: function.lua, source: "file://bench.lua", method: spawns }
  - { name: calls, kind: function.lua, source: "file://bench.lua", method: calls, modules: [funcs] }
  - { name: echo, kind: function.lua, source: "file://bench.lua", method: ends }
`

const source = `
local m = {}

function m.ends(value) return value end

function m.idles() process.inbox():receive() end

function m.pong()
  local inbox = process.inbox()
  while true do
    local msg = inbox:receive()
    process.send(msg:from(), "pong", msg:payload():data())
  end
end

function m.ping(pong, count)
  local inbox = process.inbox()
  for i = 1, count do
    process.send(pong, "ping", i)
    inbox:receive()
  end
  process.terminate(pong)
  return count
end

function m.calls(count)
  local funcs = require("funcs")
  for i = 1, count do funcs.call("bench:echo", i) end
  return count
end

return m
`

async function withNode<T>(body: (node: RunningNode) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'daruma-bench-'))
  mkdirSync(join(folder, 'src'))
  writeFileSync(join(folder, 'src', '_index.yaml'), index)
  writeFileSync(join(folder, 'src', 'bench.lua'), source)
  const node = await boot(loadWholeApp({ folder, env: {} }), { logger: silentLogger })
  try {
    return await body(node)
  } finally {
    await node.stop(0)
    rmSync(folder, { recursive: true, force: true })
  }
}

const heapBytes = (): number => {
  for (let at = 0; at < 3; at++) collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const end = async ({ parts }: RunningNode, id: string, ...args: unknown[]): Promise<void> => {
  const pid = await parts.spawner.spawn(id, 'bench:host', args, {}, undefined)
  await parts.system.exited(pid)
}

async function spawning(node: RunningNode): Promise<Measurement> {
  const count = scaled(2_000)
  const L = bareState()
  const chunk = bareChunk(L, 'local v = ... return v')
  return {
    name: 'spawn, run, normal exit',
    unit: 'processes/s',
    value: await rate(count, async () => {
      const ended: Promise<void>[] = []
      for (let at = 0; at < count; at++) ended.push(end(node, 'bench:ends', at))
      await Promise.all(ended)
    }),
    floor: await rate(count, () => {
      for (let at = 0; at < count; at++) {
        bareThread(L, chunk)
        call(bare.lua, 'lua_settop', L, chunk)
      }
    }),
    // 60 us each.
    budget: { absolute: 1e6 / 60 },
  }
}

async function roundTrips(node: RunningNode): Promise<Measurement> {
  const count = scaled(5_000)
  const { spawner, system } = node.parts
  return {
    name: 'round trip between two processes',
    unit: 'round trips/s',
    value: await rate(
      count,
      async () => {
        const pong = await spawner.spawn('bench:pong', 'bench:host', [], {}, undefined)
        await end(node, 'bench:ping', String(pong), count)
        await system.exited(pong)
      },
      5,
    ),
    floor: await rate(
      count,
      () => {
        const L = bareState()
        const chunk = bareChunk(L, 'while true do await() end')
        const both = [bareThread(L, chunk), bareThread(L, chunk)]
        for (let at = 0; at < count; at++) for (const each of both) call(bare.lua, 'lua_resume', each, null, 0)
      },
      5,
    ),
  }
}

async function calling(node: RunningNode): Promise<Measurement> {
  const count = scaled(2_000)
  return {
    name: 'funcs.call of a function that returns',
    unit: 'calls/s',
    value: await rate(
      count,
      async () => {
        await node.parts.functions.call('bench:calls', [count], { context: {} })
      },
      5,
    ),
    floor: await rate(
      count,
      () => {
        const L = bareState()
        const caller = bareThread(L, bareChunk(L, 'while true do await() end'))
        const chunk = bareChunk(L, 'local v = ... return v')
        for (let at = 0; at < count; at++) {
          bareThread(L, chunk)
          call(bare.lua, 'lua_settop', L, chunk)
          call(bare.lua, 'lua_resume', caller, null, 0)
        }
      },
      5,
    ),
  }
}

/** First of all: what earlier work has left behind would be given out again, unseen. */
async function resting(node: RunningNode): Promise<Measurement> {
  const count = scaled(5_000)
  const { spawner, system } = node.parts
  const spawn = async (): Promise<void> => void (await spawner.spawn('bench:idles', 'bench:host', [], {}, undefined))
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate)
  }
  for (let at = 0; at < 500; at++) await spawn()
  await settled()
  const before = heapBytes()
  for (let at = 0; at < count; at++) await spawn()
  await settled()
  const value = (heapBytes() - before) / count
  for (const pid of system.processes()) system.exit(pid, { kind: 'kill' })
  await settled()

  const L = bareState()
  const chunk = bareChunk(L, 'await()')
  call(bare.lua, 'lua_checkstack', L, count + 10)
  const floorBefore = heapBytes()
  for (let at = 0; at < count; at++) bareThread(L, chunk)
  const floor = (heapBytes() - floorBefore) / count
  call(bare.lua, 'lua_settop', L, 0)
  return { name: 'heap of a process that waits in its inbox', unit: 'B', value, floor, budget: { absolute: 10 * 1024 } }
}

export async function run(): Promise<readonly Measurement[]> {
  return withNode(async (node) => [
    await resting(node),
    await spawning(node),
    await roundTrips(node),
    await calling(node),
  ])
}

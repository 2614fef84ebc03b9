import { createFengariEngine, suspend, type Engine, type Proc } from '@daruma/lua/internal'
import { collectGarbage, rate, scaled, type Measurement } from '../harness.ts'
import { bare, call } from './bare.ts'

/**
 * The engine's boundary beside bare fengari: a state with the standard library for each program, no budgets, hooks,
 * isolation or deterministic order.
 */

const ports = { nowMs: () => 0, random: () => 0.5 }
const unbounded = { sliceInstructions: Number.MAX_SAFE_INTEGER }

const small = `
local function handler(order)
  local total = 0
  for _, item in ipairs(order.items) do total = total + item.price * item.count end
  return { id = order.id, total = total }
end
return handler`

function spawned(engine: Engine, source: string, globals: Record<string, unknown> = {}): Proc {
  return engine.spawn({
    unit: engine.compile(source, 'bench.lua'),
    base: engine.base(),
    globals,
    ports,
    limits: unbounded,
  })
}

async function spawn(): Promise<Measurement> {
  const count = scaled(5_000)
  const engine = createFengariEngine()
  const base = engine.base()
  const unit = engine.compile(small, 'bench.lua')
  const text = bare.to_luastring(small)
  const states = scaled(500, 5)
  return {
    name: 'spawn, run the chunk, end',
    unit: 'processes/s',
    value: await rate(count, () => {
      for (let at = 0; at < count; at++) engine.spawn({ unit, base, ports }).resume()
    }),
    floor: await rate(
      states,
      () => {
        for (let at = 0; at < states; at++) {
          const L = call(bare.lauxlib, 'luaL_newstate')
          call(bare.lualib, 'luaL_openlibs', L)
          call(bare.lauxlib, 'luaL_loadbuffer', L, text, null, text)
          call(bare.lua, 'lua_call', L, 0, 1)
        }
      },
      3,
    ),
  }
}

function heapPerProcess(): Measurement {
  const count = scaled(5_000)
  const engine = createFengariEngine()
  const base = engine.base()
  const unit = engine.compile('channel.new():receive()', 'bench.lua')
  const kept: Proc[] = []
  for (let at = 0; at < 100; at++) engine.spawn({ unit, base, ports }).resume()
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (let at = 0; at < count; at++) {
    const proc = engine.spawn({ unit, base, ports })
    proc.resume()
    kept.push(proc)
  }
  collectGarbage()
  const bytes = (process.memoryUsage().heapUsed - before) / kept.length
  return { name: 'heap of a process that waits', unit: 'B', value: bytes }
}

async function yields(): Promise<Measurement> {
  const count = scaled(50_000)
  const answer = { kind: 'values', values: [1] } as const
  const token = {}
  const engine = createFengariEngine()
  return {
    name: 'host call that suspends, and resume',
    unit: 'pairs/s',
    value: await rate(count, () => {
      const proc = spawned(engine, `for i = 1, ${count} do await() end`, { await: () => suspend(token) })
      while (proc.resume().kind === 'yield') proc.settle(token, answer)
    }),
    floor: await rate(count, () => {
      const L = call(bare.lauxlib, 'luaL_newstate')
      call(bare.lua, 'lua_pushcfunction', L, (l: unknown) => call(bare.lua, 'lua_yield', l, 0))
      call(bare.lua, 'lua_setglobal', L, bare.to_luastring('await'))
      const co = call(bare.lua, 'lua_newthread', L)
      call(bare.lauxlib, 'luaL_loadstring', co, bare.to_luastring(`for i = 1, ${count} do await() end`))
      while (call(bare.lua, 'lua_resume', co, null, 0) === 1);
    }),
  }
}

async function channels(): Promise<readonly Measurement[]> {
  const count = scaled(50_000)
  const engine = createFengariEngine()
  const handover = `local c = channel.new()
    coroutine.spawn(function() for i = 1, ${count} do c:send(i) end c:close() end)
    while true do local v, ok = c:receive() if not ok then return end end`
  const buffered = `local c = channel.new(1) for i = 1, ${count} do c:send(i) c:receive() end`
  const selecting = `local a, b = channel.new(1), channel.new()
    for i = 1, ${count} do a:send(i) channel.select{b:case_receive(), a:case_receive()} end`
  const floor = await rate(count, () => {
    const L = call(bare.lauxlib, 'luaL_newstate')
    call(bare.lualib, 'luaL_openlibs', L)
    const text = `local co = coroutine.wrap(function() for i = 1, ${count} do coroutine.yield(i) end end) while co() do end`
    call(bare.lauxlib, 'luaL_loadstring', L, bare.to_luastring(text))
    call(bare.lua, 'lua_call', L, 0, 0)
  })
  const run = (source: string) => rate(count, () => void spawned(engine, source).resume())
  return [
    { name: 'channel: handed from one coroutine to another', unit: 'values/s', value: await run(handover), floor },
    { name: 'channel: through a buffer', unit: 'values/s', value: await run(buffered) },
    { name: 'channel: select of two', unit: 'selects/s', value: await run(selecting) },
  ]
}

async function computing(): Promise<Measurement> {
  const source = `local t = {} for i = 1, 100000 do t[i] = i end
    local s = 0 for i = 1, #t do s = s + t[i] % 7 end
    local m = {} for i = 1, 20000 do m["k" .. (i % 100)] = i end
    local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
    return fib(18) + s`
  const engine = createFengariEngine()
  const text = bare.to_luastring(source)
  return {
    name: 'loops, tables, calls, text',
    unit: 'ms',
    value: 1_000 / (await rate(1, () => void spawned(engine, source).resume(), 5)),
    floor:
      1_000 /
      (await rate(
        1,
        () => {
          const L = call(bare.lauxlib, 'luaL_newstate')
          call(bare.lualib, 'luaL_openlibs', L)
          call(bare.lauxlib, 'luaL_loadstring', L, text)
          call(bare.lua, 'lua_call', L, 0, 1)
        },
        5,
      )),
  }
}

async function compiling(): Promise<Measurement> {
  const engine = createFengariEngine({ cachedUnits: 1 })
  let serial = 0
  const units = scaled(200)
  return {
    name: 'compile 7 lines',
    unit: 'us',
    value:
      1e6 /
      (await rate(units, () => {
        for (let at = 0; at < units; at++) engine.compile(`${small} -- ${serial++}`, 'bench.lua')
      })),
  }
}

export async function run(): Promise<readonly Measurement[]> {
  return [await spawn(), heapPerProcess(), await yields(), ...(await channels()), await computing(), await compiling()]
}

import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import type { Channel, HostFunction, LuaValue } from '../src/engine.ts'
import { bench, evaluate, failure, start } from './engine-harness.ts'

const on = bench()

describe('a channel', () => {
  test.each<[string, string, unknown[]]>([
    [
      'without buffer hands a value over when somebody takes it',
      'local c, log = channel.new(), {} coroutine.spawn(function() log[#log + 1] = "send" c:send(1) log[#log + 1] = "sent" end) local v, ok = c:receive() log[#log + 1] = "got" channel.select{channel.new(1):case_send(0)} return v, ok, table.concat(log, " ")',
      [1, true, 'send sent got'],
    ],
    [
      'with a buffer takes that many before it blocks',
      'local c = channel.new(2) local n = 0 coroutine.spawn(function() for i = 1, 5 do c:send(i) n = i end end) local tick = channel.new() coroutine.spawn(function() tick:send() end) tick:receive() return n, (c:receive())',
      [2, 1],
    ],
    [
      'keeps the order of values',
      'local c, t = channel.new(3), {} coroutine.spawn(function() for i = 1, 10 do c:send(i) end c:close() end) while true do local v, ok = c:receive() if not ok then break end t[#t + 1] = v end return table.concat(t, " ")',
      ['1 2 3 4 5 6 7 8 9 10'],
    ],
    [
      'keeps the order of waiting senders',
      'local c, t = channel.new(), {} for i = 1, 3 do coroutine.spawn(function() c:send(i) end) end for i = 1, 3 do t[i] = c:receive() end return table.concat(t, " ")',
      ['1 2 3'],
    ],
    [
      'keeps the order of waiting receivers',
      'local c, out = channel.new(), channel.new(9) for i = 1, 3 do coroutine.spawn(function() out:send(i .. c:receive()) end) end coroutine.spawn(function() c:send("a") c:send("b") c:send("c") end) return (out:receive()), (out:receive()), (out:receive())',
      ['1a', '2b', '3c'],
    ],
    [
      'answers nil, false when closed and drained',
      'local c = channel.new(2) c:send(1) c:close() local a, x = c:receive() local b, y = c:receive() local d, z = c:receive() return a, x, b, y, d, z',
      [1, true, undefined, false, undefined, false],
    ],
    [
      'carries nil and false',
      'local c = channel.new(2) c:send(nil) c:send(false) local a, x = c:receive() local b, y = c:receive() return a, x, b, y',
      [undefined, true, false, true],
    ],
    ['may be closed twice', 'local c = channel.new() c:close() c:close() return c:receive()', [undefined, false]],
    [
      'wakes all receivers when it closes',
      'local c, n = channel.new(), 0 local done = channel.new() for i = 1, 3 do coroutine.spawn(function() local v, ok = c:receive() if not ok then n = n + 1 end done:send(1) end) end coroutine.spawn(function() c:close() end) for i = 1, 3 do done:receive() end return n',
      [3],
    ],
    [
      'raises in a sender when it is closed',
      'local c = channel.new() c:close() return pcall(function() c:send(1) end)',
      [false, 'test.lua:1: send on closed channel'],
    ],
    [
      'raises in a blocked sender when it closes',
      'local c, r = channel.new(), channel.new() coroutine.spawn(function() r:send(select(2, pcall(c.send, c, 1))) end) coroutine.spawn(function() c:close() end) return (r:receive())',
      ['send on closed channel'],
    ],
    [
      'carries any value as it is',
      'local c, t, f = channel.new(3), {}, function() end c:send(t) c:send(f) c:send(c) return c:receive() == t, c:receive() == f, c:receive() == c',
      [true, true, true],
    ],
    [
      'has its methods as fields',
      'local c = channel.new() return type(c.send), type(c.receive), type(c.close), type(c), c.nothing',
      ['function', 'function', 'function', 'userdata', undefined],
    ],
    ['shows itself', 'return (tostring(channel.new()):match("^channel: 0x%x+$")) ~= nil', [true]],
  ])('%s', (_name, source, expected) => {
    expect(evaluate(on, source)).toEqual(expected)
    expect(evaluate(on, source, { limits: { sliceInstructions: 1 } })).toEqual(expected)
  })

  test.each([
    ['channel.new(-1)', 'capacity must not be negative'],
    ['channel.new():frob()', "attempt to call a nil value (method 'frob')"],
    ['channel.new().send(1, 2)', 'channel expected, got number'],
    ['channel.select{1}', 'case 1 is not made by'],
    ['channel.select()', 'table expected'],
  ])('%s is an error', (source, problem) => {
    expect(failure(on, source).message).toContain(problem)
  })
})

describe('select', () => {
  test.each<[string, string, unknown[]]>([
    [
      'takes the first ready case in order',
      'local a, b = channel.new(1), channel.new(1) a:send(1) b:send(2) local r = channel.select{b:case_receive(), a:case_receive()} return r.channel == b, r.value, r.ok',
      [true, 2, true],
    ],
    [
      'takes default when nothing is ready',
      'local r = channel.select{channel.new():case_receive(), default = true} return r.default, r.ok, r.channel',
      [true, true, undefined],
    ],
    [
      'prefers a ready case to default',
      'local a = channel.new(1) a:send(5) local r = channel.select{a:case_receive(), default = true} return r.default, r.value',
      [undefined, 5],
    ],
    [
      'sends',
      'local a = channel.new(1) local r = channel.select{a:case_send(7)} return r.channel == a, r.ok, r.value, (a:receive())',
      [true, true, undefined, 7],
    ],
    [
      'does not send the case that was not taken',
      'local a, b = channel.new(1), channel.new(1) channel.select{a:case_send(1), b:case_send(2)} b:close() return (a:receive()), b:receive()',
      [1, undefined, false],
    ],
    [
      'waits, and is woken by a sender',
      'local a, b = channel.new(), channel.new() coroutine.spawn(function() b:send("x") end) local r = channel.select{a:case_receive(), b:case_receive()} return r.channel == b, r.value, r.ok',
      [true, 'x', true],
    ],
    [
      'waits, and is woken by a receiver',
      'local a, got = channel.new(), nil coroutine.spawn(function() got = a:receive() end) local r = channel.select{channel.new():case_receive(), a:case_send(9)} channel.select{channel.new(1):case_send(1)} local t = channel.new() coroutine.spawn(function() t:send() end) t:receive() return r.channel == a, got',
      [true, 9],
    ],
    [
      'a closed channel is ready',
      'local a = channel.new() a:close() local r = channel.select{channel.new():case_receive(), a:case_receive()} return r.channel == a, r.value, r.ok',
      [true, undefined, false],
    ],
    [
      'is woken by a close',
      'local a = channel.new() coroutine.spawn(function() a:close() end) local r = channel.select{a:case_receive()} return r.channel == a, r.ok',
      [true, false],
    ],
    [
      'leaves nothing behind on the channels that were not taken',
      'local a, b = channel.new(), channel.new() for i = 1, 3 do coroutine.spawn(function() b:send(i) end) channel.select{a:case_receive(), b:case_receive()} end local r = channel.select{a:case_send(1), default = true} return r.default',
      [true],
    ],
    [
      'two selects meet',
      'local a, out = channel.new(), channel.new() coroutine.spawn(function() local r = channel.select{a:case_send("hi")} out:send(r.channel == a) end) local r = channel.select{channel.new():case_receive(), a:case_receive()} return r.value, (out:receive())',
      ['hi', true],
    ],
    [
      'does not meet itself',
      'local a = channel.new() local r = channel.select{a:case_send(1), a:case_receive(), default = true} return r.default',
      [true],
    ],
    [
      'takes one value for one turn',
      'local a, b = channel.new(2), channel.new(2) a:send(1) b:send(2) channel.select{a:case_receive(), b:case_receive()} return (b:receive())',
      [2],
    ],
    ['accepts holes', 'local a = channel.new(1) a:send(1) return channel.select{nil, a:case_receive()}.value', [1]],
  ])('%s', (_name, source, expected) => {
    expect(
      evaluate(
        on,
        source.replace('channel.select{nil, a:case_receive()}.value', '(channel.select{nil, a:case_receive()}).value'),
      ),
    ).toEqual(expected)
    expect(evaluate(on, source, { limits: { sliceInstructions: 1 } })).toEqual(expected)
  })
  test('raises when it sends to a closed channel, or waits to when it closes', () => {
    expect(failure(on, 'local a = channel.new() a:close() channel.select{a:case_send(1)}').message).toBe(
      'test.lua:1: send on closed channel',
    )
    expect(
      failure(on, 'local a = channel.new() coroutine.spawn(function() a:close() end) channel.select{a:case_send(1)}')
        .message,
    ).toBe('test.lua:1: send on closed channel')
  })
})

describe('a process in which all wait', () => {
  test.each([
    ['main on a channel', 'channel.new():receive()', { tokens: [], channels: 1, hostChannels: 0 }],
    ['an empty select', 'channel.select{}', { tokens: [], channels: 1, hostChannels: 0 }],
    ['a host channel', 'host:receive()', { tokens: [], channels: 0, hostChannels: 1 }],
    [
      'a select with a host channel',
      'channel.select{channel.new():case_receive(), host:case_receive(), channel.new():case_send(1)}',
      { tokens: [], channels: 0, hostChannels: 1 },
    ],
    [
      'several',
      'for i = 1, 3 do coroutine.spawn(function() channel.new():receive() end) end host:receive()',
      { tokens: [], channels: 3, hostChannels: 1 },
    ],
  ])('%s', (_name, source, expected) => {
    const { proc, run } = start(on, `${source} return "on"`)
    const host = proc.channel()
    proc.setGlobal('host', host)
    const idle = run()
    expect(idle.kind === 'yield' && { ...idle.waiting, tokens: idle.waiting.tokens }).toEqual(expected)
  })
})

describe('a channel that the host feeds', () => {
  const fed = (source: string, options?: Parameters<ReturnType<typeof start>['proc']['channel']>[0]) => {
    const started = start(on, source)
    const channel = started.proc.channel(options)
    started.proc.setGlobal('inbox', channel)
    return { ...started, channel }
  }
  test('push goes to the waiting receiver, else into the buffer', () => {
    const { run, channel, lines } = fed(
      'while true do local v, ok = inbox:receive() print(v, ok) if not ok then return "end" end end',
    )
    channel.push('early')
    run()
    expect(channel.waiting()).toBe(1)
    expect(channel.push({ a: [1, 2] })).toBe(true)
    channel.push(3)
    expect(channel.buffered()).toBe(1)
    channel.close()
    expect(channel.push('late')).toBe(false)
    expect(run()).toMatchObject({ kind: 'done', values: ['end'] })
    expect(lines[0]).toBe('early\ttrue')
    expect(lines[2]).toBe('3\ttrue')
    expect(lines[3]).toBe('nil\tfalse')
  })
  test('pull is asked only when somebody receives; wake serves those that wait', () => {
    const queue: unknown[] = [1, 2, 3]
    let asked = 0
    const pull = (): { value: unknown } | undefined => {
      asked++
      return queue.length === 0 ? undefined : { value: queue.shift() }
    }
    const { run, channel, lines } = fed(
      'print(inbox:receive()) local r = channel.select{inbox:case_receive(), default = true} print(r.value) print((inbox:receive())) print((inbox:receive())) print("end")',
      { pull },
    )
    expect(asked).toBe(0)
    run()
    expect(lines).toEqual(['1\ttrue', '2', '3'])
    channel.wake()
    expect(lines).toHaveLength(3)
    queue.push('late')
    channel.wake()
    run()
    expect(lines.slice(3)).toEqual(['late', 'end'])
    expect(queue).toEqual([])
  })
  test('pull may close the channel', () => {
    const { run, lines } = fed('print(inbox:receive()) print(inbox:receive())', { pull: () => ({ done: true }) })
    run()
    expect(lines).toEqual(['nil\tfalse', 'nil\tfalse'])
  })
  test('Lua may send to it, and the host takes', () => {
    const { run, channel } = fed('inbox:send("a") inbox:send("b") return "sent"', { capacity: 1 })
    run()
    expect(channel.take()).toEqual({ value: 'a', ok: true })
    expect(channel.take()).toEqual({ value: 'b', ok: true })
    expect(channel.take()).toBeUndefined()
    expect(run()).toMatchObject({ values: ['sent'] })
  })
  test('it is the identical object wherever it appears', () => {
    const seen: LuaValue[] = []
    const note: HostFunction = (_ctx, args) => void seen.push(...args)
    const { proc, run, channel } = fed(
      'note(inbox) coroutine.spawn(function() inbox:receive() end) return inbox == get(), channel.select{inbox:case_receive()}.channel == inbox'.replace(
        'channel.select{inbox:case_receive()}.channel',
        '(channel.select{inbox:case_receive()}).channel',
      ),
    )
    proc.setGlobal('note', note)
    proc.setGlobal('get', (() => [channel]) satisfies HostFunction)
    run()
    channel.push(1)
    channel.push(2)
    expect(run()).toMatchObject({ values: [true, true] })
    expect(seen).toEqual([channel as Channel])
  })
})

test('whatever senders and receivers do, every value arrives once and in the order of its sender', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 3 }),
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(1, 13, 100_000),
      (capacity, counts, receivers, sliceInstructions) => {
        const source = `
        local capacity, counts, receivers = ...
        local c, out, left = channel.new(capacity), channel.new(1000), #counts
        for s, n in ipairs(counts) do
          coroutine.spawn(function()
            for i = 1, n do
              if i % 2 == 0 then c:send({s, i}) else channel.select{c:case_send({s, i})} end
            end
            left = left - 1
            if left == 0 then c:close() end
          end)
        end
        local active = receivers
        for r = 1, receivers do
          coroutine.spawn(function()
            while true do
              local v, ok
              if r % 2 == 0 then v, ok = c:receive()
              else local got = channel.select{c:case_receive()} v, ok = got.value, got.ok end
              if not ok then break end
              out:send(v[1] * 100 + v[2])
            end
            active = active - 1
            if active == 0 then out:close() end
          end)
        end
        local all = {}
        while true do local v, ok = out:receive() if not ok then return all end all[#all + 1] = v end`
        const [all] = evaluate(on, source, { args: [capacity, counts, receivers], limits: { sliceInstructions } })
        const values = Array.isArray(all) ? (all as number[]) : []
        for (const [at, count] of counts.entries()) {
          const own = values.filter((v) => Math.floor(v / 100) === at + 1).map((v) => v % 100)
          expect([...own].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i + 1))
          if (receivers === 1) expect(own).toEqual(Array.from({ length: count }, (_, i) => i + 1))
        }
      },
    ),
    { numRuns: 40 },
  )
})

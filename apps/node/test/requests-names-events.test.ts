import type { BusEvent } from '@daruma/lua'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EventBus } from '../src/requests/event-bus.ts'
import { compilePattern } from '../src/requests/event-pattern.ts'
import { eventsRequests } from '../src/requests/events.ts'
import { namesRequests } from '../src/requests/names.ts'
import { World } from './requests-world.ts'

describe('names', () => {
  test('a process may go by several names, and registering one again is nothing', async () => {
    const world = new World()
    const { ask, pid } = await world.asker(namesRequests(world))
    ask('names.register', { name: 'one', scope: 0 })
    ask('names.register', { name: 'two', scope: 3 })
    ask('names.register', { name: 'one', scope: 1 })
    expect(ask('names.lookup', { name: 'two' })).toBe(pid)
  })

  test('a name of another living process is refused with already_exists, and free when that one has ended', async () => {
    const world = new World()
    const names = namesRequests(world)
    const [first, second] = [await world.asker(names), await world.asker(names)]
    first.ask('names.register', { name: 'taken', scope: 0 })
    expect(await second.failure('names.register', { name: 'taken', scope: 0 })).toBe('already_exists')
    first.end()
    await world.test.runUntilIdle()
    expect(await second.failure('names.lookup', { name: 'taken' })).toBe('not_found')
    expect(second.ask('names.register', { name: 'taken', scope: 0 })).toBe(null)
  })

  test('a name can be given to another process, and unregistered by its holder alone', async () => {
    const world = new World()
    const names = namesRequests(world)
    const [giver, holder] = [await world.asker(names), await world.asker(names)]
    giver.ask('names.register', { name: 'n', pid: holder.pid, scope: 0 })
    expect(giver.ask('names.unregister', { name: 'n', scope: 0 })).toBe(false)
    expect(holder.ask('names.unregister', { name: 'n', scope: 0 })).toBe(true)
    expect(holder.ask('names.unregister', { name: 'n', scope: 0 })).toBe(false)
  })

  test('Lua: register, lookup and unregister', async () => {
    const world = new World()
    const source = `return function()
      local r = process.registry
      local ok = r.register("me", nil, r.STRONG)
      local pid = r.lookup("me")
      local _, err = r.lookup("nobody")
      return { ok, pid == process.pid(), err:kind(), err:retryable(), r.unregister("me"), r.unregister("me") }
    end`
    expect(await world.run(source, [], namesRequests(world))).toEqual([true, true, 'NotFound', false, true, false])
  })
})

describe('patterns of events', () => {
  test.each([
    ['*', 'orders', true],
    ['*', 'orders.eu', false],
    ['**', 'orders.eu', true],
    ['orders.*', 'orders.eu', true],
    ['orders.*', 'orders', false],
    ['orders.*', 'orders.eu.west', false],
    ['orders.**', 'orders', true],
    ['orders.**', 'orders.eu.west', true],
    ['**.west', 'orders.eu.west', true],
    ['orders.**.west', 'orders.west', true],
    ['orders.(created|paid)', 'orders.paid', true],
    ['orders.(created|paid)', 'orders.sent', false],
    ['(a.b|c).d', 'a.b.d', true],
    ['((a|b)|c).x', 'b.x', true],
    ['or*s', 'orders', true],
    ['or*s', 'or.s', false],
    ['a+b', 'aab', false],
    ['orders', 'Orders', false],
  ])('%s for %s: %s', (pattern, name, expected) => {
    expect(compilePattern(pattern)(name)).toBe(expected)
  })

  test.each(['', '(a', 'a)', 'a)(b', '(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)'])(
    '"%s" is refused as invalid',
    (pattern) => {
      expect(() => compilePattern(pattern)).toThrow(expect.objectContaining({ kind: 'invalid' }))
    },
  )

  test('a name is always meant by itself, by ** and by as many stars as it has segments', () => {
    const name = fc.array(fc.stringMatching(/^[a-z0-9_-]{1,6}$/), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(name, (segments) => {
        const text = segments.join('.')
        for (const pattern of [text, '**', segments.map(() => '*').join('.'), `**.${text}.**`]) {
          expect(compilePattern(pattern)(text)).toBe(true)
        }
        expect(compilePattern([...segments, 'x'].map(() => '*').join('.'))(text)).toBe(false)
      }),
      { verbose: 1 },
    )
  })
})

describe('events', () => {
  const event: BusEvent = { system: 'orders.eu', kind: 'paid', path: 'order/7', data: { total: 3 } }

  test('an event comes as a message of the subscription topic, until the subscription ends', async () => {
    const world = new World()
    const { ask, probe } = await world.asker(eventsRequests(new EventBus(world.system)))
    ask('events.subscribe', { system: 'orders.*', topic: '@events/1' })
    ask('events.subscribe', { system: '**', kind: 'sent', topic: '@events/2' })
    ask('events.send', event)
    await world.test.runUntilIdle()
    expect(probe.received).toEqual([{ kind: 'message', from: undefined, topic: '@events/1', payload: [event] }])
    ask('events.unsubscribe', { topic: '@events/1' })
    ask('events.unsubscribe', { topic: '@events/1' })
    ask('events.send', event)
    await world.test.runUntilIdle()
    expect(probe.received).toHaveLength(1)
  })

  test('subscriptions end with their process', async () => {
    const world = new World()
    const bus = new EventBus(world.system)
    const asker = await world.asker(eventsRequests(bus))
    asker.ask('events.subscribe', { system: '**', topic: '@1' })
    asker.ask('events.subscribe', { system: 'a', topic: '@2' })
    expect(bus.size).toBe(2)
    asker.end()
    await world.test.runUntilIdle()
    expect(bus.size).toBe(0)
  })

  test('the node listens by the same patterns', () => {
    const world = new World()
    const bus = new EventBus(world.system)
    const heard: BusEvent[] = []
    const stop = bus.listen('orders.**', 'paid', (each) => heard.push(each))
    bus.send(event)
    stop()
    bus.send(event)
    expect(heard).toEqual([event])
  })

  test('Lua: subscribe, send, receive, close; an empty text is Invalid', async () => {
    const world = new World()
    const source = `local events = require("events")
    return function()
      local sub = events.subscribe("test.(a|b)", "*")
      events.send("test.c", "k", "p")
      events.send("test.b", "k", "p", { n = 1 })
      local got = sub:channel():receive()
      sub:close()
      local _, err = events.send("", "k", "p")
      return { got.system, got.kind, got.path, got.data.n, err:kind() }
    end`
    const groups = [eventsRequests(new EventBus(world.system))]
    expect(await world.run(source, ['events'], ...groups)).toEqual(['test.b', 'k', 'p', 1, 'Invalid'])
  })
})

import { AppError } from '@daruma/protocol'
import { entry } from '@daruma/registry/testing'
import { describe, expect, test } from 'vitest'
import { groupName, pgRequests } from '../src/requests/pg.ts'
import { QueueBroker } from '../src/requests/queue-broker.ts'
import { queueRequests } from '../src/requests/queue.ts'
import { systemRequests } from '../src/requests/system.ts'
import { World } from './requests-world.ts'

describe('queues', () => {
  const entries = [
    entry('app:driver', 'queue.driver.memory'),
    entry('app:client', 'nats.client', {}),
    entry('app:stream', 'queue.driver.jetstream', { client: 'client' }),
    entry('app:jobs', 'queue.queue', { driver: 'driver', driver_options: { memory: { max_length: 3 } } }),
    entry('app:careful', 'queue.queue', { driver: 'driver', dead_letter: { queue: 'dead', max_attempts: 2 } }),
    entry('app:dead', 'queue.queue', { driver: 'driver' }),
    entry('app:far', 'queue.queue', { driver: 'stream' }),
    entry('app:fn', 'function.lua', { source: 'return function() end', method: 'main' }),
    entry('app:worker', 'queue.consumer', { queue: 'jobs', func: 'fn', concurrency: 2 }),
    entry('app:carer', 'queue.consumer', { queue: 'careful', func: 'fn' }),
  ]

  function queueWorld() {
    const world = new World(entries)
    const calls: {
      args: readonly unknown[]
      context: Readonly<Record<string, unknown>>
      end: (error?: unknown) => void
      signal: AbortSignal
    }[] = []
    world.functions = {
      call: (_target, args, { signal, context }) =>
        new Promise((resolve, reject) => {
          const end = (error?: unknown): void => (error === undefined ? resolve(null) : reject(error))
          signal!.addEventListener('abort', () => end(new AppError('canceled', 'canceled')))
          calls.push({ args, context, end, signal: signal! })
        }),
    }
    const broker = new QueueBroker(world)
    const publish = (payload: unknown, queue = 'app:jobs'): void => broker.publish(queue, payload, { h: '1' })
    return { world, broker, calls, publish, settled: () => world.test.runUntilIdle() }
  }

  test('messages are handed out in order, as many at once as the consumer allows', async () => {
    const { world, broker, calls, publish, settled } = queueWorld()
    for (const payload of ['a', 'b', 'c']) publish(payload)
    broker.consume(world.registry.get('app:worker')!)
    expect(calls.map(({ args }) => args[0])).toEqual(['a', 'b'])
    const about = { id: expect.any(String), queue: 'app:jobs', headers: { h: '1' }, attempt: 1 }
    expect(calls[0]!.context['@queue']).toEqual(about)
    calls[0]!.end()
    await settled()
    expect(calls.map(({ args }) => args[0])).toEqual(['a', 'b', 'c'])
  })

  test('a queue that is full refuses with rate_limited', () => {
    const { publish } = queueWorld()
    for (const payload of [1, 2, 3]) publish(payload)
    expect(() => publish(4)).toThrow(expect.objectContaining({ kind: 'rate_limited' }))
  })

  test('a message whose function fails is reported and not tried again', async () => {
    const { world, broker, calls, publish, settled } = queueWorld()
    broker.consume(world.registry.get('app:worker')!)
    publish('bad')
    calls[0]!.end(new Error('broken'))
    await settled()
    expect(calls).toHaveLength(1)
    expect(world.logs.map(({ level, message }) => `${level} ${message}`)).toEqual([
      expect.stringMatching(/^error queue app:jobs: message .* failed: broken$/),
    ])
  })

  test('with a dead letter it is tried as often as that says, and then goes there with the reason', async () => {
    const { world, broker, calls, publish, settled } = queueWorld()
    broker.consume(world.registry.get('app:carer')!)
    publish('bad', 'app:careful')
    for (const attempt of [1, 2]) {
      expect(calls.at(-1)!.context['@queue']).toMatchObject({ attempt })
      calls.at(-1)!.end(new Error('broken'))
      await settled()
    }
    expect(calls).toHaveLength(2)
    expect(broker.info('app:dead').messages).toBe(1)
  })

  test('a function may settle its message early: an ack forgives its failure, a nack is one', async () => {
    const { world, broker, calls, publish, settled } = queueWorld()
    const { ask, failure } = await world.asker(queueRequests(broker))
    broker.consume(world.registry.get('app:carer')!)
    const idOf = (at: number): string => (calls[at]!.context['@queue'] as { id: string }).id
    publish('a', 'app:careful')
    ask('queue.ack', { message: idOf(0) })
    calls[0]!.end(new Error('too late'))
    await settled()
    expect(ask('queue.info', { queue: 'app:careful' })).toEqual({ messages: 0, consumers: 1, running: 0 })
    publish('b', 'app:careful')
    ask('queue.nack', { message: idOf(1) })
    calls[1]!.end()
    await settled()
    expect(calls.map(({ args }) => args[0])).toEqual(['a', 'b', 'b'])
    expect(await failure('queue.ack', { message: idOf(0) })).toBe('not_found')
  })

  test('stopping a consumer waits for its calls, and gives them up at the deadline', async () => {
    const { world, broker, calls, publish, settled } = queueWorld()
    const consuming = broker.consume(world.registry.get('app:worker')!)
    publish('a')
    const stopped = consuming.stop(100)
    publish('b')
    expect(calls).toHaveLength(1)
    world.clock.advance(100)
    await stopped
    await settled()
    expect(calls[0]!.signal.aborted).toBe(true)
    expect(broker.info('app:jobs').messages).toBe(1)
  })

  test.each([
    ['app:none', 'not_found'],
    ['app:fn', 'not_found'],
    ['app:far', 'unavailable'],
  ])('publishing to %s: %s', async (queue, kind) => {
    const { world, broker } = queueWorld()
    const { failure } = await world.asker(queueRequests(broker))
    expect(await failure('queue.publish', { queue, payload: 1, headers: {} })).toBe(kind)
  })
})

describe('process groups', () => {
  const entries = [
    entry('app:scope', 'pg.scope'),
    entry('app:other', 'pg.scope'),
    entry('app:small', 'pg.scope', { max_groups: 1, max_members_per_group: 1 }),
  ]
  const scope = 'app:scope'

  test('members join, are sent to, and leave by ending', async () => {
    const world = new World(entries)
    const pg = pgRequests(world)
    const [one, two] = [await world.asker(pg), await world.asker(pg)]
    one.ask('pg.join', { scope, groups: ['a', 'b'] })
    two.ask('pg.join', { scope, groups: ['a'] })
    expect(one.ask('pg.members', { scope, group: 'a', local: true })).toEqual([one.pid, two.pid])
    two.ask('pg.broadcast', { scope, group: 'a', topic: 'hi', payload: [1], local: false })
    await world.test.runUntilIdle()
    expect(one.probe.received).toEqual([{ kind: 'message', from: two.pid, topic: 'hi', payload: [1] }])
    one.end()
    await world.test.runUntilIdle()
    expect(two.ask('pg.groups', { scope, local: false })).toEqual(['a'])
    two.ask('pg.leave', { scope, groups: ['a'] })
    expect(two.ask('pg.groups', { scope, local: false })).toEqual([])
    expect(await two.failure('pg.leave', { scope, groups: ['a'] })).toBe('invalid')
  })

  test('actors of TypeScript meet programs under groupName', async () => {
    const world = new World(entries)
    const { ask, pid } = await world.asker(pgRequests(world))
    ask('pg.join', { scope, groups: ['shared'] })
    expect(world.system.groups.members(groupName(scope, 'shared'))).toEqual([pid])
  })

  test('a scope has groups and limits of its own', async () => {
    const world = new World(entries)
    const pg = pgRequests(world)
    const [one, two] = [await world.asker(pg), await world.asker(pg)]
    const small = 'app:small'
    one.ask('pg.join', { scope: small, groups: ['a'] })
    one.ask('pg.join', { scope: small, groups: ['a'] })
    expect(one.ask('pg.groups', { scope, local: false })).toEqual([])
    expect(one.ask('pg.groups', { scope: small, local: false })).toEqual(['a'])
    expect(await one.failure('pg.join', { scope: small, groups: ['b'] })).toBe('rate_limited')
    expect(await two.failure('pg.join', { scope: small, groups: ['a'] })).toBe('rate_limited')
    expect(await two.failure('pg.open', { scope: 'app:none' })).toBe('not_found')
  })

  test('a monitor begins with the members and then hears of joins and leaves', async () => {
    const world = new World(entries)
    const pg = pgRequests(world)
    const [watcher, member, late] = [await world.asker(pg), await world.asker(pg), await world.asker(pg)]
    member.ask('pg.join', { scope, groups: ['a'] })
    expect(watcher.ask('pg.monitor', { scope, group: 'a', topic: '@1' })).toEqual({ a: [member.pid] })
    expect(watcher.ask('pg.monitor', { scope, topic: '@all' })).toEqual({ a: [member.pid] })
    late.ask('pg.join', { scope: 'app:other', groups: ['a'] })
    late.ask('pg.join', { scope, groups: ['a', 'new'] })
    member.end()
    await world.test.runUntilIdle()
    const heard = watcher.probe.received as { topic: string; payload: unknown[] }[]
    const told = (change: string, group: string, pid: unknown) => ({
      system: 'pg',
      kind: `member.${change}`,
      path: group,
      data: { Group: group, PIDs: [pid] },
    })
    const of = (topic: string) => heard.filter((each) => each.topic === topic).flatMap(({ payload }) => payload)
    const [join, leave] = [told('joined', 'a', late.pid), told('left', 'a', member.pid)]
    expect(of('@1')).toEqual([join, leave])
    expect(of('@all')).toEqual([join, told('joined', 'new', late.pid), leave])
    watcher.ask('pg.demonitor', { scope, topic: '@1' })
    watcher.ask('pg.demonitor', { scope, topic: '@all' })
    late.ask('pg.leave', { scope, groups: ['a'] })
    await world.test.runUntilIdle()
    expect(heard).toHaveLength(5)
    expect(world.system.groups.names()).toEqual([groupName('app:other', 'a'), groupName(scope, 'new')])
  })

  test('Lua: join, broadcast to oneself, watch', async () => {
    const world = new World(entries)
    const source = `local pg = require("pg")
    return function()
      local groups = pg.open("app:scope")
      local watch, members = groups:monitor("g")
      groups:join("g")
      local event = watch:channel():receive()
      local inbox = process.inbox()
      groups:broadcast("g", "hello", "there")
      local msg = inbox:receive()
      return { #members, event.kind, event.data.PIDs[1] == process.pid(), msg:topic() }
    end`
    expect(await world.run(source, ['pg'], pgRequests(world))).toEqual([0, 'member.joined', true, 'hello'])
  })
})

describe('system', () => {
  test('a lock has one holder, and is free when it ends', async () => {
    const world = new World()
    const system = systemRequests(world, { exit: () => undefined })
    const [one, two] = [await world.asker(system), await world.asker(system)]
    one.ask('system.lock', { name: 'l' })
    expect(await two.failure('system.lock', { name: 'l' })).toBe('already_exists')
    expect(await one.failure('system.lock', { name: 'l' })).toBe('already_exists')
    expect(two.ask('system.unlock', { name: 'l' })).toBe(false)
    one.end()
    await world.test.runUntilIdle()
    expect(two.ask('system.lock', { name: 'l' })).toBe(null)
    expect(two.ask('system.unlock', { name: 'l' })).toBe(true)
    expect(two.ask('system.unlock', { name: 'l' })).toBe(false)
  })

  test('a single node is its own cluster', async () => {
    const world = new World()
    const codes: number[] = []
    const { ask } = await world.asker(systemRequests(world, { exit: (code) => codes.push(code) }))
    expect(ask('system.node', null)).toEqual({ id: 'test' })
    expect(ask('system.members', null)).toEqual([{ id: 'test', isLocal: true }])
    expect(ask('system.memory', null).rssBytes).toBeGreaterThan(1_000_000)
    ask('system.exit', { code: 3 })
    expect(codes).toEqual([3])
  })
})

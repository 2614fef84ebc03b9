import { describe, expect, test } from 'vitest'
import { AppError, Pid, type ExitReason } from '@daruma/protocol'
import { MemoryNetwork, SimClock, type MemoryTransport } from '@daruma/protocol/testing'
import { joinCluster, next, type Behavior, type Cluster, type Context, type NodeEvent } from '@daruma/actors'
import { TestSystem } from '@daruma/actors/testing'
import type { ActorSystem } from '@daruma/actors'

interface Node {
  readonly name: string
  readonly test: TestSystem
  readonly system: ActorSystem
  readonly cluster: Cluster
  readonly transport: MemoryTransport
}

/** Systems on one network, whose every run is the same. */
class World {
  readonly clock = new SimClock()
  readonly network: MemoryNetwork
  readonly nodes: Node[] = []

  constructor(options: { readonly delayMs?: number; readonly maxWaitingBytes?: number } = {}) {
    this.network = new MemoryNetwork({ clock: this.clock, ...options })
  }

  async node(name: string): Promise<Node> {
    const test = new TestSystem({ node: name })
    const { system } = test
    const transport = this.network.transport(name, system.home.incarnation)
    const cluster = await joinCluster(system, transport)
    const node = { name, test, system, cluster, transport }
    this.nodes.push(node)
    return node
  }

  /** Until nothing moves any more; the network's time goes on, the systems' stands. */
  async settle(): Promise<void> {
    for (let round = 0; round < 12; round++) {
      for (const { test } of this.nodes) await test.runUntilIdle()
      this.clock.advance(1)
    }
  }

  /** Until both have seen each other down. */
  async part(a: Node, b: Node): Promise<void> {
    this.network.partition(a.name, b.name)
    this.clock.advance(this.network.detectMs)
    await this.settle()
  }
}

async function pair(options: { readonly delayMs?: number; readonly maxWaitingBytes?: number } = {}) {
  const world = new World(options)
  const [a, b] = [await world.node('a'), await world.node('b')]
  return { world, a, b }
}

/** The pid as it looks after a journey. */
const copyOf = (pid: Pid): Pid => new Pid(pid.home, pid.id)

const echo: Behavior<unknown, undefined> = {
  name: 'echo',
  receive: (ctx, message) => {
    ctx.reply(message, { echoed: message })
    return next.same
  },
}

const silent: Behavior<unknown, undefined> = { name: 'silent', receive: () => next.same }

const kinds = (received: readonly unknown[]): unknown[] =>
  received.map((item) => {
    const { kind, reason } = item as { kind?: string; reason?: ExitReason }
    return reason === undefined ? (kind ?? item) : `${kind} ${reason.kind}`
  })

/** In the order of the alphabet: where the order of the happening is nobody's promise. */
const told = (received: readonly unknown[]): string[] => kinds(received).map(String).toSorted()

describe.each([0, 3])('between nodes, with messages that travel %i ms', (delayMs) => {
  test('rule 11: what one process sends another arrives in order, messages and signals together', async () => {
    const { world, a, b } = await pair({ delayMs })
    const [from, to] = [await a.test.probe(), await b.test.probe<unknown>()]
    const peer = copyOf(to.pid)
    for (let at = 0; at < 100; at++) from.ctx.send(peer, { at })
    from.ctx.exit(peer, { kind: 'custom', value: 'between' })
    from.ctx.send(peer, 'last')
    await world.settle()
    expect(to.received).toHaveLength(102)
    expect(to.received.slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, at) => ({ at })))
    expect(to.received[100]).toMatchObject({ kind: 'exit', link: false, reason: { kind: 'custom', value: 'between' } })
    expect(String((to.received[100] as { from: Pid }).from)).toBe(String(from.pid))
    expect(to.received[101]).toBe('last')
  })

  test('a pid that travels in a message is answered by its process, from wherever it is sent', async () => {
    const { world, a, b } = await pair({ delayMs })
    const from = await a.test.probe()
    const to = await b.test.probe<{ replyTo: Pid }>()
    from.ctx.send(copyOf(to.pid), { replyTo: from.pid })
    await world.settle()
    const { replyTo } = (await to.next()) as { replyTo: Pid }
    to.ctx.send(replyTo, 'here')
    await world.settle()
    expect(from.received).toEqual(['here'])
  })

  test('rule 12: messages sent before death arrive before its down, and monitor after kill gives noproc', async () => {
    const { world, a, b } = await pair({ delayMs })
    const watcher = await a.test.probe()
    const speaker = b.system.spawn({
      name: 'speaker',
      receive: (ctx: Context<Pid>, to: Pid) => {
        for (let at = 0; at < 3; at++) ctx.send(to, at)
        return next.stop({ kind: 'normal' })
      },
    })
    const victim = b.system.spawn(silent)
    watcher.ctx.monitor(copyOf(speaker))
    watcher.ctx.send(copyOf(speaker), watcher.pid)
    await world.settle()
    expect(kinds(watcher.received)).toEqual([0, 1, 2, 'down normal'])
    watcher.ctx.exit(copyOf(victim), { kind: 'kill' })
    watcher.ctx.monitor(copyOf(victim))
    await world.settle()
    expect(kinds(watcher.received)).toEqual([0, 1, 2, 'down normal', 'down noproc'])
  })

  test('rules 15, 17: a link is one per pair and two-way; one unlink from either side removes it', async () => {
    const { world, a, b } = await pair({ delayMs })
    const [one, two] = [await a.test.probe(), await b.test.probe()]
    one.ctx.link(copyOf(two.pid))
    one.ctx.link(copyOf(two.pid))
    await world.settle()
    two.ctx.unlink(copyOf(one.pid))
    await world.settle()
    b.system.exit(two.pid, { kind: 'kill' })
    await world.settle()
    expect(one.received).toEqual([])
    const three = await b.test.probe()
    one.ctx.link(copyOf(three.pid))
    await world.settle()
    a.system.exit(one.pid, { kind: 'kill' })
    await world.settle()
    expect(kinds(three.received)).toEqual(['exit killed'])
  })

  test('rule 16: to link with a dead process of another node gives an exit noproc, which ends who does not trap', async () => {
    const { world, a, b } = await pair({ delayMs })
    const gone = b.system.spawn(silent)
    b.system.exit(gone, { kind: 'kill' })
    await world.settle()
    const traps = await a.test.probe()
    traps.ctx.link(copyOf(gone))
    const plain = a.system.spawn({
      name: 'linker',
      init: (ctx: Context) => ctx.link(copyOf(gone)),
      receive: () => next.same,
    })
    await world.settle()
    expect(kinds(traps.received)).toEqual(['exit noproc'])
    await a.test.expectExit(plain, 'noproc')
  })

  test.each([
    ['a crash', { kind: 'custom', value: 42 }, ['exit custom', 'down custom']],
    ['a normal end', { kind: 'normal' }, ['exit normal', 'down normal']],
    ['a kill', { kind: 'kill' }, ['exit killed', 'down killed']],
  ] as const)('%s of a linked and monitored process gives one exit and one down', async (_what, reason, expected) => {
    const { world, a, b } = await pair({ delayMs })
    const watcher = await a.test.probe()
    const peer = b.system.spawn({ name: 'p', receive: (_: Context<ExitReason>, why: ExitReason) => next.stop(why) })
    watcher.ctx.link(copyOf(peer))
    watcher.ctx.monitor(copyOf(peer))
    await world.settle()
    if (reason.kind === 'kill') watcher.ctx.exit(copyOf(peer), reason)
    else watcher.ctx.send(copyOf(peer), reason)
    await world.settle()
    expect(told(watcher.received)).toEqual([...expected].toSorted())
  })

  test('rules 19, 22: N monitors give N downs, and none comes of one that was dropped', async () => {
    const { world, a, b } = await pair({ delayMs })
    const watcher = await a.test.probe()
    const peer = b.system.spawn(silent)
    const [first] = [watcher.ctx.monitor(copyOf(peer)), watcher.ctx.monitor(copyOf(peer))]
    watcher.ctx.monitor(copyOf(peer))
    watcher.ctx.demonitor(first)
    await world.settle()
    b.system.exit(peer, { kind: 'kill' })
    await world.settle()
    expect(kinds(watcher.received)).toEqual(['down killed', 'down killed'])
  })

  test('rules 32-33: a call is answered, fails with the reason of a callee that ends, and times out', async () => {
    const { world, a, b } = await pair({ delayMs })
    const caller = await a.test.probe()
    const [server, mute] = [b.system.spawn(echo), b.system.spawn(silent)]
    const answer = caller.ctx.call(copyOf(server), { question: 1 })
    await world.settle()
    await expect(answer).resolves.toEqual({ echoed: { question: 1 } })

    const dying = caller.ctx.call(copyOf(mute), 'question').catch((error: unknown) => error)
    await world.settle()
    b.system.exit(mute, { kind: 'kill' })
    await world.settle()
    expect(await dying).toMatchObject({ kind: 'unavailable', details: { reason: { kind: 'killed' } } })
    const gone = caller.ctx.call(copyOf(mute), 'question').catch((error: unknown) => error)
    await world.settle()
    expect(await gone).toMatchObject({ kind: 'not_found' })

    const other = b.system.spawn(silent)
    const late = caller.ctx.call(copyOf(other), 'question').catch((error: unknown) => error)
    await world.settle()
    await a.test.advance(5_000)
    expect(await late).toMatchObject({ kind: 'timeout' })
    await world.settle()
    expect(caller.received).toEqual([])
  })

  test('an error that the callee answers with comes back as that error', async () => {
    const { world, a, b } = await pair({ delayMs })
    const server = b.system.spawn({
      name: 'refuses',
      receive: (ctx: Context<string>, message: string) => {
        ctx.replyTo(message).fail(new AppError('permission_denied', 'not you', { who: 'a' }))
        return next.same
      },
    })
    const asked = a.system.call(copyOf(server), 'please').catch((error: unknown) => error)
    await world.settle()
    expect(await asked).toMatchObject({ kind: 'permission_denied', message: 'not you', details: { who: 'a' } })
  })

  test('a timer to a process of another node fires there', async () => {
    const { world, a, b } = await pair({ delayMs })
    const to = await b.test.probe()
    a.system.sendAfter(copyOf(to.pid), 50, 'tick')
    await a.test.advance(50)
    await world.settle()
    expect(to.received).toEqual(['tick'])
  })
})

describe('loss of a node', () => {
  test('rule 23: links, monitors, calls and node monitors learn of it with noconnection, exactly once, on both sides', async () => {
    const { world, a, b } = await pair()
    const watcher = await a.test.probe()
    const far = await b.test.probe()
    const plain = a.system.spawn(silent)
    watcher.ctx.link(copyOf(far.pid))
    watcher.ctx.monitor(copyOf(far.pid))
    far.ctx.link(copyOf(plain))
    a.cluster.monitorNode('b', watcher.pid)
    a.cluster.monitorNode('b', watcher.pid)
    const call = watcher.ctx.call(copyOf(far.pid), 'x').catch((error: unknown) => error)
    const ended = a.system.exited(copyOf(far.pid))
    await world.settle()
    await world.part(a, b)
    expect(told(watcher.received)).toEqual(['down noconnection', 'exit noconnection', 'node_down', 'node_down'])
    expect(await call).toMatchObject({ kind: 'unavailable', details: { reason: { kind: 'noconnection', node: 'b' } } })
    expect(await ended).toEqual({ kind: 'noconnection', node: 'b' })
    await a.test.expectExit(plain, 'noconnection')
    expect(
      kinds(far.received)
        .filter((kind) => kind !== 'x')
        .map(String),
    ).toEqual(['exit noconnection', 'exit noconnection'])
    // They meet again: nothing is told twice, and what ended there is not news.
    world.network.heal('a', 'b')
    await world.settle()
    b.system.exit(far.pid, { kind: 'kill' })
    await world.settle()
    expect(told(watcher.received)).toEqual(['down noconnection', 'exit noconnection', 'node_down', 'node_down'])
  })

  test('while it is down: sends are dead letters, monitors and calls fail at once, links throw or are told', async () => {
    const { world, a, b } = await pair()
    const watcher = await a.test.probe()
    const far = copyOf(b.system.spawn(silent))
    await world.part(a, b)
    expect(watcher.ctx.send(far, 'lost')).toBeUndefined()
    watcher.ctx.monitor(far)
    watcher.ctx.link(far)
    a.cluster.monitorNode('b', watcher.pid)
    await expect(watcher.ctx.call(far, 'x')).rejects.toMatchObject({ kind: 'unavailable' })
    await world.settle()
    expect(kinds(watcher.received)).toEqual(['down noconnection', 'exit noconnection', 'node_down'])
    expect(a.test.deadLetters).toEqual(['lost'])
  })

  test('a node that returns after a partition is up again, and its processes are reached by their old pids', async () => {
    const { world, a, b } = await pair()
    const events: string[] = []
    a.cluster.subscribe((event: NodeEvent) => void events.push(`${event.kind} ${event.peer.node}`))
    const far = await b.test.probe()
    await world.part(a, b)
    world.network.heal('a', 'b')
    await world.settle()
    a.system.send(copyOf(far.pid), 'again')
    await world.settle()
    expect([events, far.received]).toEqual([['down b', 'up b'], ['again']])
  })

  test('a pid of a former life is noproc once the node is up again, and nothing meant for it arrives', async () => {
    const { world, a, b } = await pair()
    const watcher = await a.test.probe()
    const old = copyOf(b.system.spawn(silent))
    world.network.crash(b.transport)
    world.clock.advance(world.network.detectMs)
    const test = new TestSystem({ node: 'b' })
    const { createSystem } = await import('@daruma/actors')
    const later = createSystem({ node: 'b', incarnation: 2 })
    await joinCluster(later, world.network.transport('b', 2))
    const newcomer: unknown[] = []
    later.spawn({ name: 'n', receive: (_: Context, message: unknown) => (newcomer.push(message), next.same) })
    expect(watcher.ctx.send(old, 'for the dead')).toBeUndefined()
    watcher.ctx.monitor(old)
    await world.settle()
    expect(kinds(watcher.received)).toEqual(['down noproc'])
    expect(newcomer).toEqual([])
    await later.shutdown()
    await test[Symbol.asyncDispose]()
  })
})

describe('what cannot travel', () => {
  test('a function is refused to its sender, with its path', async () => {
    const { a, b } = await pair()
    const far = copyOf(b.system.spawn(silent))
    expect(() => a.system.send(far, { order: { done: () => 1 } })).toThrow(/order\.done is a function/)
    await expect(a.system.call(far, { done: () => 1 })).rejects.toThrow(/is a function/)
  })

  test('a message over the limit of the transport is refused to its sender with both sizes', async () => {
    const { a, b } = await pair()
    const far = copyOf(b.system.spawn(silent))
    expect(() => a.system.send(far, new Uint8Array(2_000_000))).toThrow(
      /a user of 2\d{6} bytes to \{b@actors\|.*over the limit of 1048576 bytes between nodes/,
    )
  })

  test('a reason or reply that cannot travel becomes the error that says so', async () => {
    const { world, a, b } = await pair()
    const watcher = await a.test.probe()
    const far = b.system.spawn({
      name: 'odd',
      receive: (ctx: Context<string>, message: string) => {
        ctx.reply(message, () => 1)
        return next.stop({ kind: 'custom', value: () => 2 })
      },
    })
    watcher.ctx.monitor(copyOf(far))
    const asked = watcher.ctx.call(copyOf(far), 'x').catch((error: unknown) => error)
    await world.settle()
    expect(await asked).toMatchObject({ kind: 'invalid' })
    expect(watcher.received).toMatchObject([{ kind: 'down', reason: { kind: 'error', error: { kind: 'invalid' } } }])
  })

  test('a slow node gives messages back as a value; signals still get through', async () => {
    const { world, a, b } = await pair({ maxWaitingBytes: 10_000 })
    const far = await b.test.probe()
    world.network.partition('a', 'b')
    const message = 'x'.repeat(1_000)
    let full: unknown
    for (let at = 0; at < 100 && full === undefined; at++) full = a.system.send(copyOf(far.pid), message)
    expect(full).toMatchObject({ kind: 'mailbox_full', node: 'b', limit: 10_000 })
    a.system.exit(copyOf(far.pid), { kind: 'custom', value: 'signal' })
    world.network.heal('a', 'b')
    await world.settle()
    expect(far.received.at(-1)).toMatchObject({ kind: 'exit' })
  })

  test('bytes that are no envelope are dropped, whatever they are', async () => {
    const { world, a, b } = await pair()
    const far = await b.test.probe()
    const codec = (await import('@daruma/protocol')).msgpackCodec()
    const noise: unknown[] = [
      null,
      1,
      [],
      ['x'],
      [0],
      [99, 1],
      [1, 1, 'a', 'b', { kind: 'normal' }, true],
      [8, 1, { kind: 'x' }],
      [4, -1, 1],
      [10, 1, {}],
      [1, 1, 1, 'h', { kind: 'error' }, false],
    ]
    for (const each of noise) a.transport.send(b.transport.self, codec.encode(each))
    a.transport.send(b.transport.self, new Uint8Array([7, 7, 7]))
    a.transport.send(b.transport.self, new Uint8Array(0))
    a.system.send(copyOf(far.pid), 'fine')
    await world.settle()
    expect(far.received).toEqual(['fine'])
    expect(b.test.logs.filter(({ message }) => message.includes('not ours'))).toHaveLength(1)
  })
})

describe('nodes among themselves', () => {
  test('a service answers what other nodes ask, with a value or its error; others are not found', async () => {
    const { world, a, b } = await pair()
    b.cluster.serve('double', (input) => (input as number) * 2)
    b.cluster.serve('fail', () => Promise.reject(new AppError('conflict', 'no')))
    const asked = [a.cluster.ask('b', 'double', 21), a.cluster.ask('b', 'fail', 0), a.cluster.ask('b', 'none', 0)]
    const settled = Promise.allSettled(asked)
    await world.settle()
    expect(await settled).toMatchObject([
      { value: 42 },
      { reason: { kind: 'conflict' } },
      { reason: { kind: 'not_found' } },
    ])
    await expect(a.cluster.ask('c', 'double', 1)).rejects.toMatchObject({ kind: 'unavailable' })
  })

  test('an ask that is not answered ends with the node or with its time, once', async () => {
    const { world, a, b } = await pair()
    b.cluster.serve('never', () => new Promise(() => undefined))
    const late = a.cluster.ask('b', 'never', 1, { timeoutMs: 100 }).catch((error: unknown) => error)
    const lost = a.cluster.ask('b', 'never', 1, { timeoutMs: Infinity }).catch((error: unknown) => error)
    await a.test.advance(100)
    expect(await late).toMatchObject({ kind: 'timeout' })
    await world.part(a, b)
    expect(await lost).toMatchObject({ kind: 'unavailable' })
  })

  test('leaving is seen by both sides, and the system lives on alone', async () => {
    const { world, a, b } = await pair()
    const watcher = await a.test.probe()
    watcher.ctx.monitor(copyOf(b.system.spawn(silent)))
    await world.settle()
    await b.cluster.leave()
    await world.settle()
    expect(kinds(watcher.received)).toEqual(['down noconnection'])
    const own = b.system.spawn(echo)
    const answer = b.system.call(own, 1)
    await world.settle()
    expect(await answer).toEqual({ echoed: 1 })
  })

  test('a transport of another node or life is refused', async () => {
    const world = new World()
    const test = new TestSystem({ node: 'x' })
    await expect(joinCluster(test.system, world.network.transport('y', 1))).rejects.toMatchObject({ kind: 'invalid' })
    await joinCluster(test.system, world.network.transport('x', 1))
    await expect(joinCluster(test.system, world.network.transport('x', 1))).rejects.toThrow(/in a cluster already/)
  })
})

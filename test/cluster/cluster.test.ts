import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as realDelay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { createSystem, joinCluster, next, type ActorSystem, type Cluster, type Notice } from '@daruma/actors'
import { openNatsTransport } from '@daruma/nats'
import { startNatsServer, type NatsServer } from '@daruma/nats/testing'
import type { ExitReason, Pid } from '@daruma/protocol'

const cleanups: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startServer(): Promise<NatsServer> {
  const server = await startNatsServer({ jetStream: false })
  cleanups.push(() => server.stop())
  return server
}

/** A node in a process of its own. */
interface Peer {
  readonly name: string
  readonly child: ChildProcess
  readonly lines: string[]
}

async function startPeer(servers: string, name: string): Promise<Peer> {
  const script = fileURLToPath(new URL('peer.mjs', import.meta.url))
  const child = spawn(process.execPath, [script, servers, 'test', name], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  child.stdout.on('data', (chunk: Buffer) => void lines.push(...chunk.toString().trim().split('\n')))
  cleanups.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
  })
  const peer: Peer = { name, child, lines }
  await until(`${name} is ready`, () => lines.some((line) => line.startsWith('ready')))
  return peer
}

/** What the tests do as the recording process. */
type Ctx = { link(pid: Pid): void; monitor(pid: Pid): unknown }

/** The node of the test itself, and a process that records all it gets. */
async function startHere(servers: string) {
  const system = createSystem({ node: 'here' })
  const transport = await openNatsTransport({
    servers,
    cluster: 'test',
    self: { node: system.node, incarnation: system.home.incarnation },
    timing: { heartbeatMs: 100, suspectMs: 500, downMs: 1_500 },
  })
  const cluster = await joinCluster(system, transport)
  const events: string[] = []
  cluster.subscribe(
    (event) => void events.push(`${event.kind} ${event.peer.node}${event.kind === 'down' ? ` ${event.why}` : ''}`),
  )
  const seen: unknown[] = []
  let ctx!: Ctx
  const pid = await system.start(
    {
      name: 'recorder',
      init: (context) => void (ctx = context),
      receive: (_ctx, message: unknown) => {
        seen.push(message)
        return next.same
      },
      notice: (_ctx, notice: Notice) => {
        seen.push('reason' in notice ? `${notice.kind} ${(notice.reason as ExitReason).kind}` : notice.kind)
        return next.same
      },
    },
    { trapExits: true },
  )
  cleanups.push(async () => {
    await cluster.leave()
    await system.shutdown()
  })
  return { system, cluster, events, seen, pid, act: (what: (ctx: Ctx) => void) => what(ctx) }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let round = 0; round < 2_000; round++) {
    if (condition()) return
    await realDelay(5)
  }
  throw new Error(`never: ${what}`)
}

const spawnAt = async (cluster: Cluster, node: string): Promise<Pid> => (await cluster.ask(node, 'spawn', null)) as Pid
const seenBy = (system: ActorSystem, pid: Pid): Promise<unknown> => system.call(pid, { do: 'seen' })

describe('nodes in processes of their own', () => {
  test('a pid of another node works like a local one in send, call, link, monitor and exit', async () => {
    const server = await startServer()
    const here = await startHere(server.url)
    await startPeer(server.url, 'there')
    await until('it is up', () => here.cluster.nodes.length === 1)
    const far = await spawnAt(here.cluster, 'there')
    expect(far.home.node).toBe('there')
    const numbers = Array.from({ length: 5_000 }, (_, at) => at)
    for (const number of numbers) here.system.send(far, number)
    expect(await seenBy(here.system, far)).toEqual(numbers)
    here.system.send(far, { do: 'tell', pid: here.pid, values: numbers })
    here.system.send(far, { do: 'link', pid: here.pid })
    here.act((ctx) => ctx.monitor(far))
    here.system.send(far, { do: 'stop', reason: { kind: 'custom', value: 'done' } })
    await until('its end is told', () => here.seen.length >= numbers.length + 2)
    expect(here.seen.slice(0, numbers.length)).toEqual(numbers)
    expect(here.seen.slice(numbers.length).map(String).toSorted()).toEqual(['down custom', 'exit custom'])
    await expect(here.system.call(far, 'x')).rejects.toMatchObject({ kind: 'not_found' })
  })

  test('kill -9: links, monitors, calls and node monitors get noconnection exactly once; the next life is another', async () => {
    const server = await startServer()
    const here = await startHere(server.url)
    const there = await startPeer(server.url, 'there')
    await until('it is up', () => here.cluster.nodes.length === 1)
    const far = await spawnAt(here.cluster, 'there')
    here.act((ctx) => {
      ctx.link(far)
      ctx.monitor(far)
    })
    here.cluster.monitorNode('there', here.pid)
    await seenBy(here.system, far)
    const blocked = here.cluster
      .ask('there', 'block', 600_000, { timeoutMs: Infinity })
      .catch((error: unknown) => error)
    await realDelay(50)
    const call = here.system.call(far, 'x', { timeoutMs: Infinity }).catch((error: unknown) => error)
    const killedAtMs = performance.now()
    there.child.kill('SIGKILL')
    expect(await call).toMatchObject({ kind: 'unavailable', details: { reason: { kind: 'noconnection' } } })
    expect(await blocked).toMatchObject({ kind: 'unavailable' })
    expect(performance.now() - killedAtMs).toBeLessThan(2_500)
    const told = ['down noconnection', 'exit noconnection', 'node_down']
    await until('all are told', () => here.seen.length >= told.length)
    expect(here.seen.map(String).toSorted()).toEqual(told)

    await startPeer(server.url, 'there')
    await until('the next life is up', () => here.cluster.nodes.length === 1)
    here.system.send(far, 'for the dead')
    here.act((ctx) => ctx.monitor(far))
    const newcomer = await spawnAt(here.cluster, 'there')
    expect(await seenBy(here.system, newcomer)).toEqual([])
    expect(here.seen.map(String).toSorted()).toEqual([
      'down noconnection',
      'down noproc',
      'exit noconnection',
      'node_down',
    ])
    expect(here.events).toEqual(['up there', 'down there silent', 'up there'])
  })

  test('SIGSTOP until it is declared down, then SIGCONT: it is told so, both sides lose their links once, and it is up again', async () => {
    const server = await startServer()
    const here = await startHere(server.url)
    const there = await startPeer(server.url, 'there')
    await until('it is up', () => here.cluster.nodes.length === 1)
    const far = await spawnAt(here.cluster, 'there')
    here.system.send(far, { do: 'link', pid: here.pid })
    here.system.send(far, { do: 'monitor', pid: here.pid })
    await seenBy(here.system, far)
    there.child.kill('SIGSTOP')
    await until('it is declared down', () => here.events.includes('down there silent'))
    await realDelay(500)
    there.child.kill('SIGCONT')
    await until('it is up again', () => here.events.filter((event) => event === 'up there').length === 2)
    expect(here.events).toEqual(['up there', 'down there silent', 'up there'])
    expect(await seenBy(here.system, far)).toEqual(expect.arrayContaining(['exit noconnection', 'down noconnection']))
    expect(await seenBy(here.system, far)).toHaveLength(2)
    expect(there.lines.filter((line) => /^(up|down)/.test(line))).toEqual(['up here', 'down here told', 'up here'])
    expect(here.seen).toEqual(['exit noconnection'])
  })

  test('SIGSTOP shorter than the down time: nobody is down, nothing is lost, order holds', async () => {
    const server = await startServer()
    const here = await startHere(server.url)
    const there = await startPeer(server.url, 'there')
    await until('it is up', () => here.cluster.nodes.length === 1)
    const far = await spawnAt(here.cluster, 'there')
    const numbers = Array.from({ length: 3_000 }, (_, at) => at)
    for (const round of [0, 1, 2]) {
      there.child.kill('SIGSTOP')
      for (const number of numbers.slice(round * 1_000, (round + 1) * 1_000)) here.system.send(far, number)
      await realDelay(400)
      there.child.kill('SIGCONT')
      await realDelay(200)
    }
    expect(await seenBy(here.system, far)).toEqual(numbers)
    expect(here.events).toEqual(['up there'])
  })

  test('a slow node cannot exhaust a fast one: what waits for it is bounded, beyond it the sender has a value', async () => {
    const server = await startServer()
    const here = await startHere(server.url)
    const there = await startPeer(server.url, 'there')
    await until('it is up', () => here.cluster.nodes.length === 1)
    const far = await spawnAt(here.cluster, 'there')
    there.child.kill('SIGSTOP')
    const message = 'x'.repeat(10_000)
    let accepted = 0
    let full: unknown
    while ((full = here.system.send(far, message)) === undefined && accepted < 100_000) accepted++
    expect(full).toMatchObject({ kind: 'mailbox_full', node: 'there' })
    expect(accepted * message.length).toBeLessThan(25_000_000)
    await expect(here.system.call(far, message)).rejects.toMatchObject({ kind: 'rate_limited' })
    there.child.kill('SIGCONT')
    await until('there is room again', () => here.system.send(far, 'last') === undefined)
    expect(await here.system.call(far, { do: 'count' })).toBe(accepted + 1)
    expect(here.events).toEqual(['up there'])
  })

  test('three nodes see one leave in order, and a NATS server that is started again is nobody’s end', async () => {
    const server = await startServer()
    const here = await startHere(server.url)
    const [second, third] = [await startPeer(server.url, 'second'), await startPeer(server.url, 'third')]
    await until('all are up', () => here.cluster.nodes.length === 2 && third.lines.includes('up second'))
    const far = await spawnAt(here.cluster, 'second')
    await server.restart()
    here.system.send(far, 'after the restart')
    expect(await seenBy(here.system, far)).toEqual(['after the restart'])
    third.child.kill('SIGTERM')
    await until('its leave is seen', () => here.cluster.nodes.length === 1 && second.lines.includes('down third left'))
    expect([...here.events].sort()).toEqual(['down third left', 'up second', 'up third'])
  })
})

import { setTimeout as realDelay } from 'node:timers/promises'
import { connect } from 'nats'
import { afterEach, expect, test } from 'vitest'
import type { Logger, NodeId } from '@daruma/protocol'
import { TransportLog } from '@daruma/protocol/testing'
import { openNatsTransport, type NatsTransport, type NatsTransportOptions } from '@daruma/nats'
import { startLossyProxy, startNatsCluster, startNatsServer, type NatsServer } from '@daruma/nats/testing'

const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startServer(): Promise<NatsServer> {
  const server = await startNatsServer({ jetStream: false })
  cleanups.push(() => server.stop())
  return server
}

async function join(
  servers: string,
  node: string,
  options: Partial<NatsTransportOptions> = {},
): Promise<{ readonly transport: NatsTransport; readonly log: TransportLog }> {
  const transport = await openNatsTransport({
    servers,
    cluster: 'test',
    self: { node: node as NodeId, incarnation: 1 },
    timing: { heartbeatMs: 100, suspectMs: 1_500, downMs: 4_000 },
    ...options,
  })
  cleanups.push(() => transport.close())
  const log = new TransportLog()
  await transport.start(log)
  return { transport, log }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let round = 0; round < 2_000; round++) {
    if (condition()) return
    await realDelay(5)
  }
  throw new Error(`never: ${what}`)
}

const numbers = (from: number, count: number): string[] => Array.from({ length: count }, (_, at) => String(from + at))

test('a reconnect shorter than the suspicion time loses nothing and is nobody’s end: what the wire lost is sent again', async () => {
  const server = await startServer()
  const proxy = await startLossyProxy(server.port)
  cleanups.push(() => proxy.close())
  const [a, b] = [await join(proxy.url, 'a'), await join(server.url, 'b')]
  await until('both are up', () => a.transport.peers().length === 1 && b.transport.peers().length === 1)
  let sent = 0
  for (let round = 0; round < 6; round++) {
    // What is written into this hole is gone, and so is whatever the broken connection carried.
    if (round % 2 === 1) proxy.dropRequests()
    for (const text of numbers(sent, 2_000)) a.transport.send(b.transport.self, Buffer.from(text))
    sent += 2_000
    await realDelay(30)
    proxy.breakConnections()
    await realDelay(200)
  }
  await until('all have arrived', () => b.log.received.length >= sent)
  expect(b.log.textsFrom('a')).toEqual(numbers(0, sent))
  expect([a.log.count('down'), b.log.count('down')]).toEqual([0, 0])
  expect(b.transport.counts.repeated + a.transport.counts.framesSent).toBeGreaterThan(0)
})

test('a server that is killed and started again is nobody’s end, and nothing is lost', async () => {
  const server = await startServer()
  const [a, b] = [await join(server.url, 'a'), await join(server.url, 'b')]
  await until('both are up', () => a.transport.peers().length === 1 && b.transport.peers().length === 1)
  for (const text of numbers(0, 500)) a.transport.send(b.transport.self, Buffer.from(text))
  await server.kill()
  for (const text of numbers(500, 500)) a.transport.send(b.transport.self, Buffer.from(text))
  await server.start()
  await until('all have arrived', () => b.log.received.length >= 1_000)
  expect(b.log.textsFrom('a')).toEqual(numbers(0, 1_000))
  expect([a.log.count('down'), b.log.count('down')]).toEqual([0, 0])
})

test('three servers that lose one after the other: nodes move to those that stand, nobody is down, nothing is lost', async () => {
  const servers = await startNatsCluster()
  cleanups.push(() => servers.stop())
  const urls = servers.urls.join(',')
  const [a, b] = [await join(urls, 'a'), await join(urls, 'b')]
  await until('both are up', () => a.transport.peers().length === 1 && b.transport.peers().length === 1)
  let sent = 0
  for (const index of [0, 1, 2]) {
    for (const text of numbers(sent, 500)) a.transport.send(b.transport.self, Buffer.from(text))
    await servers.kill(index)
    for (const text of numbers(sent + 500, 500)) a.transport.send(b.transport.self, Buffer.from(text))
    sent += 1_000
    await until('all have arrived', () => b.log.received.length >= sent)
    await servers.start(index)
    // The routes between the servers stand again before the next is taken away.
    await realDelay(1_500)
  }
  expect(b.log.textsFrom('a')).toEqual(numbers(0, sent))
  expect([a.log.count('down'), b.log.count('down')]).toEqual([0, 0])
})

test('frames that are not ours are counted and dropped, with one line in the log', async () => {
  const server = await startServer()
  const lines: string[] = []
  const logger: Logger = { log: (level, message) => void (level === 'warn' && lines.push(message)) }
  const [a, b] = [await join(server.url, 'a', { logger }), await join(server.url, 'b')]
  await until('both are up', () => a.transport.peers().length === 1)
  const stranger = await connect({ servers: server.url })
  for (let at = 0; at < 200; at++) {
    stranger.publish('daruma.cluster.test.node.a.1', Buffer.from(`nonsense ${at}`))
    stranger.publish('daruma.cluster.test.heartbeat', Buffer.from([1, 0, 3, 4]))
  }
  await stranger.flush()
  await stranger.close()
  b.transport.send(a.transport.self, Buffer.from('still here'))
  await until('the good one arrives', () => a.log.received.length === 1)
  expect(a.transport.counts.malformed).toBe(400)
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/^a frame that is not ours was dropped: /)
})

test('a later life of the same node makes the earlier one leave, and says so', async () => {
  const server = await startServer()
  let by: number | undefined
  const first = await join(server.url, 'a', { onSuperseded: (peer) => (by = peer.incarnation) })
  const b = await join(server.url, 'b')
  await until('both are up', () => b.transport.peers().length === 1)
  const second = await join(server.url, 'a', { self: { node: 'a' as NodeId, incarnation: 2 } })
  await until('the first has left', () => by === 2 && b.log.count('up a.2') === 1 && second.log.count('up') === 1)
  expect(first.log.story.at(-1)).toBe('down b.1 closed')
  expect(b.transport.peers()).toEqual([second.transport.self])
})

test('names and timings that cannot work are refused with what would', async () => {
  const self = { node: 'x' as NodeId, incarnation: 1 }
  await expect(openNatsTransport({ cluster: 'a b', self })).rejects.toThrow(/cluster "a b": 1 to 100 characters/)
  await expect(
    openNatsTransport({ cluster: 'c', self: { node: 'x'.repeat(256) as NodeId, incarnation: 1 } }),
  ).rejects.toThrow(/1 to 255 bytes, this one 256/)
  await expect(openNatsTransport({ cluster: 'c', self, timing: { downMs: 1 } })).rejects.toThrow(/must hold/)
})

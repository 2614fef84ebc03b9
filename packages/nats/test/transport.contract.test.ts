import { afterAll, beforeAll, describe, test } from 'vitest'
import { setTimeout as realDelay } from 'node:timers/promises'
import type { Transport } from '@daruma/protocol'
import { transportContract, type TransportHarness } from '@daruma/protocol/testing'
import { openNatsTransport, type NatsTransport } from '@daruma/nats'
import { startLossyProxy, startNatsServer, type LossyProxy, type NatsServer } from '@daruma/nats/testing'
import type { NodeId } from '@daruma/protocol'

let server: NatsServer
const proxies = new Map<Transport, LossyProxy>()

beforeAll(async () => {
  server = await startNatsServer({ jetStream: false })
})

afterAll(async () => {
  for (const [transport, proxy] of proxies) {
    await (transport as NatsTransport).abandon()
    await proxy.close()
  }
  await server.stop()
})

/** Each node has its own proxy in front of the server, so that one can be cut off. */
const harness: TransportHarness = {
  async make(node, incarnation) {
    const proxy = await startLossyProxy(server.port)
    const transport = await openNatsTransport({
      servers: proxy.url,
      // Cases must not meet: the first letter of a case's names is its cluster.
      cluster: `contract-${node[0]}`,
      self: { node: node as NodeId, incarnation },
      timing: { heartbeatMs: 100, suspectMs: 350, downMs: 1_000 },
    })
    proxies.set(transport, proxy)
    return transport
  },
  crash: (transport) => (transport as NatsTransport).abandon(),
  async isolate(transport) {
    const proxy = proxies.get(transport)!
    proxy.dropAnswers()
    proxy.dropRequests()
  },
  async heal(transport) {
    proxies.get(transport)!.breakConnections()
  },
  async until(what, condition) {
    for (let round = 0; round < 1_500; round++) {
      if (condition()) return
      await realDelay(5)
    }
    throw new Error(`never: ${what}`)
  },
}

describe('NatsTransport keeps the contract of Transport', () => {
  for (const { title, run } of transportContract) test(title, () => run(harness))
})

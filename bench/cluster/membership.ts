import { openNatsTransport, type NatsTransport } from '@daruma/nats'
import { startNatsServer } from '@daruma/nats/testing'
import { systemClock, type NodeId } from '@daruma/protocol'
import { scaledMs, type Measurement } from '../harness.ts'

/** Idle nodes in this process, each with a connection of its own. */
const sizes = [10, 50, 100]
const watchMs = 4_000

/**
 * What it costs to know who is up: processor time per node and second, and how long a node that joins takes until it is up
 * for all others. Every node hears every heartbeat, so the cost of one grows with the number of nodes: at the default of two
 * heartbeats a second the figure for 100 nodes says what one heartbeat costs its hearer, and 1,000 nodes cost ten times that.
 */
export async function run(): Promise<readonly Measurement[]> {
  const clock = systemClock()
  const figures: Measurement[] = []
  for (const size of sizes) {
    const server = await startNatsServer({ jetStream: false })
    const nodes: NatsTransport[] = []
    let ups = 0
    const open = async (at: number): Promise<void> => {
      const transport = await openNatsTransport({
        servers: server.url,
        cluster: 'bench',
        self: { node: `n${at}` as NodeId, incarnation: 1 },
      })
      nodes.push(transport)
      await transport.start({ onReceive: () => undefined, onNodeUp: () => void ups++, onNodeDown: () => undefined })
    }
    const settled = async (all: number): Promise<void> => {
      while (ups < all * (all - 1)) await new Promise<void>((resolve) => void clock.after(1, resolve))
    }
    for (let at = 0; at < size - 1; at++) await open(at)
    await settled(size - 1)
    const joinedAtMs = clock.monotonicMs()
    await open(size - 1)
    await settled(size)
    const joinMs = clock.monotonicMs() - joinedAtMs

    const before = process.cpuUsage()
    const startMs = clock.monotonicMs()
    await new Promise<void>((resolve) => void clock.after(scaledMs(watchMs), resolve))
    const { user, system } = process.cpuUsage(before)
    const perNodeSecond = (user + system) / 1_000 / size / ((clock.monotonicMs() - startMs) / 1_000)
    figures.push(
      { name: `membership, ${size} nodes: processor time per node and second`, unit: 'ms', value: perNodeSecond },
      { name: `membership, ${size} nodes: the last to join is up for all`, unit: 'ms', value: joinMs },
    )
    await Promise.all(nodes.map((node) => node.abandon()))
    await server.stop()
  }
  return figures
}

import { createSystem, joinCluster, next, type ActorSystem, type Context } from '@daruma/actors'
import { openNatsTransport } from '@daruma/nats'
import { openBarePair, startNatsServer } from '@daruma/nats/testing'
import { msgpackCodec, Pid } from '@daruma/protocol'
import { rate, scaled, signal, type Measurement } from '../harness.ts'

const messages = scaled(200_000)
const roundTrips = scaled(5_000)
const calls = scaled(50_000)
const callsInFlight = 100

/** About 60 bytes on the wire, as the bare payload is. */
const order = { kind: 'order', id: 1_234_567, customer: 'c-4711', total: 99.5 }

interface Node {
  readonly system: ActorSystem
  close(): Promise<void>
}

async function startNode(servers: string, node: string): Promise<Node> {
  const system = createSystem({ node })
  const { incarnation } = system.home
  const transport = await openNatsTransport({ servers, cluster: 'bench', self: { node: system.node, incarnation } })
  const cluster = await joinCluster(system, transport)
  return {
    system,
    async close() {
      await cluster.leave()
      await system.shutdown()
    },
  }
}

/** As another node sees it. */
const copyOf = (pid: Pid): Pid => new Pid(pid.home, pid.id)

/**
 * Both nodes in this process, one real server on loopback; the floor is the bare client with two connections, which
 * neither encodes nor acknowledges. What is not measured: two machines, TLS, servers in a cluster.
 */
export async function run(): Promise<readonly Measurement[]> {
  const server = await startNatsServer({ jetStream: false })
  const [a, b] = [await startNode(server.url, 'a'), await startNode(server.url, 'b')]
  while (a.system.peers.length === 0 || b.system.peers.length === 0) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  const bare = await openBarePair(server.url)
  const payload = msgpackCodec().encode([0, 17, order])

  let onMessage = (): void => undefined
  const sink = b.system.spawn({ name: 'sink', receive: () => (onMessage(), next.same) })
  const echo = b.system.spawn({
    name: 'echo',
    receive: (ctx: Context<Pid>, from: Pid) => {
      ctx.send(from, ctx.self)
      return next.same
    },
  })
  const server2 = b.system.spawn({
    name: 'server',
    receive: (ctx: Context<object>, request: object) => {
      ctx.reply(request, request)
      return next.same
    },
  })

  const burst = async (): Promise<void> => {
    const { done, fire } = signal()
    let left = messages
    onMessage = () => {
      if (--left === 0) fire()
    }
    const to = copyOf(sink)
    for (let at = 0; at < messages; at++) {
      while (a.system.send(to, order) !== undefined) await new Promise((resolve) => setImmediate(resolve))
      if (at % 4_096 === 4_095) await new Promise((resolve) => setImmediate(resolve))
    }
    await done
  }

  const pingPong = async (): Promise<void> => {
    const { done, fire } = signal()
    let left = roundTrips
    const player = a.system.spawn({
      name: 'player',
      init: (ctx: Context<Pid>) => void ctx.send(copyOf(echo), ctx.self),
      receive: (ctx: Context<Pid>, from: Pid) => {
        if (--left > 0) ctx.send(from, ctx.self)
        else fire()
        return left > 0 ? next.same : next.stop({ kind: 'normal' })
      },
    })
    await done
    void player
  }

  const callMany = async (): Promise<void> => {
    const to = copyOf(server2)
    let left = calls
    await Promise.all(
      Array.from({ length: callsInFlight }, async () => {
        while (left-- > 0) await a.system.call(to, order)
      }),
    )
  }

  const figures: Measurement[] = [
    {
      name: 'remote send, batched',
      unit: 'messages/s',
      value: await rate(messages, burst, 5),
      floor: await rate(messages, () => bare.burst(messages, payload), 5),
      budget: { share: 0.6 },
    },
    {
      name: 'remote send, one alone (round trips)',
      unit: 'round trips/s',
      value: await rate(roundTrips, pingPong, 3),
      floor: await rate(roundTrips, () => bare.pingPong(roundTrips, payload), 3),
      budget: { share: 0.9 },
    },
    {
      name: `remote call, ${callsInFlight} in flight`,
      unit: 'calls/s',
      value: await rate(calls, callMany, 3),
    },
  ]
  await bare.close()
  await a.close()
  await b.close()
  await server.stop()
  return figures
}

// A node of its own in a process of its own, for the tests of cluster.test.ts: what it runs is asked of it by services.
import { createSystem, joinCluster, next } from '@daruma/actors'
import { openNatsTransport } from '@daruma/nats'

const [, , servers, cluster, node] = process.argv
const say = (line) => process.stdout.write(`${line}\n`)

const system = createSystem({ node })
const { incarnation } = system.home
const transport = await openNatsTransport({
  servers,
  cluster,
  self: { node, incarnation },
  timing: { heartbeatMs: 100, suspectMs: 500, downMs: 1_500 },
})
const joined = await joinCluster(system, transport)
joined.subscribe(({ kind, peer, why }) => say(`${kind} ${peer.node} ${why ?? ''}`.trim()))

const brief = (item) => {
  if (typeof item !== 'object' || item === null || item.kind === undefined) return item
  return item.reason === undefined ? item.kind : `${item.kind} ${item.reason.kind}`
}

/** Remembers what it gets; does what it is told by `{ do, pid }`; answers calls with what it remembers. */
const recorder = {
  name: 'recorder',
  init: (ctx) => {
    ctx.trapExits = true
    return []
  },
  receive: (ctx, message, seen) => {
    if (message?.do === 'link') ctx.link(message.pid)
    else if (message?.do === 'monitor') ctx.monitor(message.pid)
    else if (message?.do === 'stop') return next.stop(message.reason)
    else if (message?.do === 'tell') for (const each of message.values) ctx.send(message.pid, each)
    else if (message?.do === 'seen') ctx.reply(message, seen)
    else if (message?.do === 'count') ctx.reply(message, seen.length)
    else seen.push(message)
    return next.same
  },
  notice: (_ctx, notice, seen) => {
    seen.push(brief(notice))
    return next.same
  },
}

joined.serve('spawn', () => system.spawn(recorder))
joined.serve('block', (forMs) => {
  const untilMs = performance.now() + forMs
  while (performance.now() < untilMs);
  return null
})
say(`ready ${incarnation}`)
process.on('SIGTERM', () => void joined.leave().then(() => process.exit(0)))

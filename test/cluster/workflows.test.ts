import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as realDelay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { activity, createNode, workflow } from '@daruma/daruma'
import { startNatsServer } from '@daruma/nats/testing'
import { seededRng } from '@daruma/protocol'

const double = activity('double', (n: number) => n * 2)
const adder = workflow('adder', async (ctx, n: number) => {
  const doubled = await ctx.call(double, n)
  const more = await ctx.receive<number>('more')
  await ctx.sleep(200)
  return doubled + (await ctx.call(double, more))
})

async function startWorker(nats: string, name: string): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('worker.mjs', import.meta.url))
  const child = spawn(process.execPath, [script, nats, name], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const closed = once(child, 'close')
  child.kill(signal)
  await closed
}

test('three nodes run workflows while nodes are killed at random: every one ends, with its right result', async () => {
  const seed = process.env['DARUMA_SEED'] ?? String(process.pid)
  console.log(`DARUMA_SEED=${seed}`)
  const chance = seededRng(seed)
  const server = await startNatsServer()
  const names = ['n1', 'n2', 'n3']
  const children = new Map<string, ChildProcess>()
  for (const name of names) children.set(name, await startWorker(server.url, name))
  // The node that asks owns its share, too, and stays.
  const node = await createNode({
    name: 'asker',
    nats: server.url,
    cluster: 'flows',
    workflows: [adder],
    functions: [double],
    leaseMs: 1_500,
  })
  try {
    let isOver = false
    const killing = (async () => {
      for (let round = 0; round < 5; round++) {
        await realDelay(300 + chance.next() * 900)
        const name = names[Math.floor(chance.next() * names.length)]!
        // One in three leaves in order.
        await end(children.get(name)!, chance.next() < 1 / 3 ? 'SIGTERM' : 'SIGKILL')
        children.set(name, await startWorker(server.url, name))
      }
      isOver = true
    })()
    const results: Promise<unknown>[] = []
    let count = 0
    for (; !isOver && count < 400; count++) {
      const id = `w${count}`
      // What is lost with its answer is asked again: with an id the same again meets the first.
      const handle = await insist(() => node.start(adder, count, { id }))
      await insist(() => node.engine.send(id, 'more', [1_000], { messageId: `more-${id}` }))
      results.push(handle.result())
    }
    await killing
    expect(await Promise.all(results)).toEqual(Array.from({ length: count }, (_, at) => 2 * at + 2_000))
    expect(count).toBeGreaterThan(20)
    console.log(`${count} workflows, partitions of the asker: ${node.engine.ownership.owned}`)
    const { owned, partitions, others } = node.engine.ownership
    expect([...others.values()].reduce((sum, each) => sum + each, owned)).toBe(partitions)
  } finally {
    await node.close()
    await Promise.all([...children.values()].map((child) => end(child, 'SIGKILL')))
    await server.stop()
  }
}, 90_000)

async function insist<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      if (attempt === 10 || (error as { retryable?: boolean }).retryable !== true) throw error
      await realDelay(200)
    }
  }
}

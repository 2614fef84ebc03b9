import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@daruma/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { loadWholeApp } from '../src/app.ts'
import { boot, type RunningNode } from '../src/compose.ts'

const example = new URL('../../../examples/http-orders', import.meta.url).pathname

/** A copy of the example: what it keeps is kept in its folder. */
function copied(): { readonly start: () => Promise<{ node: RunningNode; url: string }> } {
  const folder = mkdtempSync(join(tmpdir(), 'daruma-http-orders-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(example, folder, { recursive: true, filter: (path) => !path.includes('.daruma') })
  return {
    async start() {
      const port = await freePort()
      const node = await boot(loadWholeApp({ folder, env: { PORT: String(port) } }), { logger: silentLogger })
      onTestFinished(() => node.stop())
      return { node, url: `http://127.0.0.1:${port}` }
    },
  }
}

const post = (url: string, body: unknown): Promise<Response> =>
  fetch(url, { method: 'POST', body: JSON.stringify(body) })

const json = async (response: Response): Promise<Record<string, unknown>> =>
  (await response.json()) as Record<string, unknown>

async function whenIs(url: string, status: string): Promise<Record<string, unknown>> {
  for (;;) {
    const order = await json(await fetch(url))
    if (order['status'] === status) return order
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('an order placed by HTTP waits for its approval, also over a restart of the node, and is charged once', async () => {
  const app = copied()
  const first = await app.start()
  const placed = await post(`${first.url}/orders`, { id: '7', customer: 'ada', amount: 120 })
  expect(placed.status).toBe(201)
  expect(placed.headers.get('location')).toBe('/orders/7')
  const again = await post(`${first.url}/orders`, { id: '7', customer: 'ada', amount: 120 })
  expect(await json(again)).toEqual(await json(placed))
  expect(await whenIs(`${first.url}/orders/7`, 'waiting')).toMatchObject({ id: '7', customer: 'ada' })
  await first.node.stop()

  const { url } = await app.start()
  expect((await post(`${url}/orders/7/approve`, { by: 'grace' })).status).toBe(202)
  expect(await whenIs(`${url}/orders/7`, 'paid')).toMatchObject({ by: 'grace', charge: 'ch_7' })
  expect((await post(`${url}/orders/7/approve`, {})).status).toBe(409)
  expect((await post(`${url}/orders`, { id: '7', customer: 'ada', amount: 120 })).status).toBe(409)
})

test('what cannot be is told with its status', async () => {
  const { url } = await copied().start()
  expect((await post(`${url}/orders`, { customer: 'ada' })).status).toBe(400)
  expect((await fetch(`${url}/orders`, { method: 'POST', body: '{' })).status).toBe(400)
  expect((await fetch(`${url}/orders/none`)).status).toBe(404)
  expect((await post(`${url}/orders/none/approve`, {})).status).toBe(404)
  expect((await fetch(`${url}/orders/none`, { method: 'DELETE' })).status).toBe(405)
  await post(`${url}/orders`, { id: '8', customer: 'eve', amount: 20_000 })
  await whenIs(`${url}/orders/8`, 'waiting')
  await post(`${url}/orders/8/approve`, {})
  expect(await whenIs(`${url}/orders/8`, 'refused')).toMatchObject({ reason: 'the card is not good for 20000' })
})

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net')
  const probe = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => probe.once('listening', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

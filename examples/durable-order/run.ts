// An order that survives `kill -9`: the first life dies in the middle of it, the second carries it to its end.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { activity, createNode, workflow } from '@daruma/daruma'

const life = process.argv[2] ?? 'second'
const data = process.argv[3] ?? mkdtempSync(join(tmpdir(), 'durable-order-'))

const charge = activity('charge', (order: { id: string }, { idempotencyKey }) => {
  console.log(`${life} life: charging ${order.id} with key ${idempotencyKey}`)
  return `charge of ${order.id}`
})
const ship = activity('ship', (paid: string) => {
  if (life === 'first') process.kill(process.pid, 'SIGKILL')
  console.log(`${life} life: shipping`)
  return `shipped after ${paid}`
})
const order = workflow('order', async (ctx, input: { id: string }) => {
  const paid = await ctx.call(charge, input)
  await ctx.sleep('1s')
  return ctx.call(ship, paid)
})

if (life === 'second') {
  const [, signal] = (await once(fork(import.meta.filename, ['first', data]), 'exit')) as [number | null, string]
  console.log(`the first life ended by ${signal}`)
}
await using node = await createNode({ data, workflows: [order], functions: [charge, ship] })
const handle = await node.start(order, { id: 'order-7' }, { id: 'order-7' })
const result = await handle.result()
console.log(`${handle.id}: ${result}`)
if (result !== 'shipped after charge of order-7') throw new Error(`wrong result: ${result}`)

// A node with workflows in a process of its own, for workflows.test.ts.
import { activity, createNode, workflow } from '@daruma/daruma'

const [, , nats, name] = process.argv
const double = activity('double', (n) => n * 2)
const adder = workflow('adder', async (ctx, n) => {
  const doubled = await ctx.call(double, n)
  const more = await ctx.receive('more')
  await ctx.sleep(200)
  return doubled + (await ctx.call(double, more))
})

const node = await createNode({ name, nats, cluster: 'flows', workflows: [adder], functions: [double], leaseMs: 1_500 })
process.stdout.write('ready\n')
process.on('SIGTERM', () => void node.close().then(() => process.exit(0)))

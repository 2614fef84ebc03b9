import type { Log } from '@daruma/protocol'
import { activity, FunctionExecutor, workflow, WorkflowDirectory, WorkflowEngine } from '@daruma/workflow'
import { scaled, type Measurement } from '../harness.ts'
import { openStores } from './stores.ts'

const step = activity('step', (n: number) => n + 1)
const chain = workflow('chain', async (ctx, count: number) => {
  let value = 0
  for (let at = 0; at < count; at++) value = await ctx.call(step, value)
  return value
})

/** A step is a call executed and its result recorded. Floor: bare appends of commits as large, as wide, no engine. */
export async function run(): Promise<Measurement[]> {
  const found: Measurement[] = []
  for (const store of await openStores()) {
    const engine = await WorkflowEngine.open({
      taskQueue: 'bench',
      storage: store.storage,
      programs: (type) => (type === chain.name ? chain.create : undefined),
      executor: new FunctionExecutor([step]),
      directory: new WorkflowDirectory(),
    })
    await sequential(engine, scaled(200, 10))
    found.push({
      name: `${store.name}: one workflow, sequential`,
      unit: 'ms/step',
      value: await sequential(engine, scaled(1_000, 10)),
      floor: await bareLatencyMs(store.storage.log, scaled(1_000, 10)),
    })
    await wide(engine, 200, scaled(20, 2))
    found.push({
      name: `${store.name}: 200 workflows in flight`,
      unit: 'steps/s',
      value: await wide(engine, 200, scaled(100, 2)),
      floor: await bareRate(store.storage.log, 200, 200, scaled(100, 2)),
    })
    found.push({
      name: `${store.name}: one-step workflow, start to result`,
      unit: 'ms',
      value: await startToResult(engine, scaled(300, 10)),
    })
    await engine.close()
    await store.close()
  }
  return found
}

async function sequential(engine: WorkflowEngine, steps: number): Promise<number> {
  const startMs = performance.now()
  const pid = await engine.start('chain', [steps])
  await engine.ended(String(pid.id))
  return (performance.now() - startMs) / steps
}

async function wide(engine: WorkflowEngine, workflows: number, steps: number): Promise<number> {
  const startMs = performance.now()
  await Promise.all(
    Array.from({ length: workflows }, async () => {
      const pid = await engine.start('chain', [steps])
      await engine.ended(String(pid.id))
    }),
  )
  return (workflows * steps * 1_000) / (performance.now() - startMs)
}

async function startToResult(engine: WorkflowEngine, rounds: number): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const startMs = performance.now()
    const pid = await engine.start('chain', [1])
    await engine.ended(String(pid.id))
    times.push(performance.now() - startMs)
  }
  return times.toSorted((a, b) => a - b)[rounds >> 1]!
}

async function bareLatencyMs(log: Log, appends: number): Promise<number> {
  const bytes = new Uint8Array(160)
  let seq = 0
  const startMs = performance.now()
  for (let at = 0; at < appends; at++) seq = await append(log, 'bare', seq, bytes)
  return (performance.now() - startMs) / appends
}

/** As many partitions as an engine has, each with one append of a group under way. */
async function bareRate(log: Log, width: number, entryBytes: number, rounds: number): Promise<number> {
  const partitions = 8
  const bytes = new Uint8Array((width / partitions) * entryBytes)
  const startMs = performance.now()
  await Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      let seq = 0
      for (let round = 0; round < rounds; round++) seq = await append(log, `bare-${partition}`, seq, bytes)
    }),
  )
  return (width * rounds * 1_000) / (performance.now() - startMs)
}

async function append(log: Log, partition: string, seq: number, bytes: Uint8Array): Promise<number> {
  const answer = await log.append(partition, seq, bytes)
  if (answer.kind === 'refused') throw new Error('the bare log was refused')
  return answer.seq
}

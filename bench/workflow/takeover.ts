import { scaled, type Measurement } from '../harness.ts'
import { openSleepers, startSleepers } from './sleepers.ts'
import { openStores } from './stores.ts'

const count = scaled(100_000)

/** From the decision to take over until all partitions are owned and read. */
export async function run(): Promise<Measurement[]> {
  const found: Measurement[] = []
  for (const store of await openStores()) {
    const engine = await openSleepers(store.storage)
    await startSleepers(engine, count)
    const takeOver = async (name: string): Promise<void> => {
      const startMs = performance.now()
      const next = await openSleepers(store.storage)
      const value = performance.now() - startMs
      let open = 0
      for (const { status } of next.list()) if (status === 'running') open++
      if (open !== count) throw new Error(`${open} of ${count} workflows are there`)
      found.push({ name: `${store.name}: ${name}`, unit: 'ms', value, budget: { absolute: 1_500 } })
      await next.close()
    }
    await engine.close()
    await takeOver('100,000 workflows as they were started')
    const next = await openSleepers(store.storage)
    const startMs = performance.now()
    await next.checkpoint()
    found.push({ name: `${store.name}: a checkpoint of all of them`, unit: 'ms', value: performance.now() - startMs })
    await next.close()
    await takeOver('100,000 workflows behind a checkpoint')
    await store.close()
  }
  return found
}

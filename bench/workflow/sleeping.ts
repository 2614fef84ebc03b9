import { readFileSync } from 'node:fs'
import { collectGarbage, type Measurement } from '../harness.ts'
import { openSleepers, startSleepers } from './sleepers.ts'
import { openStores } from './stores.ts'

const count = 100_000

/** What a sleeping workflow costs the node that owns it: one that it started, and one that it took over. */
export async function run(): Promise<Measurement[]> {
  const [store, other] = await openStores()
  await other?.close()
  if (store === undefined) return []
  const atStart = anonymousBytes()
  const engine = await openSleepers(store.storage)
  await startSleepers(engine, count)
  await new Promise((resolve) => setTimeout(resolve, 500))
  const started = (anonymousBytes() - atStart) / count
  await engine.checkpoint()
  const checkpointed = (anonymousBytes() - atStart) / count
  await engine.close()
  const closed = anonymousBytes()
  const again = await openSleepers(store.storage)
  const takenOver = (anonymousBytes() - closed) / count
  await again.close()
  await store.close()
  return [
    { name: 'a sleeping workflow, started here', unit: 'B', value: started },
    { name: 'the same after a checkpoint', unit: 'B', value: checkpointed },
    { name: 'a sleeping workflow, taken over', unit: 'B', value: takenOver, budget: { absolute: 300 } },
  ]
}

/** Resident memory that is not the mapped file of the store. */
function anonymousBytes(): number {
  for (let at = 0; at < 3; at++) collectGarbage()
  const line = /RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(line?.[1]) * 1_024
}

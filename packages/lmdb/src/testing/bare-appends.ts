import { open } from 'lmdb'
import { systemClock } from '@daruma/protocol'

/**
 * The floor of `bench/log`: puts per second that are on disk, by the library's own batching and nothing else.
 * No owner, no compare-and-set, no copy.
 */
export async function bareAppendsPerSecond(
  folder: string,
  inFlight: number,
  bytes: Uint8Array,
  durationMs: number,
): Promise<number> {
  const root = open({ path: folder, overlappingSync: false, encoding: 'binary' })
  const records = root.openDB<Uint8Array, [string, number]>({ name: 'bare', encoding: 'binary' })
  const clock = systemClock()
  const startMs = clock.monotonicMs()
  let count = 0
  const chain = async (name: string): Promise<void> => {
    for (let seq = 1; clock.monotonicMs() - startMs < durationMs; seq++) {
      await records.put([name, seq], bytes)
      count += 1
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, at) => chain(`p${at}`)))
  const elapsedMs = clock.monotonicMs() - startMs
  await root.close()
  return (count / elapsedMs) * 1_000
}

import { openLmdb } from '@daruma/lmdb'
import { bareAppendsPerSecond as bareLmdb, temporaryFolder } from '@daruma/lmdb/testing'
import { openNats } from '@daruma/nats'
import { bareAppendsPerSecond as bareNats, startNatsServer } from '@daruma/nats/testing'
import { systemClock, type Log } from '@daruma/protocol'
import { MemoryLog } from '@daruma/protocol/testing'

export interface AppendFigures {
  readonly store: string
  readonly inFlight: number
  readonly appendsPerSecond: number
  /** The bare exchange with the same store in the same run; undefined: an array in memory, which says nothing. */
  readonly floorPerSecond: number | undefined
}

const loads = [1, 8, 200]
const recordBytes = 256

/** Each chain has one append in flight: so many chains, so many in flight. */
async function appendsPerSecond(log: Log, inFlight: number, durationMs: number): Promise<number> {
  const clock = systemClock()
  const bytes = new Uint8Array(recordBytes).fill(1)
  const startMs = clock.monotonicMs()
  let count = 0
  const chain = async (partition: string): Promise<void> => {
    let lastSeq = (await log.last(partition))?.seq ?? 0
    while (clock.monotonicMs() - startMs < durationMs) {
      const answer = await log.append(partition, lastSeq, bytes)
      if (answer.kind === 'refused') throw new Error(`${partition}: refused at ${answer.lastSeq}`)
      lastSeq = answer.seq
      count += 1
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, at) => chain(`${inFlight}-${at}`)))
  return (count / (clock.monotonicMs() - startMs)) * 1_000
}

/** Appends per second of 256-byte records with 1, 8 and 200 in flight, on each store, beside its floor. */
export async function* measureAppends(options: { readonly durationMs?: number } = {}): AsyncGenerator<AppendFigures> {
  const durationMs = options.durationMs ?? 1_500
  const bytes = new Uint8Array(recordBytes).fill(1)

  for (const inFlight of loads) {
    const log = new MemoryLog()
    // Memory never gives the event loop back, so it gets a tenth of the time.
    const figure = await appendsPerSecond(log, inFlight, durationMs / 10)
    yield { store: 'memory', inFlight, appendsPerSecond: figure, floorPerSecond: undefined }
  }

  for (const inFlight of loads) {
    const bare = temporaryFolder()
    const floorPerSecond = await bareLmdb(bare.folder, inFlight, bytes, durationMs)
    bare.remove()
    const { folder, remove } = temporaryFolder()
    const store = await openLmdb(folder)
    const figure = await appendsPerSecond(store.log, inFlight, durationMs)
    await store.close()
    remove()
    yield { store: 'lmdb (disk)', inFlight, appendsPerSecond: figure, floorPerSecond }
  }

  const server = await startNatsServer()
  const store = await openNats({ servers: server.url })
  const name = `nats-server ${store.info.version} (process)`
  for (const inFlight of loads) {
    const floorPerSecond = await bareNats(server.url, inFlight, bytes, durationMs)
    const figure = await appendsPerSecond(await store.log(`bench-${inFlight}`), inFlight, durationMs)
    yield { store: name, inFlight, appendsPerSecond: figure, floorPerSecond }
  }
  await store.close()
  await server.stop()
}

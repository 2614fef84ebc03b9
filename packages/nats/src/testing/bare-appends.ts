import { systemClock } from '@daruma/protocol'
import { StorageType, connect, createInbox, headers } from 'nats'

/**
 * The floor of `bench/log`: acknowledged publishes per second with the same compare-and-set, by callbacks and nothing else.
 * No promises, no deadlines, no errors: it throws at the first refusal.
 */
export async function bareAppendsPerSecond(
  url: string,
  inFlight: number,
  bytes: Uint8Array,
  durationMs: number,
): Promise<number> {
  const client = await connect({ servers: url })
  const { streams } = await client.jetstreamManager()
  const stream = `BARE_${inFlight}`
  await streams.add({ name: stream, subjects: [`bare.${inFlight}.*`], storage: StorageType.File, allow_direct: true })
  const clock = systemClock()
  const inbox = createInbox()
  const startMs = clock.monotonicMs()
  let count = 0
  let open = inFlight
  await new Promise<void>((resolve, reject) => {
    const append = (chain: string, lastSeq: number): void => {
      const fields = headers()
      fields.set('Nats-Expected-Last-Subject-Sequence', String(lastSeq))
      client.publish(`bare.${inFlight}.${chain}`, bytes, { reply: `${inbox}.${chain}`, headers: fields })
    }
    client.subscribe(`${inbox}.*`, {
      callback: (_error, reply) => {
        const ack = reply.json<{ readonly seq?: number; readonly error?: unknown }>()
        if (ack.seq === undefined) return reject(new Error(JSON.stringify(ack.error)))
        count += 1
        if (clock.monotonicMs() - startMs < durationMs) append(reply.subject.slice(inbox.length + 1), ack.seq)
        else if (--open === 0) resolve()
      },
    })
    for (let chain = 0; chain < inFlight; chain++) append(`p${chain}`, 0)
  })
  const elapsedMs = clock.monotonicMs() - startMs
  await streams.delete(stream)
  await client.close()
  return (count / elapsedMs) * 1_000
}

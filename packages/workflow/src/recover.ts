import type { Codec, Log, Logger } from '@daruma/protocol'
import { decodeCommit, decodeEvent } from './commit.ts'
import type { JournalEvent } from './events.ts'
import { Head } from './head.ts'

export interface Recovered {
  readonly heads: Map<string, Head>
  readonly open: number
  readonly events: number
}

/**
 * The heads of a partition from one scan of its log, up to the claim of its new owner.
 *
 * An entry that cannot be read makes its workflow stuck, never others: it is reported with its place and not skipped.
 *
 * @throws AppError invalid - a whole commit that cannot be read, or one of a newer version
 */
export async function recoverHeads(
  log: Log,
  partition: string,
  untilSeq: number,
  codec: Codec,
  logger: Logger,
): Promise<Recovered> {
  const heads = new Map<string, Head>()
  let events = 0
  for await (const { seq, bytes } of log.scan(partition, 0)) {
    if (seq > untilSeq) break
    const commit = decodeCommit(codec, bytes, { partition, seq })
    if (commit.kind === 'claimed') continue
    for (const entry of commit.entries) {
      events++
      let event: JournalEvent
      try {
        event = decodeEvent(codec, entry, { partition, seq })
      } catch (error) {
        const reason = (error as Error).message
        logger.log('error', `poisoned entry: ${reason}`, { partition, seq, workflow: entry.workflow })
        const head = heads.get(entry.workflow)
        if (head !== undefined) head.stuck = { reason }
        continue
      }
      let head = heads.get(entry.workflow)
      if (event.kind === 'started') {
        if (head === undefined) heads.set(entry.workflow, (head = new Head(entry.workflow, event)))
        else head.apply(event)
      } else {
        head?.apply(event)
      }
      if (head === undefined) continue
      head.bytes += entry.bytes.length
      if (head.seqs.at(-1) !== seq) head.seqs.push(seq)
    }
  }
  let open = 0
  for (const head of heads.values()) if (head.isOpen) open++
  return { heads, open, events }
}

import { AppError, type Codec } from '@daruma/protocol'
import type { Carrier } from './carrier.ts'
import type { CommitChain } from './chain.ts'
import { decodeEvent } from './commit.ts'
import type { Started, Wake } from './events.ts'
import type { Head } from './head.ts'
import type { JournalReader } from './journal.ts'
import type { SizedEvent } from './resident.ts'
import type { Slot } from './slot.ts'

/** A journal that stands in more commits than this is written together when it is read. */
const maxScattered = 8

export interface RunReaderOptions {
  /** The name of the partition's log. */
  readonly name: string
  readonly codec: Codec
  readonly chain: CommitChain
  readonly reader: JournalReader
  readonly carrier: Carrier
}

/** Reads the current runs of a partition that is owned, up to all that was added before. */
export class RunReader {
  readonly #options: RunReaderOptions

  constructor(options: RunReaderOptions) {
    this.#options = options
  }

  /**
   * The events of the current run, as they are stored.
   *
   * @throws AppError not_found - it has ended, and its journal is not kept
   */
  async stored(head: Head): Promise<SizedEvent[]> {
    await this.#options.chain.barrier()
    if (head.journalGone) {
      throw new AppError(
        'not_found',
        `workflow ${head.workflow} has ended (${head.status}) and its journal is not kept any longer, only its end`,
      )
    }
    return this.#options.reader.events(head.workflow, head.run, () => head.seqs)
  }

  /** The journal of a workflow that is to run. One that was scattered over many commits is written together (trap 32). */
  async toRun(slot: Slot): Promise<SizedEvent[]> {
    const { chain, reader, carrier, name, codec } = this.#options
    await chain.barrier()
    const { head } = slot
    const { run, workflow } = head
    const after = chain.seq
    slot.missed = []
    const entries = await reader.raw(workflow, run, () => head.seqs)
    const scattered = new Set(entries.map(({ seq }) => seq)).size
    const loose = entries.filter(({ carried }) => !carried).length
    if (scattered > maxScattered && loose * 2 >= entries.length) carrier.gather(head, run, entries, after)
    return entries.map(({ bytes, seq }) => ({
      event: decodeEvent(codec, { workflow, run, bytes }, { partition: name, seq }),
      bytes: bytes.length,
    }))
  }
}

/** As it stands in the journal; a head that was carried does not hold all of it. */
export function startOf(head: Head, [first]: readonly SizedEvent[]): Started {
  return first?.event.kind === 'started' ? first.event : head.started
}

/** The ids of all messages that the run was ever given. */
export function seenIds(started: Started, journal: readonly SizedEvent[]): Set<string> {
  const seen = new Set<string>()
  const see = (wake: Wake): void => {
    if (wake.kind === 'message' && wake.messageId !== undefined) seen.add(wake.messageId)
  }
  for (const id of started.seen ?? []) seen.add(id)
  for (const message of started.messages ?? []) see(message)
  for (const { event } of journal) if (event.kind === 'turn' || event.kind === 'queued') see(event.wake)
  return seen
}

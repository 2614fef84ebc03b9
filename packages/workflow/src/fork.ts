import type { CommitChain } from './chain.ts'
import type { JournalEvent } from './events.ts'
import type { Head } from './head.ts'
import type { ForkedJournal } from './reset.ts'

/** Puts the head where the forked journal leaves it, and answers its entries; what the old run sent has been sent. */
export function takeFork(head: Head, { started, events }: ForkedJournal, chain: CommitChain): Uint8Array[] {
  const bytes: Uint8Array[] = []
  const take = (event: JournalEvent): void => {
    const encoded = chain.encode(event)
    head.apply(event)
    head.bytes += encoded.length
    bytes.push(encoded)
  }
  take(started)
  for (const event of events) take(event)
  const prefix = `${head.run}/`
  const sent = Array.from(head.outbox, ([key]) => key).filter((key) => key.startsWith(prefix))
  if (sent.length > 0) take({ kind: 'settled', keys: sent })
  return bytes
}

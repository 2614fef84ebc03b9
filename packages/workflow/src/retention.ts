import type { Head } from './head.ts'

/** How long the engine remembers workflows that have ended. Those that still owe somebody news are kept in any case. */
export interface Retention {
  /** Since their end. Default seven days. */
  readonly ageMs: number
  /** Per partition; beyond it the longest ended go first. Default 10_000. */
  readonly maxClosed: number
  /** Per partition: journals up to this size in all stay readable, the latest ended first. Default 16 MiB. */
  readonly journalBytes: number
}

export const retentionDefaults: Retention = {
  ageMs: 7 * 24 * 3_600_000,
  maxClosed: 10_000,
  journalBytes: 16 << 20,
}

/** What a checkpoint does with a workflow: carry all of it, carry its end without its journal, or let it go. */
export type Fate = 'journal' | 'head' | 'forget'

export function isExpired(head: Head, nowMs: number, { ageMs }: Pick<Retention, 'ageMs'>): boolean {
  return !head.isOpen && !head.owes && nowMs - head.lastAtMs > ageMs
}

/** Pure: the fate of each. Open workflows are carried whole, however old they are (trap 31). */
export function decideFates(heads: readonly Head[], nowMs: number, retention: Retention): ReadonlyMap<Head, Fate> {
  const fates = new Map<Head, Fate>()
  const closed: Head[] = []
  for (const head of heads) {
    if (head.isOpen) fates.set(head, 'journal')
    else closed.push(head)
  }
  closed.reverse().sort((a, b) => b.lastAtMs - a.lastAtMs) // of those that ended in one instant, the later ones first
  let journalBytes = 0
  for (const [at, head] of closed.entries()) {
    if (!head.owes && (at >= retention.maxClosed || isExpired(head, nowMs, retention))) {
      fates.set(head, 'forget')
      continue
    }
    journalBytes += head.bytes
    fates.set(head, journalBytes <= retention.journalBytes ? 'journal' : 'head')
  }
  return fates
}

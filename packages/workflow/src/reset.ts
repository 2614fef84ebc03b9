import { AppError } from '@daruma/protocol'
import type { JournalEvent, MessageWake, Started, Turn, Wake } from './events.ts'

/** The journal of the run that a reset begins, complete: nothing of it is performed again but what is still pending. */
export interface ForkedJournal {
  readonly started: Started
  /** Of the old run, up to the fork; then the messages that came later, unread again. */
  readonly events: readonly JournalEvent[]
}

/**
 * Pure: the fork of a run before its turn `toTurn` (from 0), which runs anew. Everything random stays as it was, so that
 * the kept turns replay; messages that came after the fork are delivered again, in their order; a cancellation that came
 * after it is not.
 *
 * @throws AppError invalid - the run has no such turn
 */
export function forkJournal(journal: readonly JournalEvent[], toTurn: number, nowMs: number): ForkedJournal {
  const [first, ...rest] = journal
  if (first?.kind !== 'started') throw new AppError('invalid', 'a journal begins with a start')
  const turns = rest.filter(({ kind }) => kind === 'turn').length
  if (!Number.isInteger(toTurn) || toTurn < 0 || toTurn > turns) {
    throw new AppError(
      'invalid',
      `reset to turn ${toTurn}: the run has turns 0 to ${turns - 1}; ${turns} keeps them all`,
    )
  }
  const events: JournalEvent[] = []
  const later: MessageWake[] = []
  let kept = 0
  for (const event of rest) {
    if (kept < toTurn) {
      if (event.kind === 'turn') kept++
      if (event.kind !== 'settled' && event.kind !== 'watched') events.push(withoutEnd(event))
    } else {
      const wake = wakeOf(event)
      if (wake?.kind === 'message') later.push(wake)
    }
  }
  for (const wake of later) events.push({ kind: 'queued', atMs: nowMs, wake })
  return { started: restarted(first, toTurn, nowMs), events }
}

function restarted(started: Started, turns: number, nowMs: number): Started {
  const { runDeadlineMs, ...rest } = started
  return {
    ...rest,
    continued: true,
    run: started.run + 1,
    resetOf: { run: started.run, turns },
    ...(runDeadlineMs === undefined ? {} : { runDeadlineMs: nowMs + (runDeadlineMs - started.atMs) }),
  }
}

/** A turn that ended the run is not in the way of what comes after it now. */
function withoutEnd(event: JournalEvent): JournalEvent {
  if (event.kind !== 'turn' || event.end === undefined) return event
  throw new AppError('invalid', 'reset: the turn that ended the run cannot be kept; reset to it, and it runs anew')
}

function wakeOf(event: JournalEvent): Wake | undefined {
  return event.kind === 'turn' || event.kind === 'queued' ? (event as Turn | { wake: Wake }).wake : undefined
}

import type { Outcome } from '@daruma/protocol'
import type { End, ParentLink, Started, Wake } from './events.ts'
import { none } from './few.ts'
import { Head, type Outgoing, type PendingEffect, type Status } from './head.ts'

/**
 * A head as a checkpoint writes it forward. A format like the events: fields are added, never given another meaning.
 * What is at its beginning or empty is absent.
 */
export interface HeadImage {
  readonly started: Started
  readonly status: Status
  readonly end?: Exclude<End, { kind: 'continued' }>
  readonly lastAtMs: number
  readonly events: number
  readonly commands: number
  readonly bytes: number
  readonly turns: number
  readonly journalGone?: true
  readonly cancelAsked?: true
  /** Absent: only the parent that its start names, if it names one. */
  readonly watchers?: readonly ParentLink[]
  readonly search?: Readonly<Record<string, unknown>>
  readonly memo?: Readonly<Record<string, unknown>>
  readonly pending?: readonly PendingEffect[]
  readonly outbox?: readonly Outgoing[]
  /** Accepted updates, with the results of those that completed. */
  readonly updates?: readonly (readonly [updateId: string, result: Outcome | null])[]
  /** By queue number; null: delivered. */
  readonly queued?: readonly (Wake | null)[]
  /** An entry of its journal cannot be read. */
  readonly poisoned?: string
}

export function imageOf(head: Head): HeadImage {
  const { started, end, watchers, stuck } = head
  const byDefault = started.parent === undefined ? 0 : 1
  const isPlain = watchers.length === byDefault && (byDefault === 0 || watchers[0] === started.parent)
  return {
    started: withoutMessages(started),
    status: head.status,
    ...(end === undefined ? {} : { end }),
    lastAtMs: head.lastAtMs,
    events: head.events,
    commands: head.commands,
    bytes: head.bytes,
    turns: head.turns,
    ...(head.journalGone ? { journalGone: true } : {}),
    ...(head.cancelAsked ? { cancelAsked: true } : {}),
    ...(isPlain ? {} : { watchers }),
    ...(isEmpty(head.search) ? {} : { search: head.search }),
    ...(isEmpty(head.memo) ? {} : { memo: head.memo }),
    ...(head.pending.size === 0 ? {} : { pending: [...head.pending.values()] }),
    ...(!head.hasUpdates ? {} : { updates: [...head.updates].map(([id, result]) => [id, result ?? null] as const) }),
    ...(!head.owes ? {} : { outbox: [...head.outbox.values()] }),
    ...(head.queued.length === 0 ? {} : { queued: head.queued.map((wake) => wake ?? null) }),
    ...(stuck?.isPoisoned === true ? { poisoned: stuck.reason } : {}),
  }
}

export function headOf(workflow: string, image: HeadImage): Head {
  const head = new Head(workflow, image.started)
  head.status = image.status
  head.end = image.end
  head.lastAtMs = image.lastAtMs
  head.events = image.events
  head.commands = image.commands
  head.bytes = image.bytes
  head.turns = image.turns
  head.journalGone = image.journalGone === true
  head.cancelAsked = image.cancelAsked === true
  if (image.watchers !== undefined) head.watchers = image.watchers
  if (image.search !== undefined) head.search = image.search
  if (image.memo !== undefined) head.memo = image.memo
  for (const effect of image.pending ?? []) head.pending.set(effect.id, effect)
  for (const [id, result] of image.updates ?? []) head.updates.set(id, result ?? undefined)
  for (const outgoing of image.outbox ?? []) head.outbox.set(outgoing.key, outgoing)
  head.queued = image.queued?.map((wake) => wake ?? undefined) ?? none
  if (image.poisoned !== undefined) head.stuck = { reason: image.poisoned, isPoisoned: true }
  return head
}

/** Startup messages count as queued once the run has begun: they stand there, or were delivered. */
function withoutMessages(started: Started): Started {
  if (started.messages === undefined) return started
  const { messages: _, ...rest } = started
  return rest
}

function isEmpty(record: Readonly<Record<string, unknown>>): boolean {
  for (const _ in record) return false
  return true
}

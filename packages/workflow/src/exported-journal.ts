import {
  AppError,
  formatPid,
  Home,
  msgpackCodec,
  parsePid,
  Pid,
  silentLogger,
  Tagged,
  type NodeId,
  type ProgramFactory,
} from '@daruma/protocol'
import type { JournalEvent } from './events.ts'
import { historyLimitDefaults } from './limits.ts'
import type { JournalMismatch } from './mismatch.ts'
import { Resident } from './resident.ts'

/** A journal as JSON that a person can read and `replayJournal` can run. What JSON has no form for is `{"$pid": ...}` and its like. */
export interface ExportedJournal {
  readonly format: 1
  readonly pid: string
  readonly taskQueue: string
  readonly events: readonly unknown[]
}

export interface Journal {
  readonly self: Pid
  readonly taskQueue: string
  /** Of one run; the first is its start. */
  readonly events: readonly JournalEvent[]
}

export function exportJournal({ self, taskQueue, events }: Journal): ExportedJournal {
  return { format: 1, pid: formatPid(self), taskQueue, events: events.map(toPlain) }
}

/** @throws AppError invalid - not an exported journal, or of a newer format */
export function importJournal(input: unknown): Journal {
  const { format, pid, taskQueue, events } = (input ?? {}) as Partial<ExportedJournal>
  if (format !== 1 || typeof pid !== 'string' || typeof taskQueue !== 'string' || !Array.isArray(events)) {
    throw new AppError(
      'invalid',
      `not a journal of format 1 (format: ${JSON.stringify(format)}); export it by: daruma workflow history <id> --json`,
    )
  }
  const self = parsePid(pid, '' as NodeId)
  const [first, ...rest] = events.map(fromPlain) as JournalEvent[]
  if (self === undefined || first?.kind !== 'started')
    throw new AppError('invalid', `journal of ${pid}: it does not begin with a start`)
  return { self, taskQueue, events: [first, ...rest] }
}

/**
 * Runs a program against a journal, performing nothing. Resolves with where the two part; undefined: they are one.
 * Pure, but for what the program itself does.
 */
export async function replayJournal(journal: Journal, create: ProgramFactory): Promise<JournalMismatch | undefined> {
  const { self, taskQueue, events } = journal
  const [started] = events
  if (started?.kind !== 'started') throw new AppError('invalid', 'a journal begins with a start')
  const resident = new Resident(started, create(), {
    self,
    taskQueue,
    logger: silentLogger,
    limits: historyLimitDefaults,
    pidOf: (host, workflowId) => new Pid(new Home(self.home.node, 0, host), workflowId),
  })
  try {
    const codec = msgpackCodec()
    await resident.replay(events.map((event) => ({ event, bytes: codec.encode(event).length })))
    return resident.mismatch
  } finally {
    resident.stop()
  }
}

function toPlain(value: unknown): unknown {
  switch (typeof value) {
    case 'bigint':
      return { $bigint: String(value) }
    case 'number':
      return Number.isFinite(value) ? value : { $number: String(value) }
    case 'object':
      break
    default:
      return value
  }
  if (value === null) return null
  if (value instanceof Pid) return { $pid: formatPid(value) }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  if (value instanceof Date) return { $date: value.getTime() }
  if (value instanceof Tagged) return { $tagged: [value.tag, toPlain(value.value)] }
  if (Array.isArray(value)) return value.map(toPlain)
  const plain: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value)) plain[key] = toPlain(item)
  return Object.keys(plain).some((key) => key.startsWith('$')) ? { $plain: plain } : plain
}

function fromPlain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(fromPlain)
  const entries = Object.entries(value)
  const [[key, item] = ['', undefined]] = entries
  if (entries.length === 1) {
    switch (key) {
      case '$bigint':
        return BigInt(item as string)
      case '$number':
        return Number(item)
      case '$pid':
        return parsePid(item as string, '' as NodeId)
      case '$bytes':
        return new Uint8Array(Buffer.from(item as string, 'base64'))
      case '$date':
        return new Date(item as number)
      case '$tagged': {
        const [tag, inner] = item as [string, unknown]
        return new Tagged(tag, fromPlain(inner))
      }
      case '$plain':
        return fields(Object.entries(item as object))
    }
  }
  return fields(entries)
}

function fields(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return Object.fromEntries(entries.map(([key, item]) => [key, fromPlain(item)]))
}

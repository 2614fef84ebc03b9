import { formatDurationMs, type Command } from '@daruma/protocol'
import type { RecordedCommand } from './events.ts'

/**
 * The program asked for something else than its journal says. Not a failure of the workflow: it is stuck, visible as
 * such, until the code is right again.
 */
export interface JournalMismatch {
  /** The turn of the run, from 0. */
  readonly turn: number
  /** The command at which the two part, by its recorded or would-be id. */
  readonly id: number
  readonly recorded: string
  readonly asked: string
  /** Field by field where both asked for the same kind of thing. */
  readonly differences: readonly string[]
}

export const mismatchHint =
  'the code changed under a running workflow; gate the change with workflow.version(...), bring the old code back, or reset the run'

export function describeMismatch(mismatch: JournalMismatch): string {
  const differences = mismatch.differences.length === 0 ? '' : ` (${mismatch.differences.join('; ')})`
  return `command ${mismatch.id} of turn ${mismatch.turn}: journal has ${mismatch.recorded}, program asked ${mismatch.asked}${differences}; ${mismatchHint}`
}

export const nothing = 'nothing more'

/** A command in a few words: `call app:charge`, `sleep 24h`. */
export function describeCommand(command: Command): string {
  switch (command.kind) {
    case 'call':
      return `call ${command.target}`
    case 'sleep':
      return `sleep ${formatDurationMs(command.durationMs)}`
    case 'send':
      return `send "${command.topic}" to ${String(command.to)}`
    case 'spawn':
    case 'exec':
      return `${command.kind} ${command.target}`
    case 'exit':
      return `${command.mode} ${String(command.to)}`
    case 'abandon':
      return `abandon command ${command.id}`
    case 'version':
      return `version "${command.change}" ${command.min}..${command.max}`
    case 'request':
      return `request ${command.handler}`
    case 'link':
    case 'unlink':
    case 'monitor':
    case 'unmonitor':
      return `${command.kind} ${String(command.to)}`
    case 'trap_links':
      return `trap links ${command.on ? 'on' : 'off'}`
    case 'attributes':
      return 'attributes'
    case 'reply':
      return `reply to update ${command.updateId}`
  }
}

/**
 * What tells `asked` from `recorded`, field by field; empty when they are the same command. Options are not compared
 * (a retry policy may change under a running workflow); kind, target and input are.
 */
export function differences(recorded: RecordedCommand, asked: Command): string[] {
  const { command } = recorded
  if (command.kind !== asked.kind) return [`kind: ${command.kind} / ${asked.kind}`]
  const left = comparable(command)
  const right = comparable(asked)
  return Object.keys(left)
    .filter((field) => !sameValue(left[field], right[field]))
    .map((field) => difference(field, left[field], right[field]))
}

function comparable(command: Command): Record<string, unknown> {
  switch (command.kind) {
    case 'call':
      return { target: command.target, args: command.args }
    case 'spawn':
    case 'exec':
      return { target: command.target, host: command.host, args: command.args }
    case 'sleep':
      return { duration: command.durationMs }
    case 'send':
      return { to: String(command.to), topic: command.topic, payload: command.payload }
    case 'exit':
      return { to: String(command.to), mode: command.mode }
    case 'abandon':
      return { id: command.id }
    case 'request':
      return { handler: command.handler, input: command.input }
    case 'version':
      return { change: command.change }
    case 'reply':
      return { updateId: command.updateId, value: command.result.value, error: command.result.error?.message }
    case 'trap_links':
      return { on: command.on }
    case 'attributes':
      return { search: command.search, memo: command.memo }
    case 'link':
    case 'unlink':
    case 'monitor':
    case 'unmonitor':
      return { to: String(command.to) }
  }
}

function difference(field: string, recorded: unknown, asked: unknown): string {
  return `${field}: ${excerpt(recorded)} / ${excerpt(asked)}`
}

function excerpt(value: unknown): string {
  let text: string
  try {
    text = JSON.stringify(value) ?? 'absent'
  } catch {
    text = String(value)
  }
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}

/**
 * Equality of plain data as the journal sees it: absent, undefined and null fields are one; NaN equals itself;
 * class instances compare by their fields, as they would after the codec.
 */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (a === null || a === undefined) return b === null || b === undefined
  if (typeof a !== 'object' || typeof b !== 'object' || b === null) return Number.isNaN(a) && Number.isNaN(b)
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, at) => sameValue(item, b[at]))
  }
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0
  }
  if (a instanceof Date || b instanceof Date) {
    return a instanceof Date && b instanceof Date && a.getTime() === b.getTime()
  }
  const left = a as Record<string, unknown>
  const right = b as Record<string, unknown>
  for (const key of Object.keys(left)) if (!sameValue(left[key], right[key])) return false
  for (const key of Object.keys(right)) {
    const value = right[key]
    if (!(key in left) && value !== undefined && value !== null) return false
  }
  return true
}

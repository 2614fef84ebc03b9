import type { Process } from './process.ts'

/**
 * What the runtime keeps for a process, in bytes: an estimate from counts and from sizes measured on V8 without pointer
 * compression, right to some tens of percent. The state, the messages themselves and what closures hold are not in it:
 * JavaScript cannot tell whose they are.
 */
export interface MemoryEstimate {
  /** The process, its pid and its place in the table: the same for all, half as much again for one with options. */
  readonly processBytes: number
  /** Storage of the mailbox, used or not; it shrinks when the process rests and goes when it hibernates. */
  readonly mailboxBytes: number
  readonly linkBytes: number
  /** Monitors that it set, its pending calls among them. */
  readonly monitorBytes: number
  /** Timers to it, names, memberships of groups. */
  readonly ownedBytes: number
}

const wordBytes = 8
const processBytes = 340
const extrasBytes = 170
const setEntryBytes = 30
const monitorBytes = 130
/** A timer with its deadline; a name or a membership is a little less. */
const ownedBytes = 200

export function estimateMemory(process: Process): MemoryEstimate {
  let monitors = 0
  for (let monitor = process.watching; monitor !== undefined; monitor = monitor.nextOfWatcher) monitors++
  return {
    processBytes: processBytes + (process.extras === undefined ? 0 : extrasBytes),
    mailboxBytes: process.capacity * wordBytes,
    linkBytes: process.links instanceof Set ? process.links.size * setEntryBytes : 0,
    monitorBytes: monitors * monitorBytes,
    ownedBytes: (process.extras?.owned?.size ?? 0) * (ownedBytes + setEntryBytes),
  }
}

import type { Command } from './command.ts'
import type { WireError } from './errors.ts'
import type { Pid } from './ids.ts'
import type { LogLevel } from './logger.ts'

/**
 * The hinge of the house. A program is anything that runs when it is given an event, asks its host for what it wants,
 * and then waits: a Lua coroutine, a TypeScript async function, a generator, a statechart. A process host performs
 * what it asks at once; a workflow host journals it first. The same program runs on either.
 *
 * Contract:
 * - P1 The host calls `start` once, then `resume`, never while an earlier call is unanswered, never after an end.
 * - P2 A program calls `host.issue` only between such a call and its answer.
 * - P3 A program is a function of what it is given: the events, the answers, `nowMs` and `random`. Two programs given
 *   the same, ask the same in the same order.
 * - P4 An event is handled until the program is idle; the host then gives the next.
 */
export interface Program {
  start(host: ProgramHost, args: readonly unknown[]): Step | Promise<Step>
  resume(event: ProgramEvent): Step | Promise<Step>
  /** Abandons the program where it stands; not one more line of it runs. Idempotent. */
  stop(): void
  /** Messages that were delivered but nobody took yet, oldest first: what a successor run inherits. */
  unread?(): readonly MessageEvent[]
  /** Reads state by a handler that the program declared. Writes nothing, asks nothing of the host. */
  query?(name: string, args: readonly unknown[]): unknown
  /**
   * Looks whether an update would be taken, as things stand. Reads only. Never called while a journal replays.
   * Absent: the program takes no updates.
   *
   * @throws whatever the update is refused with
   */
  checkUpdate?(name: string, args: readonly unknown[]): void
}

/** What one run of a program from wake to idle came to. */
export type Step =
  /** Waits for an event. A program that nothing can wake answers `failed` (a deadlock) instead. */
  | { readonly kind: 'idle' }
  /** Used up its slice; wants `resume({ kind: 'slice' })` when others had their turn. */
  | { readonly kind: 'preempted' }
  | { readonly kind: 'returned'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: WireError }
  /** Goes on as other code with the same identity: upgrade of a process, continue-as-new of a workflow. */
  | { readonly kind: 'become'; readonly target: string | undefined; readonly args: readonly unknown[] }

export interface MessageEvent {
  readonly kind: 'message'
  /** Undefined: sent from outside of any process. */
  readonly from: Pid | undefined
  readonly topic: string
  /** The values that were sent, in order; empty when nothing was. */
  readonly payload: readonly unknown[]
}

export interface Outcome {
  readonly value?: unknown
  readonly error?: WireError
}

export type ProgramEvent =
  /** The answer to a pending command. */
  | { readonly kind: 'completed'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WireError }
  | MessageEvent
  /** A monitored process ended. */
  | { readonly kind: 'exit'; readonly from: Pid; readonly result: Outcome }
  /** A linked process failed. Only with `trap_links`; without, the host fails the program itself. */
  | { readonly kind: 'link_down'; readonly from: Pid; readonly result: Outcome }
  | { readonly kind: 'cancel'; readonly from: Pid | undefined; readonly reason: string | undefined }
  /** Accepted. The program answers by a `reply` command with the same id, in this turn or a later one. */
  | { readonly kind: 'update'; readonly updateId: string; readonly name: string; readonly args: readonly unknown[] }
  | { readonly kind: 'slice' }

/** `pending` commands complete by an event with this id; ids count up from 1 within one program. */
export type Answer =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly error: WireError }
  | { readonly kind: 'pending'; readonly id: number }

/** What a running program may ask of the one that runs it. */
export interface ProgramHost {
  readonly self: Pid
  /** Registry id of the running entry. */
  readonly entry: string
  /** Values that travel with calls and spawns. */
  readonly context: Readonly<Record<string, unknown>>
  /** Present in a workflow only. */
  readonly workflow: WorkflowInfo | undefined
  issue(command: Command): Answer
  /** Wall-clock milliseconds; constant within one turn of a workflow, and recorded. */
  nowMs(): number
  /** Uniform bytes; in a workflow from a generator seeded by the run. */
  randomBytes(count: number): Uint8Array
  /** Never while a workflow replays. */
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void
  /** The program broke while nobody had woken it. Present in a workflow only, which it ends. */
  fault?(error: WireError): void
}

export interface WorkflowInfo {
  readonly workflowId: string
  readonly runId: string
  readonly workflowType: string
  readonly taskQueue: string
  readonly namespace: string
  readonly attempt: number
  /** Recorded events and bytes so far in this run. Change as the workflow runs. */
  readonly historyLength: number
  readonly historySizeBytes: number
  /** The history has become long: continue as new at the next good moment. */
  readonly suggestContinueAsNew?: boolean
}

/** Makes a fresh program of one definition, each time it is called. */
export type ProgramFactory = () => Program

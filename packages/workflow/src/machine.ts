import {
  seededRng,
  type Answer,
  type Command,
  type Pid,
  type ProgramEvent,
  type Rng,
  type Step,
  type WireError,
} from '@daruma/protocol'
import type { JournalEvent, ProgramEnd, RecordedCommand, Started, Turn, Wake } from './events.ts'
import { describeCommand, differences, nothing, type JournalMismatch } from './mismatch.ts'

/**
 * One run of one workflow: decides what its program's commands are answered, and what its journal says next.
 * Pure and synchronous: no clock, no IO, no promise. The same turns give the same machine.
 *
 * Invariants
 * - M1 Phases only go on: waiting -> replaying -> live -> closed. A mismatch freezes the machine where it is.
 * - M2 A turn is open from `begin` to `finish`; commands are taken only while one is.
 * - M3 Ids count up from 1 in the program's order, in replay as live. `version` takes none, so that gates may be
 *   added and removed without renaming what follows (trap 25).
 * - M4 While replaying, the n-th command of a turn must be the recorded n-th: same kind, target and input.
 * - M5 A turn that replays must ask for all that is recorded, and end as recorded (trap 19).
 * - M6 Time and chance within a turn are functions of the journal: `atMs` of the turn, the seed of the run.
 */
export type Phase = 'waiting' | 'replaying' | 'live' | 'closed'

export class WorkflowMachine {
  readonly started: Started
  readonly self: Pid
  readonly #pidOf: (host: string, workflowId: string) => Pid
  #phase: Phase = 'waiting'
  #mismatch: JournalMismatch | undefined
  #nextId = 1
  #turns = 0
  #historyLength = 1
  #historyBytes = 0
  #atMs: number
  #cancelAsked = false
  /** What was queued, startup messages first; `Wake.queued` counts into it. */
  readonly #queued: Wake[]
  readonly #rng: Rng
  /** Answers of `version` by change: from the journal while it replays, and memoised for the run (trap 20). */
  readonly #versions = new Map<string, number>()
  readonly #recordedVersions = new Map<string, number>()

  // The open turn (M2).
  #open = false
  #recorded: Turn | undefined
  #cursor = 0
  #commands: RecordedCommand[] = []
  #wake: Wake = { kind: 'start' }

  /** @param pidOf the pid that a workflow has on a worker host. */
  constructor(started: Started, self: Pid, pidOf: (host: string, workflowId: string) => Pid) {
    this.started = started
    this.self = self
    this.#pidOf = pidOf
    this.#atMs = started.atMs
    this.#rng = seededRng(started.seed)
    this.#queued = [...(started.messages ?? [])]
  }

  get phase(): Phase {
    return this.#phase
  }

  get mismatch(): JournalMismatch | undefined {
    return this.#mismatch
  }

  get nowMs(): number {
    return this.#atMs
  }

  get isReplaying(): boolean {
    return this.#recorded !== undefined
  }

  /** Turns and commands recorded so far: what replay has to walk. Only turns count, so that replay sees the same (M6). */
  get historyLength(): number {
    return this.#historyLength
  }

  get historyBytes(): number {
    return this.#historyBytes
  }

  /** Tells what the turn that just finished takes in the journal. */
  sized(bytes: number): void {
    this.#historyBytes += bytes
  }

  randomBytes(count: number): Uint8Array {
    return this.#rng.bytes(count)
  }

  /** Tells of the versions that the whole journal holds, before its first turn replays. */
  preload(events: readonly JournalEvent[]): void {
    for (const event of events) {
      if (event.kind !== 'turn') continue
      for (const { command, answer } of event.commands) {
        if (command.kind === 'version') this.#recordedVersions.set(command.change, answer!)
      }
    }
  }

  /** An event that the program does not see. */
  note(event: Exclude<JournalEvent, Turn | Started>): void {
    if (event.kind === 'queued') this.#queued.push(event.wake)
    if (event.kind === 'closed') this.#phase = 'closed'
  }

  /** Opens a turn that the journal holds; answers what to give to the program. */
  beginReplay(turn: Turn): ProgramEvent | 'start' {
    this.#phase = 'replaying' // M1
    return this.#begin(turn.wake, turn.atMs, turn)
  }

  /** Opens a new turn. The clock may have stepped back; the run's does not. */
  beginLive(wake: Wake, wallMs: number): ProgramEvent | 'start' {
    this.#phase = 'live' // M1
    return this.#begin(wake, Math.max(wallMs, this.#atMs), undefined)
  }

  #begin(wake: Wake, atMs: number, recorded: Turn | undefined): ProgramEvent | 'start' {
    if (this.#open) throw new TypeError('a turn is open already') // M2
    this.#open = true
    this.#recorded = recorded
    this.#cursor = 0
    this.#commands = []
    this.#wake = wake
    this.#atMs = atMs // M6
    this.#turns++
    this.#historyLength++
    return this.#eventOf(wake)
  }

  #eventOf(wake: Wake): ProgramEvent | 'start' {
    switch (wake.kind) {
      case 'start':
        return 'start'
      case 'queued':
        return this.#eventOf(this.#queued[wake.index]!)
      case 'exit':
        return { kind: 'exit', from: wake.from, result: wake.result }
      case 'completed':
      case 'failed':
      case 'message':
      case 'update':
        return wake
      case 'cancel':
        this.#cancelAsked = true
        return wake
    }
  }

  /**
   * The program asks. Calls, sleeps, execs and requests are pending; the rest is answered at once.
   *
   * @throws MismatchSignal while frozen: not one more answer is given.
   */
  issue(command: Command): Answer {
    if (this.#mismatch !== undefined) throw new MismatchSignal(this.#mismatch)
    if (!this.#open) throw new OutOfTurn(command) // M2
    if (command.kind === 'version')
      return { kind: 'done', value: this.#version(command.change, command.min, command.max) }
    const refusal = refuse(command)
    if (refusal !== undefined) return { kind: 'refused', error: refusal }
    const id = this.#nextId++ // M3
    this.#historyLength++
    const taken = this.#recorded === undefined ? this.#record(id, command) : this.#match(id, command)
    switch (command.kind) {
      case 'call':
      case 'sleep':
      case 'exec':
      case 'request':
        return { kind: 'pending', id }
      case 'spawn':
        return { kind: 'done', value: taken.child }
      default:
        return { kind: 'done', value: null }
    }
  }

  #record(id: number, command: Command): RecordedCommand {
    const recorded: RecordedCommand =
      command.kind === 'sleep'
        ? { id, command, fireAtMs: this.#atMs + command.durationMs } // G6: instants stand in the journal
        : command.kind === 'spawn' || command.kind === 'exec'
          ? { id, command, child: this.childPid(command, id) }
          : { id, command }
    this.#commands.push(recorded)
    return recorded
  }

  /** A child's id is given, or follows from who asked: a start that is repeated after a crash meets itself (trap 33). */
  childPid(command: Extract<Command, { kind: 'spawn' | 'exec' }>, id: number): Pid {
    const { options } = command
    const workflowId = options?.workflowId ?? options?.name ?? `${this.self.id}/${this.started.run}/${id}`
    return this.#pidOf(command.host, workflowId)
  }

  #match(id: number, command: Command): RecordedCommand {
    const turn = this.#recorded!
    let recorded = turn.commands[this.#cursor]
    while (recorded?.command.kind === 'version') recorded = turn.commands[++this.#cursor] // M3
    if (recorded === undefined) return this.#freeze(id, nothing, describeCommand(command), [])
    const found = differences(recorded, command) // M4
    if (found.length > 0) {
      return this.#freeze(id, describeCommand(recorded.command), describeCommand(command), found)
    }
    this.#cursor++
    return recorded
  }

  #version(change: string, min: number, max: number): number {
    const memoised = this.#versions.get(change)
    if (memoised !== undefined) return memoised
    const live = this.#recorded === undefined
    const answer = this.#recordedVersions.get(change) ?? (live ? max : min)
    this.#versions.set(change, answer)
    if (live && !this.#recordedVersions.has(change)) {
      this.#commands.push({ id: 0, command: { kind: 'version', change, min, max }, answer })
    }
    return answer
  }

  /**
   * Closes the turn with what the program came to: the entry to append, or undefined when it was in the journal
   * already, or when the machine froze.
   */
  finish(step: Step): Turn | undefined {
    this.#open = false
    const turn = this.#recorded
    this.#recorded = undefined
    if (this.#mismatch !== undefined) return undefined
    const end = endOf(step, this.#cancelAsked)
    if (turn !== undefined) {
      this.#verify(turn, end)
      if (turn.end !== undefined && this.#mismatch === undefined) this.#phase = 'closed'
      return undefined
    }
    if (end !== undefined) this.#phase = 'closed'
    return {
      kind: 'turn',
      atMs: this.#atMs,
      wake: this.#wake,
      commands: this.#commands,
      ...(end === undefined ? {} : { end }),
    }
  }

  #verify(turn: Turn, end: ProgramEnd | undefined): void {
    let left = turn.commands[this.#cursor]
    while (left?.command.kind === 'version') left = turn.commands[++this.#cursor]
    if (left !== undefined) {
      this.#freezeQuietly(
        left.id,
        describeCommand(left.command),
        end === undefined ? nothing : `its end: ${end.kind}`,
        [],
      )
    } else if (turn.end?.kind !== end?.kind) {
      // M5
      this.#freezeQuietly(
        this.#nextId,
        turn.end === undefined ? 'no end' : `its end: ${turn.end.kind}`,
        end === undefined ? nothing : `its end: ${end.kind}`,
        [],
      )
    }
  }

  #freezeQuietly(id: number, recorded: string, asked: string, found: readonly string[]): void {
    this.#mismatch = { turn: this.#turns - 1, id, recorded, asked, differences: found }
  }

  #freeze(id: number, recorded: string, asked: string, found: readonly string[]): never {
    this.#freezeQuietly(id, recorded, asked, found)
    throw new MismatchSignal(this.#mismatch!)
  }
}

/** Thrown into a program whose machine froze, to make it stop. Whether the program catches it does not matter. */
export class MismatchSignal extends Error {
  readonly mismatch: JournalMismatch

  constructor(mismatch: JournalMismatch) {
    super('the journal does not match this program')
    this.name = 'MismatchSignal'
    this.mismatch = mismatch
  }
}

/** The program asked while nobody had woken it: it awaited something that is not the workflow's. */
export class OutOfTurn extends Error {
  constructor(command: Command) {
    super(
      `${describeCommand(command)} was asked outside of a turn: the workflow awaited something that is not its context's ` +
        '(a timer, a fetch, a file); do that in a function called through ctx.call, which records the result',
    )
    this.name = 'OutOfTurn'
  }
}

/** What no workflow may ask, wherever its code comes from. */
function refuse(command: Command): WireError | undefined {
  switch (command.kind) {
    case 'link':
    case 'unlink':
    case 'monitor':
    case 'unmonitor':
      return { kind: 'invalid', message: `${command.kind} is not supported in workflow context`, retryable: false }
    default:
      return undefined
  }
}

function endOf(step: Step, cancelAsked: boolean): ProgramEnd | undefined {
  switch (step.kind) {
    case 'idle':
    case 'preempted':
      return undefined
    case 'returned':
      return { kind: 'completed', value: step.value }
    case 'failed':
      // A workflow that lets its cancellation end it was canceled, not broken.
      return step.error.kind === 'canceled' && cancelAsked
        ? { kind: 'canceled', error: step.error }
        : { kind: 'failed', error: step.error }
    case 'become':
      return { kind: 'continued' }
  }
}

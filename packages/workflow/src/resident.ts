import {
  findUnsendable,
  toWire,
  type LogLevel,
  type Logger,
  type Pid,
  type Program,
  type ProgramHost,
  type Step,
  type WireError,
} from '@daruma/protocol'
import type { JournalEvent, Started, Turn, Wake } from './events.ts'
import type { HistoryLimits } from './limits.ts'
import { WorkflowMachine } from './machine.ts'
import type { JournalMismatch } from './mismatch.ts'

export interface ResidentContext {
  readonly self: Pid
  readonly taskQueue: string
  readonly logger: Logger
  readonly pidOf: (host: string, workflowId: string) => Pid
  readonly limits: HistoryLimits
  /** The program broke outside of its turns. */
  readonly onFault?: (error: WireError) => void
}

/** An event as it stands in the log. */
export interface SizedEvent {
  readonly event: JournalEvent
  readonly bytes: number
}

/** A workflow whose program is in memory: the machine that decides, the program that runs, and the host between them. */
export class Resident {
  readonly #machine: WorkflowMachine
  readonly #program: Program
  readonly #host: ProgramHost

  constructor(started: Started, program: Program, context: ResidentContext) {
    const machine = new WorkflowMachine(started, context.self, context.pidOf)
    this.#machine = machine
    this.#program = program
    this.#host = {
      self: context.self,
      entry: started.type,
      context: started.context ?? {},
      workflow: workflowInfo(machine, context),
      issue(command) {
        const problem = findUnsendable(command, command.kind)
        if (problem !== undefined)
          return { kind: 'refused', error: { kind: 'invalid', message: problem, retryable: false } }
        return machine.issue(command)
      },
      nowMs: () => machine.nowMs,
      randomBytes: (count) => machine.randomBytes(count),
      log(level: LogLevel, message: string, fields) {
        if (machine.isReplaying) return
        context.logger.log(level, message, { workflow: context.self.id, ...fields })
      },
      ...(context.onFault === undefined ? {} : { fault: context.onFault }),
    }
  }

  get mismatch(): JournalMismatch | undefined {
    return this.#machine.mismatch
  }

  /** Feeds the recorded events to the program. Stops at a mismatch; `mismatch` then says which. */
  async replay(journal: readonly SizedEvent[]): Promise<void> {
    this.#machine.preload(journal.map(({ event }) => event))
    for (const { event, bytes } of journal) {
      if (event.kind === 'started') continue
      if (event.kind !== 'turn') {
        this.#machine.note(event)
        continue
      }
      const wake = this.#machine.beginReplay(event)
      let step = this.#resume(wake)
      if (step instanceof Promise) step = await step
      while (step.kind === 'preempted' && this.#machine.mismatch === undefined) {
        step = this.#program.resume({ kind: 'slice' })
        if (step instanceof Promise) step = await step
      }
      this.#machine.finish(step)
      this.#machine.sized(bytes)
      if (this.#machine.mismatch !== undefined) return this.#program.stop()
    }
  }

  /** Opens a turn and runs the program. Answers at once for programs that do. */
  begin(wake: Wake, wallMs: number): Step | Promise<Step> {
    return this.#resume(this.#machine.beginLive(wake, wallMs))
  }

  /** Goes on with a turn whose slice was used up. */
  proceed(): Step | Promise<Step> {
    return this.#program.resume({ kind: 'slice' })
  }

  /** Closes the turn: what the journal shall say of it. */
  finish(step: Step): Turn | undefined {
    return this.#machine.finish(step)
  }

  sized(bytes: number): void {
    this.#machine.sized(bytes)
  }

  note(event: Exclude<JournalEvent, Turn | Started>): void {
    this.#machine.note(event)
  }

  unread(): ReturnType<NonNullable<Program['unread']>> {
    return this.#program.unread?.() ?? []
  }

  query(name: string, args: readonly unknown[]): { value: unknown } | { error: WireError } {
    if (this.#program.query === undefined) {
      return { error: { kind: 'not_found', message: `workflow ${this.#machine.started.type} answers no queries` } }
    }
    return { value: this.#program.query(name, args) }
  }

  /** What the program would refuse an update with; undefined when it would take it. */
  refusalOf(name: string, args: readonly unknown[]): WireError | undefined {
    const type = this.#machine.started.type
    if (this.#program.checkUpdate === undefined)
      return { kind: 'not_found', message: `workflow ${type} takes no updates`, retryable: false }
    try {
      this.#program.checkUpdate(name, args)
      return undefined
    } catch (error) {
      return toWire(error)
    }
  }

  stop(): void {
    this.#program.stop()
  }

  #resume(event: ReturnType<WorkflowMachine['beginLive']>): Step | Promise<Step> {
    return event === 'start' ? this.#program.start(this.#host, this.#machine.started.args) : this.#program.resume(event)
  }
}

/** Lengths change while the workflow runs, so they are read when asked for. */
function workflowInfo(machine: WorkflowMachine, context: ResidentContext): NonNullable<ProgramHost['workflow']> {
  const { started } = machine
  return {
    workflowId: String(context.self.id),
    runId: String(started.run),
    workflowType: started.type,
    taskQueue: context.taskQueue,
    namespace: context.self.home.node,
    attempt: started.attempt ?? 1,
    get historyLength() {
      return machine.historyLength
    },
    get historySizeBytes() {
      return machine.historyBytes
    },
    get suggestContinueAsNew() {
      const { suggestEvents, suggestBytes } = context.limits
      return machine.historyLength >= suggestEvents || machine.historyBytes >= suggestBytes
    },
  }
}

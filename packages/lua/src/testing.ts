import { Home, Pid, seededRng, toWire } from '@daruma/protocol'
import type {
  Answer,
  Command,
  CommandKind,
  LogLevel,
  MessageEvent,
  NodeId,
  Program,
  ProgramEvent,
  ProgramHost,
  Rng,
  Step,
  WireError,
  WorkflowInfo,
} from '@daruma/protocol'
import type { LuaDefinition } from './definition.ts'
import { createLua, type LuaRuntime } from './lua.ts'

/** What happens next to a program under test. */
export type ScriptEvent =
  | ProgramEvent
  /** Completes the pending command that is oldest, or the one with that id. */
  | { readonly kind: 'returns'; readonly value: unknown; readonly id?: number }
  | { readonly kind: 'fails'; readonly error: WireError; readonly id?: number }

export const returns = (value?: unknown, id?: number): ScriptEvent => ({
  kind: 'returns',
  value,
  ...(id === undefined ? {} : { id }),
})

export const fails = (error: unknown, id?: number): ScriptEvent => ({
  kind: 'fails',
  error: toWire(error),
  ...(id === undefined ? {} : { id }),
})

/** A message from another process. */
export const message = (topic: string, ...payload: readonly unknown[]): MessageEvent => ({
  kind: 'message',
  from: peer,
  topic,
  payload,
})

const home = new Home('node-1' as NodeId, 1, 'app:processes')
/** The pid of the program under test. */
export const self = new Pid(home, 1)
/** The pid of whoever sends to it. */
export const peer = new Pid(home, 2)

export interface LogLine {
  readonly level: LogLevel
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>> | undefined
}

export interface ScriptedHostOptions {
  readonly entry?: string
  readonly context?: Readonly<Record<string, unknown>>
  /** Present: the program is a workflow. */
  readonly workflow?: Partial<WorkflowInfo>
  /** Answers of commands that the script does not complete: by `request`'s handler, or by kind. */
  readonly answers?: Readonly<Record<string, (command: never) => unknown>>
  readonly nowMs?: number
  readonly seed?: string
}

const immediate: ReadonlySet<CommandKind> = new Set([
  'send',
  'spawn',
  'exit',
  'link',
  'unlink',
  'monitor',
  'unmonitor',
  'trap_links',
  'abandon',
  'version',
  'attributes',
])

/**
 * A host that records what is asked of it. Calls, sleeps, execs and requests stay pending until the script completes
 * them, unless `answers` has a function for them; what that throws is a refusal. Everything else is done at once:
 * a spawn answers fresh pids, `version` its maximum. Completing a sleep moves the clock by its duration.
 */
export class ScriptedHost implements ProgramHost {
  readonly self = self
  readonly entry: string
  readonly context: Readonly<Record<string, unknown>>
  readonly workflow: WorkflowInfo | undefined
  readonly commands: Command[] = []
  readonly logs: LogLine[] = []
  readonly pending = new Map<number, Command>()
  readonly #answers: Readonly<Record<string, (command: never) => unknown>>
  readonly #rng: Rng
  #nowMs: number
  #lastId = 0
  #lastPid = 100

  constructor(options: ScriptedHostOptions = {}) {
    this.entry = options.entry ?? 'app:main'
    this.context = options.context ?? {}
    this.workflow = options.workflow === undefined ? undefined : { ...plainWorkflow, ...options.workflow }
    this.#answers = options.answers ?? {}
    this.#rng = seededRng(options.seed ?? 'lua test')
    this.#nowMs = options.nowMs ?? 1_700_000_000_000
  }

  issue(command: Command): Answer {
    this.commands.push(command)
    const answer = this.#answers[command.kind === 'request' ? command.handler : command.kind]
    if (answer !== undefined) {
      try {
        return { kind: 'done', value: answer(command as never) }
      } catch (error) {
        return { kind: 'refused', error: toWire(error) }
      }
    }
    if (immediate.has(command.kind)) return { kind: 'done', value: this.#done(command) }
    const id = ++this.#lastId
    this.pending.set(id, command)
    return { kind: 'pending', id }
  }

  nowMs(): number {
    return this.#nowMs
  }

  advance(byMs: number): void {
    this.#nowMs += byMs
  }

  randomBytes(count: number): Uint8Array {
    return this.#rng.bytes(count)
  }

  log(level: LogLevel, text: string, fields?: Readonly<Record<string, unknown>>): void {
    this.logs.push({ level, message: text, fields })
  }

  /** The event that `next` stands for. */
  event(next: ScriptEvent): ProgramEvent {
    if (next.kind !== 'returns' && next.kind !== 'fails') {
      if (next.kind === 'completed' || next.kind === 'failed') this.pending.delete(next.id)
      return next
    }
    const [oldest] = this.pending.keys()
    const id = next.id ?? oldest
    const command = id === undefined ? undefined : this.pending.get(id)
    if (id === undefined || command === undefined) {
      throw new TypeError(
        `script completes command ${id ?? '(oldest)'}, but pending are: ${[...this.pending.keys()].join(', ') || 'none'}`,
      )
    }
    this.pending.delete(id)
    if (command.kind === 'sleep' && next.kind === 'returns') this.advance(command.durationMs)
    return next.kind === 'returns'
      ? { kind: 'completed', id, value: next.value ?? null }
      : { kind: 'failed', id, error: next.error }
  }

  #done(command: Command): unknown {
    switch (command.kind) {
      case 'spawn':
        this.#lastPid += 1
        return new Pid(home, this.#lastPid)
      case 'version':
        return command.max
      default:
        return null
    }
  }
}

const plainWorkflow: WorkflowInfo = {
  workflowId: 'order-1',
  runId: 'run-1',
  workflowType: 'app:main',
  taskQueue: 'orders',
  namespace: 'default',
  attempt: 1,
  historyLength: 3,
  historySizeBytes: 512,
}

export interface RunOptions extends ScriptedHostOptions {
  readonly args?: readonly unknown[]
  readonly definition?: Partial<LuaDefinition>
  readonly runtime?: LuaRuntime
}

export interface LuaRun {
  readonly program: Program
  readonly host: ScriptedHost
  /** Everything that was asked, in order. */
  readonly commands: readonly Command[]
  /** What the last event came to. */
  readonly step: Step
  /** Feeds one more event and runs to idle. */
  next(event: ScriptEvent): Step
}

/** Modules of the runtime that processes (or workflows) may declare: handy as `modules` of a test's definition. */
export const allModules = (runtime: LuaRuntime, deterministicOnly = false): readonly string[] =>
  runtime.modules.filter(({ deterministic }) => deterministic || !deterministicOnly).map(({ name }) => name)

/**
 * Runs `source` with a scripted host: start, then one event after the other, each until the program is idle.
 * Preempted programs get their next slice at once. All modules are declared unless `definition.modules` says otherwise.
 */
export function runLua(source: string, script: readonly ScriptEvent[] = [], options: RunOptions = {}): LuaRun {
  const runtime = options.runtime ?? createLua()
  const isWorkflow = options.workflow !== undefined
  const program = runtime.define({
    id: options.entry ?? 'app:main',
    kind: isWorkflow ? 'workflow' : 'process',
    source,
    sourceName: 'main.lua',
    modules: allModules(runtime, isWorkflow),
    ...options.definition,
  })()
  const host = new ScriptedHost(options)
  const settle = (step: Step | Promise<Step>): Step => {
    let current = step as Step
    while (current.kind === 'preempted') current = program.resume({ kind: 'slice' }) as Step
    return current
  }
  let step = settle(program.start(host, options.args ?? []))
  const next = (event: ScriptEvent): Step => {
    step = settle(program.resume(host.event(event)))
    return step
  }
  for (const event of script) next(event)
  return {
    program,
    host,
    commands: host.commands,
    get step() {
      return step
    },
    next,
  }
}

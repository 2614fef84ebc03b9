import {
  AppError,
  describeReason,
  toWire,
  type Answer,
  type CallOptions,
  type Command,
  type Destination,
  type ExitReason,
  type LogLevel,
  type MessageEvent,
  type Outcome,
  type Pid,
  type Program,
  type ProgramEvent,
  type ProgramFactory,
  type ProgramHost,
  type Ref,
  type SpawnOptions,
  type Step,
  type WireError,
} from '@daruma/protocol'
import { next, type Behavior, type Next } from './behavior.ts'
import type { Context } from './context.ts'
import type { Kernel } from './kernel.ts'
import { isPromise } from './message-kind.ts'
import { CancelNotice, InternalNotice, type Notice } from './notice.ts'
import type { Process } from './process.ts'
import { ActorSystem } from './system.ts'

/** Who asks, for a handler. */
export interface ProgramScope {
  readonly self: Pid
  readonly entry: string
  readonly ctx: Context
  /** The program's context values. */
  readonly context: Readonly<Record<string, unknown>>
  /** Aborts when the program gives this command up, or ends. */
  readonly signal: AbortSignal
}

/** Commands about a pid, as `route` gets them. */
export type PidCommand = Extract<Command, { kind: 'send' | 'link' | 'unlink' | 'monitor' | 'unmonitor' | 'exit' }>

/**
 * What a process host does for its programs. A value answers at once, a promise later; an error that is thrown at once
 * refuses the command, a rejection fails it. What is absent is refused as invalid. STABLE.
 */
export interface ProgramHandlers {
  readonly call?: (target: string, args: readonly unknown[], options: CallOptions, scope: ProgramScope) => unknown
  /** Name, startup messages and context are the handler's affair; `link` and `monitor` are done here, atomically. */
  readonly spawn?: (
    target: string,
    host: string,
    args: readonly unknown[],
    options: SpawnOptions,
    scope: ProgramScope,
  ) => Pid | Promise<Pid>
  /** Absent: `spawn`, and the value or error with which that process ends. */
  readonly exec?: (
    target: string,
    host: string,
    args: readonly unknown[],
    options: SpawnOptions,
    scope: ProgramScope,
  ) => unknown
  readonly request?: (handler: string, input: unknown, scope: ProgramScope) => unknown
  /** A command about a pid that is no process of this system: a workflow, another node. Absent: not found. */
  readonly route?: (to: Pid, command: PidCommand, scope: ProgramScope) => unknown
  /** Who holds a name; asked before the system's own names. */
  readonly lookup?: (name: string) => Pid | undefined
  /** The program that goes on under the same pid; `target` undefined: the current definition of the running entry. */
  readonly upgrade?: (target: string | undefined, entry: string) => ProgramFactory
}

export interface ProgramBehaviorOptions {
  /** Registry id of the running entry. */
  readonly entry: string
  readonly args: readonly unknown[]
  readonly context?: Readonly<Record<string, unknown>>
  readonly create: ProgramFactory
  readonly handlers: ProgramHandlers
}

const done = (value: unknown): Answer => ({ kind: 'done', value })
const doneNull = done(null)
const refused = (error: WireError): Answer => ({ kind: 'refused', error })
const invalid = (message: string): Answer => refused({ kind: 'invalid', message, retryable: false })
const slice: ProgramEvent = { kind: 'slice' }
const noContext: Readonly<Record<string, unknown>> = Object.freeze({})

/**
 * A process that drives a program and performs its commands at once. What the program returns is the `value` of its
 * normal exit; what it fails with, its error. Messages to it are `MessageEvent`s (see `programMessage`). STABLE.
 *
 * - A linked process's failure is a `link_down` event with `trap_links`, otherwise this process fails with the same
 *   reason; a linked process's normal end is nothing.
 * - A `cancel` notice is a `cancel` event. An exit signal that is trapped and no link's ends the process with its reason.
 */
export function programBehavior(options: ProgramBehaviorOptions): Behavior<MessageEvent, ProgramRun> {
  return {
    name: options.entry,
    seesParentExit: true,
    init: (ctx) => next.continue(undefined, new ProgramRun(ctx, options)),
    handleContinue: (_ctx, value, run) => (value === undefined ? run.start(options.args) : run.resume(slice)),
    receive: (_ctx, message, run) => (isMessageEvent(message) ? run.resume(message) : next.unhandled),
    notice: (ctx, notice, run) => onNotice(ctx, notice, run),
    release: (run) => run.release(),
    backlog: (run) => run.unread,
  }
}

/** The message that a program process understands. */
export function programMessage(topic: string, payload: readonly unknown[], from?: Pid): MessageEvent {
  return { kind: 'message', from, topic, payload }
}

/** How a process ended, as programs see it: a value or an error. */
export function outcomeOf(reason: ExitReason, pid: Pid): Outcome {
  switch (reason.kind) {
    case 'normal':
      return { value: reason.value ?? null }
    case 'error':
      return { error: reason.error }
    case 'noproc':
      return { error: notFound(pid) }
    case 'noconnection':
      return { error: { kind: 'unavailable', message: describeReason(reason), retryable: true } }
    case 'custom':
      return { error: { kind: 'internal', message: describeReason(reason), details: reason.value } }
    default:
      return { error: { kind: 'canceled', message: describeReason(reason), retryable: false } }
  }
}

function onNotice(
  ctx: Context<MessageEvent>,
  notice: Notice,
  run: ProgramRun,
): ReturnType<ProgramRun['resume']> | Next<never> {
  switch (notice.kind) {
    case 'internal':
      return run.completed(notice.value as Completed)
    case 'down':
      run.monitors?.delete(String(notice.from))
      return run.resume({ kind: 'exit', from: notice.from!, result: outcomeOf(notice.reason, notice.from!) })
    case 'exit':
      if (!notice.link) return next.stop(notice.reason)
      if (notice.reason.kind === 'normal') return next.same
      return run.resume({ kind: 'link_down', from: notice.from, result: outcomeOf(notice.reason, notice.from) })
    case 'cancel':
      return run.resume({ kind: 'cancel', from: notice.from, reason: notice.reason })
    default:
      ctx.log('debug', `program ${run.entry} dropped a ${notice.kind} notice`)
      return next.same
  }
}

type Completion = Extract<ProgramEvent, { kind: 'completed' | 'failed' }>

/** Pending commands by id, and how each is given up. Each program has its own, so that ids cannot be mixed up. */
type Pending = Map<number, () => void>

interface Completed {
  readonly event: Completion
  readonly of: Pending
}

/** One program in one process, and what it waits for. */
export class ProgramRun implements ProgramHost {
  readonly self: Pid
  entry: string
  readonly context: Readonly<Record<string, unknown>>
  readonly workflow = undefined
  monitors: Map<string, Ref> | undefined = undefined
  readonly #ctx: Context
  readonly #kernel: Kernel
  readonly #process: Process
  readonly #handlers: ProgramHandlers
  #program: Program
  #lastId = 0
  #pending: Pending | undefined = undefined
  /** Messages that an earlier program left unread. */
  #inherited: MessageEvent[] = []
  /** It ended itself: nothing of it runs once its turn is over. */
  #doom: ExitReason | undefined = undefined

  constructor(ctx: Context<MessageEvent>, options: ProgramBehaviorOptions) {
    this.self = ctx.self
    this.entry = options.entry
    this.context = options.context ?? noContext
    this.#ctx = ctx as unknown as Context
    this.#kernel = ActorSystem.kernelOf(ctx.system)
    this.#process = this.#kernel.processOf(ctx.self)!
    this.#handlers = options.handlers
    this.#program = options.create()
  }

  /** Messages that the program has, but nobody in it took. */
  get unread(): number {
    return this.#inherited.length + (this.#program.unread?.().length ?? 0)
  }

  nowMs(): number {
    return this.#kernel.clock.wallMs()
  }

  randomBytes(count: number): Uint8Array {
    return this.#kernel.rng.bytes(count)
  }

  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#ctx.log(level, message, { entry: this.entry, ...fields })
  }

  // Turns

  start(args: readonly unknown[]): Next<never> | Promise<Next<never>> {
    return this.#after(this.#program.start(this, args))
  }

  resume(event: ProgramEvent): Next<never> | Promise<Next<never>> {
    return this.#after(this.#program.resume(event))
  }

  completed({ event, of }: Completed): Next<never> | Promise<Next<never>> {
    // Of an earlier program under this pid, or given up meanwhile: its cancellation was already told, once.
    if (of !== this.#pending || !of.delete(event.id)) return next.same
    return this.resume(event)
  }

  #after(step: Step | Promise<Step>): Next<never> | Promise<Next<never>> {
    return isPromise(step) ? step.then((settled) => this.#next(settled)) : this.#next(step)
  }

  #next(step: Step): Next<never> | Promise<Next<never>> {
    if (this.#doom !== undefined) return next.stop(this.#doom)
    switch (step.kind) {
      case 'idle': {
        const message = this.#inherited.shift()
        return message === undefined ? next.same : this.resume(message)
      }
      case 'preempted':
        return next.yield(slice)
      case 'returned':
        return next.stop({ kind: 'normal', value: step.value })
      case 'failed':
        return next.stop({ kind: 'error', error: step.error })
      case 'become':
        return this.#become(step.target, step.args)
    }
  }

  #become(target: string | undefined, args: readonly unknown[]): Next<never> | Promise<Next<never>> {
    const handlers = this.#handlers
    if (handlers.upgrade === undefined)
      throw new AppError('invalid', `${this.entry} cannot be upgraded here: this host has no upgrade`)
    const create = handlers.upgrade(target, this.entry)
    this.#inherited.unshift(...(this.#program.unread?.() ?? []))
    this.#program.stop()
    this.#giveUpAll()
    this.entry = target ?? this.entry
    this.#program = create()
    this.#lastId = 0
    return this.start(args)
  }

  release(): void {
    this.#giveUpAll()
    this.#program.stop()
  }

  #giveUpAll(): void {
    const pending = this.#pending
    this.#pending = undefined
    if (pending !== undefined) for (const giveUp of pending.values()) giveUp()
  }

  // Commands

  issue(command: Command): Answer {
    try {
      return this.#issue(command)
    } catch (thrown) {
      return refused(toWire(thrown))
    }
  }

  #issue(command: Command): Answer {
    const handlers = this.#handlers
    switch (command.kind) {
      case 'call':
        return this.#ask('call', handlers.call, (scope) =>
          handlers.call!(command.target, command.args, command.options ?? {}, scope),
        )
      case 'request':
        return this.#ask('request', handlers.request, (scope) =>
          handlers.request!(command.handler, command.input, scope),
        )
      case 'spawn':
        return this.#spawn(command)
      case 'exec':
        return handlers.exec === undefined
          ? this.#exec(command)
          : this.#ask('exec', handlers.exec, (scope) =>
              handlers.exec!(command.target, command.host, command.args, command.options ?? {}, scope),
            )
      case 'sleep':
        return this.#sleep(command.durationMs)
      case 'abandon':
        return this.#abandon(command.id)
      case 'send':
      case 'link':
      case 'unlink':
      case 'monitor':
      case 'unmonitor':
      case 'exit':
        return this.#toPid(command)
      case 'trap_links':
        this.#ctx.trapExits = command.on
        return doneNull
      case 'version':
      case 'attributes':
      case 'reply':
        return invalid(`${command.kind} is for workflows; ${this.entry} runs as a process`)
    }
  }

  #ask(kind: string, handler: unknown, ask: (scope: ProgramScope) => unknown): Answer {
    if (handler === undefined) return invalid(`this host does not offer ${kind}`)
    const abort = new Lazy(() => new AbortController())
    const { self, entry, context } = this
    const answer = ask({
      self,
      entry,
      context,
      ctx: this.#ctx,
      get signal() {
        return abort.get().signal
      },
    })
    return isPromise(answer) ? this.#pend(answer, () => abort.peek()?.abort()) : done(answer)
  }

  #pend(answer: PromiseLike<unknown>, giveUp: () => void): Answer {
    const [id, of] = this.#nextPending(giveUp)
    answer.then(
      (value) => this.#complete(of, { kind: 'completed', id, value }),
      (thrown: unknown) => this.#complete(of, { kind: 'failed', id, error: toWire(thrown) }),
    )
    return { kind: 'pending', id }
  }

  #nextPending(giveUp: () => void): readonly [number, Pending] {
    const pending = (this.#pending ??= new Map())
    const id = ++this.#lastId
    pending.set(id, giveUp)
    return [id, pending]
  }

  /** A completion is a notice: no mailbox limit stops it, and it stands in order with the messages. */
  #complete(of: Pending, event: Completion): void {
    if (of === this.#pending) this.#process.pushNotice(new InternalNotice({ event, of } satisfies Completed))
  }

  #sleep(durationMs: number): Answer {
    const { deadlines } = this.#kernel
    const deadline = deadlines.add(durationMs, {
      expire: () => this.#complete(of, { kind: 'completed', id, value: null }),
    })
    const [id, of] = this.#nextPending(() => deadlines.drop(deadline))
    return { kind: 'pending', id }
  }

  #abandon(id: number): Answer {
    const pending = this.#pending
    const giveUp = pending?.get(id)
    if (pending === undefined || giveUp === undefined) return doneNull
    // Whichever completion comes first takes the entry; the other is dropped.
    pending.set(id, () => undefined)
    giveUp()
    this.#complete(pending, { kind: 'failed', id, error: { kind: 'canceled', message: 'canceled', retryable: false } })
    return doneNull
  }

  #spawn(command: Extract<Command, { kind: 'spawn' }>): Answer {
    const options = command.options ?? {}
    const attach = (pid: Pid): Pid => {
      if (options.link === true) this.#onPid(pid, { kind: 'link', to: pid })
      if (options.monitor === true) this.#onPid(pid, { kind: 'monitor', to: pid })
      return pid
    }
    return this.#ask('spawn', this.#handlers.spawn, (scope) => {
      const pid = this.#handlers.spawn!(command.target, command.host, command.args, options, scope)
      return isPromise(pid) ? pid.then(attach) : attach(pid)
    })
  }

  #exec(command: Extract<Command, { kind: 'exec' }>): Answer {
    return this.#ask('exec', this.#handlers.spawn, (scope) => {
      const { target, host, args } = command
      const pid = this.#handlers.spawn!(target, host, args, command.options ?? {}, scope)
      return isPromise(pid) ? pid.then((late) => this.#resultOf(late, scope)) : this.#resultOf(pid, scope)
    })
  }

  /** Watched from the very turn in which the pid is known: one that ends in its first turn is not missed. */
  async #resultOf(pid: Pid, scope: ProgramScope): Promise<unknown> {
    const abandoned = (): void => void this.#kernel.terminate(pid, terminated(this.self))
    if (scope.signal.aborted) abandoned()
    scope.signal.addEventListener('abort', abandoned, { once: true })
    const reason = await this.#ctx.system.exited(pid)
    scope.signal.removeEventListener('abort', abandoned)
    const { value, error } = outcomeOf(reason, pid)
    if (error !== undefined) throw new ExecFailed(error)
    return value
  }

  // Commands about a pid

  #toPid(command: PidCommand): Answer {
    const pid = this.#find(command.to)
    if (pid === undefined) {
      return refused({ kind: 'not_found', message: `no process is named "${command.to}"`, retryable: false })
    }
    return this.#onPid(pid, command)
  }

  #find(to: Destination): Pid | undefined {
    if (typeof to !== 'string') return to
    const { system } = this.#ctx
    return this.#handlers.lookup?.(to) ?? system.whereis(to) ?? system.parsePid(to)
  }

  #onPid(pid: Pid, command: PidCommand): Answer {
    const kernel = this.#kernel
    const target = kernel.processOf(pid)
    const isRemote = target === undefined && kernel.isReachable(pid)
    if (target === undefined && !isRemote && !kernel.isLocal(pid) && this.#handlers.route !== undefined) {
      const handlers = this.#handlers
      return this.#ask('route', handlers.route, (scope) => handlers.route!(pid, command, scope))
    }
    switch (command.kind) {
      case 'monitor':
        // The end of one that is already gone is told like any other (rule 20).
        this.monitors ??= new Map()
        if (!this.monitors.has(String(pid))) this.monitors.set(String(pid), this.#ctx.monitor(pid))
        return doneNull
      case 'unmonitor': {
        const ref = this.monitors?.get(String(pid))
        if (ref !== undefined) this.#ctx.demonitor(ref, { flush: true })
        this.monitors?.delete(String(pid))
        return doneNull
      }
      case 'unlink':
        this.#ctx.unlink(pid)
        return doneNull
    }
    if (isRemote) return this.#onRemote(pid, command)
    if (target === undefined) return refused(notFound(pid))
    switch (command.kind) {
      case 'send': {
        const full = target.push(programMessage(command.topic, command.payload, this.self))
        if (full === undefined) return doneNull
        return refused({
          kind: 'rate_limited',
          message: `the mailbox of ${pid} holds its limit of ${full.limit} messages`,
          retryable: true,
        })
      }
      case 'link':
        kernel.link(this.#process, pid)
        return doneNull
      case 'exit':
        if (command.mode === 'cancel') target.pushNotice(new CancelNotice(this.self, command.reason))
        else if (target === this.#process) this.#doom = terminated(this.self, command.reason)
        else target.end(terminated(this.self, command.reason))
        return doneNull
    }
  }

  /** A process of another node: whether it lives is not known here. */
  #onRemote(pid: Pid, command: PidCommand): Answer {
    const kernel = this.#kernel
    switch (command.kind) {
      case 'send': {
        const full = kernel.send(pid, programMessage(command.topic, command.payload, this.self))
        if (full === undefined) return doneNull
        return refused({
          kind: 'rate_limited',
          message: `node ${pid.home.node} takes too little at present; the message to ${pid} was not sent`,
          retryable: true,
        })
      }
      case 'link':
        kernel.link(this.#process, pid)
        return doneNull
      case 'exit':
        if (command.mode === 'cancel') kernel.remote?.cancel(this.self, pid, command.reason)
        else kernel.terminate(pid, terminated(this.self, command.reason))
        return doneNull
      default:
        return doneNull
    }
  }
}

function isMessageEvent(message: unknown): message is MessageEvent {
  return typeof message === 'object' && message !== null && (message as MessageEvent).kind === 'message'
}

function notFound(pid: Pid): WireError {
  return { kind: 'not_found', message: `process not found: ${pid}`, retryable: false }
}

/** The reason of a process that another one ended without asking it. */
export function terminated(by: Pid | undefined, why?: string): ExitReason {
  const message = `process was terminated${by === undefined ? '' : ` by ${by}`}${why === undefined ? '' : `: ${why}`}`
  return { kind: 'error', error: { kind: 'canceled', message, retryable: false } }
}

/** Carries a wire error through a rejection, unchanged. */
class ExecFailed extends AppError {
  constructor(error: WireError) {
    super(error.kind, error.message, error.details, { retryable: error.retryable })
    if (error.stack !== undefined) this.stack = error.stack
  }
}

/** Most commands never look at their signal. */
class Lazy<T> {
  readonly #make: () => T
  #value: T | undefined = undefined

  constructor(make: () => T) {
    this.#make = make
  }

  get(): T {
    return (this.#value ??= this.#make())
  }

  peek(): T | undefined {
    return this.#value
  }
}

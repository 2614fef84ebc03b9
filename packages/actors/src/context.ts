import { AppError, type ExitReason, type LogLevel, type Pid, type Ref } from '@daruma/protocol'
import type { Actor, Destination, MailboxFull, ReplyOf, ReplyTo, RequestOf } from './actor.ts'
import type { AnyCode, Spawnable } from './behavior.ts'
import { IncomingCall, type From } from './call.ts'
import type { AnyStartOptions, CallOptions, ProcessOptions, StartOutcome, StartTime, WithArgs } from './options.ts'
import { EXITED } from './process-status.ts'
import { ExitRaised, type Process } from './process.ts'
import type { Notice } from './notice.ts'
import type { ActorSystem } from './system.ts'
import { IntervalTimer, NoticeTimer, SendTimer, type Timer } from './timer.ts'

/** What an actor can do. Everything acts as of this process; after its end, everything throws `canceled`. STABLE. */
export interface Context<M = unknown> {
  readonly self: Actor<M>
  /** Who spawned it: a process, or the system's root. */
  readonly parent: Pid
  readonly system: ActorSystem
  /** Aborted when this process ends: for `fetch` and everything else that takes one. */
  readonly signal: AbortSignal
  /** Exit signals become `exit` notices from now on; a kill never does. Decided anew for each signal (rule 8). */
  trapExits: boolean

  /**
   * Delivers in order with everything else that this process sends there. A dead process swallows it (rule 14); a full
   * mailbox that rejects gives it back as a value. @throws AppError not_found - nobody holds that name
   */
  send<T>(to: Destination<T>, message: NoInfer<T>): MailboxFull | undefined
  /** `send` that is silent about a missing name, too (rule 36). */
  cast<T>(to: Destination<T>, message: NoInfer<T>): void
  /**
   * Asks and waits for the answer. Rejects with kind not_found (no such process), unavailable (it ended meanwhile;
   * `details.reason`), timeout, rate_limited (its mailbox is full), invalid (oneself, rule 34), canceled.
   */
  call<T, const Q extends RequestOf<T>>(to: Destination<T>, request: Q, options?: CallOptions): Promise<ReplyOf<T, Q>>
  /** Answers the call in hand; one that was merely sent needs no answer. @throws AppError invalid - another is in hand */
  reply<Q>(request: Q, value: NoInfer<ReplyTo<Q>>): void
  /** The right to answer the request that is being handled, for later or for somebody else (rule 35). */
  replyTo<Q>(request: Q): From<ReplyTo<Q>>

  /** A new process with this one as its parent. It runs when its turn comes. */
  spawn<T, S, A>(code: Spawnable<T, S, A>, ...options: WithArgs<A, ProcessOptions>): Actor<T>
  /** Spawned and linked in one step (rule 18). */
  spawnLink<T, S, A>(code: Spawnable<T, S, A>, ...options: WithArgs<A, ProcessOptions>): Actor<T>
  /** Spawned and monitored in one step (rule 18). */
  spawnMonitor<T, S, A>(
    code: Spawnable<T, S, A>,
    ...options: WithArgs<A, ProcessOptions>
  ): { readonly pid: Actor<T>; readonly ref: Ref }
  /** Spawns and waits for `init`. @throws AppError unavailable, already_exists - `details.outcome` says how it failed */
  start<T, S, A>(code: Spawnable<T, S, A>, ...options: WithArgs<A, ProcessOptions & StartTime>): Promise<Actor<T>>
  /** `start` with every outcome as a value. */
  tryStart<T, S, A>(
    code: Spawnable<T, S, A>,
    ...options: WithArgs<A, ProcessOptions & StartTime>
  ): Promise<StartOutcome<T>>

  /** A dead peer: an `exit` notice with noproc if exits are trapped, otherwise throws not_found (rule 16). */
  link(peer: Pid): void
  /** Afterwards no exit signal comes from that link; a notice may already be queued (rule 17). */
  unlink(peer: Pid): void
  /** A `down` notice comes when it ends; at once, with noproc, if it is not there (rule 20). */
  monitor(target: Pid | string): Ref
  /** Stops a monitor of this process. `flush` removes a `down` that is already queued, too (rule 22). */
  demonitor(ref: Ref, options?: { readonly flush?: boolean }): void
  /** Sends an exit signal. To itself it acts before this returns, and nothing that follows runs (rule 3). */
  exit(to: Pid, reason: ExitReason): void
  /** Ends this process: like a throw, but with a reason of one's own. */
  stop(reason: ExitReason): never

  /** Sends `message` to itself after `delayMs`. */
  after(delayMs: number, message: M): Timer
  /** Sends `message` to itself at that instant of the wall clock; at once if it has passed. */
  at(wallMs: number, message: M): Timer
  /** Sends `message` to itself every `periodMs`, at whole multiples from now; an unread one is not repeated (rule 29). */
  interval(periodMs: number, message: M): Timer
  sendAfter<T>(to: Destination<T>, delayMs: number, message: NoInfer<T>): Timer
  /** A `timeout` notice with its own reference after `delayMs`. */
  startTimer(delayMs: number, value?: unknown): Timer

  /** @throws AppError already_exists, invalid - taken; dead pid; that process has a name already (rule 24) */
  register(name: string, pid?: Pid): void
  unregister(name: string): void
  whereis(name: string): Pid | undefined

  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void
}

/** A receive that waits no longer than that, or until that aborts. */
export interface ReceiveOptions {
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** What straight-line code can do besides. STABLE. */
export interface BodyContext<M = unknown> extends Context<M> {
  /** The oldest message or notice; waits for one. */
  receive(): Promise<M | Notice>
  /** The same, or undefined after `timeoutMs`; 0 only looks (rule 30). Rejects with canceled when `signal` aborts. */
  receive(options: ReceiveOptions): Promise<M | Notice | undefined>
  /** The oldest that `matches`; the others stay, in order. */
  receive<T extends M | Notice>(matches: (message: M | Notice) => message is T): Promise<T>
  receive<T extends M | Notice>(
    matches: (message: M | Notice) => message is T,
    options: ReceiveOptions,
  ): Promise<T | undefined>
  receive(matches: (message: M | Notice) => boolean): Promise<M | Notice>
  receive(matches: (message: M | Notice) => boolean, options: ReceiveOptions): Promise<M | Notice | undefined>
  /** Waits without taking messages. Rejects when the process ends. */
  sleep(durationMs: number): Promise<void>
}

/** The one implementation of both contexts. */
export class ProcessContext implements BodyContext<unknown> {
  readonly #process: Process

  constructor(process: Process) {
    this.#process = process
  }

  get self(): Actor {
    return this.#process.pid
  }

  get parent(): Pid {
    return this.#process.parent
  }

  get system(): ActorSystem {
    return this.#process.kernel.system
  }

  get signal(): AbortSignal {
    const process = this.#process
    if (process.phase === EXITED) return AbortSignal.abort(endedError(process))
    return (process.extra.abort ??= new AbortController()).signal
  }

  get trapExits(): boolean {
    return this.#process.trapExits
  }

  set trapExits(on: boolean) {
    this.#process.trapExits = on
  }

  send(to: Pid | string, message: unknown): MailboxFull | undefined {
    const process = this.#process
    if (process.phase === EXITED) throw endedError(process)
    return process.kernel.send(to, message)
  }

  cast(to: Pid | string, message: unknown): void {
    const { kernel } = this.live()
    kernel.cast(to, message)
  }

  call(to: Pid | string, request: unknown, options?: CallOptions): Promise<never> {
    const process = this.live()
    return process.kernel.call(process, to, request, options) as Promise<never>
  }

  reply(request: unknown, value: unknown): void {
    this.replyTo(request).reply(value as never)
  }

  replyTo(request: unknown): From<never> {
    const { current } = this.live()
    // A plain message is not remembered while it is handled: what is merely sent has nobody to answer to.
    if (!(current instanceof IncomingCall)) return noCaller
    if (current.request === request) return current
    throw new AppError(
      'invalid',
      `${this.#process.describe()} is not handling that request now; keep what ctx.replyTo gave while it was`,
    )
  }

  spawn(code: AnyCode, options?: AnyStartOptions): Actor {
    const process = this.live()
    return process.kernel.spawn(process, code, options).pid as Actor
  }

  spawnLink(code: AnyCode, options?: AnyStartOptions): Actor {
    const process = this.live()
    return process.kernel.spawn(process, code, { ...options, link: true }).pid as Actor
  }

  spawnMonitor(code: AnyCode, options?: AnyStartOptions): { pid: Actor; ref: Ref } {
    const process = this.live()
    const child = process.kernel.spawn(process, code, options)
    return { pid: child.pid as Actor, ref: process.kernel.monitorProcess(process, child) }
  }

  start(code: AnyCode, options?: AnyStartOptions): Promise<Actor> {
    const process = this.live()
    return process.kernel.start(process, code, options) as Promise<Actor>
  }

  tryStart(code: AnyCode, options?: AnyStartOptions): Promise<StartOutcome> {
    const process = this.live()
    return process.kernel.tryStart(process, code, options) as Promise<StartOutcome>
  }

  link(peer: Pid): void {
    const process = this.live()
    process.kernel.link(process, peer)
  }

  unlink(peer: Pid): void {
    const process = this.live()
    process.kernel.unlink(process, peer)
  }

  monitor(target: Pid | string): Ref {
    const process = this.live()
    return process.kernel.monitor(process, target)
  }

  demonitor(ref: Ref, options?: { readonly flush?: boolean }): void {
    const process = this.live()
    process.kernel.demonitor(process, ref, options?.flush === true)
  }

  exit(to: Pid, reason: ExitReason): void {
    const process = this.live()
    process.kernel.exit(process.pid, to, reason)
    if (process.phase === EXITED) throw endedError(process)
  }

  stop(reason: ExitReason): never {
    throw new ExitRaised(reason)
  }

  after(delayMs: number, message: unknown): Timer {
    return this.sendAfter(this.#process.pid, delayMs, message)
  }

  at(wallMs: number, message: unknown): Timer {
    return this.after(Math.max(wallMs - this.#process.kernel.clock.wallMs(), 0), message)
  }

  interval(periodMs: number, message: unknown): Timer {
    if (!(periodMs > 0)) throw new AppError('invalid', `an interval needs a period above 0 ms, not ${periodMs}`)
    const process = this.live()
    return new IntervalTimer(process.kernel, process, periodMs, message)
  }

  sendAfter(to: Pid | string, delayMs: number, message: unknown): Timer {
    return new SendTimer(this.live().kernel, to, delayMs, message)
  }

  startTimer(delayMs: number, value?: unknown): Timer {
    const process = this.live()
    return new NoticeTimer(process.kernel, process.pid, delayMs, value)
  }

  register(name: string, pid: Pid = this.#process.pid): void {
    this.live().kernel.register(name, pid)
  }

  unregister(name: string): void {
    this.live().kernel.names.unregister(name)
  }

  whereis(name: string): Pid | undefined {
    return this.#process.kernel.names.find(name)?.pid
  }

  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void {
    const { kernel, pid } = this.#process
    kernel.logger.log(level, message, { pid: String(pid), ...fields })
  }

  receive(first?: unknown, second?: unknown): Promise<never> {
    const process = this.live()
    if (process.body === undefined) {
      throw new AppError(
        'invalid',
        `${process.describe()} handles messages one by one; only straight-line code receives`,
      )
    }
    return typeof first === 'function'
      ? (process.body.receive(first as (message: never) => boolean, second as ReceiveOptions) as Promise<never>)
      : (process.body.receive(undefined, first as ReceiveOptions) as Promise<never>)
  }

  sleep(durationMs: number): Promise<void> {
    const process = this.live()
    return process.kernel.sleep(process, durationMs)
  }

  /** After its end a process may not act any more, although JavaScript lets its code run on. */
  private live(): Process {
    const process = this.#process
    if (process.phase === EXITED) throw endedError(process)
    return process
  }
}

const noCaller: From<never> = { reply: () => undefined, fail: () => undefined }

function endedError(process: Process): AppError {
  return new AppError('canceled', `${process.describe()} has ended; its code must stop`)
}

import {
  Home,
  silentLogger,
  systemClock,
  systemRng,
  exitKill,
  exitShutdown,
  parsePid,
  toWire,
  type Clock,
  type ExitReason,
  type Logger,
  type NodeId,
  type Peer,
  type Pid,
  type Rng,
} from '@daruma/protocol'
import type { Actor, Destination, MailboxFull, ReplyOf, RequestOf } from './actor.ts'
import type { AnyCode, Spawnable } from './behavior.ts'
import type { Events } from './events.ts'
import type { Groups, Topics } from './groups.ts'
import { describeProcess, processForest, type ProcessInfo, type ProcessTree } from './inspect.ts'
import { Kernel, type TraceEvent } from './kernel.ts'
import { CancelNotice } from './notice.ts'
import type { AnyStartOptions, CallOptions, ProcessOptions, StartOutcome, StartTime, WithArgs } from './options.ts'
import { EXITED } from './process-status.ts'
import type { Process } from './process.ts'
import { LoopScheduler, type Scheduler } from './scheduler.ts'
import { SendTimer, type Timer } from './timer.ts'

export interface SystemOptions {
  /** Default `local`. */
  readonly node?: string
  /** The host part of its pids. Default `actors`. */
  readonly host?: string
  /** Default: the machine's. Its timers keep the event loop alive. */
  readonly clock?: Clock
  readonly rng?: Rng
  /** Default: silent. */
  readonly logger?: Logger
  /** For tests: who decides what runs next. */
  readonly scheduler?: Scheduler
  /** Distinguishes this life of the node. Default: from the wall clock and chance. */
  readonly incarnation?: number
}

/**
 * Processes that can reach each other. Several systems live side by side in one JavaScript process without touching.
 * Everything here acts from outside of any process; handlers use their `ctx`. STABLE.
 */
export class ActorSystem implements AsyncDisposable {
  /** For siblings, by way of `kernelOf`. */
  readonly #kernel: Kernel

  constructor(kernel: Kernel) {
    this.#kernel = kernel
    kernel.system = this
  }

  static kernelOf(system: ActorSystem): Kernel {
    return system.#kernel
  }

  get node(): NodeId {
    return this.#kernel.home.node
  }

  /** Whether it has joined a cluster, be there others or not. */
  get isClustered(): boolean {
    return this.#kernel.remote !== undefined
  }

  /** Other nodes that are up, where this one is in a cluster. */
  get peers(): readonly Peer[] {
    return this.#kernel.remote?.peers ?? []
  }

  get home(): Home {
    return this.#kernel.home
  }

  /** The parent of what is spawned from outside. Nobody lives there; exit signals sent from outside come from it. */
  get root(): Pid {
    return this.#kernel.root
  }

  get clock(): Clock {
    return this.#kernel.clock
  }

  get rng(): Rng {
    return this.#kernel.rng
  }

  get logger(): Logger {
    return this.#kernel.logger
  }

  /** What happens here, for consoles: `subscribe`, or `for await`. Free while nobody listens. */
  get events(): Events {
    return this.#kernel.events
  }

  /** Process groups of this system. */
  get groups(): Groups {
    return this.#kernel.groups
  }

  /** Publish and subscribe within this system. */
  get topics(): Topics {
    return this.#kernel.topics
  }

  /** Living processes. */
  get size(): number {
    return this.#kernel.table.size
  }

  /** A new process; it runs when its turn comes, never before this returns. @throws AppError already_exists - the name */
  spawn<T, S, A>(code: Spawnable<T, S, A>, ...options: WithArgs<A, ProcessOptions>): Actor<T>
  spawn(code: AnyCode, options?: AnyStartOptions): Actor {
    return this.#kernel.spawn(undefined, code, options).pid as Actor
  }

  /** Spawns and waits for `init`. @throws AppError unavailable, already_exists - `details.outcome` says how it failed */
  start<T, S, A>(code: Spawnable<T, S, A>, ...options: WithArgs<A, ProcessOptions & StartTime>): Promise<Actor<T>>
  start(code: AnyCode, options?: AnyStartOptions): Promise<Actor> {
    return this.#kernel.start(undefined, code, options) as Promise<Actor>
  }

  /** `start` with every outcome as a value. */
  tryStart<T, S, A>(
    code: Spawnable<T, S, A>,
    ...options: WithArgs<A, ProcessOptions & StartTime>
  ): Promise<StartOutcome<T>>
  tryStart(code: AnyCode, options?: AnyStartOptions): Promise<StartOutcome> {
    return this.#kernel.tryStart(undefined, code, options) as Promise<StartOutcome>
  }

  /** See `Context.send`. */
  send<T>(to: Destination<T>, message: NoInfer<T>): MailboxFull | undefined {
    return this.#kernel.send(to, message)
  }

  /** See `Context.cast`. */
  cast<T>(to: Destination<T>, message: NoInfer<T>): void {
    this.#kernel.cast(to, message)
  }

  /** See `Context.call`. Default `timeoutMs` 5_000. */
  call<T, const Q extends RequestOf<T>>(to: Destination<T>, request: Q, options?: CallOptions): Promise<ReplyOf<T, Q>> {
    return this.#kernel.call(undefined, to, request, options) as Promise<ReplyOf<T, Q>>
  }

  /** An exit signal from the system's root, which is the parent of what was spawned from outside (rule 41). */
  exit(to: Pid, reason: ExitReason): void {
    this.#kernel.exit(this.#kernel.root, to, reason)
  }

  /** Asks a process politely to end: a `cancel` notice; without a handler for it, it stops with `shutdown`. */
  cancel(to: Pid, reason?: string): boolean {
    const target = this.#kernel.processOf(to)
    if (target === undefined) return this.#kernel.remote?.cancel(undefined, to, reason) ?? false
    target.pushNotice(new CancelNotice(undefined, reason))
    return true
  }

  /** Resolves with the reason when it ends; at once with `noproc` if it is not there. */
  exited(pid: Pid): Promise<ExitReason> {
    return new Promise((resolve) => this.#kernel.watchExit(pid, resolve))
  }

  /** Calls `tell` once when `pid` ends, in the middle of that process's end: it must not throw. Returns the way out. */
  watchExit(pid: Pid, tell: (reason: ExitReason) => void): () => void {
    return this.#kernel.watchExit(pid, tell)
  }

  sendAfter<T>(to: Destination<T>, delayMs: number, message: NoInfer<T>): Timer {
    return new SendTimer(this.#kernel, to, delayMs, message)
  }

  /** `alias`: a further name, for processes that go by several. @throws AppError already_exists, invalid - rule 24 */
  register(name: string, pid: Pid, options?: { readonly alias?: boolean }): void {
    this.#kernel.register(name, pid, options)
  }

  /** @throws AppError not_found - nobody holds it */
  unregister(name: string): void {
    this.#kernel.names.unregister(name)
  }

  whereis(name: string): Pid | undefined {
    return this.#kernel.names.find(name)?.pid
  }

  /** Lives here, or may live on another node that is up: what is sent there will arrive or be lost with the connection. */
  isReachable(pid: Pid): boolean {
    return this.isAlive(pid) || this.#kernel.isReachable(pid)
  }

  /** Lives here; false for every process of another node. */
  isAlive(pid: Pid): boolean {
    return this.#kernel.processOf(pid) !== undefined
  }

  /** The pid that a text names, with its process's fast path where it lives here; undefined if it is no pid's text. */
  parsePid(text: string): Pid | undefined {
    const pid = parsePid(text, this.#kernel.home.node)
    return pid === undefined ? undefined : (this.#kernel.processOf(pid)?.pid ?? pid)
  }

  /** Takes no more messages until `resume`; signals that act on receipt still do. */
  suspend(pid: Pid): void {
    this.#kernel.processOf(pid)?.suspend()
  }

  resume(pid: Pid): void {
    this.#kernel.processOf(pid)?.resume()
  }

  processInfo(pid: Pid): ProcessInfo | undefined {
    const process = this.#kernel.processOf(pid)
    return process === undefined ? undefined : describeProcess(this.#kernel, process)
  }

  /** All living processes, in order of birth. */
  processes(): Pid[] {
    return Array.from(this.#kernel.table, (process) => process.pid)
  }

  tree(): readonly ProcessTree[] {
    return processForest(this.#kernel)
  }

  /**
   * Told of every send and receive from now on; `undefined` turns it off again, and it costs nothing. A tracer that throws
   * is turned off, as a listener of events is.
   */
  trace(tracer: ((event: TraceEvent) => void) | undefined): void {
    const kernel = this.#kernel
    const guarded = (event: TraceEvent): void => {
      try {
        tracer!(event)
      } catch (thrown) {
        if (kernel.tracer === guarded) kernel.tracer = undefined
        kernel.logger.log('error', 'the tracer threw and is turned off', { error: toWire(thrown) })
      }
    }
    kernel.tracer = tracer === undefined ? undefined : guarded
  }

  /**
   * Stops everything and refuses new processes. Those spawned from outside are asked to `shutdown`, the newest first, one
   * after the other; then whoever is left. What has not ended after `deadlineMs` (default 5_000) is killed.
   */
  async shutdown(options: { readonly deadlineMs?: number } = {}): Promise<void> {
    const kernel = this.#kernel
    if (kernel.closed && kernel.table.size === 0) return
    kernel.closed = true
    let late = false
    const deadline = kernel.deadlines.add(options.deadlineMs ?? 5_000, {
      expire: () => {
        late = true
        for (const process of [...kernel.table]) kernel.sendExit(process, kernel.root, exitKill, false)
      },
    })
    const stop = async (process: Process): Promise<void> => {
      if (process.phase === EXITED) return
      const gone = this.exited(process.pid)
      kernel.sendExit(process, kernel.root, late ? exitKill : exitShutdown, false)
      await gone
    }
    const roots = [...kernel.table].filter((process) => process.parent === kernel.root).reverse()
    for (const process of roots) await stop(process)
    while (kernel.table.size > 0) await Promise.all([...kernel.table].reverse().map(stop))
    kernel.deadlines.drop(deadline)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown()
  }
}

/** A system of its own: nothing is shared with any other. */
export function createSystem(options: SystemOptions = {}): ActorSystem {
  const clock = options.clock ?? systemClock()
  const rng = options.rng ?? systemRng()
  const incarnation = options.incarnation ?? Math.floor(clock.wallMs()) * 1024 + Math.floor(rng.next() * 1024)
  const home = new Home((options.node ?? 'local') as NodeId, incarnation, options.host ?? 'actors')
  const logger = options.logger ?? silentLogger
  const scheduler = options.scheduler ?? new LoopScheduler(clock)
  return new ActorSystem(new Kernel({ home, clock, rng, logger, scheduler }))
}

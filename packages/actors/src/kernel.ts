import {
  AppError,
  describeReason,
  exitKilled,
  exitNoproc,
  Pid,
  sameRef,
  silentLogger,
  toWire,
  type Clock,
  type ExitReason,
  type Home,
  type Logger,
  type Ref,
  type Rng,
} from '@daruma/protocol'
import type { MailboxFull } from './actor.ts'
import { straightLine, type AnyCode } from './behavior.ts'
import { BodyRun } from './body.ts'
import { callFailed, IncomingCall, PendingCall } from './call.ts'
import { ProcessContext } from './context.ts'
import { Deadlines } from './deadlines.ts'
import { Events, type CrashReport, type SystemEvent } from './events.ts'
import { Groups, Topics } from './groups.ts'
import { link, unlink } from './links.ts'
import { kindOf } from './message-kind.ts'
import { DownMonitor, ExitWatch, Monitor } from './monitor.ts'
import { Names } from './names.ts'
import { DownNotice, ExitNotice, Special } from './notice.ts'
import type { AnyStartOptions, CallOptions, StartOutcome } from './options.ts'
import { ProcessTable } from './process-table.ts'
import { BOUNDED, DROWSY, STRAIGHT } from './process-status.ts'
import { Process, type Extras } from './process.ts'
import type { Remote } from './remote.ts'
import type { Scheduler } from './scheduler.ts'
import type { ActorSystem } from './system.ts'

/** What the trace hook is told. */
export type TraceEvent =
  | { readonly kind: 'send'; readonly to: Pid; readonly message: unknown }
  | { readonly kind: 'receive'; readonly pid: Pid; readonly message: unknown }

/**
 * The machine room of one system: what processes, contexts and the system's own surface share.
 * Everything that leaves a process goes through here, so that another node's pid has one place to turn off (`away`).
 */
export class Kernel {
  readonly home: Home
  readonly root: Pid
  readonly clock: Clock
  readonly rng: Rng
  readonly logger: Logger
  readonly scheduler: Scheduler
  readonly deadlines: Deadlines
  readonly table = new ProcessTable()
  readonly names = new Names()
  readonly groups: Groups = new Groups(this)
  readonly topics: Topics = new Topics(this)
  readonly events = new Events()
  tracer: ((event: TraceEvent) => void) | undefined = undefined
  system: ActorSystem = undefined as never
  /** The other nodes, where this one is in a cluster. */
  remote: Remote | undefined = undefined
  closed = false
  #serial = 0
  #refSerial = 0
  #cascade: { readonly to: Process; readonly from: Pid; readonly reason: ExitReason; readonly link: boolean }[] = []
  #cascading = false

  constructor(parts: {
    readonly home: Home
    readonly clock: Clock
    readonly rng: Rng
    readonly logger: Logger
    readonly scheduler: Scheduler
  }) {
    this.home = parts.home
    this.root = new Pid(parts.home, 0)
    this.clock = parts.clock
    this.rng = parts.rng
    this.logger = parts.logger
    this.scheduler = parts.scheduler
    this.deadlines = new Deadlines(parts.clock, (task) => parts.scheduler.defer(task))
  }

  nextSerial(): number {
    return ++this.#refSerial
  }

  // Finding

  /** The living process of a pid of this system, wherever the pid object came from. */
  processOf(pid: Pid): Process | undefined {
    const target = pid.target as Process | undefined
    if (target !== undefined && target.kernel === this) return target
    return typeof pid.id === 'number' && this.isLocal(pid) ? this.table.get(pid.id) : undefined
  }

  isLocal(pid: Pid): boolean {
    return (
      pid.home === this.home || (pid.home.node === this.home.node && pid.home.incarnation === this.home.incarnation)
    )
  }

  /** Whether a pid is a process of another node that is up. */
  isReachable(pid: Pid): boolean {
    return this.remote !== undefined && this.remote.reaches(pid)
  }

  /** The pid of a process of this system that may have ended. */
  pidOf(serial: number): Pid {
    return this.table.get(serial)?.pid ?? new Pid(this.home, serial)
  }

  /** Why nothing can reach a pid that is no living process here. */
  #absence(pid: Pid): ExitReason {
    if (this.isLocal(pid)) return exitNoproc
    return this.remote?.absence(pid) ?? { kind: 'noconnection', node: pid.home.node }
  }

  // Messages

  send(to: Pid | string, message: unknown): MailboxFull | undefined {
    // A living process of this system, unobserved: all that a message costs on its way.
    const target = (to as Pid).target as Process | undefined
    if (target !== undefined && target.kernel === this && this.tracer === undefined) return target.push(message)
    return this.#sendByAnyWay(to, message)
  }

  #sendByAnyWay(to: Pid | string, message: unknown): MailboxFull | undefined {
    const target = typeof to === 'string' ? this.names.find(to) : this.processOf(to)
    if (target === undefined) {
      if (typeof to !== 'string') return this.#lost(to, message)
      this.deadLetter(to, message, 'no_name')
      throw new AppError('not_found', `nobody holds the name "${to}"; message ${kindOf(message)} was not sent`, {
        name: to,
      })
    }
    if (this.tracer !== undefined) this.tracer({ kind: 'send', to: target.pid, message })
    return target.push(message)
  }

  cast(to: Pid | string, message: unknown): void {
    const target = typeof to === 'string' ? this.names.find(to) : this.processOf(to)
    if (target === undefined) {
      if (typeof to === 'string') this.deadLetter(to, message, 'no_name')
      else this.#lost(to, message)
      return
    }
    if (this.tracer !== undefined) this.tracer({ kind: 'send', to: target.pid, message })
    target.push(message)
  }

  call(caller: Process | undefined, to: Pid | string, request: unknown, options?: CallOptions): Promise<unknown> {
    const target = typeof to === 'string' ? this.names.find(to) : this.processOf(to)
    if (target === undefined) {
      if (typeof to !== 'string' && this.isReachable(to)) return this.remote!.call(caller, to, request, options)
      return Promise.reject(callFailed(to, request, typeof to === 'string' ? exitNoproc : this.#absence(to)))
    }
    if (target === caller) {
      return Promise.reject(
        new AppError('invalid', `${caller.describe()} cannot call itself: it would wait for itself for ever`, { to }),
      )
    }
    const signal = options?.signal
    if (signal?.aborted === true) {
      return Promise.reject(
        new AppError('canceled', `call ${kindOf(request)} to ${to} was aborted`, { to }, { cause: signal.reason }),
      )
    }
    let pending!: PendingCall
    const promise = new Promise<unknown>((resolve, reject) => {
      pending = new PendingCall(this, caller, target.pid, request, resolve, reject)
    })
    pending.promise = promise
    pending.watch(target)
    const timeoutMs = options?.timeoutMs ?? 5_000
    if (timeoutMs !== Infinity) pending.deadline = this.deadlines.add(timeoutMs, pending)
    if (signal !== undefined) pending.abortBy(signal)
    if (this.tracer !== undefined) this.tracer({ kind: 'send', to: target.pid, message: request })
    const full = target.pushBounded(new IncomingCall(request, pending))
    if (full !== undefined) pending.refuse(full.limit)
    return promise
  }

  /** No process of this system has that pid. */
  #lost(to: Pid, message: unknown): MailboxFull | undefined {
    if (this.isReachable(to)) return this.remote!.send(to, message)
    this.deadLetter(to, message, this.isLocal(to) ? 'no_process' : 'no_connection')
    return undefined
  }

  deadLetter(to: Pid | string, message: unknown, why: (SystemEvent & { kind: 'dead_letter' })['why']): void {
    if (this.events.active) this.events.emit({ kind: 'dead_letter', to, message, why })
  }

  traceReceive(pid: Pid, item: unknown): void {
    this.tracer!({ kind: 'receive', pid, message: item instanceof Special ? item.visible() : item })
  }

  // Births

  spawn(
    parent: Process | undefined,
    code: AnyCode,
    options: AnyStartOptions | undefined,
    ack?: (outcome: StartOutcome) => void,
  ): Process {
    if (this.closed) throw new AppError('unavailable', 'this actor system is shut down; nothing can be spawned')
    const serial = ++this.#serial
    const pid = new Pid(options?.home ?? this.home, serial)
    const parentPid = parent === undefined ? this.root : parent.pid
    let process: Process
    if (typeof code === 'function') {
      process = new Process(this, pid, parentPid, straightLine, undefined)
      process.state = new BodyRun(process, code, options?.args)
      process.irregular |= STRAIGHT
    } else process = new Process(this, pid, parentPid, code, options?.args)
    process.context = new ProcessContext(process) as never
    if (options !== undefined) {
      this.#configure(process, options)
      if (options.name !== undefined) this.names.register(options.name, process)
      if (options.link === true && parent !== undefined) link(parent, process)
    }
    if (ack !== undefined) process.extra.ack = ack
    pid.target = process
    this.table.add(serial, process)
    if (this.events.active) {
      this.events.emit({ kind: 'spawned', pid, parent: process.parent, behavior: process.label })
    }
    this.scheduler.enqueue(process)
    return process
  }

  #configure(process: Process, options: AnyStartOptions): void {
    if (options.trapExits === true) process.trapExits = true
    if (options.mailbox !== undefined) {
      if (!(options.mailbox.limit >= 1)) {
        throw new AppError('invalid', `a mailbox limit must be at least 1, not ${options.mailbox.limit}`)
      }
      process.extra.mailbox = options.mailbox
      process.irregular |= BOUNDED
    }
    if (options.terminateMs !== undefined) process.extra.terminateMs = options.terminateMs
    if (options.label !== undefined) process.extra.label = options.label
    if (options.hibernateAfterMs !== undefined) {
      if (process.body !== undefined) {
        throw new AppError(
          'invalid',
          `${process.label} is straight-line code, which cannot hibernate; write a behavior`,
        )
      }
      process.extra.hibernateAfterMs = options.hibernateAfterMs
      if (options.hibernateAfterMs !== Infinity) process.irregular |= DROWSY
    }
  }

  tryStart(parent: Process | undefined, code: AnyCode, options: AnyStartOptions | undefined): Promise<StartOutcome> {
    const holder = options?.name === undefined ? undefined : this.names.find(options.name)
    if (holder !== undefined) return Promise.resolve({ kind: 'already_started', pid: holder.pid })
    return new Promise((resolve) => {
      const process = this.spawn(parent, code, options, resolve)
      const startMs = options?.startMs
      if (startMs === undefined || startMs === Infinity) return
      const { extra } = process
      extra.startDeadline = this.deadlines.add(startMs, {
        expire: () => {
          extra.startDeadline = undefined
          extra.startedTooLateMs = startMs
          process.end(exitKilled)
        },
      })
    })
  }

  /** What a starter is told of a process that ended before its `init` answered. */
  startFailure(reason: ExitReason, extras: Extras): ExitReason {
    if (extras.startedTooLateMs === undefined) return reason
    const error = new AppError('timeout', `init did not answer within ${extras.startedTooLateMs} ms; it was killed`)
    return { kind: 'error', error: toWire(error) }
  }

  async start(parent: Process | undefined, code: AnyCode, options: AnyStartOptions | undefined): Promise<Pid> {
    const outcome = await this.tryStart(parent, code, options)
    const what = code.name === '' || code.name === undefined ? 'process' : code.name
    switch (outcome.kind) {
      case 'started':
        return outcome.pid
      case 'already_started':
        throw new AppError('already_exists', `${what} is already started: ${outcome.pid}`, {
          outcome,
          pid: outcome.pid,
        })
      case 'ignored':
        throw new AppError('unavailable', `${what} did not start: its init answered ignore`, { outcome })
      case 'failed':
        throw new AppError('unavailable', `${what} did not start: ${describeReason(outcome.reason)}`, { outcome })
    }
  }

  // Ends

  /** Called by `Process.end` alone. */
  forget(process: Process): void {
    process.pid.target = undefined
    this.table.delete(process.pid.id as number)
  }

  /** An explicit exit signal. */
  exit(from: Pid, to: Pid, reason: ExitReason): void {
    const target = this.processOf(to)
    if (target !== undefined) this.sendExit(target, from, reason, false)
    else this.remote?.exit(from, to, reason)
  }

  /**
   * Exit signals act on receipt, and the end of one process sends more of them: a chain of a million links must not
   * become a stack of a million frames, so the signals of one cascade that may end somebody wait in a queue.
   * Those that are trapped end nobody and are delivered at once.
   */
  sendExit(to: Process, from: Pid, reason: ExitReason, isLink: boolean): void {
    if (this.#cascading && !(isLink && to.trapExits)) {
      this.#cascade.push({ to, from, reason, link: isLink })
      return
    }
    if (this.#cascading) return to.receiveExit(from, reason, isLink)
    this.#cascading = true
    to.receiveExit(from, reason, isLink)
    for (let at = 0; at < this.#cascade.length; at++) {
      const signal = this.#cascade[at]!
      signal.to.receiveExit(signal.from, signal.reason, signal.link)
    }
    this.#cascade = []
    this.#cascading = false
  }

  /** Ends a process without asking it, whatever it traps. Its links and monitors learn `reason`. */
  terminate(to: Pid, reason: ExitReason): boolean {
    const target = this.processOf(to)
    if (target === undefined) return this.remote?.terminate(to, reason) ?? false
    target.end(reason)
    return true
  }

  reportCrash(process: Process, reason: ExitReason): void {
    // A report is the dearest part of a crash, and restart storms are when nobody may be slow.
    if (this.logger === silentLogger && !this.events.active) return
    const { current } = process
    const message = current instanceof Special ? current.visible() : current
    const report: CrashReport = {
      pid: process.pid,
      name: this.names.nameOf(process),
      behavior: process.label,
      reason,
      ancestors: this.ancestorsOf(process),
      messageKind: message === undefined ? undefined : kindOf(message),
      mailboxLength: process.length,
    }
    if (this.events.active) this.events.emit({ kind: 'crashed', report })
    this.logger.log('error', `${process.describe()} crashed: ${describeReason(reason)}`, {
      ...report,
      pid: String(report.pid),
      ancestors: report.ancestors.map(String),
    })
  }

  /** Parent first; stops at one that has ended. */
  ancestorsOf(process: Process): Pid[] {
    const ancestors = [process.parent]
    for (let at = this.processOf(process.parent); at !== undefined; at = this.processOf(at.parent))
      ancestors.push(at.parent)
    return ancestors
  }

  // Links and monitors

  link(process: Process, peer: Pid): void {
    const target = this.processOf(peer)
    if (target !== undefined) return link(process, target)
    if (this.isReachable(peer) && this.remote!.link(process, peer)) return
    const reason = this.#absence(peer)
    if (process.trapExits) return process.pushNotice(new ExitNotice(peer, reason, true))
    throw new AppError('not_found', `${process.describe()} cannot link to ${peer}: ${describeReason(reason)}`, {
      peer,
      reason,
    })
  }

  unlink(process: Process, peer: Pid): void {
    const target = this.processOf(peer)
    if (target !== undefined) unlink(process, target)
    else this.remote?.unlink(process, peer)
  }

  monitor(process: Process, target: Pid | string): Ref {
    const found = typeof target === 'string' ? this.names.find(target) : this.processOf(target)
    if (found === undefined && typeof target !== 'string' && this.isReachable(target)) {
      return this.remote!.downMonitor(process, target)
    }
    const name = typeof target === 'string' ? target : undefined
    const { node, incarnation } = this.home
    const monitor = new DownMonitor(node, incarnation, this.nextSerial(), process, name)
    if (found !== undefined) monitor.watch(found)
    else if (typeof target === 'string') monitor.fire(undefined, exitNoproc)
    else monitor.fire(target, this.#absence(target))
    return monitor
  }

  monitorProcess(process: Process, target: Process): Ref {
    const monitor = new DownMonitor(this.home.node, this.home.incarnation, this.nextSerial(), process, undefined)
    monitor.watch(target)
    return monitor
  }

  demonitor(process: Process, ref: Ref, flush: boolean): void {
    const monitor = ref instanceof Monitor ? ref : this.#monitorOf(process, ref)
    if (monitor instanceof DownMonitor && monitor.watcher === process) monitor.detach()
    if (flush) process.take((item) => item instanceof DownNotice && sameRef(item.ref, ref))
  }

  /** For a reference that travelled and came back as a copy. */
  #monitorOf(process: Process, ref: Ref): Monitor | undefined {
    let monitor = process.watching
    while (monitor !== undefined && !sameRef(monitor, ref)) monitor = monitor.nextOfWatcher
    return monitor
  }

  /** Calls `tell` once when `pid` ends; at once if it is not there. Returns the way out. */
  watchExit(pid: Pid, tell: (reason: ExitReason) => void): () => void {
    const target = this.processOf(pid)
    if (target === undefined && this.isReachable(pid)) {
      const remote = this.remote!.exitWatch(pid, tell)
      return () => remote.detach()
    }
    const watch = new ExitWatch(this.home.node, this.home.incarnation, this.nextSerial(), tell)
    if (target === undefined) tell(this.#absence(pid))
    else watch.watch(target)
    return () => watch.detach()
  }

  register(name: string, pid: Pid, options?: { readonly alias?: boolean }): void {
    const process = this.processOf(pid)
    if (process === undefined) {
      throw new AppError('invalid', `cannot register "${name}": ${pid} is not a living process here`, { name, pid })
    }
    this.names.register(name, process, options)
  }

  sleep(process: Process, durationMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const owned = {
        ownerEnded: () => {
          this.deadlines.drop(deadline)
          reject(new AppError('canceled', `${process.describe()} has ended; its code must stop`))
        },
      }
      const deadline = this.deadlines.add(durationMs, {
        expire: () => {
          process.extras?.owned?.delete(owned)
          resolve()
        },
      })
      process.own(owned)
    })
  }
}

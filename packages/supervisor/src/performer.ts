import type { Context, From, Next, Notice, SpawnOptions, StartOutcome } from '@daruma/actors'
import type { Kernel, Process } from '@daruma/actors/internal'
import { ActorSystem, ExitNotice, InternalNotice, next } from '@daruma/actors/internal'

import type { ExitReason, Pid } from '@daruma/protocol'
import { AppError, exitKill, exitKilled, exitShutdown, samePid, silentLogger, toWire } from '@daruma/protocol'
import { isSupervisorCode, StartWith } from './child-spec.ts'
import type { StartRecipe } from './child-spec.ts'
import type { DynamicEffect, DynamicEvent } from './dynamic-strategy.ts'
import type { Event } from './effects.ts'
import type { ChildReport, SupervisorReport } from './report.ts'
import { describeReport, reportLevel } from './report.ts'
import type { Child, Retry } from './table.ts'

/** What performing tells whoever decides; a deadline for all together only where one was armed. */
type PerformerEvent = Exclude<Event, { kind: 'request' | 'open' | 'judge' }>
type CloseDeadline = Extract<DynamicEvent, { kind: 'close_deadline' }>

/**
 * Performs what a supervisor decides, in its process, and brings the answers back.
 *
 * F1 Events are fed one at a time; what performing causes at once is queued behind.
 * F2 In service, answers come through the supervisor's own mailbox, so requests have their turn in between. While `init`
 *    and `terminate` wait, the mailbox is not read: answers are then fed directly (`direct`).
 * F3 Nothing here blocks: every start, end and delay is an event.
 */
export class Performer<E extends Event | DynamicEvent> {
  readonly ctx: Context
  /** Its process's mailbox is not being read. */
  direct = true
  /** Set once: the supervisor's process has to end so. */
  exit: ExitReason | undefined
  opened = false
  readonly #process: Process
  readonly #kernel: Kernel
  readonly #decide: (event: E, nowMs: number) => readonly DynamicEffect[]
  readonly #queue: E[] = []
  readonly #timers = new Map<Retry, { cancel(): unknown }>()
  #feeding = false
  #wake: (() => void) | undefined

  constructor(ctx: Context, decide: (event: E, nowMs: number) => readonly DynamicEffect[]) {
    this.ctx = ctx
    this.#kernel = ActorSystem.kernelOf(ctx.system)
    this.#process = this.#kernel.processOf(ctx.self)!
    this.#decide = decide
    // A supervisor stops its children within their own deadlines; one of its own would cut them short.
    this.#process.extra.terminateMs = Infinity
    ctx.trapExits = true
  }

  /** Decides on an event and performs what comes of it. */
  feed(event: E | PerformerEvent | CloseDeadline): void {
    // Every decider knows these events; only who armed a close deadline gets one.
    this.#queue.push(event as E)
    if (this.#feeding) return
    this.#feeding = true
    try {
      for (let at = 0; at < this.#queue.length; at++) {
        const effects = this.#decide(this.#queue[at]!, this.nowMs)
        for (const effect of effects) this.#perform(effect)
      }
    } finally {
      this.#queue.length = 0
      this.#feeding = false
    }
    if (this.exit !== undefined || this.opened) this.#wake?.()
  }

  /**
   * Resolves when the supervisor has opened or has to end. Undefined: that is so already. A parent that ends meanwhile, or
   * gives the start up, ends the opening: an exit notice would wait behind an `init` that may take for ever.
   */
  settled(): Promise<void> | undefined {
    if (this.exit !== undefined || this.opened) return undefined
    const { parent, system, signal } = this.ctx
    const giveUp = (): void => this.feed({ kind: 'close', reason: exitShutdown })
    signal.addEventListener('abort', giveUp, { once: true })
    const leave = samePid(parent, system.root) ? undefined : this.#kernel.watchExit(parent, giveUp)
    if (signal.aborted) giveUp()
    if (this.exit !== undefined) return undefined
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined
        signal.removeEventListener('abort', giveUp)
        leave?.()
        resolve()
      }
    })
  }

  /** Stops all children and resolves when they have ended, or undefined if there is nothing to wait for. */
  close(reason: ExitReason): Promise<void> | undefined {
    this.direct = true
    this.#wake = undefined
    if (this.exit !== undefined) return undefined
    const closed = new Promise<void>((resolve) => (this.#wake = resolve))
    this.opened = false
    this.feed({ kind: 'close', reason })
    // Acknowledgements that were on their way are in a mailbox which nobody reads any more.
    for (const notice of this.#takeAll((item): item is InternalNotice => item instanceof InternalNotice))
      this.feed(notice.value as E)
    return this.exit === undefined ? closed : undefined
  }

  get nowMs(): number {
    return this.#kernel.clock.monotonicMs()
  }

  /** What a handler of the supervisor answers. */
  next(): Next<never> {
    return this.exit === undefined ? next.same : next.stop(this.exit)
  }

  onNotice(notice: Notice): void {
    switch (notice.kind) {
      case 'exit':
        if (samePid(notice.from, this.ctx.parent)) this.feed({ kind: 'close', reason: notice.reason })
        // An explicit signal of anybody else is no end of anybody (rule 59).
        else if (notice.link) this.feed({ kind: 'ended', pid: notice.from, reason: notice.reason })
        else this.report('unexpected', notice.from, notice.reason)
        return
      case 'internal':
        return this.feed(notice.value as E)
      case 'cancel':
        return this.feed({
          kind: 'close',
          reason: notice.reason === undefined ? exitShutdown : { kind: 'shutdown', detail: notice.reason },
        })
      default:
        this.ctx.log('debug', `supervisor drops a notice`, { notice: notice.kind })
    }
  }

  /** Says that something came which is nobody's business here. */
  report(kind: 'unexpected', pid: Pid, reason: ExitReason): void {
    this.#report({ kind, child: undefined, pid, reason, restartsInWindow: 0, nextDelayMs: undefined })
  }

  /** Feeds an answer, by the way that is read at present (F2). */
  #answer(event: PerformerEvent | CloseDeadline): void {
    if (this.#process.status === 'exited') return
    if (this.direct) this.feed(event)
    else this.#process.pushNotice(new InternalNotice(event))
  }

  #perform(effect: DynamicEffect): void {
    switch (effect.kind) {
      case 'start':
        return this.#start(effect.child)
      case 'abort_start':
        return this.#abortStart(effect.child)
      case 'stop':
        return this.#stop(effect.child, effect.pid, effect.shutdownMs)
      case 'kill':
        return this.#kernel.exit(this.#process.pid, effect.pid, exitKill)
      case 'arm_retry':
        return this.#armRetry(effect.child, effect.retry)
      case 'disarm_retry':
        this.#timers.get(effect.retry)?.cancel()
        this.#timers.delete(effect.retry)
        return
      case 'arm_close_deadline':
        this.#after(effect.delayMs, () => this.#answer({ kind: 'close_deadline' }))
        return
      case 'reply':
        return (effect.to as From).reply(effect.reply)
      case 'report':
        return this.#report(effect.report)
      case 'opened':
        this.opened = true
        return
      case 'exit':
        this.exit = effect.reason
    }
  }

  #start(child: Child): void {
    const { spec } = child
    const { start } = spec
    try {
      const recipe: StartRecipe =
        start instanceof StartWith ? (start as StartWith<unknown>).make(child.args) : { start, args: child.args }
      const options: { -readonly [K in keyof SpawnOptions]: SpawnOptions<unknown>[K] } =
        spec.spawn === undefined && recipe.spawn === undefined ? {} : { ...spec.spawn, ...recipe.spawn }
      const name = recipe.name ?? spec.name
      if (name !== undefined) options.name = name
      options.args = recipe.args
      options.link = true
      const process = this.#kernel.spawn(this.#process, recipe.start as never, options, (outcome) =>
        this.#answer(answerOf(child, outcome)),
      )
      if (spec.startTimeoutMs !== 'infinity') this.#limitStart(process, spec.startTimeoutMs)
      this.feed({ kind: 'spawned', child, pid: process.pid })
    } catch (thrown) {
      // The recipe threw, or the name is taken (rule 26).
      this.feed({ kind: 'start_failed', child, reason: { kind: 'error', error: toWire(thrown) } })
    }
  }

  /** A half-started supervisor stops what it has started, in order; everybody else is killed. */
  #abortStart({ pid, spec }: Child): void {
    const process = pid === undefined ? undefined : this.#kernel.processOf(pid)
    if (process === undefined) return
    const kill = (): void => process.end(exitKilled)
    if (!isSupervisorCode(process.behavior)) return kill()
    ;(process.extra.abort ??= new AbortController()).abort()
    if (spec.shutdownMs === 'brutal_kill') kill()
    else if (spec.shutdownMs !== 'infinity') this.#after(spec.shutdownMs, kill)
  }

  #limitStart(process: Process, startMs: number): void {
    const { extra } = process
    extra.startDeadline = this.#kernel.deadlines.add(startMs, {
      expire: () => {
        extra.startDeadline = undefined
        extra.startedTooLateMs = startMs
        process.end(exitKilled)
      },
    })
  }

  /** The wait is by a watch, not by the link: a child that unlinked itself cannot hang the supervisor (rule 46). */
  #stop(child: Child, pid: Pid, shutdownMs: number | 'brutal_kill' | 'infinity'): void {
    const kernel = this.#kernel
    let cancel: (() => void) | undefined
    let atOnce = true
    let gone = false
    kernel.watchExit(pid, (reason) => {
      gone = true
      cancel?.()
      if (!atOnce) return this.#answer({ kind: 'ended', pid, reason })
      // Gone before it was told: why, is in an exit notice that waits unread.
      for (const exit of this.#takeAll(isLinkExit)) {
        this.feed({ kind: 'ended', pid: exit.from, reason: exit.reason })
      }
      this.feed({ kind: 'ended', pid, reason })
    })
    atOnce = false
    if (gone) return
    kernel.exit(this.#process.pid, pid, shutdownMs === 'brutal_kill' ? exitKill : exitShutdown)
    if (gone || typeof shutdownMs !== 'number') return
    cancel = this.#after(shutdownMs, () => this.#answer({ kind: 'deadline', child, pid }))
  }

  #armRetry(child: Child, retry: Retry): void {
    const event: PerformerEvent = { kind: 'retry', child, retry }
    if (retry.delayMs === 0) return this.#process.pushNotice(new InternalNotice(event))
    const cancel = this.#after(retry.delayMs, () => {
      this.#timers.delete(retry)
      this.#answer(event)
    })
    this.#timers.set(retry, { cancel })
  }

  /** A deadline that ends with the supervisor's process. */
  #after(delayMs: number, fire: () => void): () => void {
    const { deadlines } = this.#kernel
    const owned = { ownerEnded: () => void deadlines.drop(deadline) }
    const deadline = deadlines.add(delayMs, {
      expire: () => {
        this.#process.extras?.owned?.delete(owned)
        fire()
      },
    })
    this.#process.own(owned)
    return () => {
      this.#process.extras?.owned?.delete(owned)
      deadlines.drop(deadline)
    }
  }

  #takeAll<T>(matches: (item: unknown) => item is T): T[] {
    const taken: T[] = []
    for (let found = this.#process.take(matches); found !== undefined; found = this.#process.take(matches)) {
      taken.push(found.item as T)
    }
    return taken
  }

  #report(report: ChildReport): void {
    const { events, logger, clock } = this.#kernel
    const isLogged = logger !== silentLogger
    if (!events.active && !isLogged) return
    const { pid } = this.#process
    const full: SupervisorReport = { ...report, supervisor: pid, name: this.#name(), atWallMs: clock.wallMs() }
    if (events.active) events.emit({ kind: 'report', topic: 'supervisor', data: full })
    if (isLogged) logger.log(reportLevel(report), `supervisor ${full.name}: ${describeReport(report)}`, { ...full })
  }

  #name(): string {
    const process = this.#process
    return this.#kernel.names.nameOf(process) ?? process.extras?.label ?? process.behavior.name ?? String(process.pid)
  }
}

const isLinkExit = (item: unknown): item is ExitNotice => item instanceof ExitNotice && item.link

function answerOf(child: Child, outcome: StartOutcome): PerformerEvent {
  switch (outcome.kind) {
    case 'started':
      return { kind: 'started', child, pid: outcome.pid }
    case 'ignored':
      return { kind: 'start_ignored', child }
    case 'failed':
      return { kind: 'start_failed', child, reason: outcome.reason }
    case 'already_started': {
      const error = new AppError('already_exists', `${child.id} is already started: ${outcome.pid}`, {
        pid: outcome.pid,
      })
      return { kind: 'start_failed', child, reason: { kind: 'error', error: toWire(error) } }
    }
  }
}

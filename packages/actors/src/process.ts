import { AppError, toWire, type ExitReason, type Pid } from '@daruma/protocol'
import type { MailboxFull } from './actor.ts'
import { keep, Next, same, type Behavior } from './behavior.ts'
import type { BodyRun } from './body.ts'
import type { BodyContext } from './context.ts'
import type { Deadline } from './deadlines.ts'
import { decideExit } from './exit-signals.ts'
import type { Kernel } from './kernel.ts'
import { isLinked, peersOf, unlink, type Links } from './links.ts'
import { Mailbox } from './mailbox.ts'
import { isPromise, kindOf, showShort } from './message-kind.ts'
import type { Monitor } from './monitor.ts'
import { CancelNotice, ExitNotice, IdleNotice, NoticeBase, Special, type Notice } from './notice.ts'
import type { MailboxOptions, StartOutcome } from './options.ts'
import { admit } from './overflow.ts'
import {
  BOUNDED,
  DOZING,
  DROOPING,
  DROWSY,
  ENDING,
  EXITED,
  HIBERNATING,
  IDLING,
  PARKED,
  RESUMING,
  RUNNABLE,
  RUNNING,
  statusNames,
  STRAIGHT,
  SUSPENDED,
  UNBORN,
  WAITING,
  type ProcessStatus,
  type StatusCode,
} from './process-status.ts'
import type { Runnable } from './scheduler.ts'
import { Tick } from './timer.ts'

/** What a process holds that must be let go of before anybody learns of its end (rule 13). */
export interface Owned {
  ownerEnded(): void
}

/** What few processes have. */
export class Extras {
  label: string | undefined = undefined
  owned: Set<Owned> | undefined = undefined
  mailbox: MailboxOptions | undefined = undefined
  terminateMs = 5_000
  idle: Deadline | undefined = undefined
  hibernateAfterMs = Infinity
  doze: Deadline | undefined = undefined
  resumeWith: unknown = undefined
  ack: ((outcome: StartOutcome) => void) | undefined = undefined
  startDeadline: Deadline | undefined = undefined
  startedTooLateMs: number | undefined = undefined
  abort: AbortController | undefined = undefined
}

/** Thrown by `ctx.stop`: ends the process with `reason` unless its own code catches it. */
export class ExitRaised {
  readonly reason: ExitReason

  constructor(reason: ExitReason) {
    this.reason = reason
  }
}

/**
 * One process. Invariants:
 * - P1 It stands in the run queue exactly while `runnable`; only `wake` puts it there.
 * - P2 At most one of its handlers is unanswered: nothing is taken from the mailbox unless it is `running`.
 * - P3 `end` is the only way to `exited`, runs once, and lets go of everything before it tells anybody.
 */
export class Process extends Mailbox implements Runnable {
  // What every message touches comes first, so that it lies together.
  readonly kernel: Kernel
  /** What it is doing, as a small integer; `status` is its name. */
  phase: StatusCode = RUNNABLE
  /** Bits that say in what it differs from a process that just handles messages. */
  irregular = UNBORN
  behavior: Behavior<unknown, unknown, unknown>
  context: BodyContext<unknown> = undefined as never
  state: unknown
  nextRunnable: Runnable | undefined = undefined
  /** Messages handled in all its life. */
  reductions = 0
  readonly pid: Pid
  readonly parent: Pid
  trapExits = false
  links: Links = undefined
  /** Who monitors this process. */
  watchers: Monitor | undefined = undefined
  /** Whom this process monitors, its pending calls among them. */
  watching: Monitor | undefined = undefined
  extras: Extras | undefined = undefined
  /** What it is handling, where `ctx.replyTo` or a report may need it. */
  current: unknown = undefined

  constructor(kernel: Kernel, pid: Pid, parent: Pid, behavior: Behavior<unknown, unknown, unknown>, args: unknown) {
    super()
    this.kernel = kernel
    this.behavior = behavior
    this.state = args
    this.pid = pid
    this.parent = parent
  }

  get status(): ProcessStatus {
    return statusNames[this.phase]
  }

  /** False only before `init` has answered. */
  get hasStarted(): boolean {
    return (this.irregular & UNBORN) === 0
  }

  /** What runs its straight-line code; undefined for a handler of messages. */
  get body(): BodyRun | undefined {
    return (this.irregular & STRAIGHT) === 0 ? undefined : (this.state as BodyRun | undefined)
  }

  get extra(): Extras {
    return (this.extras ??= new Extras())
  }

  own(owned: Owned): void {
    const { extra } = this
    ;(extra.owned ??= new Set()).add(owned)
  }

  // Arrivals

  /** A user's message. */
  push(message: unknown): MailboxFull | undefined {
    if ((this.irregular & BOUNDED) !== 0) {
      const admission = admit(this, this.extras!.mailbox!, message)
      if (admission !== 'admitted') return admission === 'dropped' ? undefined : admission
    }
    this.put(message)
    if (this.phase === WAITING) this.wake()
    return undefined
  }

  /** A request or tick: unwrapped when its turn comes, counted like a message. */
  pushBounded(item: Special): MailboxFull | undefined {
    if ((this.irregular & BOUNDED) !== 0) {
      const admission = admit(this, this.extras!.mailbox!, item)
      if (admission !== 'admitted') return admission === 'dropped' ? undefined : admission
    }
    this.putSpecial(item)
    if (this.phase === WAITING) this.wake()
    return undefined
  }

  pushNotice(notice: NoticeBase): void {
    if (this.phase === EXITED) return
    this.putSpecial(notice)
    if (this.phase === WAITING) this.wake()
  }

  /** An exit signal acts on receipt: whether it is trapped is decided now (rule 8). */
  receiveExit(from: Pid, reason: ExitReason, link: boolean): void {
    if (this.phase === EXITED) return
    const verdict = decideExit(this.trapExits, { reason, link, own: from === this.pid })
    if (verdict.kind === 'deliver') this.pushNotice(new ExitNotice(from, reason, link))
    // Rule 9: while `terminate` runs, only a kill still changes anything.
    else if (verdict.kind === 'end' && (this.phase !== ENDING || verdict.reason.kind === 'killed')) {
      this.end(verdict.reason)
    }
  }

  // Running

  // TypeScript's `private` here: a JavaScript private method would cost every process a word.

  /** From `waiting` into the run queue (P1). */
  wake(): void {
    if ((this.irregular & SUSPENDED) !== 0) return
    this.phase = RUNNABLE
    this.kernel.scheduler.enqueue(this)
  }

  suspend(): void {
    this.irregular |= SUSPENDED
  }

  resume(): void {
    if ((this.irregular & SUSPENDED) === 0) return
    this.irregular &= ~SUSPENDED
    const isDue = this.length > 0 || (this.irregular & (RESUMING | UNBORN | DROOPING)) !== 0
    if (this.phase === WAITING && isDue) this.wake()
  }

  step(budget: number): number {
    // One that ended, or was settled otherwise, while it stood in the queue.
    if (this.phase !== RUNNABLE) return 0
    this.phase = RUNNING
    let handled = 0
    if (this.irregular !== 0) {
      handled = this.prepare()
      if ((this.phase as StatusCode) !== RUNNING) return handled
    }
    const { kernel } = this
    const prepared = handled
    while (this.length > 0 && handled < budget) {
      if (this.irregular !== 0 && this.isInterrupted()) break
      handled++
      if (this.specials > 0 || kernel.tracer !== undefined) {
        if (this.handleAny(this.shift())) continue
        break
      }
      const message = this.shift()
      let answer: unknown
      try {
        answer = this.behavior.receive(this.context, message, this.state)
      } catch (thrown) {
        this.current = message
        this.crash(thrown)
        break
      }
      if ((this.phase as StatusCode) !== RUNNING) break
      if (answer === same || answer === undefined) continue
      if (answer instanceof Next && answer.kind === 'state') this.state = answer.state
      else if (!this.apply(answer, message)) break
    }
    this.reductions += handled - prepared
    if ((this.phase as StatusCode) === RUNNING) this.rest()
    return handled
  }

  /** What an irregular process does before it may take messages. Leaves `running` if it may not. */
  private prepare(): number {
    if ((this.irregular & SUSPENDED) !== 0) {
      this.phase = WAITING
      return 0
    }
    let handled = 0
    if ((this.irregular & (DOZING | DROOPING | HIBERNATING)) !== 0) {
      handled = 1
      if (!this.stir()) return handled
    }
    if ((this.irregular & UNBORN) !== 0) {
      handled = 1
      if (!this.start()) return handled
    }
    if ((this.irregular & STRAIGHT) !== 0) {
      ;(this.state as BodyRun).step()
      return handled + 1
    }
    if ((this.irregular & RESUMING) !== 0) {
      handled++
      this.continueWith(this.extras!.resumeWith)
    }
    return handled
  }

  /** Between two messages: a message ends the idle time; one who was suspended meanwhile stops here. */
  private isInterrupted(): boolean {
    if ((this.irregular & IDLING) !== 0) this.cancelIdle()
    // It sent itself something while it fell asleep: `wake` comes first, in a step of its own.
    return (this.irregular & (SUSPENDED | HIBERNATING)) !== 0
  }

  /** After a batch: back into the queue if there is more, else to sleep. */
  private rest(): void {
    this.phase = WAITING
    if (this.length > 0 || (this.irregular & RESUMING) !== 0) return this.wake()
    this.trim()
    if ((this.irregular & (DROWSY | HIBERNATING)) === DROWSY) this.doze()
  }

  /** True when the next message may be handled in this batch. */
  private start(): boolean {
    if ((this.irregular & STRAIGHT) !== 0 || this.behavior.init === undefined) {
      this.acknowledge()
      if ((this.irregular & STRAIGHT) !== 0) (this.state as BodyRun).start()
      return this.phase === RUNNING
    }
    let answer: unknown
    try {
      answer = this.behavior.init(this.context, this.state)
    } catch (thrown) {
      this.crash(thrown)
      return false
    }
    if (this.phase !== RUNNING) return false
    if (isPromise(answer)) {
      this.park(answer, undefined, (value) => this.initialised(value))
      return false
    }
    return this.initialised(answer)
  }

  private initialised(answer: unknown): boolean {
    if (!(answer instanceof Next)) {
      this.state = answer
      this.acknowledge()
      return this.phase === RUNNING
    }
    if (answer.kind === 'ignore') {
      const ack = this.extras?.ack
      if (this.extras !== undefined) this.extras.ack = undefined
      this.unlinkStarter(ack !== undefined)
      this.end({ kind: 'normal' })
      ack?.({ kind: 'ignored' })
      return false
    }
    if (answer.kind === 'stop') {
      // A refused start is an answer, not a crash: `terminate` has nothing to undo.
      if (answer.state !== keep) this.state = answer.state
      this.end(answer.detail as ExitReason)
      return false
    }
    if (answer.state !== keep) this.state = answer.state
    this.acknowledge()
    return this.phase === RUNNING && this.apply(answer, undefined)
  }

  /** Tells the starter that `init` is done. */
  private acknowledge(): void {
    this.irregular &= ~UNBORN
    const { extras } = this
    if (extras === undefined) return
    if (extras.startDeadline !== undefined) {
      this.kernel.deadlines.drop(extras.startDeadline)
      extras.startDeadline = undefined
    }
    const { ack } = extras
    extras.ack = undefined
    ack?.({ kind: 'started', pid: this.pid })
  }

  /** Performs what a handler answered. True when the next message may be handled in this batch. */
  private apply(answer: unknown, message: unknown): boolean {
    if (answer instanceof Next) {
      if (answer.state !== keep) this.state = answer.state
      switch (answer.kind) {
        case 'same':
        case 'state':
          return true
        case 'stop':
          this.terminate(answer.detail as ExitReason)
          return false
        case 'continue':
          return this.continueWith(answer.detail)
        case 'yield':
          this.extra.resumeWith = answer.detail
          this.irregular |= RESUMING
          this.rest()
          return false
        case 'idle':
          this.armIdle(answer.detail as number)
          return true
        case 'hibernate':
          return this.length > 0 || this.hibernate()
        case 'passivate':
          if (this.length > 0) return true
          this.terminate({ kind: 'shutdown', detail: 'passivated' })
          return false
        case 'become':
          this.behavior = answer.detail as Behavior<unknown, unknown, unknown>
          return true
        case 'unhandled':
          this.reportUnhandled(message)
          return true
        case 'ignore':
          break
      }
    } else if (isPromise(answer)) {
      this.park(answer, message, (value) => value === undefined || this.apply(value, message))
      return false
    }
    this.crash(
      new AppError(
        'internal',
        `${this.describe()} answered nonsense: ${showShort(answer)}; answer with one of \`next\``,
      ),
    )
    return false
  }

  private continueWith(value: unknown): boolean {
    if ((this.irregular & RESUMING) !== 0) {
      this.irregular &= ~RESUMING
      this.extras!.resumeWith = undefined
    }
    let answer: unknown
    try {
      if (this.behavior.handleContinue === undefined) {
        throw new AppError('internal', `${this.describe()} answered next.continue but has no handleContinue`)
      }
      answer = this.behavior.handleContinue(this.context, value, this.state)
    } catch (thrown) {
      this.crash(thrown)
      return false
    }
    return this.phase === RUNNING && (answer === undefined || this.apply(answer, undefined))
  }

  /** Only this process waits for `promise` (rule 31). What it settles to after the process has ended is dropped. */
  private park(promise: PromiseLike<unknown>, message: unknown, proceed: (value: unknown) => boolean): void {
    this.phase = PARKED
    // A native promise is taken as it is; a thenable that throws becomes a rejection.
    Promise.resolve(promise).then(
      (value) => {
        if (this.phase !== PARKED) return
        this.phase = RUNNING
        if (!proceed(value)) return
        this.current = undefined
        this.rest()
      },
      (thrown: unknown) => {
        if (this.phase !== PARKED) return
        this.phase = RUNNING
        this.current ??= message
        this.crash(thrown)
      },
    )
  }

  /** The way of everything that is no plain message, and of every message while somebody traces. */
  private handleAny(item: unknown): boolean {
    if (this.kernel.tracer !== undefined) this.kernel.traceReceive(this.pid, item)
    const message = item instanceof Special ? item.visible() : item
    this.current = item
    let answer: unknown
    try {
      if (item instanceof NoticeBase) answer = this.handleNotice(item as Notice)
      else {
        if (item instanceof Tick) item.taken()
        answer = this.behavior.receive(this.context, message, this.state)
      }
    } catch (thrown) {
      this.crash(thrown)
      return false
    }
    if (this.phase !== RUNNING) return false
    if (answer !== same && answer !== undefined && !this.apply(answer, message)) return false
    this.current = undefined
    return true
  }

  private handleNotice(notice: Notice): unknown {
    // Rule 41: the parent's exit signal stops without passing through the behavior.
    if (notice.kind === 'exit' && notice.from === this.parent && this.behavior.seesParentExit !== true) {
      this.terminate(notice.reason)
      return same
    }
    if (this.behavior.notice !== undefined) return this.behavior.notice(this.context, notice, this.state)
    if (notice instanceof CancelNotice) {
      this.terminate(notice.reason === undefined ? { kind: 'shutdown' } : { kind: 'shutdown', detail: notice.reason })
    } else if (notice.kind !== 'idle') {
      this.kernel.logger.log('debug', `${this.describe()} has no notice handler; dropped`, { notice: notice.kind })
    }
    return same
  }

  // Idle time

  private armIdle(idleMs: number): void {
    this.cancelIdle()
    this.irregular |= IDLING
    this.extra.idle = this.kernel.deadlines.add(idleMs, {
      expire: () => {
        this.irregular &= ~IDLING
        // A message that is already waiting has cancelled the idle time, although its turn has not come.
        if (this.length === 0) this.pushNotice(new IdleNotice())
      },
    })
  }

  private cancelIdle(): void {
    if ((this.irregular & IDLING) === 0) return
    this.irregular &= ~IDLING
    this.kernel.deadlines.drop(this.extras!.idle!)
  }

  // Hibernation

  /** Its time without messages begins. */
  private doze(): void {
    this.irregular |= DOZING
    const { extra } = this
    extra.doze = this.kernel.deadlines.add(extra.hibernateAfterMs, {
      expire: () => {
        this.irregular = (this.irregular & ~DOZING) | DROOPING
        if (this.phase === WAITING) this.wake()
      },
    })
  }

  private endDoze(): void {
    if ((this.irregular & DOZING) === 0) return
    this.irregular &= ~DOZING
    this.kernel.deadlines.drop(this.extras!.doze!)
  }

  /** Something came, or its time to hibernate. True when messages may be handled. */
  private stir(): boolean {
    this.endDoze()
    const isDrooping = (this.irregular & DROOPING) !== 0
    this.irregular &= ~DROOPING
    if ((this.irregular & HIBERNATING) !== 0) return this.awaken()
    return !isDrooping || this.length > 0 || this.hibernate()
  }

  /** True unless it crashed. */
  private hibernate(): boolean {
    if (this.behavior.hibernate !== undefined) {
      try {
        const kept = this.behavior.hibernate(this.context, this.state)
        if (isPromise(kept))
          throw new AppError('internal', `${this.describe()}: hibernate must answer at once, not later`)
        this.state = kept
      } catch (thrown) {
        this.crash(thrown)
        return false
      }
      if (this.phase !== RUNNING) return false
    }
    this.irregular |= HIBERNATING
    this.shrink()
    return true
  }

  /** True when messages may be handled at once. */
  private awaken(): boolean {
    this.irregular &= ~HIBERNATING
    if (this.behavior.wake === undefined) return true
    let answer: unknown
    try {
      answer = this.behavior.wake(this.context, this.state)
    } catch (thrown) {
      this.crash(thrown)
      return false
    }
    if (this.phase !== RUNNING) return false
    if (!isPromise(answer)) {
      this.state = answer
      return true
    }
    this.park(answer, undefined, (state) => {
      this.state = state
      return true
    })
    return false
  }

  // The end

  crash(thrown: unknown): void {
    if (this.phase === EXITED) return
    if (thrown instanceof ExitRaised) this.terminate(thrown.reason)
    else this.terminate({ kind: 'error', error: toWire(thrown) })
  }

  /** Runs the behavior's `terminate`, then ends. */
  terminate(reason: ExitReason): void {
    if (this.phase === EXITED || this.phase === ENDING) return
    const { behavior } = this
    if (behavior.terminate === undefined || !this.hasStarted) {
      this.report(reason)
      this.end(reason)
      return
    }
    this.phase = ENDING
    let answer: unknown
    try {
      answer = behavior.terminate(this.context, reason, this.state)
    } catch (thrown) {
      this.endOfTerminate(failedTerminate(thrown))
      return
    }
    if (!isPromise(answer)) return this.endOfTerminate(reason)
    const { deadlines } = this.kernel
    const { terminateMs } = this.extra
    const deadline = deadlines.add(terminateMs, {
      expire: () => {
        this.kernel.logger.log('warn', `${this.describe()}: terminate did not settle within ${terminateMs} ms`)
        this.endOfTerminate(reason)
      },
    })
    Promise.resolve(answer).then(
      () => {
        deadlines.drop(deadline)
        this.endOfTerminate(reason)
      },
      (thrown: unknown) => {
        deadlines.drop(deadline)
        this.endOfTerminate(failedTerminate(thrown))
      },
    )
  }

  private endOfTerminate(reason: ExitReason): void {
    if (this.phase !== ENDING) return
    this.report(reason)
    this.end(reason)
  }

  /**
   * The end of life, in this order: timers, names and groups are released; the pid leaves the table; what it watched and
   * awaited is dropped; links get exit signals, monitors get downs; the starter learns of a failed start.
   */
  end(reason: ExitReason): void {
    if (this.phase === EXITED) return
    const { kernel, extras, pid, watchers, links } = this
    this.phase = EXITED
    if (extras !== undefined) {
      this.cancelIdle()
      this.endDoze()
      if (extras.startDeadline !== undefined) kernel.deadlines.drop(extras.startDeadline)
      if (extras.owned !== undefined) for (const owned of extras.owned) owned.ownerEnded()
    }
    kernel.forget(this)
    for (let monitor = this.watching; monitor !== undefined; monitor = this.watching) {
      monitor.detach()
      monitor.abandon()
    }
    this.body?.ended()
    if (this.behavior.release !== undefined && this.hasStarted) this.release(reason)
    this.unlinkStarter(extras?.ack !== undefined)
    if (this.links !== undefined) {
      for (const peer of peersOf(links)) {
        if (!isLinked(this, peer)) continue
        unlink(this, peer)
        kernel.sendExit(peer, pid, reason, true)
      }
    }
    if (watchers !== undefined) this.tellWatchers(watchers, reason)
    this.extras = this.state = this.current = undefined
    this.irregular = 0
    this.clear()
    if (kernel.events.active) kernel.events.emit({ kind: 'exited', pid, reason })
    if (extras !== undefined) {
      extras.abort?.abort(new AppError('canceled', `process ${pid} ended`))
      extras.ack?.({ kind: 'failed', reason: kernel.startFailure(reason, extras) })
    }
  }

  /** Oldest first. Who is told may drop other monitors meanwhile, so what is left is asked again. */
  private tellWatchers(newest: Monitor, reason: ExitReason): void {
    if (newest.nextOfTarget === undefined) return newest.fire(this.pid, reason)
    const all: Monitor[] = []
    for (let monitor: Monitor | undefined = newest; monitor !== undefined; monitor = monitor.nextOfTarget) {
      all.push(monitor)
    }
    for (let at = all.length - 1; at >= 0; at--) if (all[at]!.target === this) all[at]!.fire(this.pid, reason)
  }

  /** Rule 38: a start that failed leaves no exit signal with its starter. */
  private unlinkStarter(starting: boolean): void {
    if (!starting || this.links === undefined) return
    const starter = this.kernel.processOf(this.parent)
    if (starter !== undefined) unlink(this, starter)
  }

  private release(reason: ExitReason): void {
    try {
      this.behavior.release!(this.state, reason)
    } catch (error) {
      this.kernel.logger.log('error', `${this.describe()}: release threw`, { error: toWire(error) })
    }
  }

  /** Rule 10: what is not quiet is a crash with a report. */
  private report(reason: ExitReason): void {
    if (reason.kind !== 'normal' && reason.kind !== 'shutdown') this.kernel.reportCrash(this, reason)
  }

  private reportUnhandled(message: unknown): void {
    this.kernel.logger.log('warn', `${this.describe()} does not know message ${kindOf(message)}`)
    this.kernel.deadLetter(this.pid, message, 'unhandled')
  }

  /** What it is called: its label, its behavior's or its function's name. */
  get label(): string {
    return this.extras?.label ?? this.body?.name ?? this.behavior.name ?? 'process'
  }

  describe(): string {
    return `${this.label} ${this.pid}`
  }
}

function failedTerminate(thrown: unknown): ExitReason {
  return thrown instanceof ExitRaised ? thrown.reason : { kind: 'error', error: toWire(thrown) }
}

import { Ref, type Pid } from '@daruma/protocol'
import type { Deadline, Expires } from './deadlines.ts'
import type { Kernel } from './kernel.ts'
import { Special, TimeoutNotice } from './notice.ts'
import type { Owned, Process } from './process.ts'

/** A timer that was set. STABLE. */
export interface Timer extends Ref {
  /** Milliseconds that were left, and then nothing comes; false: it may already be in the mailbox (rule 28). */
  cancel(): number | false
}

/** A message of an interval: while one waits unread, the next ticks are left out, so that a slow target is not buried. */
export class Tick extends Special {
  readonly message: unknown
  #interval: IntervalTimer | undefined

  constructor(message: unknown, interval: IntervalTimer) {
    super()
    this.message = message
    this.#interval = interval
  }

  get bounded(): boolean {
    return true
  }

  visible(): unknown {
    return this.message
  }

  taken(): void {
    if (this.#interval !== undefined) this.#interval.waiting = false
    this.#interval = undefined
  }
}

/**
 * A message that is sent later. To a pid: dropped when that process ends (rule 27). To a name: resolved when it is due;
 * a missing target is silent.
 */
export class SendTimer extends Ref implements Timer, Expires, Owned {
  protected readonly kernel: Kernel
  protected readonly to: Pid | string
  protected readonly message: unknown
  protected target: Process | undefined
  protected deadline: Deadline | undefined

  constructor(kernel: Kernel, to: Pid | string, delayMs: number, message: unknown) {
    super(kernel.home.node, kernel.home.incarnation, kernel.nextSerial())
    this.kernel = kernel
    this.to = to
    this.message = message
    this.target = typeof to === 'string' ? undefined : kernel.processOf(to)
    if (typeof to !== 'string' && this.target === undefined && !kernel.isReachable(to)) return
    this.target?.own(this)
    this.deadline = kernel.deadlines.add(delayMs, this)
  }

  cancel(): number | false {
    const { deadline } = this
    if (deadline === undefined) return false
    this.letGo()
    return this.kernel.deadlines.cancel(deadline)
  }

  expire(): void {
    const target = this.target ?? (typeof this.to === 'string' ? this.kernel.names.find(this.to) : undefined)
    this.letGo()
    if (target !== undefined) this.deliver(target)
    else if (typeof this.to !== 'string') this.kernel.cast(this.to, this.message)
  }

  ownerEnded(): void {
    if (this.deadline !== undefined) this.kernel.deadlines.drop(this.deadline)
    this.deadline = this.target = undefined
  }

  protected deliver(target: Process): void {
    target.push(this.message)
  }

  protected letGo(): void {
    this.target?.extras?.owned?.delete(this)
    this.deadline = this.target = undefined
  }
}

/** Delivers a `timeout` notice with its own reference. */
export class NoticeTimer extends SendTimer {
  protected override deliver(target: Process): void {
    target.pushNotice(new TimeoutNotice(this, this.message))
  }
}

/** Fires at whole multiples of its period from its start: it neither drifts nor catches up (rule 29). */
export class IntervalTimer extends Ref implements Timer, Expires, Owned {
  readonly #kernel: Kernel
  readonly #periodMs: number
  readonly #message: unknown
  #target: Process | undefined
  #deadline: Deadline | undefined
  #dueMs: number
  /** A tick stands unread in the target's mailbox. */
  waiting = false

  constructor(kernel: Kernel, target: Process, periodMs: number, message: unknown) {
    super(kernel.home.node, kernel.home.incarnation, kernel.nextSerial())
    this.#kernel = kernel
    this.#periodMs = periodMs
    this.#message = message
    this.#target = target
    this.#dueMs = kernel.clock.monotonicMs() + periodMs
    target.own(this)
    this.#deadline = kernel.deadlines.add(periodMs, this)
  }

  cancel(): number | false {
    const deadline = this.#deadline
    if (deadline === undefined) return false
    this.#target?.extras?.owned?.delete(this)
    this.#target = this.#deadline = undefined
    return this.#kernel.deadlines.cancel(deadline)
  }

  expire(): void {
    const nowMs = this.#kernel.clock.monotonicMs()
    const missed = Math.floor((nowMs - this.#dueMs) / this.#periodMs)
    this.#dueMs += (missed + 1) * this.#periodMs
    const leftMs = this.#dueMs - nowMs
    this.#deadline = this.#kernel.deadlines.add(leftMs, this)
    if (this.waiting) return
    this.waiting = true
    // Refused by a full mailbox: the next tick tries again.
    if (this.#target!.pushBounded(new Tick(this.#message, this)) !== undefined) this.waiting = false
  }

  ownerEnded(): void {
    if (this.#deadline !== undefined) this.#kernel.deadlines.drop(this.#deadline)
    this.#target = this.#deadline = undefined
  }
}

import { AppError, describeReason, fromWire, type ExitReason, type Pid } from '@daruma/protocol'
import type { Deadline, Expires } from './deadlines.ts'
import type { Kernel } from './kernel.ts'
import { kindOf } from './message-kind.ts'
import { Monitor } from './monitor.ts'
import { Special } from './notice.ts'
import type { Process } from './process.ts'

/** The right to answer one request. It may be kept, sent and used later, by any process (rule 35). STABLE. */
export interface From<R = unknown> {
  /** Answers. Only the first answer counts; one that comes too late is dropped (rule 33). */
  reply(value: R): void
  /** Answers with an error: the caller's `call` rejects with it. */
  fail(error: Error): void
}

/** Who waits for the answer of one request: a caller of this system, or the way to one of another node. */
export interface Answerer {
  resolve(value: unknown): void
  reject(error: Error): void
  /** The mailbox dropped the request. */
  refuse(limit: number): void
}

/** A request in a mailbox, and the right to answer it. It lets go of the caller once answered. */
export class IncomingCall extends Special implements From {
  readonly request: unknown
  #pending: Answerer | undefined

  constructor(request: unknown, pending: Answerer) {
    super()
    this.request = request
    this.#pending = pending
  }

  get bounded(): boolean {
    return true
  }

  visible(): unknown {
    return this.request
  }

  reply(value: unknown): void {
    const pending = this.#pending
    this.#pending = undefined
    pending?.resolve(value)
  }

  fail(error: Error): void {
    const pending = this.#pending
    this.#pending = undefined
    pending?.reject(error)
  }

  /** The mailbox dropped it. */
  refuse(limit: number): void {
    this.#pending?.refuse(limit)
    this.#pending = undefined
  }
}

/**
 * The caller's side: a monitor on the callee (rule 32) and a deadline (rule 33), settled by whichever of reply, end of
 * the callee, deadline or abort comes first. The callee never notices that its caller gave up.
 */
export class PendingCall extends Monitor implements Expires, Answerer {
  readonly #kernel: Kernel
  readonly #request: unknown
  readonly #to: Pid
  deadline: Deadline | undefined = undefined
  promise: Promise<unknown> | undefined = undefined
  #settle: ((value: unknown) => void) | undefined
  #fail: ((error: Error) => void) | undefined
  #leave: (() => void) | undefined = undefined

  constructor(
    kernel: Kernel,
    caller: Process | undefined,
    to: Pid,
    request: unknown,
    settle: (value: unknown) => void,
    fail: (error: Error) => void,
  ) {
    super(kernel.home.node, kernel.home.incarnation, kernel.nextSerial(), caller)
    this.#kernel = kernel
    this.#to = to
    this.#request = request
    this.#settle = settle
    this.#fail = fail
  }

  resolve(value: unknown): void {
    const settle = this.#settle
    if (settle === undefined) return
    this.done()
    settle(value)
  }

  reject(error: Error): void {
    const fail = this.#fail
    if (fail === undefined) return
    this.done()
    fail(error)
  }

  fire(_from: Pid | undefined, reason: ExitReason): void {
    this.reject(callFailed(this.#to, this.#request, reason))
  }

  expire(): void {
    this.deadline = undefined
    this.reject(
      new AppError('timeout', `${this.asked()} was not answered in time`, { to: this.#to }, { retryable: true }),
    )
  }

  /** The caller ended: whoever still waits for the answer is to stop, and if nobody does, that is no unhandled rejection. */
  override abandon(): void {
    if (this.#settle === undefined) return
    this.promise?.catch(() => undefined)
    this.reject(new AppError('canceled', `${this.asked()} was given up: its caller ended`))
  }

  refuse(limit: number): void {
    this.reject(
      new AppError(
        'rate_limited',
        `${this.asked()} was refused: the mailbox of ${this.#to} holds its limit of ${limit} messages`,
        { to: this.#to, limit },
        { retryable: true },
      ),
    )
  }

  abortBy(signal: AbortSignal): void {
    const abort = (): void =>
      this.reject(new AppError('canceled', `${this.asked()} was aborted`, { to: this.#to }, { cause: signal.reason }))
    signal.addEventListener('abort', abort, { once: true })
    this.#leave = () => signal.removeEventListener('abort', abort)
  }

  private asked(): string {
    return `call ${kindOf(this.#request)} to ${this.#to}`
  }

  private done(): void {
    this.#settle = this.#fail = undefined
    this.detach()
    this.#leave?.()
    if (this.deadline !== undefined) {
      this.#kernel.deadlines.drop(this.deadline)
      this.deadline = undefined
    }
  }
}

/** What a call rejects with when the callee is gone. `details.reason` is the exit reason (rule 32). */
export function callFailed(to: Pid | string, request: unknown, reason: ExitReason): AppError {
  const asked = `call ${kindOf(request)} to ${to}`
  const details = { to, reason }
  switch (reason.kind) {
    case 'noproc':
      return new AppError('not_found', `${asked} failed: no such process`, details, { retryable: false })
    case 'noconnection':
      return new AppError('unavailable', `${asked} failed: ${describeReason(reason)}`, details, { retryable: true })
    case 'error':
      return new AppError('unavailable', `${asked} failed: the process ended: ${describeReason(reason)}`, details, {
        cause: fromWire(reason.error),
      })
    default:
      return new AppError('unavailable', `${asked} failed: the process ended: ${describeReason(reason)}`, details)
  }
}

import { AppError, toWire, type Envelope, type ExitReason, type NodeId, type Pid } from '@daruma/protocol'
import { PendingCall, type Answerer } from './call.ts'
import type { Kernel } from './kernel.ts'
import { DownMonitor, ExitWatch, Monitor } from './monitor.ts'
import type { Process } from './process.ts'

/** Something of this node that waits for an answer from another. */
export interface Waiting {
  /** Whom it is about, where it is a process. */
  readonly to: Pid | undefined
  ended(reason: ExitReason): void
  replied(value: unknown): void
  failed(error: Error): void
}

/** A request from another node, and the watch on its callee (rule 32). */
export class Answering extends Monitor implements Answerer {
  readonly #callee: Pid
  readonly #ref: number
  readonly #say: (said: Envelope) => void

  constructor(kernel: Kernel, ref: number, callee: Pid, say: (said: Envelope) => void) {
    super(kernel.home.node, kernel.home.incarnation, kernel.nextSerial(), undefined)
    this.#ref = ref
    this.#callee = callee
    this.#say = say
  }

  resolve(value: unknown): void {
    this.detach()
    this.#say({ kind: 'reply', ref: this.#ref, value })
  }

  reject(error: Error): void {
    this.detach()
    this.#say({ kind: 'failed', ref: this.#ref, error: toWire(error) })
  }

  refuse(limit: number): void {
    this.reject(
      new AppError(
        'rate_limited',
        `the mailbox of ${this.#callee} holds its limit of ${limit} messages`,
        { to: this.#callee, limit },
        { retryable: true },
      ),
    )
  }

  fire(_from: Pid | undefined, reason: ExitReason): void {
    this.detach()
    this.#say({ kind: 'down', ref: this.#ref, reason })
  }
}

/** The other node need not answer any more. */
export type Forget = (ref: number) => void

export class RemoteDown extends DownMonitor implements Waiting {
  readonly to: Pid
  readonly #forget: Forget

  constructor(node: NodeId, incarnation: number, serial: number, watcher: Process, to: Pid, forget: Forget) {
    super(node, incarnation, serial, watcher, undefined)
    this.to = to
    this.#forget = forget
  }

  override detach(): void {
    super.detach()
    this.#forget(this.serial)
  }

  ended(reason: ExitReason): void {
    this.fire(this.to, reason)
  }

  replied(): void {}

  failed(): void {}
}

export class RemoteWatch extends ExitWatch implements Waiting {
  readonly to: Pid
  readonly #forget: Forget

  constructor(
    node: NodeId,
    incarnation: number,
    serial: number,
    tell: (reason: ExitReason) => void,
    to: Pid,
    forget: Forget,
  ) {
    super(node, incarnation, serial, tell)
    this.to = to
    this.#forget = forget
  }

  override detach(): void {
    super.detach()
    this.#forget(this.serial)
  }

  ended(reason: ExitReason): void {
    this.fire(this.to, reason)
  }

  replied(): void {}

  failed(): void {}
}

export class RemoteCall extends PendingCall implements Waiting {
  readonly to: Pid
  readonly #forget: Forget

  constructor(
    kernel: Kernel,
    caller: Process | undefined,
    to: Pid,
    request: unknown,
    settle: (value: unknown) => void,
    fail: (error: Error) => void,
    forget: Forget,
  ) {
    super(kernel, caller, to, request, settle, fail)
    this.to = to
    this.#forget = forget
  }

  override detach(): void {
    super.detach()
    this.#forget(this.serial)
  }

  ended(reason: ExitReason): void {
    this.fire(this.to, reason)
  }

  replied(value: unknown): void {
    this.resolve(value)
  }

  failed(error: Error): void {
    this.reject(error)
  }
}

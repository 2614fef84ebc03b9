import type { ExitReason, NodeId, Pid, Ref } from '@daruma/protocol'

/**
 * Something in a mailbox that is not simply a user's message: it stands in the one order with the messages, and the
 * process unwraps it when its turn comes.
 */
export abstract class Special {
  /** Counts against a mailbox limit, as user messages and requests do. */
  abstract readonly bounded: boolean
  /** What a receiver sees. */
  abstract visible(): unknown
}

/** What the runtime tells a process, in its mailbox, in order with the messages. A mailbox limit never stops a notice. */
export abstract class NoticeBase extends Special {
  get bounded(): boolean {
    return false
  }

  visible(): this {
    return this
  }
}

/** A trapped exit signal. `link`: from the end of a linked peer; otherwise sent explicitly. */
export class ExitNotice extends NoticeBase {
  readonly kind = 'exit'
  readonly from: Pid
  readonly reason: ExitReason
  readonly link: boolean

  constructor(from: Pid, reason: ExitReason, link: boolean) {
    super()
    this.from = from
    this.reason = reason
    this.link = link
  }
}

/** A monitored process ended. `name` is there when the monitor was set by name (rule 21); `from` then is its holder. */
export class DownNotice extends NoticeBase {
  readonly kind = 'down'
  readonly ref: Ref
  /** Undefined only when a name was monitored that nobody held. */
  readonly from: Pid | undefined
  readonly name: string | undefined
  readonly reason: ExitReason

  constructor(ref: Ref, from: Pid | undefined, name: string | undefined, reason: ExitReason) {
    super()
    this.ref = ref
    this.from = from
    this.name = name
    this.reason = reason
  }
}

/** A timer of `startTimer` expired. Compare `ref` to tell a stale one (rule 28). */
export class TimeoutNotice extends NoticeBase {
  readonly kind = 'timeout'
  readonly ref: Ref
  readonly value: unknown

  constructor(ref: Ref, value: unknown) {
    super()
    this.ref = ref
    this.value = value
  }
}

/** No message came for as long as `next.idleAfter` said. */
export class IdleNotice extends NoticeBase {
  readonly kind = 'idle'
}

/** Somebody asks politely that the process end. Where no behavior handles it, the process stops with `shutdown`. */
export class CancelNotice extends NoticeBase {
  readonly kind = 'cancel'
  readonly from: Pid | undefined
  readonly reason: string | undefined

  constructor(from: Pid | undefined, reason: string | undefined) {
    super()
    this.from = from
    this.reason = reason
  }
}

/** A monitored process group changed. */
export class GroupNotice extends NoticeBase {
  readonly kind = 'group'
  readonly ref: Ref
  readonly group: string
  readonly change: 'joined' | 'left'
  readonly pid: Pid

  constructor(ref: Ref, group: string, change: 'joined' | 'left', pid: Pid) {
    super()
    this.ref = ref
    this.group = group
    this.change = change
    this.pid = pid
  }
}

/** A monitored node went down, or was not up. It may still be alive. */
export class NodeNotice extends NoticeBase {
  readonly kind = 'node_down'
  readonly ref: Ref
  readonly node: NodeId

  constructor(ref: Ref, node: NodeId) {
    super()
    this.ref = ref
    this.node = node
  }
}

/** For behaviors that answer to the runtime itself (programs, statecharts): a completion that must not be lost. */
export class InternalNotice extends NoticeBase {
  readonly kind = 'internal'
  readonly value: unknown

  constructor(value: unknown) {
    super()
    this.value = value
  }
}

export type Notice =
  ExitNotice | DownNotice | TimeoutNotice | IdleNotice | CancelNotice | GroupNotice | NodeNotice | InternalNotice

/** Any notice that is not a user's message. */
export function isNotice(message: unknown): message is Notice {
  return message instanceof NoticeBase
}

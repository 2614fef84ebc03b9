import {
  errorKinds,
  Home,
  Pid,
  toWire,
  unreachable,
  type Codec,
  type Envelope,
  type ErrorKind,
  type ExitReason,
  type Peer,
  type WireError,
} from '@daruma/protocol'

// Tags are part of the wire format: add, never reuse.
const tags = {
  user: 0,
  exit: 1,
  link: 2,
  unlink: 3,
  monitor: 4,
  call: 5,
  ask: 6,
  forget: 7,
  down: 8,
  reply: 9,
  failed: 10,
  cancel: 11,
  terminate: 12,
} as const

/** @throws AppError invalid - it holds something that cannot travel; the text has the path */
export function packEnvelope(codec: Codec, envelope: Envelope): Uint8Array {
  switch (envelope.kind) {
    case 'user':
      return codec.encode([tags.user, envelope.to, envelope.message])
    case 'exit':
      return codec.encode([tags.exit, envelope.to, ...whereOf(envelope.from), envelope.reason, envelope.link])
    case 'link':
    case 'unlink':
      return codec.encode([tags[envelope.kind], envelope.to, ...whereOf(envelope.from)])
    case 'monitor':
      return codec.encode([tags.monitor, envelope.to, envelope.ref])
    case 'call':
      return codec.encode([tags.call, envelope.to, envelope.ref, envelope.request])
    case 'ask':
      return codec.encode([tags.ask, envelope.ref, envelope.service, envelope.input])
    case 'forget':
      return codec.encode([tags.forget, envelope.ref])
    case 'down':
      return codec.encode([tags.down, envelope.ref, envelope.reason])
    case 'reply':
      return codec.encode([tags.reply, envelope.ref, envelope.value])
    case 'failed':
      return codec.encode([tags.failed, envelope.ref, envelope.error])
    case 'cancel': {
      const [serial, host] = envelope.from === undefined ? [0, ''] : whereOf(envelope.from)
      return codec.encode([tags.cancel, envelope.to, serial, host, envelope.reason])
    }
    case 'terminate':
      return codec.encode([tags.terminate, envelope.to, envelope.reason])
    default:
      return unreachable(envelope)
  }
}

/** What may have been lost on the way into an envelope: a reason or error with something in it that cannot travel. */
export function travelling(envelope: Envelope, problem: unknown): Envelope {
  const error = toWire(problem)
  switch (envelope.kind) {
    case 'exit':
    case 'down':
    case 'terminate':
      return { ...envelope, reason: { kind: 'error', error } }
    case 'reply':
    case 'failed':
      return { kind: 'failed', ref: envelope.ref, error }
    default:
      throw problem
  }
}

/** Reads what one peer sends: pids of senders are that peer's, whatever the bytes say. */
export class EnvelopeReader {
  readonly #codec: Codec
  readonly #peer: Peer
  readonly #homes = new Map<string, Home>()

  constructor(codec: Codec, peer: Peer) {
    this.#codec = codec
    this.#peer = peer
  }

  /** The envelope, every field of it checked; or, as text, what is wrong with it. Never throws. */
  read(bytes: Uint8Array): Envelope | string {
    let parts: unknown
    try {
      parts = this.#codec.decode(bytes)
    } catch (error) {
      return toWire(error).message
    }
    if (!Array.isArray(parts)) return 'not an envelope'
    const [tag, first, second, third, fourth, fifth] = parts as readonly unknown[]
    if (!isSerial(first)) return `tag ${String(tag)} without a serial`
    switch (tag) {
      case tags.user:
        return parts.length === 3 ? { kind: 'user', to: first, message: second } : 'a message in pieces'
      case tags.exit: {
        const from = this.#pid(second, third)
        const reason = reasonOf(fourth)
        if (from === undefined || reason === undefined || typeof fifth !== 'boolean') return 'a malformed exit'
        return { kind: 'exit', to: first, from, reason, link: fifth }
      }
      case tags.link:
      case tags.unlink: {
        const from = this.#pid(second, third)
        if (from === undefined) return 'a link from nobody'
        return { kind: tag === tags.link ? 'link' : 'unlink', to: first, from }
      }
      case tags.monitor:
        return isSerial(second) ? { kind: 'monitor', to: first, ref: second } : 'a monitor without a reference'
      case tags.call:
        return isSerial(second) && parts.length === 4
          ? { kind: 'call', to: first, ref: second, request: third }
          : 'a malformed call'
      case tags.ask:
        return typeof second === 'string' && second.length <= 255
          ? { kind: 'ask', ref: first, service: second, input: third }
          : 'an ask for no service'
      case tags.forget:
        return { kind: 'forget', ref: first }
      case tags.down: {
        const reason = reasonOf(second)
        return reason === undefined ? 'a down without a reason' : { kind: 'down', ref: first, reason }
      }
      case tags.reply:
        return { kind: 'reply', ref: first, value: second }
      case tags.failed: {
        const error = errorOf(second)
        return error === undefined ? 'a failure without an error' : { kind: 'failed', ref: first, error }
      }
      case tags.cancel: {
        const from = second === 0 ? undefined : this.#pid(second, third)
        if (fourth !== undefined && fourth !== null && typeof fourth !== 'string') return 'a malformed cancel'
        return { kind: 'cancel', to: first, from, reason: fourth ?? undefined }
      }
      case tags.terminate: {
        const reason = reasonOf(second)
        return reason === undefined ? 'a termination without a reason' : { kind: 'terminate', to: first, reason }
      }
      default:
        return `tag ${String(tag)} is not known to this version`
    }
  }

  #pid(serial: unknown, host: unknown): Pid | undefined {
    if (!isSerial(serial) || typeof host !== 'string' || host.length > 255) return undefined
    let home = this.#homes.get(host)
    if (home === undefined) {
      home = new Home(this.#peer.node, this.#peer.incarnation, host)
      // A peer that invents hosts must not fill this node's memory.
      if (this.#homes.size < 1_000) this.#homes.set(host, home)
    }
    return new Pid(home, serial)
  }
}

function whereOf(pid: Pid): readonly [number, string] {
  return [pid.id as number, pid.home.host]
}

function isSerial(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function reasonOf(value: unknown): ExitReason | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const reason = value as ExitReason
  switch (reason.kind) {
    case 'normal':
    case 'shutdown':
    case 'kill':
    case 'killed':
    case 'noproc':
    case 'custom':
      return reason
    case 'noconnection':
      return typeof reason.node === 'string' ? reason : undefined
    case 'error': {
      const error = errorOf(reason.error)
      return error === undefined ? undefined : { kind: 'error', error }
    }
    default:
      return undefined
  }
}

/** An unknown kind is a newer peer's. */
function errorOf(value: unknown): WireError | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const error = value as WireError
  if (typeof error.kind !== 'string' || typeof error.message !== 'string') return undefined
  return errorKinds.includes(error.kind as ErrorKind) ? error : { ...error, kind: 'unknown' }
}

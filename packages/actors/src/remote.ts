import {
  AppError,
  exitNoproc,
  fromWire,
  msgpackCodec,
  toWire,
  type Codec,
  type DownReason,
  type Envelope,
  type ExitReason,
  type NodeId,
  type Peer,
  type Pid,
  type SendClass,
  type Transport,
  type TransportListener,
} from '@daruma/protocol'
import type { MailboxFull } from './actor.ts'
import { callFailed, IncomingCall } from './call.ts'
import type { Deadline } from './deadlines.ts'
import type { Kernel } from './kernel.ts'
import { isLinked, link, peersOf, unlink } from './links.ts'
import { kindOf } from './message-kind.ts'
import { ExitWatch, type Monitor } from './monitor.ts'
import { CancelNotice } from './notice.ts'
import type { CallOptions } from './options.ts'
import type { Process } from './process.ts'
import { Answering, RemoteCall, RemoteDown, RemoteWatch, type Waiting } from './remote-waits.ts'
import { StandIn } from './stand-in.ts'
import { EnvelopeReader, packEnvelope, travelling } from './wire.ts'

/** Answers what other nodes ask of this one. A rejection travels as an error. */
export type NodeService = (input: unknown, from: Peer) => unknown

/** One connection to one life of another node, and all that hangs on it. */
interface Connection {
  readonly peer: Peer
  readonly reader: EnvelopeReader
  /** By serial of this node's reference. */
  readonly waiting: Map<number, Waiting>
  /** What that node's processes monitor and ask here, by serial of their reference. */
  readonly watched: Map<number, Monitor>
  /** Its processes that are linked with ours, by serial. */
  readonly linked: Map<number, StandIn>
}

/** How often at most a malformed envelope is worth a line. */
const complainMs = 60_000

/**
 * The other nodes, as one kernel sees them: its signals to their processes travel, theirs arrive here.
 *
 * - R1 Everything from one process to another goes one way, so rules 11 and 12 hold between nodes as they do on one.
 * - R2 What waits on a connection is told of its end exactly once, with `noconnection` (rule 23): whoever takes an entry
 *   out of `waiting` or `linked` is the one who tells.
 * - R3 A pid of a life that has ended is `noproc` where its node is up again, else `noconnection`.
 */
export class Remote implements TransportListener {
  readonly transport: Transport
  readonly #kernel: Kernel
  readonly #codec: Codec
  readonly #connections = new Map<NodeId, Connection>()
  readonly #services = new Map<string, NodeService>()
  readonly #onChange: (change: 'up' | 'down', peer: Peer, why: DownReason | undefined) => void
  #malformed = 0
  #complainedAtMs = -Infinity

  constructor(
    kernel: Kernel,
    transport: Transport,
    onChange: (change: 'up' | 'down', peer: Peer, why: DownReason | undefined) => void,
    codec: Codec = msgpackCodec(),
  ) {
    this.#kernel = kernel
    this.transport = transport
    this.#onChange = onChange
    this.#codec = codec
  }

  // Finding

  /** The connection to the life that `pid` belongs to. */
  #to(pid: Pid): Connection | undefined {
    if (typeof pid.id !== 'number') return undefined
    const connection = this.#connections.get(pid.home.node)
    return connection?.peer.incarnation === pid.home.incarnation ? connection : undefined
  }

  reaches(pid: Pid): boolean {
    return this.#to(pid) !== undefined
  }

  /** Why a process of another node cannot be reached (R3). */
  absence(pid: Pid): ExitReason {
    const { node } = pid.home
    return node === this.#kernel.home.node || this.#connections.has(node) ? exitNoproc : { kind: 'noconnection', node }
  }

  get peers(): readonly Peer[] {
    return Array.from(this.#connections.values(), ({ peer }) => peer)
  }

  peer(node: NodeId): Peer | undefined {
    return this.#connections.get(node)?.peer
  }

  // From here

  /** @throws AppError invalid - it cannot travel, or is larger than the transport takes */
  send(to: Pid, message: unknown): MailboxFull | undefined {
    const connection = this.#to(to)
    if (connection === undefined) {
      this.#kernel.deadLetter(to, message, 'no_connection')
      return undefined
    }
    if (this.#kernel.tracer !== undefined) this.#kernel.tracer({ kind: 'send', to, message })
    const sent = this.#post(connection, { kind: 'user', to: to.id as number, message }, 'message', to)
    if (sent === 'congested') {
      return { kind: 'mailbox_full', to, message, limit: this.transport.maxWaitingBytes, node: to.home.node }
    }
    if (sent === 'no_connection') this.#kernel.deadLetter(to, message, 'no_connection')
    return undefined
  }

  call(caller: Process | undefined, to: Pid, request: unknown, options: CallOptions | undefined): Promise<unknown> {
    const connection = this.#to(to)
    if (connection === undefined) return Promise.reject(callFailed(to, request, this.absence(to)))
    const signal = options?.signal
    if (signal?.aborted === true) {
      return Promise.reject(
        new AppError('canceled', `call ${kindOf(request)} to ${to} was aborted`, { to }, { cause: signal.reason }),
      )
    }
    const kernel = this.#kernel
    let pending!: RemoteCall
    const promise = new Promise<unknown>((resolve, reject) => {
      pending = new RemoteCall(kernel, caller, to, request, resolve, reject, (ref) => this.#forget(connection, ref))
    })
    pending.promise = promise
    connection.waiting.set(pending.serial, pending)
    try {
      const envelope: Envelope = { kind: 'call', to: to.id as number, ref: pending.serial, request }
      if (kernel.tracer !== undefined) kernel.tracer({ kind: 'send', to, message: request })
      const sent = this.#post(connection, envelope, 'message', to)
      if (sent !== 'accepted') {
        connection.waiting.delete(pending.serial)
        pending.reject(sent === 'congested' ? congested(to) : callFailed(to, request, this.absence(to)))
        return promise
      }
    } catch (error) {
      connection.waiting.delete(pending.serial)
      pending.reject(error as Error)
      return promise
    }
    const timeoutMs = options?.timeoutMs ?? 5_000
    if (timeoutMs !== Infinity) pending.deadline = kernel.deadlines.add(timeoutMs, pending)
    if (signal !== undefined) pending.abortBy(signal)
    return promise
  }

  monitor(monitor: Monitor & Waiting, to: Pid): void {
    const connection = this.#to(to)
    if (connection === undefined) return monitor.fire(to, this.absence(to))
    connection.waiting.set(monitor.serial, monitor)
    this.#signal(connection, { kind: 'monitor', to: to.id as number, ref: monitor.serial })
  }

  downMonitor(process: Process, to: Pid): Monitor {
    const { node, incarnation } = this.#kernel.home
    const serial = this.#kernel.nextSerial()
    const monitor = new RemoteDown(node, incarnation, serial, process, to, (ref) => this.#forgetAt(to, ref))
    this.monitor(monitor, to)
    return monitor
  }

  exitWatch(to: Pid, tell: (reason: ExitReason) => void): Monitor {
    const { node, incarnation } = this.#kernel.home
    const serial = this.#kernel.nextSerial()
    const watch = new RemoteWatch(node, incarnation, serial, tell, to, (ref) => this.#forgetAt(to, ref))
    this.monitor(watch, to)
    return watch
  }

  /** False: there is no connection. */
  link(process: Process, to: Pid): boolean {
    const connection = this.#to(to)
    if (connection === undefined) return false
    const peer = this.#standIn(connection, to)
    if (isLinked(process, peer)) return true
    link(process, peer)
    this.#signal(connection, { kind: 'link', to: to.id as number, from: process.pid })
    return true
  }

  unlink(process: Process, to: Pid): void {
    const connection = this.#to(to)
    const peer = connection?.linked.get(to.id as number)
    if (connection === undefined || peer === undefined || !isLinked(process, peer)) return
    this.#part(connection, process, peer)
    this.#signal(connection, { kind: 'unlink', to: to.id as number, from: process.pid })
  }

  exit(from: Pid, to: Pid, reason: ExitReason): void {
    const connection = this.#to(to)
    if (connection === undefined) return
    this.#signal(connection, { kind: 'exit', to: to.id as number, from, reason, link: false })
  }

  terminate(to: Pid, reason: ExitReason): boolean {
    const connection = this.#to(to)
    if (connection === undefined) return false
    this.#signal(connection, { kind: 'terminate', to: to.id as number, reason })
    return true
  }

  cancel(from: Pid | undefined, to: Pid, reason: string | undefined): boolean {
    const connection = this.#to(to)
    if (connection === undefined) return false
    this.#signal(connection, { kind: 'cancel', to: to.id as number, from, reason })
    return true
  }

  // Nodes among themselves

  /** @throws AppError already_exists - that service is served already */
  serve(service: string, answer: NodeService): () => void {
    if (this.#services.has(service)) throw new AppError('already_exists', `service ${service} is served here already`)
    this.#services.set(service, answer)
    return () => void this.#services.delete(service)
  }

  ask(node: NodeId, service: string, input: unknown, timeoutMs: number): Promise<unknown> {
    const connection = this.#connections.get(node)
    if (connection === undefined) return Promise.reject(noConnection(node, service, true))
    const kernel = this.#kernel
    const ref = kernel.nextSerial()
    return new Promise((resolve, reject) => {
      let deadline: Deadline | undefined
      const done = (): void => {
        if (deadline !== undefined) kernel.deadlines.drop(deadline)
      }
      const waiting: Waiting = {
        to: undefined,
        ended: () => {
          done()
          reject(noConnection(node, service, false))
        },
        replied: (value) => {
          done()
          resolve(value)
        },
        failed: (error) => {
          done()
          reject(error)
        },
      }
      const sent = this.#post(connection, { kind: 'ask', ref, service, input }, 'message', undefined)
      if (sent === 'no_connection') return reject(noConnection(node, service, true))
      if (sent === 'congested') {
        return reject(
          new AppError(
            'rate_limited',
            `node ${node} takes too little at present; ${service} was not asked`,
            undefined,
            {
              retryable: true,
            },
          ),
        )
      }
      connection.waiting.set(ref, waiting)
      if (timeoutMs === Infinity) return
      deadline = kernel.deadlines.add(timeoutMs, {
        expire: () => {
          connection.waiting.delete(ref)
          reject(
            new AppError('timeout', `node ${node} did not answer ${service} within ${timeoutMs} ms`, undefined, {
              retryable: true,
            }),
          )
        },
      })
    })
  }

  // The wire

  #post(connection: Connection, envelope: Envelope, how: SendClass, to: Pid | undefined) {
    const bytes = packEnvelope(this.#codec, envelope)
    const answer = this.transport.send(connection.peer, bytes, how)
    if (answer !== 'too_large') return answer
    const limit = this.transport.maxMessageBytes
    throw new AppError(
      'invalid',
      `a ${envelope.kind} of ${bytes.length} bytes to ${to ?? connection.peer.node} is over the limit of ${limit} bytes between nodes; send a reference to the data, or raise max_payload of the NATS server`,
      { bytes: bytes.length, limit },
      { retryable: false },
    )
  }

  /** What may not be refused. A reason or value that cannot travel is replaced by the error that says so. */
  #signal(connection: Connection, envelope: Envelope): void {
    try {
      this.#post(connection, envelope, 'signal', undefined)
    } catch (problem) {
      this.#post(connection, travelling(envelope, problem), 'signal', undefined)
    }
  }

  #forget(connection: Connection, ref: number): void {
    if (connection.waiting.delete(ref)) this.#signal(connection, { kind: 'forget', ref })
  }

  #forgetAt(to: Pid, ref: number): void {
    const connection = this.#to(to)
    if (connection !== undefined) this.#forget(connection, ref)
  }

  onNodeUp(peer: Peer): void {
    this.#connections.set(peer.node, {
      peer,
      reader: new EnvelopeReader(this.#codec, peer),
      waiting: new Map(),
      watched: new Map(),
      linked: new Map(),
    })
    this.#onChange('up', peer, undefined)
  }

  onNodeDown(peer: Peer, why: DownReason): void {
    const connection = this.#connections.get(peer.node)
    if (connection?.peer.incarnation !== peer.incarnation) return
    this.#connections.delete(peer.node)
    const reason: ExitReason = { kind: 'noconnection', node: peer.node }
    const waiting = [...connection.waiting.values()]
    connection.waiting.clear()
    for (const monitor of connection.watched.values()) monitor.detach()
    connection.watched.clear()
    const linked = [...connection.linked.values()]
    connection.linked.clear()
    for (const standIn of linked) {
      for (const process of [...peersOf(standIn.links)]) {
        if (!isLinked(process, standIn)) continue
        unlink(process, standIn)
        this.#kernel.sendExit(process, standIn.pid, reason, true)
      }
    }
    for (const each of waiting) each.ended(reason)
    this.#onChange('down', peer, why)
  }

  onReceive(from: Peer, bytes: Uint8Array): void {
    const connection = this.#connections.get(from.node)
    if (connection === undefined) return
    const envelope = connection.reader.read(bytes)
    if (typeof envelope === 'string') return this.#complain(from, envelope)
    this.#arrived(connection, envelope)
  }

  #complain(from: Peer, problem: string): void {
    this.#malformed++
    const nowMs = this.#kernel.clock.monotonicMs()
    if (nowMs - this.#complainedAtMs < complainMs) return
    this.#complainedAtMs = nowMs
    this.#kernel.logger.log('warn', `node ${from.node} sent an envelope that is not ours; dropped: ${problem}`, {
      malformed: this.#malformed,
    })
  }

  #arrived(connection: Connection, envelope: Envelope): void {
    const kernel = this.#kernel
    switch (envelope.kind) {
      case 'user': {
        const target = kernel.table.get(envelope.to)
        if (target === undefined) return kernel.deadLetter(this.#here(envelope.to), envelope.message, 'no_process')
        const full = target.push(envelope.message)
        if (full !== undefined) kernel.deadLetter(target.pid, envelope.message, 'mailbox_full')
        return
      }
      case 'call': {
        const target = kernel.table.get(envelope.to)
        const { ref } = envelope
        if (target === undefined) return this.#signal(connection, { kind: 'down', ref, reason: exitNoproc })
        const answer = new Answering(kernel, ref, target.pid, (said) => this.#answer(connection, ref, said))
        answer.watch(target)
        connection.watched.set(ref, answer)
        const full = target.pushBounded(new IncomingCall(envelope.request, answer))
        if (full !== undefined) answer.refuse(full.limit)
        return
      }
      case 'monitor': {
        const target = kernel.table.get(envelope.to)
        const { ref } = envelope
        if (target === undefined) return this.#signal(connection, { kind: 'down', ref, reason: exitNoproc })
        const watch = new ExitWatch(kernel.home.node, kernel.home.incarnation, kernel.nextSerial(), (reason) =>
          this.#answer(connection, ref, { kind: 'down', ref, reason }),
        )
        watch.watch(target)
        connection.watched.set(ref, watch)
        return
      }
      case 'forget':
        connection.watched.get(envelope.ref)?.detach()
        connection.watched.delete(envelope.ref)
        return
      case 'down':
        return this.#take(connection, envelope.ref)?.ended(envelope.reason)
      case 'reply':
        return this.#take(connection, envelope.ref)?.replied(envelope.value)
      case 'failed':
        return this.#take(connection, envelope.ref)?.failed(fromWire(envelope.error))
      case 'link': {
        const target = kernel.table.get(envelope.to)
        const { from } = envelope
        if (target !== undefined) return link(target, this.#standIn(connection, from))
        const gone = this.#here(envelope.to)
        return this.#signal(connection, {
          kind: 'exit',
          to: from.id as number,
          from: gone,
          reason: exitNoproc,
          link: true,
        })
      }
      case 'unlink': {
        const target = kernel.table.get(envelope.to)
        const peer = connection.linked.get(envelope.from.id as number)
        if (target !== undefined && peer !== undefined) this.#part(connection, target, peer)
        return
      }
      case 'exit': {
        const target = kernel.table.get(envelope.to)
        if (target === undefined) return
        if (!envelope.link) return kernel.sendExit(target, envelope.from, envelope.reason, false)
        const peer = connection.linked.get(envelope.from.id as number)
        // Rule 17: after unlink nothing comes of the link any more.
        if (peer === undefined || !isLinked(target, peer)) return
        this.#part(connection, target, peer)
        return kernel.sendExit(target, peer.pid, envelope.reason, true)
      }
      case 'cancel':
        kernel.table.get(envelope.to)?.pushNotice(new CancelNotice(envelope.from, envelope.reason))
        return
      case 'terminate':
        kernel.table.get(envelope.to)?.end(envelope.reason)
        return
      case 'ask':
        return this.#serve(connection, envelope)
    }
  }

  #take(connection: Connection, ref: number): Waiting | undefined {
    const waiting = connection.waiting.get(ref)
    connection.waiting.delete(ref) // R2
    return waiting
  }

  /** Once; not at all if the connection ended, or nobody waits for it any more. */
  #answer(connection: Connection, ref: number, said: Envelope): void {
    if (!connection.watched.delete(ref)) return
    if (this.#connections.get(connection.peer.node) === connection) this.#signal(connection, said)
  }

  #serve(connection: Connection, { ref, service, input }: Envelope & { kind: 'ask' }): void {
    const say = (said: Envelope): void => {
      if (this.#connections.get(connection.peer.node) === connection) this.#signal(connection, said)
    }
    const answer = this.#services.get(service)
    if (answer === undefined) {
      const error = toWire(
        new AppError(
          'not_found',
          `node ${this.#kernel.home.node} does not serve ${service}`,
          { service },
          {
            retryable: false,
          },
        ),
      )
      return say({ kind: 'failed', ref, error })
    }
    void (async () => answer(input, connection.peer))().then(
      (value) => say({ kind: 'reply', ref, value }),
      (error: unknown) => say({ kind: 'failed', ref, error: toWire(error) }),
    )
  }

  #standIn(connection: Connection, pid: Pid): StandIn {
    const serial = pid.id as number
    let standIn = connection.linked.get(serial)
    if (standIn === undefined) {
      standIn = new StandIn(this.#kernel, pid, (to, from, reason, isLink) => {
        if (to.isIdle) connection.linked.delete(serial)
        if (this.#connections.get(connection.peer.node) !== connection) return
        this.#signal(connection, { kind: 'exit', to: serial, from, reason, link: isLink })
      })
      connection.linked.set(serial, standIn)
    }
    return standIn
  }

  #part(connection: Connection, process: Process, peer: StandIn): void {
    unlink(process, peer)
    if (peer.isIdle) connection.linked.delete(peer.pid.id as number)
  }

  /** The pid of a process of this node that is gone. */
  #here(serial: number): Pid {
    return this.#kernel.pidOf(serial)
  }
}

function congested(to: Pid): AppError {
  return new AppError(
    'rate_limited',
    `node ${to.home.node} takes too little at present: what waits for it has reached its bound; ${to} was not asked`,
    { to },
    { retryable: true },
  )
}

/** `notDone`: it was not even sent. */
function noConnection(node: NodeId, service: string, notDone: boolean): AppError {
  return new AppError(
    'unavailable',
    notDone ? `no connection to ${node}; ${service} was not asked` : `${node} was lost before it answered ${service}`,
    { node, notDone },
    { retryable: true },
  )
}

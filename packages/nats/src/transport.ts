import {
  AppError,
  samePeer,
  silentLogger,
  systemClock,
  type CancelTimer,
  type Clock,
  type Logger,
  type NodeId,
  type Peer,
  type SendAnswer,
  type SendClass,
  type Transport,
  type TransportListener,
} from '@daruma/protocol'
import type { Subscription } from 'nats'
import { connectNats, type Connection, type NatsConnectionOptions } from './connection.ts'
import { eachMessage, FrameWriter, maxHeadBytes, lengthBytes, parseFrame, type Frame } from './frames.ts'
import { Incoming } from './incoming.ts'
import {
  decideMembership,
  isCurrent,
  newMembership,
  type Membership,
  type MembershipEffect,
  type MembershipEvent,
  type MembershipTiming,
} from './membership.ts'
import { Outgoing } from './outgoing.ts'
import { namesOf } from './subjects.ts'

export interface NatsTransportOptions extends NatsConnectionOptions {
  /** Nodes of the same cluster on the same servers and prefix form one system. 1 to 100 characters. */
  readonly cluster: string
  /** This life of this node. Its name has at most 255 bytes. */
  readonly self: Peer
  /** In front of every subject. Default `daruma`. */
  readonly prefix?: string
  /** Default: a heartbeat each 500 ms, suspected after 2 s of silence, down after 5 s. */
  readonly timing?: Partial<MembershipTiming>
  /** What may be on the wire to one peer, unacknowledged. Default 4 MiB. */
  readonly windowBytes?: number
  /** What may wait behind that before sends are refused as congested. Default 16 MiB. */
  readonly waitingBytes?: number
  readonly clock?: Clock
  /** A later life of this node has shown up elsewhere; this one has closed. */
  readonly onSuperseded?: (by: Peer) => void
}

/** What a transport has counted since its start. */
export interface TransportCounts {
  readonly framesSent: number
  readonly framesReceived: number
  /** Not written by this format, or damaged. */
  readonly malformed: number
  /** Of a connection that had ended. */
  readonly stale: number
  /** Sent again after a loss. */
  readonly repeated: number
}

interface Link {
  readonly peer: Peer
  readonly mine: number
  readonly theirs: number
  readonly subject: string
  readonly outgoing: Outgoing
  readonly incoming: Incoming
}

const defaultTiming: MembershipTiming = { heartbeatMs: 500, suspectMs: 2_000, downMs: 5_000 }
/** A line about malformed frames at most so often. */
const complainMs = 60_000
/** How long a node that closes waits for the others to take what it sent. */
const drainMs = 2_000

/**
 * Connects this node to a cluster; `start` makes it known.
 *
 * @throws AppError unavailable, permission_denied - as for every NATS connection
 * @throws AppError invalid - a name of the cluster or node that cannot be used
 */
export async function openNatsTransport(options: NatsTransportOptions): Promise<NatsTransport> {
  if (!/^[^\s]{1,100}$/.test(options.cluster)) {
    throw new AppError('invalid', `cluster "${options.cluster}": 1 to 100 characters without blanks make a name`)
  }
  const nameBytes = Buffer.byteLength(options.self.node)
  if (nameBytes === 0 || nameBytes > 255) {
    throw new AppError('invalid', `node "${options.self.node}": a name has 1 to 255 bytes, this one ${nameBytes}`)
  }
  const timing = { ...defaultTiming, ...options.timing }
  if (!(timing.heartbeatMs > 0 && timing.suspectMs > timing.heartbeatMs && timing.downMs > timing.suspectMs)) {
    throw new AppError(
      'invalid',
      `cluster timing: heartbeat ${timing.heartbeatMs} ms < suspect ${timing.suspectMs} ms < down ${timing.downMs} ms must hold`,
    )
  }
  return new NatsTransport(await connectNats(options), options, timing)
}

/**
 * Transport on core NATS. Each life of a node has a subject of its own; frames of many messages go there once per turn
 * of the event loop, and are kept until acknowledged, so that what a reconnect loses is sent again.
 */
export class NatsTransport implements Transport {
  readonly self: Peer
  readonly maxMessageBytes: number
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #writer: FrameWriter
  readonly #heartbeats: string
  readonly #subjectOf: (peer: Peer) => string
  readonly #timing: MembershipTiming
  readonly #bounds: { readonly frameBytes: number; readonly windowBytes: number; readonly waitingBytes: number }
  readonly #onSuperseded: ((by: Peer) => void) | undefined
  readonly #links = new Map<NodeId, Link>()
  readonly #dirty = new Set<Link>()
  readonly #counts = { framesSent: 0, framesReceived: 0, malformed: 0, stale: 0, repeated: 0 }
  readonly #flushNow = (): void => this.#flush()
  readonly #endTurn = (): void => {
    this.#turning = false
    this.#flush()
  }
  #state: Membership
  #listener: TransportListener | undefined
  #subscriptions: Subscription[] = []
  #tick: CancelTimer | undefined
  #stopListening: (() => void) | undefined
  #closed = false
  /** Something was sent in this turn of the event loop. */
  #turning = false
  #complainedAtMs = -Infinity

  constructor(connection: Connection, options: NatsTransportOptions, timing: MembershipTiming) {
    const { self, cluster, prefix = 'daruma' } = options
    const names = namesOf(prefix)
    this.self = self
    this.#connection = connection
    this.#clock = options.clock ?? systemClock()
    this.#logger = options.logger ?? silentLogger
    this.#writer = new FrameWriter(self)
    this.#heartbeats = names.clusterHeartbeats(cluster)
    this.#subjectOf = ({ node, incarnation }) => names.clusterNode(cluster, node, incarnation)
    this.#timing = timing
    this.#onSuperseded = options.onSuperseded
    const windowBytes = options.windowBytes ?? 4 * 1_048_576
    this.maxMessageBytes = connection.info.max_payload - maxHeadBytes - lengthBytes
    this.#bounds = {
      frameBytes: Math.min(65_536, this.maxMessageBytes),
      windowBytes,
      waitingBytes: options.waitingBytes ?? 16 * 1_048_576,
    }
    this.#state = newMembership(self, timing, this.#clock.monotonicMs())
  }

  get maxWaitingBytes(): number {
    return this.#bounds.windowBytes + this.#bounds.waitingBytes
  }

  get counts(): TransportCounts {
    return this.#counts
  }

  async start(listener: TransportListener): Promise<void> {
    if (this.#listener !== undefined) throw new AppError('invalid', 'this transport was started before')
    this.#listener = listener
    const { client } = this.#connection
    for (const subject of [this.#subjectOf(this.self), this.#heartbeats]) {
      const subscription = client.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) this.#onFrame(message.data)
        },
      })
      this.#subscriptions.push(subscription)
    }
    this.#stopListening = this.#connection.listen({ onUp: () => this.#onReconnect(), onDown: () => undefined })
    // The server knows the subscriptions before anybody can hear of this node.
    await client.flush()
    this.#onTick()
  }

  peers(): readonly Peer[] {
    return Array.from(this.#links.values(), ({ peer }) => peer)
  }

  peer(node: NodeId): Peer | undefined {
    return this.#links.get(node)?.peer
  }

  send(to: Peer, bytes: Uint8Array, how: SendClass = 'message'): SendAnswer {
    if (bytes.length > this.maxMessageBytes) return 'too_large'
    const link = this.#links.get(to.node)
    if (link === undefined || link.peer.incarnation !== to.incarnation) return 'no_connection'
    if (!link.outgoing.add(bytes, how === 'signal')) return 'congested'
    this.#dirty.add(link)
    if (!this.#turning) this.#beginTurn()
    return 'accepted'
  }

  async close(): Promise<void> {
    if (this.#closed) return
    await this.#drain()
    this.#end()
    if (!this.#connection.client.isClosed()) {
      if (this.#connection.isUp) await this.#connection.client.flush().catch(() => undefined)
      await this.#connection.close()
    }
  }

  /** Vanishes as a crash would: not one more byte leaves it. For tests. */
  async abandon(): Promise<void> {
    this.#closed = true
    this.#listener = undefined
    this.#stopTimers()
    await this.#connection.close()
  }

  // Out

  /** The first of a turn leaves as soon as the work at hand is done; all that follows leaves together at its end. */
  #beginTurn(): void {
    this.#turning = true
    queueMicrotask(this.#flushNow)
    setImmediate(this.#endTurn)
  }

  #flush(): void {
    if (this.#dirty.size === 0) return
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    for (const link of dirty) {
      if (this.#links.get(link.peer.node) !== link) continue
      link.outgoing.flush()
      if (link.outgoing.isOverrun) this.#decide({ kind: 'overrun', peer: link.peer })
    }
  }

  /** False while there is no connection: the client would keep it for later, when it may be stale, or drop it. */
  #publish(subject: string, frame: Uint8Array): boolean {
    if (this.#closed || !this.#connection.isUp) return false
    this.#connection.client.publish(subject, frame)
    this.#counts.framesSent++
    return true
  }

  /** Until all that was accepted is on the wire. One connection keeps its order: the goodbye comes last. */
  async #drain(): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + drainMs
    for (const { outgoing } of this.#links.values()) outgoing.flush()
    const isDone = (): boolean => [...this.#links.values()].every(({ outgoing }) => outgoing.unsentBytes === 0)
    while (!isDone() && this.#connection.isUp && this.#clock.monotonicMs() < untilMs) {
      await new Promise<void>((resolve) => void this.#clock.after(10, resolve))
    }
  }

  // In

  #onFrame(bytes: Uint8Array): void {
    if (this.#closed) return
    const frame = parseFrame(bytes)
    if (typeof frame === 'string') return this.#complain(frame)
    // Its own heartbeats come back on the shared subject.
    if (samePeer(frame.from, this.self)) return
    this.#counts.framesReceived++
    const nowMs = this.#clock.monotonicMs()
    switch (frame.kind) {
      case 'heartbeat':
        return this.#decide({ kind: 'heard', from: frame.from, nowMs })
      case 'hello':
        return this.#hello(frame, nowMs)
      case 'goodbye': {
        const link = this.#linkOf(frame)
        if (link === undefined) this.#counts.stale++
        else this.#decide({ kind: 'goodbye', from: frame.from })
        return
      }
      case 'ack':
        this.#linkOf(frame)?.outgoing.acknowledged(frame.nextSeq, frame.isMissing)
        return
      case 'data':
        return this.#onData(frame, nowMs)
    }
  }

  #onData(frame: Frame & { readonly kind: 'data' }, nowMs: number): void {
    let link = this.#linkOf(frame)
    if (link === undefined) {
      // Whoever knows this node's number is up for it; so the connection is, whether or not its hello has come.
      const member = this.#state.members.get(frame.from.node)
      if (member === undefined || member.mine !== frame.receiverSession) return void this.#counts.stale++
      this.#hello(frame, nowMs)
      link = this.#linkOf(frame)
      if (link === undefined) return void this.#counts.stale++
    }
    switch (link.incoming.arrived(frame.seq)) {
      case 'early':
      case 'duplicate':
        this.#counts.repeated++
        return
      case 'next': {
        const { peer, incoming } = link
        const opened = link
        eachMessage(frame.bytes, frame.bodyAt, (message) => {
          // T2: a message may end the connection that it came by.
          if (this.#links.get(peer.node) === opened) this.#listener?.onReceive(peer, message)
        })
        incoming.delivered(frame.bytes.length)
      }
    }
  }

  #hello(frame: { from: Peer; senderSession: number; receiverSession: number }, nowMs: number): void {
    const { from, senderSession, receiverSession } = frame
    this.#decide({ kind: 'hello', from, theirs: senderSession, mine: receiverSession, nowMs })
  }

  #linkOf(frame: { from: Peer; senderSession: number; receiverSession: number }): Link | undefined {
    const { from, senderSession, receiverSession } = frame
    const member = this.#state.members.get(from.node)
    return isCurrent(member, from, senderSession, receiverSession) ? this.#links.get(from.node) : undefined
  }

  #complain(problem: string): void {
    this.#counts.malformed++
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#complainedAtMs < complainMs) return
    this.#complainedAtMs = nowMs
    this.#logger.log('warn', `a frame that is not ours was dropped: ${problem}`, {
      malformed: this.#counts.malformed,
    })
  }

  // Membership

  #onTick(): void {
    if (this.#closed) return
    this.#decide({ kind: 'tick', nowMs: this.#clock.monotonicMs() })
    if (this.#closed) return
    for (const { incoming, outgoing } of this.#links.values()) {
      incoming.tick()
      outgoing.tick()
    }
    this.#tick = this.#clock.after(this.#timing.heartbeatMs, () => this.#onTick())
  }

  /** What was on its way when the connection broke may be lost. */
  #onReconnect(): void {
    if (this.#closed) return
    this.#publish(this.#heartbeats, this.#writer.heartbeat())
    for (const { outgoing } of this.#links.values()) {
      outgoing.resend()
      outgoing.flush()
    }
  }

  #decide(event: MembershipEvent): void {
    const [state, effects] = decideMembership(this.#state, event)
    this.#state = state
    for (const effect of effects) this.#perform(effect)
  }

  #perform(effect: MembershipEffect): void {
    switch (effect.kind) {
      case 'send_heartbeat':
        this.#publish(this.#heartbeats, this.#writer.heartbeat())
        return
      case 'send_hello':
        this.#publish(this.#subjectOf(effect.to), this.#writer.hello(effect.mine, effect.theirs))
        return
      case 'send_goodbye': {
        const link = this.#links.get(effect.to.node)
        if (link !== undefined) this.#publish(link.subject, this.#writer.goodbye(link.mine, link.theirs))
        return
      }
      case 'up':
        this.#links.set(effect.peer.node, this.#open(effect))
        this.#logger.log('info', `node ${effect.peer.node} is up`, { incarnation: effect.peer.incarnation })
        this.#listener?.onNodeUp(effect.peer)
        return
      case 'down':
        this.#links.delete(effect.peer.node)
        this.#logger.log(
          effect.why === 'left' || effect.why === 'closed' ? 'info' : 'warn',
          `node ${effect.peer.node} is down: ${effect.why}`,
        )
        this.#listener?.onNodeDown(effect.peer, effect.why)
        return
      case 'suspect':
        this.#logger.log(
          effect.isSuspected ? 'warn' : 'info',
          `node ${effect.peer.node} ${effect.isSuspected ? 'is silent' : 'is heard again'}`,
        )
        this.#listener?.onSuspect?.(effect.peer, effect.isSuspected)
        return
      case 'superseded':
        this.#logger.log('error', `another node named ${this.self.node} has joined the cluster; this one leaves it`)
        this.#end()
        void this.#connection.close()
        this.#onSuperseded?.(effect.by)
        return
    }
  }

  #open({ peer, mine, theirs }: MembershipEffect & { kind: 'up' }): Link {
    const subject = this.#subjectOf(peer)
    const writer = this.#writer
    return {
      peer,
      mine,
      theirs,
      subject,
      outgoing: new Outgoing({
        ...this.#bounds,
        publish: (seq, body) => this.#publish(subject, writer.data(mine, theirs, seq, body)),
      }),
      incoming: new Incoming({
        ackBytes: this.#bounds.windowBytes / 8,
        ackFrames: 32,
        ack: (nextSeq, isMissing) => void this.#publish(subject, writer.ack(mine, theirs, nextSeq, isMissing)),
      }),
    }
  }

  #end(): void {
    if (this.#closed) return
    this.#decide({ kind: 'leave' })
    this.#closed = true
    this.#stopTimers()
  }

  #stopTimers(): void {
    this.#tick?.()
    this.#stopListening?.()
    for (const subscription of this.#subscriptions) subscription.unsubscribe()
    this.#subscriptions = []
  }
}

import { systemClock, type Clock } from '../clock.ts'
import type { NodeId } from '../ids.ts'
import type { DownReason, Peer, SendAnswer, SendClass, Transport, TransportListener } from '../transport.ts'

export interface MemoryNetworkOptions {
  /** Moves delays and detection. Default: the system's. */
  readonly clock?: Clock
  /** How long each message travels. Default 0: it arrives in a later turn, never within `send`. */
  readonly delayMs?: number
  /** After a partition, until both sides see each other down. Default 1_000. */
  readonly detectMs?: number
  /** Default 1 MiB. */
  readonly maxMessageBytes?: number
  /** What may be on its way from one node to another. Default 8 MiB. */
  readonly maxWaitingBytes?: number
}

interface Travelling {
  readonly bytes: Uint8Array
}

/** One direction between two ends. */
class Lane {
  readonly queue: Travelling[] = []
  waitingBytes = 0
}

class Pair {
  readonly ends: readonly [MemoryTransport, MemoryTransport]
  readonly lanes: readonly [Lane, Lane] = [new Lane(), new Lane()]
  isUp = true

  constructor(a: MemoryTransport, b: MemoryTransport) {
    this.ends = [a, b]
  }
}

/**
 * A network of nodes within one JavaScript process: delays, partitions and crashes to order. Loss is by connection, as
 * the contract has it: a partition that is healed in time loses nothing, one that is detected loses what was on its way.
 */
export class MemoryNetwork {
  readonly clock: Clock
  readonly delayMs: number
  readonly detectMs: number
  readonly maxMessageBytes: number
  readonly maxWaitingBytes: number
  readonly #ends = new Set<MemoryTransport>()
  readonly #pairs = new Set<Pair>()
  readonly #cut = new Set<string>()

  constructor(options: MemoryNetworkOptions = {}) {
    this.clock = options.clock ?? systemClock()
    this.delayMs = options.delayMs ?? 0
    this.detectMs = options.detectMs ?? 1_000
    this.maxMessageBytes = options.maxMessageBytes ?? 1_048_576
    this.maxWaitingBytes = options.maxWaitingBytes ?? 8_388_608
  }

  /** The transport of one life of one node. */
  transport(node: string, incarnation = 1): MemoryTransport {
    return new MemoryTransport(this, { node: node as NodeId, incarnation })
  }

  /** Nothing passes between these two nodes. After `detectMs` each sees the other down. */
  partition(a: string, b: string): void {
    this.#cut.add(cutKey(a, b))
    this.clock.after(this.detectMs, () => {
      if (this.#cut.has(cutKey(a, b))) for (const pair of this.#between(a, b)) this.#break(pair, 'silent', 'silent')
    })
  }

  /** They reach each other again: what waited goes on, and those that were seen down come up anew. */
  heal(a: string, b: string): void {
    this.#cut.delete(cutKey(a, b))
    for (const pair of this.#between(a, b)) for (const from of pair.ends) this.#deliverAll(pair, from)
    this.#meetAll()
  }

  /** `kill -9`: it says nothing any more; the others see it down after `detectMs`. */
  crash(transport: MemoryTransport): void {
    if (!this.#ends.delete(transport)) return
    transport.stop()
    this.clock.after(this.detectMs, () => {
      for (const pair of [...this.#pairs]) if (pair.ends.includes(transport)) this.#break(pair, 'silent', 'silent')
    })
  }

  /** For the transports alone. */
  join(end: MemoryTransport): void {
    for (const other of [...this.#ends]) {
      if (other.self.node !== end.self.node) continue
      this.#ends.delete(other)
      other.stop()
    }
    for (const pair of [...this.#pairs]) {
      if (pair.ends.some(({ self }) => self.node === end.self.node)) this.#break(pair, 'restarted', 'restarted')
    }
    this.#ends.add(end)
    this.#meetAll()
  }

  leave(end: MemoryTransport): void {
    if (!this.#ends.delete(end)) return
    for (const pair of [...this.#pairs]) {
      if (!pair.ends.includes(end)) continue
      // What was accepted is sent first.
      if (!this.#isCut(pair)) this.#deliverAll(pair, end)
      this.#break(pair, pair.ends[0] === end ? 'closed' : 'left', pair.ends[1] === end ? 'closed' : 'left')
    }
    end.stop()
  }

  peersOf(end: MemoryTransport): Peer[] {
    const peers: Peer[] = []
    for (const { ends } of this.#pairs) if (ends.includes(end)) peers.push((ends[0] === end ? ends[1] : ends[0]).self)
    return peers
  }

  send(from: MemoryTransport, to: Peer, bytes: Uint8Array, how: SendClass): SendAnswer {
    if (bytes.length > this.maxMessageBytes) return 'too_large'
    const pair = this.#pairOf(from, to)
    if (pair === undefined) return 'no_connection'
    const lane = pair.lanes[pair.ends[0] === from ? 0 : 1]
    if (how === 'message' && lane.waitingBytes + bytes.length > this.maxWaitingBytes) return 'congested'
    lane.queue.push({ bytes: bytes.slice() })
    lane.waitingBytes += bytes.length
    const arrive = (): void => this.#move(pair, from)
    if (this.delayMs > 0) this.clock.after(this.delayMs, arrive)
    else queueMicrotask(arrive)
    return 'accepted'
  }

  #pairOf(from: MemoryTransport, to: Peer): Pair | undefined {
    for (const pair of this.#pairs) {
      const [a, b] = pair.ends
      const other = a === from ? b : b === from ? a : undefined
      if (other?.self.node === to.node && other.self.incarnation === to.incarnation) return pair
    }
    return undefined
  }

  /** The oldest arrives; while the pair is cut it waits. */
  #move(pair: Pair, from: MemoryTransport): void {
    const lane = pair.lanes[pair.ends[0] === from ? 0 : 1]
    if (!pair.isUp || this.#isCut(pair)) return
    this.#deliver(pair, from, lane)
  }

  #deliverAll(pair: Pair, from: MemoryTransport): void {
    const lane = pair.lanes[pair.ends[0] === from ? 0 : 1]
    while (pair.isUp && lane.queue.length > 0) this.#deliver(pair, from, lane)
  }

  #deliver(pair: Pair, from: MemoryTransport, lane: Lane): void {
    const first = lane.queue.shift()
    if (first === undefined) return
    lane.waitingBytes -= first.bytes.length
    const to = pair.ends[0] === from ? pair.ends[1] : pair.ends[0]
    to.listener?.onReceive(from.self, first.bytes)
  }

  #isCut({ ends: [a, b] }: Pair): boolean {
    return this.#cut.has(cutKey(a.self.node, b.self.node))
  }

  #between(a: string, b: string): Pair[] {
    return [...this.#pairs].filter(({ ends: [one, two] }) => cutKey(one.self.node, two.self.node) === cutKey(a, b))
  }

  #break(pair: Pair, first: DownReason, second: DownReason): void {
    if (!this.#pairs.delete(pair)) return
    pair.isUp = false
    const [a, b] = pair.ends
    a.listener?.onNodeDown(b.self, first)
    b.listener?.onNodeDown(a.self, second)
  }

  #meetAll(): void {
    const ends = [...this.#ends]
    for (const [at, a] of ends.entries()) {
      for (const b of ends.slice(at + 1)) {
        if (this.#cut.has(cutKey(a.self.node, b.self.node)) || this.#pairOf(a, b.self) !== undefined) continue
        this.#pairs.add(new Pair(a, b))
        a.listener?.onNodeUp(b.self)
        b.listener?.onNodeUp(a.self)
      }
    }
  }
}

/** See MemoryNetwork. */
export class MemoryTransport implements Transport {
  readonly self: Peer
  readonly #network: MemoryNetwork
  listener: TransportListener | undefined = undefined

  constructor(network: MemoryNetwork, self: Peer) {
    this.#network = network
    this.self = self
  }

  get maxMessageBytes(): number {
    return this.#network.maxMessageBytes
  }

  get maxWaitingBytes(): number {
    return this.#network.maxWaitingBytes
  }

  async start(listener: TransportListener): Promise<void> {
    this.listener = listener
    this.#network.join(this)
  }

  peers(): readonly Peer[] {
    return this.#network.peersOf(this)
  }

  peer(node: NodeId): Peer | undefined {
    return this.#network.peersOf(this).find((peer) => peer.node === node)
  }

  send(to: Peer, bytes: Uint8Array, how: SendClass = 'message'): SendAnswer {
    return this.#network.send(this, to, bytes, how)
  }

  async close(): Promise<void> {
    this.#network.leave(this)
  }

  /** For the network alone: not one more event reaches this node. */
  stop(): void {
    this.listener = undefined
  }
}

function cutKey(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`
}

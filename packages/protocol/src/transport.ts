import type { NodeId } from './ids.ts'

/** One life of one node. Another incarnation of the same name is another peer. */
export interface Peer {
  readonly node: NodeId
  readonly incarnation: number
}

/** Why a peer counts as gone. */
export type DownReason =
  /** It said goodbye. */
  | 'left'
  /** Nothing was heard of it for too long. It may still be alive. */
  | 'silent'
  /** A later life of the same node is there. */
  | 'restarted'
  /** It declared this node down, or lost the connection's state: it says so itself when it is reachable again. */
  | 'told'
  /** It took too little for too long: what waited for it passed every bound. */
  | 'overrun'
  /** This side closed. */
  | 'closed'

/**
 * What became of a message at the sender. `congested`: more than the transport's bound waits for that peer; nothing of
 * this message was taken. `too_large`: it can never be sent.
 */
export type SendAnswer = 'accepted' | 'no_connection' | 'congested' | 'too_large'

/** How a message stands to the bound on waiting bytes. `signal` gets in beyond it: exits and downs may not be refused. */
export type SendClass = 'message' | 'signal'

/** Called in the transport's own time, never from within `send`. Must not throw. */
export interface TransportListener {
  /** `bytes` may be a view of a larger array, and may be kept. */
  onReceive(from: Peer, bytes: Uint8Array): void
  onNodeUp(peer: Peer): void
  onNodeDown(peer: Peer, why: DownReason): void
  /** A peer that is up fell silent, or was heard of again. Nothing is lost by it yet. */
  onSuspect?(peer: Peer, isSuspected: boolean): void
}

/**
 * Bytes between the nodes of one cluster, and which of them are up.
 *
 * A connection to a peer lasts from `onNodeUp` to `onNodeDown`, which come in turn, each exactly once.
 * - T1 Within one connection messages arrive in the order in which they were sent, each once. None is missing before a
 *   later one. (Order across different senders is nobody's promise.)
 * - T2 After `onNodeDown` nothing of that connection arrives any more. What was accepted and has not arrived is lost, also
 *   when the same peer comes up again: that is a new connection.
 * - T3 Loss is mutual: a peer that is alive learns of its connection's end before it is up again on this side.
 * - T4 What was meant for one incarnation never reaches another.
 * - T5 `send` takes a copy, answers at once, and never throws. What waits for one peer is bounded.
 */
export interface Transport {
  readonly self: Peer
  readonly maxMessageBytes: number
  /** Beyond this, messages that wait for one peer are refused. */
  readonly maxWaitingBytes: number
  /** Begins to listen and makes this node known. Once. */
  start(listener: TransportListener): Promise<void>
  /** Those that are up, the node itself not among them. */
  peers(): readonly Peer[]
  /** The life of that node that is up. */
  peer(node: NodeId): Peer | undefined
  /** Default `message`. */
  send(to: Peer, bytes: Uint8Array, how?: SendClass): SendAnswer
  /** Leaves: what was accepted is sent first, the others see `left`, this side sees `closed` for each. */
  close(): Promise<void>
}

export function samePeer(a: Peer, b: Peer): boolean {
  return a === b || (a.node === b.node && a.incarnation === b.incarnation)
}

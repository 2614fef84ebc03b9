import {
  AppError,
  Ref,
  type Codec,
  type DownReason,
  type NodeId,
  type Peer,
  type Pid,
  type Transport,
} from '@daruma/protocol'
import type { Kernel } from './kernel.ts'
import { NodeNotice } from './notice.ts'
import type { Owned, Process } from './process.ts'
import { Remote, type NodeService } from './remote.ts'
import { ActorSystem } from './system.ts'

export type NodeEvent =
  | { readonly kind: 'up'; readonly peer: Peer }
  | { readonly kind: 'down'; readonly peer: Peer; readonly why: DownReason }

/**
 * A system among others: the pids of nodes that are up work like those of its own in send, call, link, monitor and exit.
 * What cannot travel is refused to its sender; loss of a node is `noconnection` to every link, monitor and call, exactly
 * once (rule 23), also where the node turns out to be alive. STABLE.
 */
export class Cluster implements AsyncDisposable {
  readonly #kernel: Kernel
  readonly #remote: Remote
  readonly #monitors = new Map<NodeId, Set<NodeMonitor>>()
  readonly #listeners = new Set<(event: NodeEvent) => void>()

  /** For `joinCluster` alone. */
  constructor(kernel: Kernel, transport: Transport, codec: Codec | undefined) {
    this.#kernel = kernel
    this.#remote = new Remote(kernel, transport, (change, peer, why) => this.#changed(change, peer, why), codec)
  }

  /** For `joinCluster` alone. */
  async open(): Promise<this> {
    this.#kernel.remote = this.#remote
    try {
      await this.#remote.transport.start(this.#remote)
    } catch (error) {
      this.#kernel.remote = undefined
      throw error
    }
    return this
  }

  /** Other nodes that are up. */
  get nodes(): readonly Peer[] {
    return this.#remote.peers
  }

  peer(node: string): Peer | undefined {
    return this.#remote.peer(node as NodeId)
  }

  /** Returns the way out. */
  subscribe(listener: (event: NodeEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** `watcher` gets one `node_down` notice when that node goes down; at once if it is not up. One per call (rule 23). */
  monitorNode(node: string, watcher: Pid): Ref {
    const process = this.#kernel.processOf(watcher)
    if (process === undefined) {
      throw new AppError('invalid', `cannot monitor node ${node} for ${watcher}: it is not a living process here`)
    }
    const monitor = new NodeMonitor(this.#kernel, node as NodeId, process, (gone) => this.#drop(gone))
    if (this.#remote.peer(monitor.target) === undefined) {
      process.pushNotice(new NodeNotice(monitor, monitor.target))
      return monitor
    }
    process.own(monitor)
    const known = this.#monitors.get(monitor.target)
    if (known === undefined) this.#monitors.set(monitor.target, new Set([monitor]))
    else known.add(monitor)
    return monitor
  }

  demonitorNode(ref: Ref): void {
    if (!(ref instanceof NodeMonitor)) return
    ref.process.extras?.owned?.delete(ref)
    this.#drop(ref)
  }

  /** Answers other nodes' `ask` for `service`. Returns the way out. @throws AppError already_exists */
  serve(service: string, answer: NodeService): () => void {
    return this.#remote.serve(service, answer)
  }

  /**
   * Asks another node. Rejects with what its service threw, or: unavailable (no connection, or lost before the answer: it
   * may have been done), not_found (it does not serve that), rate_limited (not asked), timeout. Default `timeoutMs` 5_000.
   */
  ask(node: string, service: string, input: unknown, options: { readonly timeoutMs?: number } = {}): Promise<unknown> {
    return this.#remote.ask(node as NodeId, service, input, options.timeoutMs ?? 5_000)
  }

  /** Says goodbye: the others see this node leave, this one sees them all down. */
  async leave(): Promise<void> {
    await this.#remote.transport.close()
    this.#kernel.remote = undefined
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave()
  }

  #changed(change: 'up' | 'down', peer: Peer, why: DownReason | undefined): void {
    if (change === 'down') {
      const monitors = this.#monitors.get(peer.node)
      this.#monitors.delete(peer.node)
      for (const monitor of monitors ?? []) {
        monitor.process.extras?.owned?.delete(monitor)
        monitor.process.pushNotice(new NodeNotice(monitor, peer.node))
      }
    }
    const event: NodeEvent = change === 'up' ? { kind: 'up', peer } : { kind: 'down', peer, why: why! }
    for (const listener of [...this.#listeners]) listener(event)
  }

  #drop(monitor: NodeMonitor): void {
    const monitors = this.#monitors.get(monitor.target)
    monitors?.delete(monitor)
    if (monitors?.size === 0) this.#monitors.delete(monitor.target)
  }
}

class NodeMonitor extends Ref implements Owned {
  readonly target: NodeId
  readonly process: Process
  readonly #drop: (monitor: NodeMonitor) => void

  constructor(kernel: Kernel, target: NodeId, process: Process, drop: (monitor: NodeMonitor) => void) {
    super(kernel.home.node, kernel.home.incarnation, kernel.nextSerial())
    this.target = target
    this.process = process
    this.#drop = drop
  }

  ownerEnded(): void {
    this.#drop(this)
  }
}

/**
 * Makes `system` a member of the cluster that `transport` reaches. The transport's `self` must be this system's node and
 * incarnation, and not started yet.
 *
 * @throws AppError invalid - it is another node's transport, or the system is in a cluster already
 */
export async function joinCluster(
  system: ActorSystem,
  transport: Transport,
  options: { readonly codec?: Codec } = {},
): Promise<Cluster> {
  const kernel = ActorSystem.kernelOf(system)
  const { node, incarnation } = kernel.home
  if (transport.self.node !== node || transport.self.incarnation !== incarnation) {
    throw new AppError(
      'invalid',
      `this transport is that of ${transport.self.node}.${transport.self.incarnation}, the system is ${node}.${incarnation}`,
    )
  }
  if (kernel.remote !== undefined) throw new AppError('invalid', `${node} is in a cluster already`)
  return new Cluster(kernel, transport, options.codec).open()
}

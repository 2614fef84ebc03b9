import { programMessage, type ActorSystem } from '@daruma/actors'
import type { BusEvent } from '@daruma/lua'
import type { Pid } from '@daruma/protocol'
import { compilePattern } from './event-pattern.ts'

interface Subscription {
  readonly matches: (event: BusEvent) => boolean
  readonly deliver: (event: BusEvent) => void
}

/**
 * Who hears of which events. Best effort, within this node: an event reaches those who are subscribed when it is sent, in
 * the order in which they subscribed, and events of one sender arrive in their order.
 */
export class EventBus {
  readonly #system: ActorSystem
  readonly #subscriptions = new Set<Subscription>()
  /** By the text of the subscriber's pid, then by topic. */
  readonly #byPid = new Map<string, Map<string, Subscription>>()

  constructor(system: ActorSystem) {
    this.#system = system
  }

  /** For the node's own parts. Returns how to stop. @throws AppError invalid - a pattern that cannot be read */
  listen(system: string, kind: string | undefined, deliver: (event: BusEvent) => void): () => void {
    const subscription = subscriptionOf(system, kind, deliver)
    this.#subscriptions.add(subscription)
    return () => void this.#subscriptions.delete(subscription)
  }

  /**
   * Events come to `pid` as program messages of `topic`, until it ends or unsubscribes. The same topic again replaces.
   *
   * @throws AppError invalid - a pattern that cannot be read
   */
  subscribe(pid: Pid, system: string, kind: string | undefined, topic: string): void {
    const subscription = subscriptionOf(system, kind, (event) => this.#system.cast(pid, programMessage(topic, [event])))
    this.unsubscribe(pid, topic)
    this.#subscriptions.add(subscription)
    const key = String(pid)
    const known = this.#byPid.get(key)
    if (known !== undefined) {
      known.set(topic, subscription)
      return
    }
    this.#byPid.set(key, new Map([[topic, subscription]]))
    this.#system.watchExit(pid, () => this.#forget(key))
  }

  /** Idempotent. */
  unsubscribe(pid: Pid, topic: string): void {
    // The watch on the process stays: it may subscribe again.
    const known = this.#byPid.get(String(pid))
    const subscription = known?.get(topic)
    if (subscription === undefined) return
    known!.delete(topic)
    this.#subscriptions.delete(subscription)
  }

  send(event: BusEvent): void {
    for (const subscription of this.#subscriptions) if (subscription.matches(event)) subscription.deliver(event)
  }

  /** Living subscriptions. */
  get size(): number {
    return this.#subscriptions.size
  }

  #forget(key: string): void {
    for (const subscription of this.#byPid.get(key)?.values() ?? []) this.#subscriptions.delete(subscription)
    this.#byPid.delete(key)
  }
}

function subscriptionOf(system: string, kind: string | undefined, deliver: Subscription['deliver']): Subscription {
  const ofSystem = compilePattern(system)
  const ofKind = kind === undefined ? () => true : compilePattern(kind)
  return { matches: (event) => ofSystem(event.system) && ofKind(event.kind), deliver }
}

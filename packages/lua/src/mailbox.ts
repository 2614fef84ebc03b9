import type { MessageEvent } from '@daruma/protocol'
import type { Channel, HostValue, LuaValue, Proc } from './engine.ts'
import { Fifo } from './fifo.ts'

/** What the program sees of its processes' ends and of its own cancellation. */
export interface LifecycleEvent {
  readonly kind: 'pid.cancel' | 'pid.exit' | 'pid.link.down'
  readonly from: string
  /** Unix seconds. */
  readonly at: number
  readonly result?: { readonly value?: HostValue; readonly error?: HostValue }
  readonly reason?: string
}

interface Numbered {
  readonly serial: number
  readonly event: MessageEvent
}

/** How the values of a message appear on a channel. */
type Show = (event: MessageEvent) => HostValue

class Subscription {
  readonly channel: Channel
  readonly queue = new Fifo<Numbered>()

  constructor(proc: Proc, name: string, capacity: number, show: Show) {
    this.channel = proc.channel({
      name,
      capacity,
      pull: () => {
        const next = this.queue.shift()
        return next === undefined ? undefined : { value: show(next.event) }
      },
    })
  }
}

/**
 * Where messages wait until Lua takes them.
 *
 * - B1 A message goes to the listener of its exact topic; else to the inbox, if it was opened and the topic does not
 *   start with "@"; else it is kept until somebody subscribes.
 * - B2 Queues stay on this side: nothing is dropped, and `unread` knows every message that Lua has not received.
 * - B3 Asking again for the inbox, the events or a topic gives the identical channel.
 * - B4 A private topic is between this program and its host: what comes for it when it is closed is dropped, and no
 *   successor inherits it.
 */
export class Mailbox {
  readonly #proc: Proc
  // Undefined until the first: many processes listen to no topic.
  #topics: Map<string, Subscription> | undefined
  #privateTopics: Set<string> | undefined
  #inbox: Subscription | undefined
  #events: Channel | undefined
  #eventQueue: Fifo<LifecycleEvent> | undefined
  #kept: Numbered[] = []
  #serial = 0

  constructor(proc: Proc) {
    this.#proc = proc
  }

  /** True once anything was opened: an event from outside could wake the program. */
  get isOpen(): boolean {
    return this.#inbox !== undefined || this.#events !== undefined || (this.#topics?.size ?? 0) > 0
  }

  inbox(show: Show): Channel {
    if (this.#inbox === undefined) {
      this.#inbox = new Subscription(this.#proc, 'inbox', 0, show)
      this.#reroute()
    }
    return this.#inbox.channel
  }

  events(): Channel {
    this.#events ??= this.#proc.channel({
      name: 'events',
      pull: () => {
        const next = this.#eventQueue?.shift()
        return next === undefined ? undefined : { value: next }
      },
    })
    return this.#events
  }

  listen(topic: string, show: Show): Channel {
    let subscription = this.#topics?.get(topic)
    if (subscription === undefined) {
      subscription = new Subscription(this.#proc, topic, 1, show)
      ;(this.#topics ??= new Map()).set(topic, subscription)
      this.#reroute()
    }
    return subscription.channel
  }

  /** Closes the channel; what nobody received from it goes where later messages of its topic go. False: no such listener. */
  unlisten(channel: LuaValue): boolean {
    for (const [topic, subscription] of this.#topics ?? []) {
      if (subscription.channel !== channel) continue
      this.#topics?.delete(topic)
      this.#kept = this.#kept.concat(subscription.queue.toArray())
      subscription.queue.clear()
      subscription.channel.close()
      this.#reroute()
      return true
    }
    return false
  }

  listenPrivately(topic: string, show: Show): Channel {
    ;(this.#privateTopics ??= new Set()).add(topic)
    return this.listen(topic, show)
  }

  /** Closes the channel of a private topic. */
  closePrivate(topic: string): void {
    this.#topics?.get(topic)?.channel.close()
    this.#topics?.delete(topic)
  }

  deliver(event: MessageEvent): void {
    this.#route({ serial: this.#serial++, event })
  }

  notify(event: LifecycleEvent): void {
    ;(this.#eventQueue ??= new Fifo()).push(event)
    this.#events?.wake()
  }

  /** Oldest first. */
  unread(): readonly MessageEvent[] {
    const opened = [...(this.#inbox === undefined ? [] : [this.#inbox]), ...(this.#topics?.values() ?? [])]
    const queues = [this.#kept, ...opened.map(({ queue }) => queue.toArray())]
    return queues
      .flat()
      .filter(({ event }) => this.#privateTopics?.has(event.topic) !== true)
      .sort((a, b) => a.serial - b.serial)
      .map(({ event }) => event)
  }

  #route(message: Numbered): void {
    const { topic } = message.event
    const subscription = this.#topics?.get(topic) ?? (topic.startsWith('@') ? undefined : this.#inbox)
    if (subscription === undefined) {
      if (this.#privateTopics?.has(topic) !== true) this.#kept.push(message)
      return
    }
    subscription.queue.push(message)
    subscription.channel.wake()
  }

  #reroute(): void {
    const kept = this.#kept.sort((a, b) => a.serial - b.serial)
    this.#kept = []
    for (const message of kept) this.#route(message)
  }
}

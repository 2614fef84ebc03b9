import type { Channel, ChannelOptions, HostValue, Received } from '../engine.ts'
import { HostObject, hostClass } from '../value.ts'
import { fromLua, toLua } from './convert.ts'
import { copyOf, fail, makeBoolean, makeNil } from './native.ts'
import type { Answer } from './native.ts'
import { Queue } from './queue.ts'
import type { LuaState, TValue } from './types.ts'
import type { FengariProc, Task } from './proc.ts'

/**
 * Channels of a process: LUA.md 2.3. Everything between coroutines happens here, within the machine.
 *
 * Invariants:
 * - C1 Receivers wait only while nothing is buffered, no sender waits, and the channel is open.
 * - C2 Senders wait only while the buffer is full and no receiver waits.
 * - C3 A waiter that belongs to a select leaves all its queues in the moment in which one of them serves it.
 */

interface ChannelState {
  readonly name: string
}

export const channelClass = hostClass<ChannelState>({
  name: 'channel',
  tostring: (self) => `${self.state.name}: ${(self as FengariChannel).address()}`,
})

/** One coroutine at one channel. A select has several, which share `group`. */
export interface Waiter {
  readonly task: Task
  readonly channel: FengariChannel
  readonly direction: 'send' | 'receive'
  /** What a sender offers. */
  readonly value: TValue | undefined
  readonly group: readonly Waiter[] | undefined
  /** What the coroutine is answered when this waiter is served. */
  readonly answer: (waiter: Waiter, value: TValue, ok: boolean) => Answer
}

export class FengariChannel extends HostObject<ChannelState> implements Channel {
  readonly proc: FengariProc
  readonly capacity: number
  readonly isFedByHost: boolean
  readonly #pull: ChannelOptions['pull']
  readonly #buffer = new Queue<TValue>()
  readonly #receivers = new Queue<Waiter>()
  readonly #senders = new Queue<Waiter>()
  #closed = false

  constructor(proc: FengariProc, capacity: number, options: ChannelOptions | undefined) {
    super(channelClass, { name: options?.name ?? 'channel' })
    this.proc = proc
    this.capacity = capacity
    this.isFedByHost = options !== undefined
    this.#pull = options?.pull
  }

  get closed(): boolean {
    return this.#closed
  }

  address(): string {
    return this.proc.addressOf(this)
  }

  /* ----------------------------------------------------------------------------------------- from the host */

  push(value: HostValue): boolean {
    if (this.#closed) return false
    this.#deliver(toLua(this.proc, value))
    return true
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    // C1: receivers wait, so nothing is buffered.
    for (let waiter = this.#receivers.shift(); waiter !== undefined; waiter = this.#receivers.shift()) {
      this.#serve(waiter, makeNil(), false)
    }
    for (let waiter = this.#senders.shift(); waiter !== undefined; waiter = this.#senders.shift()) {
      leave(waiter)
      this.proc.wake(waiter.task, { raise: raiseClosed })
    }
  }

  waiting(): number {
    return this.#receivers.length
  }

  buffered(): number {
    return this.#buffer.length
  }

  wake(): void {
    while (this.#receivers.length > 0 && !this.#closed) {
      const value = this.#pulled()
      if (value === undefined) return
      this.#serve(this.#receivers.shift()!, value, true)
    }
  }

  take(): Received | undefined {
    const received = this.tryReceive()
    return received === undefined
      ? undefined
      : { value: fromLua(this.proc, received[0]), ok: received[1].value === true }
  }

  /** For the measurement of memory. */
  *heldValues(): Iterable<TValue> {
    yield* this.#buffer
    for (const { value } of this.#senders) if (value !== undefined) yield value
  }

  /* -------------------------------------------------------------------------------------------- from Lua */

  /** True: the value is on its way. False: the sender has to wait. Raises when closed. */
  trySend(L: LuaState, value: TValue): boolean {
    if (this.#closed) return raiseClosed(L)
    if (this.#receivers.length === 0 && this.#buffer.length >= this.capacity) return false
    this.#deliver(copyOf(value))
    return true
  }

  /** `[value, true]`, `[nil, false]` when closed and drained, undefined when the receiver has to wait. */
  tryReceive(): [TValue, TValue] | undefined {
    const buffered = this.#buffer.shift()
    if (buffered !== undefined) {
      const sender = this.#senders.shift()
      if (sender !== undefined) {
        this.#buffer.push(sender.value!)
        this.#serve(sender, makeNil(), true)
      }
      return [buffered, makeBoolean(true)]
    }
    const sender = this.#senders.shift()
    if (sender !== undefined) {
      const { value } = sender
      this.#serve(sender, makeNil(), true)
      return [value!, makeBoolean(true)]
    }
    if (!this.#closed) {
      const value = this.#pulled()
      if (value !== undefined) return [value, makeBoolean(true)]
    }
    return this.#closed ? [makeNil(), makeBoolean(false)] : undefined
  }

  canSend(): boolean {
    return this.#closed || this.#receivers.length > 0 || this.#buffer.length < this.capacity
  }

  /** Parks the running task as a receiver; answered with `[value, ok]`. */
  awaitValue(): void {
    this.enqueue({
      task: this.proc.running(),
      channel: this,
      direction: 'receive',
      value: undefined,
      group: undefined,
      answer: (_waiter, value, ok) => ({ values: [value, makeBoolean(ok)] }),
    })
  }

  /** Parks the running task as a sender of `value`. */
  awaitTaker(value: TValue): void {
    this.enqueue({
      task: this.proc.running(),
      channel: this,
      direction: 'send',
      value: copyOf(value),
      group: undefined,
      answer: () => ({ values: [makeBoolean(true)] }),
    })
  }

  enqueue(waiter: Waiter): void {
    waiter.task.waitOn(this.isFedByHost && waiter.direction === 'receive' ? 'host' : 'channel')
    if (waiter.direction === 'receive') this.#receivers.push(waiter)
    else this.#senders.push(waiter)
  }

  remove(waiter: Waiter): void {
    const queue = waiter.direction === 'receive' ? this.#receivers : this.#senders
    queue.remove(waiter)
  }

  #deliver(value: TValue): void {
    const receiver = this.#receivers.shift()
    if (receiver === undefined) this.#buffer.push(value)
    else this.#serve(receiver, value, true)
  }

  #serve(waiter: Waiter, value: TValue, ok: boolean): void {
    leave(waiter)
    this.proc.wake(waiter.task, waiter.answer(waiter, value, ok))
  }

  #pulled(): TValue | undefined {
    const pulled = this.#pull?.()
    if (pulled === undefined) return undefined
    if ('done' in pulled) {
      this.close()
      return undefined
    }
    return toLua(this.proc, pulled.value)
  }
}

/** C3. */
function leave(waiter: Waiter): void {
  for (const other of waiter.group ?? []) if (other !== waiter) other.channel.remove(other)
}

export const raiseClosed = (L: LuaState): never => fail(L, 'send on closed channel')

import {
  AppError,
  fromWire,
  isAppError,
  parseDurationMs,
  toWire,
  uuidFrom,
  type Answer,
  type CallOptions,
  type Command,
  type Destination,
  type Pid,
  type MessageEvent,
  type Program,
  type ProgramEvent,
  type ProgramHost,
  type SpawnOptions,
  type Step,
} from '@daruma/protocol'
import type { ChildHandle, FunctionDefinition, WorkflowContext, WorkflowDefinition } from './define.ts'
import { microtasksDry } from './microtasks.ts'

interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: AppError) => void
  /** A cancellation of the workflow does not reach it. */
  readonly shielded: boolean
}

interface Condition {
  readonly holds: () => boolean
  readonly resolve: (held: boolean) => void
  readonly reject: (error: AppError) => void
  readonly shielded: boolean
}

/** Thrown through the author's code to leave it for good. */
class ContinueAsNew extends Error {
  readonly args: readonly unknown[]

  constructor(args: readonly unknown[]) {
    super('the workflow continues as a new run; do not catch this')
    this.name = 'ContinueAsNew'
    this.args = args
  }
}

const foreignWait =
  'the workflow awaits something that is not its context’s (a timer, a fetch, a promise from elsewhere): nothing that is ' +
  'recorded can wake it; do that in a function called through ctx.call'

/**
 * A workflow written as an async function. Answers a turn when its microtasks have run dry.
 *
 * - A1 Completions settle one promise at a time, in the journal's order; conditions are looked at after each, in the
 *   order in which they were set, until none holds.
 * - A2 What is pending is only what the context gave out. An author who awaits anything else is told so.
 */
export class AsyncProgram<I, O> implements Program {
  readonly #definition: WorkflowDefinition<I, O>
  #host!: ProgramHost
  readonly #waiters = new Map<number, Waiter>()
  readonly #receivers: (Waiter & { readonly topic: string | undefined })[] = []
  readonly #unread: MessageEvent[] = []
  readonly #children = new Map<string, Waiter[]>()
  readonly #childEnds = new Map<string, { value?: unknown; error?: AppError }>()
  readonly #conditions: Condition[] = []
  readonly #queries = new Map<string, (...args: never[]) => unknown>()
  #onCancel: ((error: AppError) => void)[] = []
  #end: Step | undefined
  #stopped = false

  constructor(definition: WorkflowDefinition<I, O>) {
    this.#definition = definition
  }

  start(host: ProgramHost, args: readonly unknown[]): Promise<Step> {
    this.#host = host
    const run = async (): Promise<O> => this.#definition.run(this.#context(false), args[0] as I)
    run().then(
      (value) => {
        this.#end = { kind: 'returned', value }
      },
      (error: unknown) => {
        this.#end =
          error instanceof ContinueAsNew
            ? { kind: 'become', target: undefined, args: error.args }
            : { kind: 'failed', error: toWire(error) }
      },
    )
    return this.#settle()
  }

  resume(event: ProgramEvent): Promise<Step> {
    switch (event.kind) {
      case 'completed':
        this.#take(event.id)?.resolve(event.value)
        break
      case 'failed':
        this.#take(event.id)?.reject(fromWire(event.error))
        break
      case 'message':
        this.#deliver(event)
        break
      case 'exit':
        this.#childEnded(
          String(event.from.id),
          event.result.error === undefined ? { value: event.result.value } : { error: fromWire(event.result.error) },
        )
        break
      case 'cancel':
        this.#cancel(new AppError('canceled', event.reason ?? 'canceled', undefined, { retryable: false }))
        break
      case 'link_down':
      case 'slice':
        break
    }
    return this.#settle()
  }

  stop(): void {
    this.#stopped = true
    this.#waiters.clear()
    this.#receivers.length = 0
    this.#conditions.length = 0
  }

  unread(): readonly MessageEvent[] {
    return this.#unread
  }

  query(name: string, args: readonly unknown[]): unknown {
    const handler = this.#queries.get(name)
    if (handler === undefined) {
      const known = [...this.#queries.keys()].join(', ') || 'none'
      throw new AppError('not_found', `no query "${name}" on workflow ${this.#host.entry}; it answers: ${known}`)
    }
    return handler(...(args as never[]))
  }

  async #settle(): Promise<Step> {
    await microtasksDry()
    while (this.#end === undefined && this.#wakeCondition()) await microtasksDry() // A1
    if (this.#end !== undefined) return this.#end
    const waits = this.#waiters.size + this.#receivers.length + this.#conditions.length + this.#children.size
    if (waits === 0 && !this.#stopped) {
      return { kind: 'failed', error: { kind: 'invalid', message: foreignWait, retryable: false } } // A2
    }
    return { kind: 'idle' }
  }

  #wakeCondition(): boolean {
    const at = this.#conditions.findIndex(({ holds }) => holds())
    if (at < 0) return false
    this.#conditions.splice(at, 1)[0]!.resolve(true)
    return true
  }

  #take(id: number): Waiter | undefined {
    const waiter = this.#waiters.get(id)
    this.#waiters.delete(id)
    return waiter
  }

  #deliver(message: MessageEvent): void {
    const at = this.#receivers.findIndex(({ topic }) => topic === undefined || topic === message.topic)
    if (at < 0) this.#unread.push(message)
    else this.#receivers.splice(at, 1)[0]!.resolve(message)
  }

  #childEnded(id: string, end: { value?: unknown; error?: AppError }): void {
    this.#childEnds.set(id, end)
    for (const waiter of this.#children.get(id) ?? []) settleWith(waiter, end)
    this.#children.delete(id)
  }

  #cancel(error: AppError): void {
    for (const [id, waiter] of this.#waiters) {
      if (waiter.shielded) continue
      this.#waiters.delete(id)
      this.#host.issue({ kind: 'abandon', id })
      waiter.reject(error)
    }
    for (const list of [this.#receivers, this.#conditions] as {
      shielded: boolean
      reject: (e: AppError) => void
    }[][]) {
      const hit = list.filter(({ shielded }) => !shielded)
      for (const waiting of hit) {
        list.splice(list.indexOf(waiting), 1)
        waiting.reject(error)
      }
    }
    for (const [id, waiters] of this.#children) {
      const hit = waiters.filter(({ shielded }) => !shielded)
      const left = waiters.filter(({ shielded }) => shielded)
      if (left.length === 0) this.#children.delete(id)
      else this.#children.set(id, left)
      for (const waiter of hit) waiter.reject(error)
    }
    for (const listener of this.#onCancel) listener(error)
  }

  // --- what the author sees ----------------------------------------------------------------------------------------

  #context(shielded: boolean): WorkflowContext {
    const host = this.#host
    const self = this // oxlint-disable-line typescript/no-this-alias -- the literal below has a `this` of its own
    return {
      self: host.self,
      get info() {
        return host.workflow!
      },
      call: <A, R>(fn: FunctionDefinition<A, R> | string, input?: A, options?: CallOptions) =>
        this.#ask<R>(
          {
            kind: 'call',
            target: typeof fn === 'string' ? fn : fn.name,
            args: input === undefined ? [] : [input],
            ...optional(merged(typeof fn === 'string' ? undefined : fn.options, options)),
          },
          shielded,
        ),
      sleep: (duration) => this.#ask<void>({ kind: 'sleep', durationMs: parseDurationMs(duration) }, shielded),
      now: () => host.nowMs(),
      random: () => randomFrom(host),
      uuid: () => uuidFrom({ next: () => randomFrom(host), bytes: (count) => host.randomBytes(count) }),
      receive: async <T>(topic?: string) => (await this.#receive(topic, shielded)).payload[0] as T,
      receiveMessage: (topic) => this.#receive(topic, shielded),
      condition: (holds, timeout) => this.#condition(holds, timeout, shielded),
      exec: <A, R>(child: WorkflowDefinition<A, R> | string, input: A, options?: SpawnOptions & { host?: string }) =>
        this.#ask<R>({ kind: 'exec', ...this.#child(child, input, options) }, shielded),
      spawn: <A, R>(child: WorkflowDefinition<A, R> | string, input: A, options?: SpawnOptions & { host?: string }) =>
        this.#spawn<R>({ kind: 'spawn', ...this.#child(child, input, options) }, shielded),
      send: (to: Destination, topic: string, ...payload: unknown[]) => {
        this.#issue({ kind: 'send', to, topic, payload })
      },
      cancel: (to, reason) => {
        this.#issue({ kind: 'exit', to, mode: 'cancel', ...(reason === undefined ? {} : { reason }) })
      },
      onQuery: (name, handler) => {
        this.#queries.set(name, handler)
      },
      version: (change, min, max) => this.#issue({ kind: 'version', change, min, max }) as number,
      patched: (change) => this.#issue({ kind: 'version', change, min: 0, max: 1 }) === 1,
      setAttributes: (search, memo) => {
        this.#issue({ kind: 'attributes', search, ...(memo === undefined ? {} : { memo }) })
      },
      continueAsNew: (...args) => {
        throw new ContinueAsNew(args)
      },
      shield: (body) => body(self.#context(true)),
      onCancel: (listener) => {
        this.#onCancel.push(listener)
      },
      log: (message, fields) => host.log('info', message, fields),
    }
  }

  #issue(command: Command): unknown {
    const answer = this.#host.issue(command)
    if (answer.kind === 'refused') throw fromWire(answer.error)
    return answer.kind === 'done' ? answer.value : undefined
  }

  #ask<R>(command: Command, shielded: boolean): Promise<R> {
    let answer: Answer
    try {
      answer = this.#host.issue(command)
    } catch (error) {
      return quiet(Promise.reject(error as Error))
    }
    if (answer.kind === 'refused') return quiet(Promise.reject(fromWire(answer.error)))
    if (answer.kind === 'done') return Promise.resolve(answer.value as R)
    const { id } = answer
    return quiet(
      new Promise<R>((resolve, reject) => {
        this.#waiters.set(id, { resolve: resolve as (value: unknown) => void, reject, shielded })
      }),
    )
  }

  #receive(topic: string | undefined, shielded: boolean): Promise<MessageEvent> {
    const at = this.#unread.findIndex((message) => topic === undefined || message.topic === topic)
    if (at >= 0) return Promise.resolve(this.#unread.splice(at, 1)[0]!)
    return quiet(
      new Promise<MessageEvent>((resolve, reject) => {
        this.#receivers.push({ topic, resolve: resolve as (value: unknown) => void, reject, shielded })
      }),
    )
  }

  async #condition(holds: () => boolean, timeout: string | number | undefined, shielded: boolean): Promise<boolean> {
    if (holds()) return true
    const held = new Promise<boolean>((resolve, reject) => {
      this.#conditions.push({ holds, resolve, reject, shielded })
    })
    if (timeout === undefined) return held
    const at = this.#conditions.at(-1)!
    const answer = this.#host.issue({ kind: 'sleep', durationMs: parseDurationMs(timeout) })
    if (answer.kind !== 'pending') throw new AppError('internal', 'a sleep was not taken')
    const { id } = answer
    this.#waiters.set(id, {
      resolve: () => {
        const index = this.#conditions.indexOf(at)
        if (index >= 0) this.#conditions.splice(index, 1)
        at.resolve(false)
      },
      reject: () => undefined,
      shielded,
    })
    const result = await held
    if (result && this.#waiters.delete(id)) this.#issue({ kind: 'abandon', id })
    return result
  }

  #child<A, R>(
    child: WorkflowDefinition<A, R> | string,
    input: A,
    options: (SpawnOptions & { host?: string }) | undefined,
  ): { target: string; host: string; args: unknown[]; options?: SpawnOptions } {
    const { host = this.#host.self.home.host, ...rest } = options ?? {}
    return {
      target: typeof child === 'string' ? child : child.name,
      host,
      args: input === undefined ? [] : [input],
      ...optional(Object.keys(rest).length === 0 ? undefined : rest),
    }
  }

  #spawn<R>(command: Extract<Command, { kind: 'spawn' }>, shielded: boolean): ChildHandle<R> {
    const pid = this.#issue(command) as Pid
    const id = String(pid.id)
    return {
      pid,
      result: () => {
        const end = this.#childEnds.get(id)
        return quiet(
          new Promise<R>((resolve, reject) => {
            const waiter: Waiter = { resolve: resolve as (value: unknown) => void, reject, shielded }
            if (end !== undefined) return settleWith(waiter, end)
            const waiters = this.#children.get(id)
            if (waiters === undefined) this.#children.set(id, [waiter])
            else waiters.push(waiter)
          }),
        )
      },
    }
  }
}

function settleWith(waiter: Waiter, end: { value?: unknown; error?: AppError }): void {
  if (end.error === undefined) waiter.resolve(end.value)
  else waiter.reject(end.error)
}

/** A failure that nobody awaited must not take the node down; one that somebody awaits still reaches them. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

function randomFrom(host: ProgramHost): number {
  const bytes = host.randomBytes(8)
  const words = new DataView(bytes.buffer, bytes.byteOffset, 8)
  return (words.getUint32(0) >>> 5) * 2 ** -27 + (words.getUint32(4) >>> 6) * 2 ** -53
}

function merged(base: CallOptions | undefined, given: CallOptions | undefined): CallOptions | undefined {
  return base === undefined ? given : given === undefined ? base : { ...base, ...given }
}

function optional<T>(options: T | undefined): { options?: T } {
  return options === undefined ? {} : { options }
}

/** True for the error that a cancelled wait fails with. */
export function isCanceled(error: unknown): boolean {
  return isAppError(error, 'canceled')
}

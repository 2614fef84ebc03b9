import {
  AppError,
  fromWire,
  toWire,
  type Command,
  type MessageEvent,
  type Outcome,
  type Pid,
  type ProgramEvent,
  type ProgramHost,
  type Step,
} from '@daruma/protocol'
import { insideTurn, isGuarded, placeOf, type TurnWatch } from './guard.ts'
import { MismatchSignal, OutOfTurn } from './machine.ts'
import { Scope } from './scope.ts'

/** Where the answer to something that was asked goes: a promise, or a future. */
export interface Settle<T> {
  resolve(value: T): void
  reject(error: unknown): void
}

export interface UpdateOptions {
  /** Throws to refuse an update before anything of it is recorded. Reads only; not run when a journal replays. */
  readonly validate?: (...args: never[]) => void
}

interface Wait {
  readonly scope: Scope
  cancel(error: AppError): void
}

interface Pending extends Wait {
  readonly settle: Settle<unknown>
}

interface Receiver extends Wait {
  readonly topic: string | undefined
  readonly settle: Settle<MessageEvent>
}

interface Condition extends Wait {
  readonly holds: () => boolean
  readonly settle: Settle<boolean>
  stopTimer: () => void
}

interface UpdateHandler {
  readonly run: (...args: never[]) => unknown
  readonly validate: ((...args: never[]) => void) | undefined
}

/** Thrown through the author's code to leave it for good. */
export class ContinueAsNew extends Error {
  readonly args: readonly unknown[]

  constructor(args: readonly unknown[]) {
    super('the workflow continues as a new run; do not catch this')
    this.name = 'ContinueAsNew'
    this.args = args
  }
}

/**
 * What a workflow written in TypeScript waits for, whichever form its code has, and what the journal brings for it.
 * Synchronous throughout: whoever runs the code decides when it goes on.
 *
 * - A1 Completions settle one wait at a time, in the journal's order; conditions are looked at after each, in the
 *   order in which they were set, until none holds.
 * - A2 What is pending is only what the context gave out. An author who awaits anything else is told so.
 * - A3 A cancellation of the workflow is an event: it wakes what waits and is not shielded, and what is asked
 *   afterwards runs. A scope that was cancelled by name or by its time is over: what is asked in it fails.
 */
export class Session implements TurnWatch {
  readonly host: ProgramHost
  readonly root = new Scope()
  /** In the order in which they were asked. */
  readonly #waits = new Set<Wait>()
  readonly #pending = new Map<number, Pending>()
  readonly #receivers: Receiver[] = []
  readonly #unread: MessageEvent[] = []
  readonly #children = new Map<string, Pending[]>()
  readonly #childEnds = new Map<string, Outcome>()
  readonly #conditions: Condition[] = []
  readonly #listeners = new Set<Scope>()
  readonly #queries = new Map<string, (...args: never[]) => unknown>()
  readonly #updates = new Map<string, UpdateHandler>()
  readonly #runUpdate: (handler: () => unknown, settle: Settle<unknown>) => void
  #fault: AppError | undefined
  #lastAsked: Error | undefined
  #isStopped = false
  #isInTurn = false

  /** @param runUpdate runs a handler in the form that the workflow is written in. */
  constructor(host: ProgramHost, runUpdate: (handler: () => unknown, settle: Settle<unknown>) => void) {
    this.host = host
    this.#runUpdate = runUpdate
  }

  // --- what the author asks ----------------------------------------------------------------------------------------

  issue(command: Command): unknown {
    const answer = this.#issue(command)
    if (answer.kind === 'refused') throw fromWire(answer.error)
    return answer.kind === 'done' ? answer.value : undefined
  }

  ask(command: Command, scope: Scope, settle: Settle<unknown>): void {
    const { over } = scope
    if (over !== undefined) return settle.reject(over)
    const answer = this.#tryIssue(command)
    if (answer === undefined) return // not one more line of it runs
    if (answer.kind === 'refused') return settle.reject(fromWire(answer.error))
    if (answer.kind === 'done') return settle.resolve(answer.value)
    const { id } = answer
    let isAbandoned = false
    const wait: Pending = {
      scope,
      settle,
      cancel: (error) => {
        if (isAbandoned) return
        isAbandoned = true
        this.host.issue({ kind: 'abandon', id })
        if (waitsForEnd(command)) return // its end comes like any other
        this.#pending.delete(id)
        this.#waits.delete(wait)
        settle.reject(error)
      },
    }
    this.#pending.set(id, wait)
    this.#waits.add(wait)
  }

  receive(topic: string | undefined, scope: Scope, settle: Settle<MessageEvent>): void {
    const { over } = scope
    if (over !== undefined) return settle.reject(over)
    const at = this.#unread.findIndex((message) => topic === undefined || message.topic === topic)
    if (at >= 0) return settle.resolve(this.#unread.splice(at, 1)[0]!)
    const wait: Receiver = { topic, scope, settle, cancel: (error) => this.#drop(this.#receivers, wait, error) }
    this.#receivers.push(wait)
    this.#waits.add(wait)
  }

  condition(holds: () => boolean, durationMs: number | undefined, scope: Scope, settle: Settle<boolean>): void {
    const { over } = scope
    if (over !== undefined) return settle.reject(over)
    if (holds()) return settle.resolve(true)
    const wait: Condition = {
      holds,
      scope,
      settle,
      stopTimer: () => undefined,
      cancel: (error) => this.#drop(this.#conditions, wait, error),
    }
    this.#conditions.push(wait)
    this.#waits.add(wait)
    if (durationMs === undefined) return
    wait.stopTimer = this.timer(durationMs, scope, () => {
      if (this.#remove(this.#conditions, wait)) settle.resolve(false)
    })
  }

  /** Calls `fire` when the time has passed, unless the answer is called first, or the scope is cancelled. */
  timer(durationMs: number, scope: Scope, fire: () => void): () => void {
    const answer = this.#issue({ kind: 'sleep', durationMs })
    if (answer.kind !== 'pending') throw new AppError('internal', 'a sleep was not taken')
    const { id } = answer
    const stop = (): void => {
      if (!this.#pending.delete(id)) return
      this.#waits.delete(wait)
      this.host.issue({ kind: 'abandon', id })
    }
    const wait: Pending = { scope, settle: { resolve: fire, reject: () => undefined }, cancel: stop }
    this.#pending.set(id, wait)
    this.#waits.add(wait)
    return stop
  }

  childEnd(child: Pid, scope: Scope, settle: Settle<unknown>): void {
    const id = String(child.id)
    const end = this.#childEnds.get(id)
    if (end !== undefined) return settleWith(settle, end)
    const { over } = scope
    if (over !== undefined) return settle.reject(over)
    const waits = this.#children.get(id) ?? []
    this.#children.set(id, waits)
    const wait: Pending = {
      scope,
      settle,
      cancel: (error) => {
        this.#drop(waits, wait, error)
        if (waits.length === 0) this.#children.delete(id)
      },
    }
    waits.push(wait)
    this.#waits.add(wait)
  }

  onQuery(name: string, handler: (...args: never[]) => unknown): void {
    this.#queries.set(name, handler)
  }

  onUpdate(name: string, run: (...args: never[]) => unknown, { validate }: UpdateOptions): void {
    this.#updates.set(name, { run, validate })
  }

  onCancel(scope: Scope, listener: (error: AppError) => void): void {
    scope.listeners.push(listener)
    this.#listeners.add(scope)
  }

  /** Cancels a scope for good (A3). */
  close(scope: Scope, error: AppError): void {
    scope.close(error)
    this.#cancel(scope, error)
  }

  #cancel(from: Scope, error: AppError): void {
    for (const wait of [...this.#waits]) if (wait.scope.isReachedFrom(from)) wait.cancel(error)
    for (const scope of [...this.#listeners]) {
      if (scope.isReachedFrom(from)) for (const listener of scope.listeners) insideTurn(this, () => listener(error))
    }
  }

  // --- what the journal brings -------------------------------------------------------------------------------------

  /** Opens a turn with what woke it. */
  take(event: ProgramEvent): void {
    this.#isInTurn = true
    switch (event.kind) {
      case 'completed':
        return this.#answered(event.id)?.resolve(event.value)
      case 'failed':
        return this.#answered(event.id)?.reject(fromWire(event.error))
      case 'message':
        return this.#deliver(event)
      case 'exit':
        return this.#childEnded(String(event.from.id), event.result)
      case 'cancel':
        return this.#cancel(
          this.root,
          new AppError('canceled', event.reason ?? 'canceled', undefined, { retryable: false }),
        )
      case 'update':
        return this.#update(event)
      case 'link_down':
      case 'slice':
        return
    }
  }

  /** Opens the turn in which the code starts. */
  begin(): void {
    this.#isInTurn = true
  }

  /** Lets the first condition that holds go on; false when there is none. */
  wakeCondition(): boolean {
    for (const condition of this.#conditions) {
      let holds: boolean
      try {
        holds = insideTurn(this, condition.holds)
      } catch (error) {
        this.#remove(this.#conditions, condition)
        condition.stopTimer()
        condition.settle.reject(error)
        return true
      }
      if (!holds) continue
      this.#remove(this.#conditions, condition)
      condition.stopTimer()
      condition.settle.resolve(true)
      return true
    }
    return false
  }

  /** Closes the turn: nothing in it can go on by itself. */
  endTurn(end: Step | undefined): Step {
    this.#isInTurn = false
    if (this.#fault !== undefined) return { kind: 'failed', error: toWire(this.#fault) }
    if (end !== undefined) return end
    if (this.#waits.size === 0 && !this.#isStopped) {
      return { kind: 'failed', error: { kind: 'invalid', message: this.#foreignWait(), retryable: false } } // A2
    }
    return { kind: 'idle' }
  }

  stop(): void {
    this.#isStopped = true
    this.#waits.clear()
    this.#pending.clear()
    this.#receivers.length = 0
    this.#conditions.length = 0
    this.#children.clear()
  }

  unread(): readonly MessageEvent[] {
    return this.#unread
  }

  query(name: string, args: readonly unknown[]): unknown {
    const handler = this.#queries.get(name)
    if (handler === undefined) throw this.#unknown('query', name, this.#queries)
    return insideTurn(this, () => handler(...(args as never[])))
  }

  checkUpdate(name: string, args: readonly unknown[]): void {
    const handler = this.#updates.get(name)
    if (handler === undefined) throw this.#unknown('update', name, this.#updates)
    insideTurn(this, () => handler.validate?.(...(args as never[])))
  }

  // --- what goes wrong ---------------------------------------------------------------------------------------------

  /** Something happened that no journal can repeat, or that nobody caught: the workflow fails with it. */
  hazard(error: AppError): void {
    if (this.#fault !== undefined || this.#isStopped) return
    this.#fault = error
    if (!this.#isInTurn) this.host.fault?.(toWire(error))
  }

  /** The code went on although nothing recorded woke it. */
  endedOutOfTurn(): boolean {
    if (this.#isInTurn || this.#isStopped) return false
    this.hazard(new AppError('invalid', foreignWait, undefined, { retryable: false }))
    return true
  }

  #issue(command: Command): ReturnType<ProgramHost['issue']> {
    if (isGuarded()) this.#lastAsked = new Error(command.kind)
    try {
      return this.host.issue(command)
    } catch (error) {
      if (!(error instanceof OutOfTurn)) throw error
      const hazard = new AppError('invalid', `${placeOf(deepError())}${error.message}`, undefined, { retryable: false })
      this.hazard(hazard)
      throw hazard
    }
  }

  /** Undefined: the program is not to go on from here, not even by an error that nobody might look at. */
  #tryIssue(command: Command): ReturnType<ProgramHost['issue']> | undefined {
    if (this.#isStopped) return undefined
    try {
      return this.#issue(command)
    } catch (error) {
      if (error instanceof MismatchSignal || this.#fault === error) return undefined
      throw error
    }
  }

  #foreignWait(): string {
    if (this.#lastAsked === undefined) return foreignWait
    return `${placeOf(this.#lastAsked)}${foreignWait}; this place (${this.#lastAsked.message}) is the last at which it asked its context`
  }

  #unknown(what: string, name: string, known: ReadonlyMap<string, unknown>): AppError {
    const names = [...known.keys()].join(', ') || 'none'
    return new AppError('not_found', `no ${what} "${name}" on workflow ${this.host.entry}; it has: ${names}`)
  }

  // --- waits -------------------------------------------------------------------------------------------------------

  #answered(id: number): Settle<unknown> | undefined {
    const wait = this.#pending.get(id)
    if (wait === undefined) return undefined
    this.#pending.delete(id)
    this.#waits.delete(wait)
    return wait.settle
  }

  #deliver(message: MessageEvent): void {
    const receiver = this.#receivers.find(({ topic }) => topic === undefined || topic === message.topic)
    if (receiver === undefined) return void this.#unread.push(message)
    this.#remove(this.#receivers, receiver)
    receiver.settle.resolve(message)
  }

  #childEnded(id: string, end: Outcome): void {
    this.#childEnds.set(id, end)
    const waits = this.#children.get(id) ?? []
    this.#children.delete(id)
    for (const wait of waits) {
      this.#waits.delete(wait)
      settleWith(wait.settle, end)
    }
  }

  #update({ updateId, name, args }: Extract<ProgramEvent, { kind: 'update' }>): void {
    const reply = (result: Outcome): void => {
      if (this.#isStopped || this.endedOutOfTurn()) return
      this.issue({ kind: 'reply', updateId, result })
    }
    const handler = this.#updates.get(name)
    const settle: Settle<unknown> = {
      resolve: (value) => {
        try {
          reply({ value: value ?? null })
        } catch (error) {
          reply({ error: toWire(error) }) // what cannot be recorded is the handler's failure
        }
      },
      reject: (error) => reply({ error: toWire(error) }),
    }
    if (handler === undefined) return settle.reject(this.#unknown('update', name, this.#updates))
    this.#runUpdate(() => handler.run(...(args as never[])), settle)
  }

  #drop<W extends Wait & { readonly settle: Settle<never> }>(list: W[], wait: W, error: AppError): void {
    if (this.#remove(list, wait)) wait.settle.reject(error)
  }

  #remove<W extends Wait>(list: W[], wait: W): boolean {
    const at = list.indexOf(wait)
    if (at < 0) return false
    list.splice(at, 1)
    this.#waits.delete(wait)
    return true
  }
}

/** An error whose stack reaches through the engine to the author's line. */
function deepError(): Error {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 40
  try {
    return new Error('here')
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** How the code of a workflow ended. */
export function endedWith(error: unknown): Step {
  return error instanceof ContinueAsNew
    ? { kind: 'become', target: undefined, args: error.args }
    : { kind: 'failed', error: toWire(error) }
}

const foreignWait =
  'the workflow awaits something that is not its context’s (a timer, a fetch, a promise from elsewhere): nothing that is ' +
  'recorded can wake it; do that in a function called through ctx.call'

function waitsForEnd(command: Command): boolean {
  return (command.kind === 'call' || command.kind === 'exec') && command.options?.cancellation === 'wait'
}

function settleWith(settle: Settle<unknown>, { value, error }: Outcome): void {
  if (error === undefined) settle.resolve(value)
  else settle.reject(fromWire(error))
}

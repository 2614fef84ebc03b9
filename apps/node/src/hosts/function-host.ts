import { programBehavior, type ActorSystem, type ProgramHandlers } from '@daruma/actors'
import { outcomeOf } from '@daruma/actors'
import {
  AppError,
  fromWire,
  Home,
  toWire,
  type Clock,
  type ExitReason,
  type Pid,
  type ProgramFactory,
  type RetryPolicy,
} from '@daruma/protocol'
import { callableKinds, viewOf, type Entry } from '@daruma/registry'
import { decideRetry } from '@daruma/workflow'
import type { FunctionCall, Functions, Spawner } from '../parts.ts'
import type { Programs } from '../programs.ts'
import { callDefaults, type CallDefaults } from './call-options.ts'
import { CallPool } from './call-pool.ts'

export interface FunctionHostOptions {
  readonly system: ActorSystem
  readonly programs: Programs
  readonly handlers: () => ProgramHandlers
  readonly spawner: () => Spawner
  readonly clock: Clock
}

/** The host id in the pids of function calls. */
export const functionHostId = 'functions'

/**
 * Every call is a process of its own, with pid, mailbox, links and monitors; its end is the answer. A call is
 * attempted again by the caller's retry policy, else by that of the entry's `meta.options`; its timeout holds for all
 * attempts and waits together.
 */
export class FunctionHost implements Functions {
  readonly #options: FunctionHostOptions
  readonly #home: Home
  readonly #pools = new Map<string, CallPool>()
  readonly #defaults = new WeakMap<Entry, CallDefaults>()

  constructor(options: FunctionHostOptions) {
    this.#options = options
    const { node, incarnation } = options.system.home
    this.#home = new Home(node, incarnation, functionHostId)
  }

  async call(target: string, args: readonly unknown[], options: FunctionCall): Promise<unknown> {
    if (target === '' || !target.includes(':')) {
      throw new AppError('invalid', `not a function id: "${target}"; write it as namespace:name`, undefined, {
        retryable: false,
      })
    }
    options.signal?.throwIfAborted()
    const entry = this.#options.programs.entry(target, callableKinds)
    const defaults = this.#defaultsOf(entry)
    const retry = options.retry ?? defaults.retry
    const timeoutMs = options.timeoutMs ?? defaults.timeoutMs
    const call = timeoutMs === undefined ? options : { ...options, timeoutMs }
    // Not one promise more than needed: most calls end in the turn of their birth.
    if (retry === undefined || retry === 'never') return this.#attempt(entry, args, call, defaults)
    return this.#retrying(entry, args, { ...call, retry }, defaults)
  }

  /** Runs a program that is no entry, as a call of its own, under the name of `entry`. */
  async run(entry: string, create: ProgramFactory, args: readonly unknown[], call: FunctionCall): Promise<unknown> {
    const begun = this.#spawn(entry, create, args, call)
    return this.#end(begun, this.#options.system.exited(begun), entry, call)
  }

  #defaultsOf(entry: Entry): CallDefaults {
    let defaults = this.#defaults.get(entry)
    if (defaults === undefined) this.#defaults.set(entry, (defaults = callDefaults(entry)))
    return defaults
  }

  async #retrying(
    entry: Entry,
    args: readonly unknown[],
    call: FunctionCall & { readonly retry: RetryPolicy },
    defaults: CallDefaults,
  ): Promise<unknown> {
    const { clock } = this.#options
    const { retry, timeoutMs } = call
    const startedMs = clock.monotonicMs()
    for (let attempt = 1; ; attempt++) {
      const leftMs = timeoutMs === undefined ? undefined : left(timeoutMs, clock.monotonicMs() - startedMs)
      try {
        return await this.#attempt(entry, args, leftMs === undefined ? call : { ...call, timeoutMs: leftMs }, defaults)
      } catch (thrown) {
        const limits = timeoutMs === undefined ? { retry } : { retry, scheduleToCloseMs: timeoutMs }
        const decision = decideRetry(limits, attempt, toWire(thrown), clock.monotonicMs() - startedMs)
        if (decision.kind === 'give_up') throw thrown
        await pause(clock, decision.delayMs, call.signal, entry.id)
      }
    }
  }

  #attempt(entry: Entry, args: readonly unknown[], call: FunctionCall, { pool }: CallDefaults): Promise<unknown> {
    if (pool === undefined) return this.#run(entry.id, args, call)
    let queue = this.#pools.get(entry.id)
    if (queue === undefined) this.#pools.set(entry.id, (queue = new CallPool(entry.id, this.#options.clock)))
    return queue.run(pool, call, (waitedMs) => {
      const { timeoutMs } = call
      return this.#run(
        entry.id,
        args,
        timeoutMs === undefined ? call : { ...call, timeoutMs: left(timeoutMs, waitedMs) },
      )
    })
  }

  async #run(target: string, args: readonly unknown[], call: FunctionCall): Promise<unknown> {
    const begun = this.#begin(target, args, call)
    // In the turn of its birth: a short function ends in its first.
    return this.#end(begun, this.#options.system.exited(begun), target, call)
  }

  #begin(target: string, args: readonly unknown[], options: FunctionCall): Pid {
    const { programs, spawner } = this.#options
    const entry = programs.entry(target, callableKinds)
    if (entry.kind === 'process.lua') {
      const { defaultHost } = viewOf(entry, 'process.lua')
      if (defaultHost === undefined) {
        throw new AppError(
          'invalid',
          `${target} is a process without meta.default_host: spawn it on a host instead of calling it`,
        )
      }
      const spawned = spawner().spawn(target, defaultHost, args, { context: options.context }, undefined)
      if (spawned instanceof Promise) throw new AppError('invalid', `${defaultHost} is no host of processes`)
      return spawned
    }
    return this.#spawn(target, programs.factory(target, ['function.lua']), args, options)
  }

  #spawn(entry: string, create: ProgramFactory, args: readonly unknown[], { context }: FunctionCall): Pid {
    const { system, handlers } = this.#options
    return system.spawn(programBehavior({ entry, args, context, create, handlers: handlers() }), { home: this.#home })
  }

  async #end(
    pid: Pid,
    exited: Promise<ExitReason>,
    target: string,
    { timeoutMs, signal }: FunctionCall,
  ): Promise<unknown> {
    const { system, clock } = this.#options
    let gaveUp: AppError | undefined
    const giveUp = (error: AppError): void => {
      gaveUp = error
      system.exit(pid, { kind: 'kill' })
    }
    const stopTimer =
      timeoutMs === undefined
        ? undefined
        : clock.after(timeoutMs, () =>
            giveUp(
              new AppError('timeout', `${target} did not end within ${timeoutMs} ms`, undefined, { retryable: true }),
            ),
          )
    const onAbort = (): void =>
      giveUp(new AppError('canceled', `the call of ${target} was canceled`, undefined, { retryable: false }))
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      const { value, error } = outcomeOf(await exited, pid)
      if (gaveUp !== undefined) throw gaveUp
      if (error !== undefined) throw fromWire(error)
      return value
    } finally {
      stopTimer?.()
      signal?.removeEventListener('abort', onAbort)
    }
  }
}

const left = (timeoutMs: number, pastMs: number): number => Math.max(Math.ceil(timeoutMs - pastMs), 0)

/** @throws AppError canceled - the caller gave up meanwhile */
function pause(clock: Clock, delayMs: number, signal: AbortSignal | undefined, target: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      stop()
      reject(new AppError('canceled', `the call of ${target} was canceled`, undefined, { retryable: false }))
    }
    const stop = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    if (signal?.aborted === true) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
  })
}

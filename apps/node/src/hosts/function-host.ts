import { programBehavior, type ActorSystem, type ProgramHandlers } from '@daruma/actors'
import { outcomeOf } from '@daruma/actors'
import { AppError, fromWire, Home, type Clock, type ExitReason, type Pid } from '@daruma/protocol'
import { callableKinds, viewOf } from '@daruma/registry'
import type { FunctionCall, Functions, Spawner } from '../parts.ts'
import type { Programs } from '../programs.ts'

export interface FunctionHostOptions {
  readonly system: ActorSystem
  readonly programs: Programs
  readonly handlers: () => ProgramHandlers
  readonly spawner: () => Spawner
  readonly clock: Clock
}

/** The host id in the pids of function calls. */
export const functionHostId = 'functions'

/** Every call is a process of its own, with pid, mailbox, links and monitors; its end is the answer. */
export class FunctionHost implements Functions {
  readonly #options: FunctionHostOptions
  readonly #home: Home

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
    const begun = this.#begin(target, args, options)
    // In the turn of its birth: a short function ends in its first.
    return this.#end(begun, this.#options.system.exited(begun), target, options)
  }

  #begin(target: string, args: readonly unknown[], options: FunctionCall): Pid {
    const { system, programs, handlers, spawner } = this.#options
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
    return system.spawn(
      programBehavior({
        entry: target,
        args,
        context: options.context,
        create: programs.factory(target, ['function.lua']),
        handlers: handlers(),
      }),
      { home: this.#home },
    )
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

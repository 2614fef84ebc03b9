import { programBehavior, programMessage, type ActorSystem, type ProgramHandlers } from '@daruma/actors'
import { AppError, Home, type Pid, type SpawnOptions } from '@daruma/protocol'
import type { ProcessHost as ProcessHostView } from '@daruma/registry'
import type { Programs } from '../programs.ts'

export interface ProcessHostOptions {
  readonly id: string
  readonly limits: Pick<ProcessHostView, 'maxProcesses' | 'queueSize'>
  readonly system: ActorSystem
  readonly programs: Programs
  readonly handlers: () => ProgramHandlers
}

/** Runs process.lua entries as processes of this node, at most `maxProcesses` at once. */
export class ProcessHost {
  readonly #options: ProcessHostOptions
  readonly #home: Home
  #running = 0

  constructor(options: ProcessHostOptions) {
    this.#options = options
    const { node, incarnation } = options.system.home
    this.#home = new Home(node, incarnation, options.id)
  }

  /**
   * @throws AppError not_found - no such process entry; already_exists - the name is another's; rate_limited - the host is full
   */
  spawn(target: string, args: readonly unknown[], options: SpawnOptions, from: Pid | undefined): Pid {
    const { id, limits, system, programs, handlers } = this.#options
    const create = programs.factory(target, ['process.lua'])
    if (limits.maxProcesses !== undefined && limits.maxProcesses > 0 && this.#running >= limits.maxProcesses) {
      throw new AppError(
        'rate_limited',
        `host ${id} runs ${this.#running} processes, its limit`,
        { host: id },
        { retryable: true },
      )
    }
    const pid = system.spawn(
      programBehavior({ entry: target, args, context: options.context ?? {}, create, handlers: handlers() }),
      {
        home: this.#home,
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(limits.queueSize === undefined ? {} : { mailbox: { limit: limits.queueSize } }),
      },
    )
    this.#running++
    system.watchExit(pid, () => {
      this.#running--
    })
    // The process has not run yet: these are the first that it sees.
    for (const { topic, payload } of options.messages ?? []) system.send(pid, programMessage(topic, payload, from))
    return pid
  }
}

import type { Cluster } from '@daruma/actors'
import { AppError, type Clock, type Pid, type SpawnOptions } from '@daruma/protocol'
import { nearHint, processHostKinds, viewOf, workerKinds, type Registry } from '@daruma/registry'
import type { WorkflowEngine } from '@daruma/workflow'
import type { Spawner } from '../parts.ts'
import type { Programs } from '../programs.ts'
import { providedTerminal } from '../terminal.ts'
import type { ProcessHost } from './process-host.ts'
import { remoteHost, spawnAt } from './remote-spawn.ts'

export interface HostsOptions {
  readonly registry: Registry
  readonly programs: Programs
  readonly engines: ReadonlyMap<string, WorkflowEngine>
  /** Makes the process host of an entry that has none yet: hosts may be added while the node runs. */
  readonly processHost: (id: string) => ProcessHost
  readonly cluster: () => Cluster | undefined
  readonly clock: Clock
}

/** One surface over all hosts: what is spawned on a worker is durable, everything else is not. */
export class Hosts implements Spawner {
  readonly #options: HostsOptions
  readonly #processHosts = new Map<string, ProcessHost>()

  constructor(options: HostsOptions) {
    this.#options = options
  }

  spawn(
    target: string,
    host: string,
    args: readonly unknown[],
    options: SpawnOptions,
    from: Pid | undefined,
  ): Pid | Promise<Pid> {
    const elsewhere = remoteHost(host)
    if (elsewhere !== undefined)
      return spawnAt(this.#options.cluster(), this.#options.clock, elsewhere, target, args, options, from)
    // A command runs on a terminal even where the app declares none.
    if (host === providedTerminal) return this.#processHost(host).spawn(target, args, options, from)
    const entry = this.#options.registry.get(host)
    const kind = entry?.kind ?? ''
    if ((processHostKinds as readonly string[]).includes(kind))
      return this.#processHost(host).spawn(target, args, options, from)
    if ((workerKinds as readonly string[]).includes(kind)) return this.#startWorkflow(target, host, args, options, from)
    const hosts = this.#options.registry
      .entries()
      .flatMap(({ id, kind: known }) => ([...processHostKinds, ...workerKinds].includes(known as never) ? [id] : []))
    const near = nearHint(host, hosts)
    throw new AppError(
      entry === undefined ? 'not_found' : 'invalid',
      entry === undefined
        ? `no host ${host}${near === undefined ? '' : `; ${near}`}`
        : `${host} is a ${kind}, not a host; hosts are: ${hosts.join(', ') || 'none'}`,
      { host },
      { retryable: false },
    )
  }

  #processHost(id: string): ProcessHost {
    let host = this.#processHosts.get(id)
    if (host === undefined) this.#processHosts.set(id, (host = this.#options.processHost(id)))
    return host
  }

  async #startWorkflow(
    target: string,
    host: string,
    args: readonly unknown[],
    options: SpawnOptions,
    from: Pid | undefined,
  ): Promise<Pid> {
    const entry = this.#options.programs.entry(target, ['workflow.lua'])
    const worker = viewOf(entry, 'workflow.lua').worker ?? host
    const engine = this.#options.engines.get(worker)
    if (engine === undefined) {
      throw new AppError(
        'unavailable',
        `worker ${worker} does not run on this node; give it lifecycle.auto_start: true`,
        { host },
        { retryable: true },
      )
    }
    return engine.start(target, args, { ...options, ...(from === undefined ? {} : { from }) })
  }
}

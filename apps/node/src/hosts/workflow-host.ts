import { msgpackCodec, type Clock, type Logger, type Rng, type Snapshots } from '@daruma/protocol'
import { viewOf, workerKinds, type Entry, type Registry } from '@daruma/registry'
import {
  WorkflowEngine,
  type ActivityExecutor,
  type Forward,
  type Observer,
  type WorkflowDirectory,
} from '@daruma/workflow'
import type { NodeConfig } from '../config.ts'
import type { Programs } from '../programs.ts'
import { scaledClock } from '../scaled-clock.ts'
import type { StorageDescription, StorageTarget, Stores } from '../storage.ts'

export interface WorkflowHostsOptions {
  readonly registry: Registry
  readonly programs: Programs
  readonly config: NodeConfig
  readonly stores: Stores
  readonly directory: WorkflowDirectory
  readonly clock: Clock
  readonly rng: Rng
  readonly logger: Logger
  readonly observe: Observer | undefined
  /** The way to the same task queues on other nodes; asked for when a worker opens. */
  readonly forward: () => Forward | undefined
}

const defaultRetentionMs = 7 * 86_400_000

/** The engines of the worker entries that run on this node. */
export class WorkflowHosts {
  /** By the id of the worker entry. */
  readonly engines = new Map<string, WorkflowEngine>()
  readonly #options: WorkflowHostsOptions
  readonly #storage = new Map<string, StorageDescription>()

  constructor(options: WorkflowHostsOptions) {
    this.#options = options
    // A workflow that waits for its code to be right again may have it now.
    options.registry.watch(() => {
      for (const engine of this.engines.values()) engine.retryStuck()
    })
  }

  /** What is kept where, of the workers that run. */
  storage(): readonly StorageDescription[] {
    return [...this.#storage.values()]
  }

  /** @throws AppError - the store cannot be opened, or its journals cannot be read by this version */
  async open(entry: Entry, executor: ActivityExecutor): Promise<WorkflowEngine> {
    const { registry, programs, config, stores, directory, clock, rng, logger, observe } = this.#options
    const forward = this.#options.forward()
    const view = viewOf(entry, ...workerKinds)
    const { description, ...storage } = await stores.workflows(
      view.taskQueue,
      storageTarget(registry, view.client, config),
    )
    const engine = await WorkflowEngine.open({
      taskQueue: view.taskQueue,
      storage,
      programs: (type) => {
        const known = registry.get(type)
        return known?.kind === 'workflow.lua' ? programs.factory(type, ['workflow.lua']) : undefined
      },
      executor,
      directory,
      client: view.client,
      host: entry.id,
      node: config.name,
      codec: msgpackCodec(),
      clock: config.timeScale === 1 ? clock : await compressedClock(clock, config.timeScale, storage.snapshots),
      machineClock: clock,
      rng,
      logger,
      ...(observe === undefined ? {} : { observe }),
      ...(forward === undefined ? {} : { forward }),
      // Ages are counted on the time of workflows.
      retention: { ageMs: (config.retentionMs ?? defaultRetentionMs) * config.timeScale },
      ...(config.leaseMs === undefined ? {} : { leaseMs: config.leaseMs }),
      ...(config.partitions === undefined ? {} : { partitions: config.partitions }),
      ...(view.maxConcurrentActivities === undefined ? {} : { maxConcurrentActivities: view.maxConcurrentActivities }),
    })
    this.engines.set(entry.id, engine)
    this.#storage.set(entry.id, description)
    return engine
  }

  async close(entry: Entry): Promise<void> {
    const engine = this.engines.get(entry.id)
    this.engines.delete(entry.id)
    this.#storage.delete(entry.id)
    await engine?.close()
  }
}

function storageTarget(registry: Registry, clientId: string, config: NodeConfig): StorageTarget {
  const client = viewOf(registry.get(clientId)!, 'nats.client', 'temporal.client')
  const own = client.embedded ? undefined : client.servers
  if (own === undefined && config.nats === undefined) return { kind: 'embedded' }
  return {
    kind: 'nats',
    options: {
      ...config.nats,
      ...(own === undefined ? {} : { servers: own }),
      ...(client.namespace === 'default' ? {} : { prefix: client.namespace }),
    },
  }
}

/** The origin is kept with the journals: instants recorded by an earlier life must mean the same. */
async function compressedClock(clock: Clock, factor: number, snapshots: Snapshots): Promise<Clock> {
  const key = 'time-scale/origin'
  const stored = await snapshots.get(key)
  if (stored !== undefined) return scaledClock(clock, factor, Number(Buffer.from(stored).toString('utf8')))
  const originMs = clock.wallMs()
  await snapshots.put(key, Buffer.from(String(originMs), 'utf8'))
  return scaledClock(clock, factor, originMs)
}

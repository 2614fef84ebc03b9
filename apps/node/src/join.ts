import { joinCluster, type ActorSystem, type Cluster } from '@daruma/actors'
import { openNatsTransport } from '@daruma/nats'
import type { Clock, Logger } from '@daruma/protocol'
import { serveWorkflows, type WorkflowEngine } from '@daruma/workflow'
import type { NodeConfig } from './config.ts'
import { serveSpawns } from './hosts/remote-spawn.ts'
import type { Spawner } from './parts.ts'

export interface JoinOptions {
  readonly system: ActorSystem
  readonly config: NodeConfig
  readonly engines: ReadonlyMap<string, WorkflowEngine>
  readonly spawner: Spawner
  readonly clock: Clock
  readonly logger: Logger
  /** A later life of this node runs elsewhere. */
  readonly onSuperseded: () => void
}

/**
 * Makes this node one of its cluster: pids of the others work here, and workflows are reached wherever they are.
 * Undefined: the configuration names no cluster.
 *
 * @throws AppError unavailable, permission_denied - NATS does not answer, or not with these credentials
 */
export async function joinAsConfigured(options: JoinOptions): Promise<Cluster | undefined> {
  const { system, config, engines, spawner, clock, logger } = options
  if (config.cluster === undefined) return undefined
  const transport = await openNatsTransport({
    ...config.nats,
    cluster: config.cluster,
    self: { node: system.node, incarnation: system.home.incarnation },
    name: `${config.cluster}/${config.name}`,
    clock,
    logger,
    onSuperseded: options.onSuperseded,
  })
  const cluster = await joinCluster(system, transport)
  serveWorkflows(cluster, (taskQueue) => [...engines.values()].find((engine) => engine.taskQueue === taskQueue))
  serveSpawns(cluster, system, spawner)
  return cluster
}

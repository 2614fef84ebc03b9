import { createSystem, type Cluster, type ProgramHandlers } from '@daruma/actors'
import { AppError, systemClock, systemRng, type Logger } from '@daruma/protocol'
import { viewOf } from '@daruma/registry'
import { forwardOver, WorkflowDirectory, type Observer } from '@daruma/workflow'
import type { App } from './app.ts'
import type { NodeConfig } from './config.ts'
import { controlMethods } from './control-methods.ts'
import { serveControl, type ControlServer } from './control.ts'
import { Activities } from './hosts/activities.ts'
import { evaluationRequests } from './hosts/evaluations.ts'
import { FunctionHost } from './hosts/function-host.ts'
import { programHandlers } from './hosts/handlers.ts'
import { ProcessHost } from './hosts/process-host.ts'
import { processSide } from './hosts/process-side.ts'
import { Hosts } from './hosts/spawner.ts'
import { WorkflowHosts } from './hosts/workflow-host.ts'
import { WorkflowPids } from './hosts/workflow-pids.ts'
import { joinAsConfigured } from './join.ts'
import { heldLogger, standardErrorLogger } from './log-sink.ts'
import type { NodeParts } from './parts.ts'
import { requestGroups, type RequestGroups } from './requests/groups.ts'
import { requestTable } from './requests/table.ts'
import { isEssential, serviceOf } from './service-of.ts'
import { createServices, type Services } from './services/services.ts'
import { createStores, type StorageDescription } from './storage.ts'

export interface BootOptions {
  readonly json?: boolean
  readonly observe?: Observer
  /** Default: records on standard error. */
  readonly logger?: Logger
}

export interface RunningNode {
  readonly parts: NodeParts
  readonly config: NodeConfig
  readonly services: Services
  readonly requests: RequestGroups
  /** What is kept where, of the workers that run. */
  storage(): readonly StorageDescription[]
  /**
   * Starts the services, and listens for a second shell.
   *
   * @throws AppError unavailable - a worker or a server that does not start: without it the node is not what was asked for
   */
  start(): Promise<void>
  /** Reverse order, within the deadline (default: the configured one). Whoever is left then is killed. */
  stop(deadlineMs?: number): Promise<void>
}

/** A node with its services started. @throws as `RunningNode.start`; what had started is stopped again */
export async function boot(app: App, options: BootOptions = {}): Promise<RunningNode> {
  const node = composeNode(app, options)
  try {
    await node.start()
    return node
  } catch (error) {
    await node.stop(0)
    throw error
  }
}

/** The only place that makes adapters and ties rooms together. Nothing runs yet. */
export function composeNode(app: App, options: BootOptions = {}): RunningNode {
  const { registry, programs, lua, config, folder } = app
  const logger = heldLogger(
    options.logger ?? standardErrorLogger({ level: config.logLevel, json: options.json ?? false }),
  )
  const clock = systemClock()
  const rng = systemRng()
  const stores = createStores(config.dataFolder)
  const system = createSystem({ node: config.name, clock, rng, logger })
  const directory = new WorkflowDirectory(processSide(system))
  const { observe } = options
  let cluster: Cluster | undefined
  const workflowHosts = new WorkflowHosts({
    registry,
    programs,
    config,
    stores,
    directory,
    clock,
    rng,
    logger,
    observe,
    forward: () => (cluster === undefined ? undefined : forwardOver(cluster)),
  })
  const { engines } = workflowHosts

  // Programs ask for calls and spawns, which run programs: the one knot of the node, tied here.
  let knot: ProgramHandlers | undefined
  const handlers = (): ProgramHandlers => knot!
  const spawner = new Hosts({
    registry,
    programs,
    engines,
    processHost: (id) => {
      const entry = registry.get(id)
      const limits = entry?.kind === 'process.host' ? viewOf(entry, 'process.host') : {}
      return new ProcessHost({ id, limits, system, programs, handlers })
    },
    cluster: () => cluster,
    clock,
  })
  const functions = new FunctionHost({ system, programs, handlers, spawner: () => spawner, clock })
  const parts: NodeParts = {
    name: config.name,
    system,
    registry,
    lua,
    programs,
    stores,
    workflows: directory,
    engines,
    functions,
    spawner,
    clock,
    rng,
    logger,
  }
  const requests = requestGroups(parts, { folder })
  const activities = new Activities(functions)
  const workflowPids = new WorkflowPids(directory, engines, system)
  const request = requestTable([...requests.groups, activities.requests(), evaluationRequests(programs, functions)])
  knot = programHandlers({ programs, functions, spawner, engines, workflowPids, request })

  const services = createServices({
    entries: registry.entries(),
    make: (entry) =>
      serviceOf(entry, {
        parts,
        requests,
        folder,
        openWorker: (worker) => workflowHosts.open(worker, activities),
        closeWorker: (worker) => workflowHosts.close(worker),
      }),
    clock,
    rng,
    logger,
  })
  const status = (): ReturnType<Services['status']> => services.status()
  let control: ControlServer | undefined
  const node: RunningNode = {
    parts,
    config,
    services,
    requests,
    storage: () => workflowHosts.storage(),
    async start() {
      cluster = await joinAsConfigured({
        system,
        config,
        engines,
        spawner,
        clock,
        logger,
        onSuperseded: () => void node.stop(),
      })
      const report = await services.startAll()
      const failed = report.services.find(({ kind, state }) => isEssential(kind) && state !== 'running')
      if (failed !== undefined) {
        const reason = failed.lastReason?.replace(/^[a-z_]+: /, '') ?? `${failed.id} is ${failed.state}`
        throw new AppError('unavailable', reason)
      }
      // Only now: the socket follows the data folder, which is this node's from here on.
      control = await serveControl(config.dataFolder, controlMethods(parts, status))
      logger.release()
    },
    async stop(deadlineMs = config.shutdownMs) {
      await services.stopAll(deadlineMs)
      await control?.close()
      // Its workflows have found new owners; now the processes of others learn that this node leaves.
      await cluster?.leave()
      await system.shutdown({ deadlineMs })
      await stores.close()
    },
  }
  return node
}

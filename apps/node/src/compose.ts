import { resolve } from 'node:path'
import { createSystem, type ProgramHandlers } from '@daruma/actors'
import { createLua } from '@daruma/lua'
import { AppError, msgpackCodec, systemClock, systemRng, type Clock, type Logger } from '@daruma/protocol'
import { createRegistry, loadApp, viewOf, workerKinds, type Entry, type Problem, type Registry } from '@daruma/registry'
import { WorkflowDirectory, WorkflowEngine, type Observer, type ProcessSide } from '@daruma/workflow'
import { readConfig, type ConfigFlags, type NodeConfig } from './config.ts'
import { controlMethods } from './control-methods.ts'
import { serveControl, type ControlServer } from './control.ts'
import { invalidApp } from './failures.ts'
import { Activities } from './hosts/activities.ts'
import { FunctionHost } from './hosts/function-host.ts'
import { programHandlers } from './hosts/handlers.ts'
import { ProcessHost } from './hosts/process-host.ts'
import { processSide } from './hosts/process-side.ts'
import { Hosts } from './hosts/spawner.ts'
import { WorkflowPids } from './hosts/workflow-pids.ts'
import { heldLogger, standardErrorLogger } from './log-sink.ts'
import type { NodeParts } from './parts.ts'
import { Programs } from './programs.ts'
import { requestGroups, type RequestGroups } from './requests/groups.ts'
import { requestTable } from './requests/table.ts'
import { scaledClock } from './scaled-clock.ts'
import { isEssential, serviceOf } from './service-of.ts'
import { createServices, type Services } from './services/services.ts'
import { createStores, type StorageDescription, type StorageTarget, type Stores } from './storage.ts'

export interface LoadOptions extends ConfigFlags {
  readonly folder: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** `ns:entry:field=value` each. */
  readonly overrides?: readonly string[]
  /** `section.path=value` each. */
  readonly settings?: readonly string[]
}

/** An app that is valid through and through: entries, references, configuration, every program compiled. */
export interface App {
  readonly folder: string
  readonly registry: Registry
  readonly programs: Programs
  readonly lua: ReturnType<typeof createLua>
  readonly config: NodeConfig
  readonly warnings: readonly Problem[]
}

/**
 * Loads and checks the app in a folder; runs nothing of it.
 *
 * @throws CommandFailure (exit code 2) - with every problem of the app, each with file and line
 */
export function loadWholeApp(options: LoadOptions): App {
  const folder = resolve(options.folder)
  const lua = createLua()
  const loaded = loadApp(folder, {
    env: options.env,
    ...(options.overrides === undefined ? {} : { overrides: options.overrides }),
    ...(options.settings === undefined ? {} : { settings: options.settings }),
    modules: lua.modules.map(({ name }) => name),
  })
  if (loaded.kind === 'invalid') throw invalidApp(loaded.problems)
  const registry = createRegistry(loaded.entries)
  const programs = new Programs(lua, registry, folder)
  const read = readConfig(folder, loaded.config, options)
  const problems = [...('problems' in read ? read.problems : []), ...programs.check(), ...sharedQueues(loaded.entries)]
  if (problems.length > 0 || 'problems' in read) throw invalidApp(problems)
  return { folder, registry, programs, lua, config: read.config, warnings: loaded.warnings }
}

/** Two workers of one task queue would fight over its partitions. */
function sharedQueues(entries: readonly Entry[]): Problem[] {
  const owners = new Map<string, Entry>()
  const problems: Problem[] = []
  for (const entry of entries) {
    if (!(workerKinds as readonly string[]).includes(entry.kind)) continue
    const { taskQueue } = viewOf(entry, ...workerKinds)
    const first = owners.get(taskQueue)
    if (first === undefined) owners.set(taskQueue, entry)
    else
      problems.push({
        ...entry.origin,
        message: `${entry.id}: task queue "${taskQueue}" is served by ${first.id} already`,
      })
  }
  return problems
}

export interface BootOptions {
  readonly json?: boolean
  readonly observe?: Observer
  /** Default: records on standard error. */
  readonly logger?: Logger
  /** No services are started: for a command of the app that wants none. Default true. */
  readonly autoStart?: boolean
}

export interface RunningNode {
  readonly parts: NodeParts
  readonly config: NodeConfig
  readonly services: Services
  readonly requests: RequestGroups
  /** What is kept where, of the workers that run. */
  readonly storage: () => readonly StorageDescription[]
  /** Reverse order, within the deadline (default: the configured one). Whoever is left then is killed. */
  stop(deadlineMs?: number): Promise<void>
}

/**
 * Boots an app: the only place that makes adapters and ties rooms together.
 *
 * @throws AppError - a store that cannot be opened; services that fail are reported and restarted by their own rules
 */
export async function boot(app: App, options: BootOptions = {}): Promise<RunningNode> {
  const { registry, programs, lua, config } = app
  const logger = heldLogger(
    options.logger ?? standardErrorLogger({ level: config.logLevel, json: options.json ?? false }),
  )
  const clock = systemClock()
  const rng = systemRng()
  const stores = createStores(config.dataFolder)
  const system = createSystem({ node: config.name, clock, rng, logger })
  const engines = new Map<string, WorkflowEngine>()
  const storage = new Map<string, StorageDescription>()
  const directory: WorkflowDirectory = new WorkflowDirectory(processSide(system) satisfies ProcessSide)

  let handlers!: ProgramHandlers
  const spawner = new Hosts({
    registry,
    programs,
    engines,
    processHost: (id) => {
      const entry = registry.get(id)
      const limits = entry?.kind === 'process.host' ? viewOf(entry, 'process.host') : {}
      return new ProcessHost({ id, limits, system, programs, handlers: () => handlers })
    },
  })
  const functions = new FunctionHost({ system, programs, handlers: () => handlers, spawner: () => spawner, clock })
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
  const requests = requestGroups(parts)
  const activities = new Activities(functions)
  handlers = programHandlers({
    programs,
    functions,
    spawner,
    engines,
    workflowPids: new WorkflowPids(directory, engines, system),
    request: requestTable([...requests.groups, activities.requests()]),
  })

  const openWorker = async (entry: Entry): Promise<WorkflowEngine> => {
    const view = viewOf(entry, ...workerKinds)
    const target = storageTarget(registry, view.client, config)
    const { description, ...workflowStorage } = await stores.workflows(view.taskQueue, target)
    const engine = await WorkflowEngine.open({
      taskQueue: view.taskQueue,
      storage: workflowStorage,
      programs: (type) => {
        const known = registry.get(type)
        return known?.kind === 'workflow.lua' ? programs.factory(type, ['workflow.lua']) : undefined
      },
      executor: activities,
      directory,
      client: view.client,
      host: entry.id,
      node: config.name,
      codec: msgpackCodec(),
      clock: config.timeScale === 1 ? clock : await compressedClock(clock, config.timeScale, workflowStorage.snapshots),
      machineClock: clock,
      rng,
      logger,
      ...(options.observe === undefined ? {} : { observe: options.observe }),
      ...(config.partitions === undefined ? {} : { partitions: config.partitions }),
      ...(view.maxConcurrentActivities === undefined ? {} : { maxConcurrentActivities: view.maxConcurrentActivities }),
    })
    engines.set(entry.id, engine)
    storage.set(entry.id, description)
    return engine
  }
  const closeWorker = async (entry: Entry): Promise<void> => {
    const engine = engines.get(entry.id)
    engines.delete(entry.id)
    await engine?.close()
  }

  registry.watch(() => {
    for (const engine of engines.values()) engine.retryStuck()
  })

  const services = createServices({
    entries: registry.entries(),
    make: (entry) => serviceOf(entry, { parts, requests, folder: app.folder, openWorker, closeWorker }),
    clock,
    rng,
    logger,
  })
  let control: ControlServer | undefined
  const stop = async (deadlineMs = config.shutdownMs): Promise<void> => {
    await services.stopAll(deadlineMs)
    await control?.close()
    await system.shutdown({ deadlineMs })
    await stores.close()
  }
  if (options.autoStart !== false) {
    const report = await services.startAll()
    const failed = report.services.find(({ kind, state }) => isEssential(kind) && state !== 'running')
    if (failed !== undefined) {
      await stop(0)
      throw new AppError(
        'unavailable',
        failed.lastReason?.replace(/^[a-z_]+: /, '') ?? `${failed.id} is ${failed.state}`,
      )
    }
  }
  // Only now: the socket follows the data folder, which is this node's from here on.
  control = await serveControl(
    config.dataFolder,
    controlMethods(parts, () => services.status()),
  )
  logger.release()
  return { parts, config, services, requests, storage: () => [...storage.values()], stop }
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
async function compressedClock(
  clock: Clock,
  factor: number,
  snapshots: Awaited<ReturnType<Stores['workflows']>>['snapshots'],
): Promise<Clock> {
  const key = 'time-scale/origin'
  const stored = await snapshots.get(key)
  if (stored !== undefined) return scaledClock(clock, factor, Number(Buffer.from(stored).toString('utf8')))
  const originMs = clock.wallMs()
  await snapshots.put(key, Buffer.from(String(originMs), 'utf8'))
  return scaledClock(clock, factor, originMs)
}

import { createSystem, joinCluster, type ActorSystem, type Cluster } from '@daruma/actors'
import { openLmdb } from '@daruma/lmdb'
import { openNats, openNatsTransport, type NatsOptions } from '@daruma/nats'
import { AppError, systemClock, type Clock, type Logger } from '@daruma/protocol'
import {
  forwardOver,
  FunctionExecutor,
  guardGlobals,
  serveWorkflows,
  WorkflowDirectory,
  WorkflowEngine,
  type FunctionDefinition,
  type Observer,
  type StartOptions,
  type WorkflowDefinition,
  type WorkflowEngineOptions,
  type WorkflowStorage,
} from '@daruma/workflow'
import { workflowHandle, type WorkflowHandle } from './handle.ts'

// A function that takes `never` is what any function is a case of.
type AnyWorkflow = WorkflowDefinition<never, unknown>
type AnyFunction = FunctionDefinition<never, unknown>

export interface NodeOptions extends Pick<
  WorkflowEngineOptions,
  'checkpoint' | 'leaseMs' | 'maxResident' | 'retention'
> {
  /** The same over restarts: its workflows go on at once. Default "node". */
  readonly name?: string
  /** Folder of the embedded journal (made if missing). One process at a time. Default ".daruma". */
  readonly data?: string
  /** Instead of the embedded journal: workflows live on JetStream, and move to another node when this one dies. */
  readonly nats?: string | NatsOptions
  /**
   * With `nats`: nodes of the same cluster form one system. Their pids work here, their workflows are reached from every
   * one of them, and the partitions are spread over them. Each needs a `name` of its own.
   */
  readonly cluster?: string
  readonly workflows?: readonly AnyWorkflow[]
  readonly functions?: readonly AnyFunction[]
  /** Default "default". */
  readonly taskQueue?: string
  readonly partitions?: number
  readonly logger?: Logger
  readonly clock?: Clock
  readonly observe?: Observer
  /**
   * Time, chance, timers and fetch inside of a workflow fail it, with the line that asked. Patches the globals of this
   * process until the node closes; outside of workflows they do what they did. Default true.
   */
  readonly guardGlobals?: boolean
}

/** Actors and durable workflows in this process. `await using`, or `close()`. */
export interface DarumaNode extends AsyncDisposable {
  readonly system: ActorSystem
  readonly engine: WorkflowEngine
  /** Undefined: this node is alone. */
  readonly cluster: Cluster | undefined
  /** Starts a workflow; with an `id` that runs already, meets it. Resolves when the start stands in the journal. */
  start<I, O>(definition: WorkflowDefinition<I, O>, input: I, options?: StartOptions): Promise<WorkflowHandle<O>>
  /** The handle of a workflow that was started before, perhaps in an earlier life. */
  workflow<O = unknown>(id: string): WorkflowHandle<O>
  close(): Promise<void>
}

/**
 * Opens a node: what was open in its journal goes on by itself.
 *
 * @throws AppError unavailable - the data folder is another process's, or NATS does not answer; the message says which
 * @throws AppError invalid - the journal was written by a newer version, or the server cannot hold the durability
 */
export async function createNode(options: NodeOptions = {}): Promise<DarumaNode> {
  const { taskQueue = 'default', workflows = [], functions = [], name = 'node' } = options
  const clock = options.clock ?? systemClock()
  const logger = options.logger === undefined ? {} : { logger: options.logger }
  const system = createSystem({ node: name, clock, ...logger })
  const store = await openStorage(options, taskQueue)
  const programs = new Map(workflows.map((definition) => [definition.name, definition.create]))
  let engine: WorkflowEngine | undefined
  let cluster: Cluster | undefined
  try {
    cluster = await join(options, system, clock)
    if (cluster !== undefined) serveWorkflows(cluster, (queue) => (queue === taskQueue ? engine : undefined))
    engine = await WorkflowEngine.open({
      taskQueue,
      storage: store.storage,
      programs: (type) => programs.get(type),
      executor: new FunctionExecutor(functions),
      directory: new WorkflowDirectory(),
      node: name,
      clock,
      ...logger,
      ...(cluster === undefined ? {} : { forward: forwardOver(cluster) }),
      ...(options.partitions === undefined ? {} : { partitions: options.partitions }),
      ...(options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs }),
      ...(options.maxResident === undefined ? {} : { maxResident: options.maxResident }),
      ...(options.checkpoint === undefined ? {} : { checkpoint: options.checkpoint }),
      ...(options.retention === undefined ? {} : { retention: options.retention }),
      ...(options.observe === undefined ? {} : { observe: options.observe }),
    })
  } catch (error) {
    await cluster?.leave()
    await store.close()
    throw error
  }
  const opened = engine
  const releaseGlobals = options.guardGlobals === false ? undefined : guardGlobals()
  const close = async (): Promise<void> => {
    await opened.close()
    releaseGlobals?.()
    await cluster?.leave()
    await system.shutdown()
    await store.close()
  }
  return {
    system,
    engine: opened,
    cluster,
    async start<I, O>(definition: WorkflowDefinition<I, O>, input: I, start?: StartOptions) {
      const pid = await opened.start(definition.name, input === undefined ? [] : [input], start)
      return workflowHandle<O>(opened, pid)
    },
    workflow: <O>(id: string) => workflowHandle<O>(opened, opened.pidOf(id)),
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function join(
  { nats, cluster, logger }: NodeOptions,
  system: ActorSystem,
  clock: Clock,
): Promise<Cluster | undefined> {
  if (cluster === undefined) return undefined
  if (nats === undefined)
    throw new AppError('invalid', `cluster "${cluster}": nodes meet over NATS; give \`nats\`, too`)
  const transport = await openNatsTransport({
    ...(typeof nats === 'string' ? { servers: nats } : nats),
    cluster,
    self: { node: system.node, incarnation: system.home.incarnation },
    name: `${cluster}/${system.node}`,
    clock,
    ...(logger === undefined ? {} : { logger }),
  })
  return joinCluster(system, transport)
}

async function openStorage(
  { nats, data = '.daruma' }: NodeOptions,
  taskQueue: string,
): Promise<{ storage: WorkflowStorage; close(): Promise<void> }> {
  if (nats === undefined) {
    const store = await openLmdb(data)
    const { log, inbox, snapshots } = store
    return { storage: { log, inbox, snapshots }, close: () => store.close() }
  }
  const store = await openNats(typeof nats === 'string' ? { servers: nats } : nats)
  try {
    const [log, inbox] = await Promise.all([store.log(taskQueue), store.inbox(taskQueue)])
    return { storage: { log, inbox, snapshots: store.snapshots, leases: store.leases }, close: () => store.close() }
  } catch (error) {
    await store.close()
    throw error
  }
}

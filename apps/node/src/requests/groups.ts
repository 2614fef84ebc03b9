import type { NodeParts } from '../parts.ts'
import { EventBus } from './event-bus.ts'
import { eventsRequests } from './events.ts'
import { contractRequests } from './contract.ts'
import { envRequests } from './env.ts'
import { fsRequests } from './fs.ts'
import { httpClientRequests } from './http-request.ts'
import { ioRequests, Terminals, type TerminalIo } from './io.ts'
import { Metrics, metricsRequests } from './metrics.ts'
import { namesRequests } from './names.ts'
import { pgRequests } from './pg.ts'
import { QueueBroker } from './queue-broker.ts'
import { queueRequests } from './queue.ts'
import { registryRequests } from './registry.ts'
import { securityRequests } from './security.ts'
import { storeRequests } from './store.ts'
import { systemRequests, type SystemOptions } from './system.ts'
import type { RequestHandlers } from './table.ts'
import { Exchanges } from '../http/exchanges.ts'
import { exchangeRequests } from '../http/requests.ts'

/** Everything that programs of this node can ask for, and what the node's own rooms need of it. */
export interface RequestGroups {
  readonly groups: readonly RequestHandlers[]
  readonly bus: EventBus
  readonly terminals: Terminals
  readonly queues: QueueBroker
  readonly metrics: Metrics
  /** Requests that came in by HTTP and are being handled. */
  readonly exchanges: Exchanges
}

export interface RequestGroupsOptions {
  /** The app's: relative paths of its entries start here. Default: the folder of this process. */
  readonly folder?: string
  /** Default: the variables of this process. Programs see what an env.variable names. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Default: the streams of this process. */
  readonly terminal?: Omit<TerminalIo, 'args'>
  /** Default: the signal by which people end the node, with the exit code remembered. */
  readonly exit?: SystemOptions['exit']
}

export function requestGroups(parts: NodeParts, options: RequestGroupsOptions = {}): RequestGroups {
  const bus = new EventBus(parts.system)
  const terminals = new Terminals(parts.system, options.terminal ?? process)
  const queues = new QueueBroker(parts)
  const metrics = new Metrics()
  const exchanges = new Exchanges()
  const { folder = process.cwd(), environment = process.env } = options
  return {
    groups: [
      namesRequests(parts),
      eventsRequests(bus),
      storeRequests(parts),
      registryRequests(parts),
      envRequests(parts, { environment, folder }),
      ioRequests(terminals),
      securityRequests(parts),
      queueRequests(queues),
      pgRequests(parts),
      systemRequests(parts, { exit: options.exit ?? exitPolitely }),
      httpClientRequests(parts),
      exchangeRequests(exchanges),
      metricsRequests(metrics),
      fsRequests(parts, { folder }),
      contractRequests(parts),
    ],
    bus,
    terminals,
    queues,
    metrics,
    exchanges,
  }
}

function exitPolitely(code: number): void {
  process.exitCode = code
  process.kill(process.pid, 'SIGTERM')
}

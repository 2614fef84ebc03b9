import type { NodeParts } from '../parts.ts'
import { EventBus } from './event-bus.ts'
import { eventsRequests } from './events.ts'
import { envRequests, type EnvOptions } from './env.ts'
import { httpClientRequests } from './http-request.ts'
import { ioRequests, Terminals, type TerminalIo } from './io.ts'
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
  /** Requests that came in by HTTP and are being handled. */
  readonly exchanges: Exchanges
}

export interface RequestGroupsOptions {
  /** Default: the variables of this process, files relative to its folder. */
  readonly env?: EnvOptions
  /** Default: the streams of this process. */
  readonly terminal?: Omit<TerminalIo, 'args'>
  /** Default: the signal by which people end the node, with the exit code remembered. */
  readonly exit?: SystemOptions['exit']
}

export function requestGroups(parts: NodeParts, options: RequestGroupsOptions = {}): RequestGroups {
  const bus = new EventBus(parts.system)
  const terminals = new Terminals(parts.system, options.terminal ?? process)
  const queues = new QueueBroker(parts)
  const exchanges = new Exchanges()
  return {
    groups: [
      namesRequests(parts),
      eventsRequests(bus),
      storeRequests(parts),
      registryRequests(parts),
      envRequests(parts, options.env ?? { environment: process.env, folder: process.cwd() }),
      ioRequests(terminals),
      securityRequests(parts),
      queueRequests(queues),
      pgRequests(parts),
      systemRequests(parts, { exit: options.exit ?? exitPolitely }),
      httpClientRequests(parts),
      exchangeRequests(exchanges),
    ],
    bus,
    terminals,
    queues,
    exchanges,
  }
}

function exitPolitely(code: number): void {
  process.exitCode = code
  process.kill(process.pid, 'SIGTERM')
}

import type { WorkflowEngine } from '@daruma/workflow'
import { viewOf, type Entry } from '@daruma/registry'
import { httpService } from './http/service.ts'
import type { NodeParts } from './parts.ts'
import type { RequestGroups } from './requests/groups.ts'
import { actingAs } from './requests/security.ts'
import { processService } from './services/process-service.ts'
import { resourceService, standingService } from './services/resource-service.ts'
import type { Service } from './services/service.ts'

export interface ServiceRooms {
  readonly parts: NodeParts
  readonly requests: RequestGroups
  /** The app's: files that are served lie in it. */
  readonly folder: string
  readonly openWorker: (entry: Entry) => Promise<WorkflowEngine>
  readonly closeWorker: (entry: Entry) => Promise<void>
}

/** What an entry is as a service; undefined: nothing that runs. */
export function serviceOf(entry: Entry, rooms: ServiceRooms): Service | undefined {
  const { parts, requests } = rooms
  const { id } = entry
  switch (entry.kind) {
    case 'process.service': {
      const view = viewOf(entry, 'process.service')
      return processService(id, view, {
        spawner: parts.spawner,
        system: parts.system,
        context: actingAs(parts.registry, view.lifecycle.security),
      })
    }
    case 'temporal.worker':
    case 'workflow.worker':
      return resourceService(id, { open: () => rooms.openWorker(entry), close: () => rooms.closeWorker(entry) })
    case 'queue.consumer': {
      const { lifecycle } = viewOf(entry, 'queue.consumer')
      return resourceService(id, {
        open: () => requests.queues.consume(entry, actingAs(parts.registry, lifecycle.security)),
        close: (consuming, deadlineMs) => consuming.stop(deadlineMs),
      })
    }
    case 'http.service':
      return resourceService(id, {
        open: async () => {
          const server = httpService(parts, entry, { exchanges: requests.exchanges, folder: rooms.folder })
          await server.start()
          return server
        },
        close: (server, deadlineMs) => server.stop(deadlineMs),
      })
    case 'process.host':
    case 'terminal.host':
    case 'temporal.client':
    case 'nats.client':
      return standingService(id)
    default:
      return undefined
  }
}

/** Services whose first start must succeed: without them the node is not what was asked for. */
export function isEssential(kind: string): boolean {
  return kind === 'temporal.worker' || kind === 'workflow.worker' || kind === 'http.service'
}

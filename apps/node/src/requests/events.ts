import { AppError } from '@daruma/protocol'
import type { EventBus } from './event-bus.ts'
import type { RequestHandlers } from './table.ts'

export function eventsRequests(bus: EventBus): RequestHandlers {
  return {
    'events.subscribe': ({ system, kind, topic }, scope) => {
      bus.subscribe(scope.self, system, kind, topic)
      return null
    },
    'events.unsubscribe': ({ topic }, scope) => {
      bus.unsubscribe(scope.self, topic)
      return null
    },
    'events.send': (event) => {
      for (const field of ['system', 'kind', 'path'] as const) {
        if (event[field] === '') throw new AppError('invalid', `events.send: ${field} must not be empty`)
      }
      bus.send(event)
      return null
    },
  }
}

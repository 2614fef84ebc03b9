import type { RequestHandlers } from '../requests/table.ts'
import type { Exchanges } from './exchanges.ts'

export function exchangeRequests(exchanges: Exchanges): RequestHandlers {
  return { 'http.respond': (part, scope) => exchanges.of(scope.context).respond(part) }
}

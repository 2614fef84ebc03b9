import { AppError, samePid } from '@daruma/protocol'
import type { NodeParts } from '../parts.ts'
import type { RequestHandlers } from './table.ts'

/**
 * Names of processes. On one node all four scopes are the same place: what is local is also eventual, consistent and
 * strong. A process may go by several names; all of them are free again before its end can be observed.
 */
export function namesRequests({ system }: Pick<NodeParts, 'system'>): RequestHandlers {
  return {
    'names.register': ({ name, pid }, scope) => {
      const wanted = pid ?? scope.self
      const holder = system.whereis(name)
      if (holder !== undefined && samePid(holder, wanted)) return null
      system.register(name, wanted, { alias: true })
      return null
    },
    'names.lookup': ({ name }) => {
      const pid = system.whereis(name)
      if (pid !== undefined) return pid
      throw new AppError('not_found', `no process is named "${name}"`, { name }, { retryable: false })
    },
    'names.unregister': ({ name }, scope) => {
      const holder = system.whereis(name)
      if (holder === undefined || !samePid(holder, scope.self)) return false
      system.unregister(name)
      return true
    },
  }
}

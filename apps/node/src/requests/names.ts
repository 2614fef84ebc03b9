import type { ActorSystem } from '@daruma/actors'
import { AppError, samePid } from '@daruma/protocol'
import type { NodeParts } from '../parts.ts'
import type { RequestHandlers } from './table.ts'

/**
 * Names of processes. On a node that is alone all four scopes are the same place: what is local is also eventual, consistent and
 * strong. A process may go by several names; all of them are free again before its end can be observed.
 */
export function namesRequests({ system }: Pick<NodeParts, 'system'>): RequestHandlers {
  return {
    'names.register': ({ name, pid, scope: reach }, scope) => {
      refuseInCluster(system, reach)
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
    'names.unregister': ({ name, scope: reach }, scope) => {
      refuseInCluster(system, reach)
      const holder = system.whereis(name)
      if (holder === undefined || !samePid(holder, scope.self)) return false
      system.unregister(name)
      return true
    },
  }
}

/** A name that only seems to hold for all nodes would be worse than none. */
function refuseInCluster(system: ActorSystem, reach: number): void {
  if (reach === 0 || !system.isClustered) return
  const asked = ['LOCAL', 'EVENTUAL', 'CONSISTENT', 'STRONG'][reach]
  throw new AppError(
    'invalid',
    `names of scope ${asked} are not kept across nodes by this version; use process.registry.LOCAL, and send the pid`,
    undefined,
    { retryable: false },
  )
}

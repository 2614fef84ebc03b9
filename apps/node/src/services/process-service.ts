import type { ActorSystem } from '@daruma/actors'
import { exitKill, type Pid } from '@daruma/protocol'
import type { ProcessService } from '@daruma/registry'
import type { Spawner } from '../parts.ts'
import { errorOfExit } from './failure.ts'
import type { Run, Service } from './service.ts'

export interface ProcessServiceParts {
  readonly spawner: Spawner
  readonly system: Pick<ActorSystem, 'cancel' | 'exit' | 'watchExit'>
  /** What the process can read: who it acts for, among others. */
  readonly context?: Readonly<Record<string, unknown>>
}

/**
 * A process that is kept up: each run is one process, spawned on its host and up as soon as it is there. To stop, it gets
 * a `cancel` and the stop timeout, then `kill`. Its return is a good end; its error, or the error of what it is linked
 * to, a failed one.
 */
export function processService(id: string, view: ProcessService, parts: ProcessServiceParts): Service {
  const { spawner, system, context } = parts
  const runOf = (pid: Pid): Run => {
    const ended = new Promise<void>((resolve, reject) => {
      system.watchExit(pid, (reason) => {
        const error = errorOfExit(reason)
        if (error === undefined) resolve()
        else reject(error)
      })
    })
    return {
      pid,
      ended,
      async stop() {
        system.cancel(pid, `service ${id} is stopping`)
        // How it ends while it stops is its own affair: cancelled programs often end with the error of what they awaited.
        await ended.catch(() => undefined)
      },
      kill: () => system.exit(pid, exitKill),
    }
  }
  return {
    id,
    async start() {
      const spawned = spawner.spawn(
        view.process,
        view.host,
        view.input,
        context === undefined ? {} : { context },
        undefined,
      )
      // Watched in the turn of its birth: no end of it can be missed.
      return spawned instanceof Promise ? runOf(await spawned) : runOf(spawned)
    },
  }
}

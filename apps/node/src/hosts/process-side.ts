import { programMessage, terminated, type ActorSystem } from '@daruma/actors'
import { AppError, type Destination, type Pid } from '@daruma/protocol'
import type { ProcessSide } from '@daruma/workflow'

/** Plain processes, as workflows reach them: by pid or by name. What is not there is not told to the workflow. */
export function processSide(system: ActorSystem): ProcessSide {
  const find = (to: Destination): Pid => {
    const pid = typeof to === 'string' ? (system.whereis(to) ?? system.parsePid(to)) : to
    if (pid === undefined || !system.isReachable(pid)) {
      throw new AppError('not_found', `process not found: ${String(to)}`, undefined, { retryable: false })
    }
    return pid
  }
  return {
    async send(to, message) {
      system.send(find(to), programMessage(message.topic, message.payload, message.from))
    },
    async exit(to, mode, from, reason) {
      const pid = find(to)
      if (mode === 'cancel') system.cancel(pid, reason)
      else system.exit(pid, terminated(from, reason))
    },
  }
}

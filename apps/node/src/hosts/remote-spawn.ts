import type { ActorSystem, Cluster } from '@daruma/actors'
import { AppError, Pid, type Clock, type SpawnOptions } from '@daruma/protocol'
import type { Spawner } from '../parts.ts'

// Part of the protocol between nodes.
const spawnService = 'spawn'
const resumeService = 'resume'

/** One that was spawned for another node runs after this long at the latest, whatever became of who asked. */
const holdMs = 1_000

/** `node@host` as its parts; undefined: a host of this node. */
export function remoteHost(host: string): { readonly node: string; readonly host: string } | undefined {
  const at = host.indexOf('@')
  return at <= 0 ? undefined : { node: host.slice(0, at), host: host.slice(at + 1) }
}

/**
 * Spawns on a host of another node. The process does not run before whoever asked had a turn to link with it or to monitor
 * it, so that a short life is not missed.
 *
 * @throws AppError unavailable - no connection to that node; timeout; and what the node's own spawn throws
 */
export async function spawnAt(
  cluster: Cluster | undefined,
  clock: Clock,
  { node, host }: { readonly node: string; readonly host: string },
  target: string,
  args: readonly unknown[],
  options: SpawnOptions,
  from: Pid | undefined,
): Promise<Pid> {
  if (cluster === undefined) {
    throw new AppError(
      'invalid',
      `host ${node}@${host}: this node is in no cluster; start it with --cluster`,
      { host },
      { retryable: false },
    )
  }
  const pid = await cluster.ask(node, spawnService, [target, host, args, options, from])
  if (!(pid instanceof Pid))
    throw new AppError('internal', `node ${node} answered spawn with something else than a pid`)
  if (typeof pid.id === 'number') {
    clock.after(0, () => void cluster.ask(node, resumeService, pid).catch(() => undefined))
  }
  return pid
}

/** Spawns here what other nodes ask for. */
export function serveSpawns(cluster: Cluster, system: ActorSystem, spawner: Spawner): void {
  cluster.serve(spawnService, async (input) => {
    const [target, host, args, options, from] = Array.isArray(input) ? (input as readonly unknown[]) : []
    if (typeof target !== 'string' || typeof host !== 'string' || !Array.isArray(args) || typeof options !== 'object') {
      throw new AppError('invalid', 'spawn: expected target, host, arguments and options')
    }
    if (remoteHost(host) !== undefined) throw new AppError('invalid', `spawn: ${host} is not a host of this node`)
    const spawned = spawner.spawn(target, host, args, options ?? {}, from instanceof Pid ? from : undefined)
    // In the turn of its birth: it has not run yet.
    if (spawned instanceof Pid && typeof spawned.id === 'number') {
      system.suspend(spawned)
      system.clock.after(holdMs, () => system.resume(spawned))
    }
    return spawned
  })
  cluster.serve(resumeService, (pid) => {
    if (pid instanceof Pid) system.resume(pid)
    return null
  })
}

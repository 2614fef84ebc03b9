import { behavior, next, programMessage, type ActorSystem, type GroupNotice, type Notice } from '@daruma/actors'
import { AppError, type Pid, type Ref } from '@daruma/protocol'
import { viewOf, type PgScope, type Registry } from '@daruma/registry'
import type { NodeParts } from '../parts.ts'
import type { RequestHandlers } from './table.ts'

/**
 * Process groups, over the groups of the actor system: those of the default scope are the system's own, so that Lua and
 * TypeScript processes meet in them. A `pg.scope` entry has groups of its own. On a single node all members are local.
 */
export function pgRequests(parts: Pick<NodeParts, 'system' | 'registry'>): RequestHandlers {
  const { system, registry } = parts
  const watchers = new GroupWatchers(system)

  return {
    'pg.join': ({ scope: id, groups }, scope) => {
      const limits = limitsOf(registry, id)
      const keys = groups.map((group) => keyOf(id, group))
      // All or none: what is refused is found out before the first is joined.
      refuseOverLimits(system, id, keys, scope.self, limits)
      for (const key of keys) {
        watchers.beforeJoin(key)
        system.groups.join(key, scope.self)
      }
      return null
    },
    'pg.leave': ({ scope: id, groups }, scope) => {
      limitsOf(registry, id)
      for (const group of groups) system.groups.leave(keyOf(id, group), scope.self)
      return null
    },
    'pg.members': ({ scope: id, group }) => {
      limitsOf(registry, id)
      return system.groups.members(keyOf(id, group))
    },
    'pg.groups': ({ scope: id }) => {
      limitsOf(registry, id)
      return groupsOf(system, id)
    },
    'pg.broadcast': ({ scope: id, group, topic, payload }, scope) => {
      limitsOf(registry, id)
      return system.groups.broadcast(keyOf(id, group), programMessage(topic, payload, scope.self))
    },
    'pg.monitor': ({ scope: id, group, topic }, scope) => {
      limitsOf(registry, id)
      const names = group === undefined ? groupsOf(system, id) : [group]
      watchers.watch({ pid: scope.self, scope: id, group, topic })
      return Object.fromEntries(names.map((name) => [name, system.groups.members(keyOf(id, name))]))
    },
    'pg.demonitor': ({ topic }, scope) => {
      watchers.unwatch(scope.self, topic)
      return null
    },
  }
}

/** Groups of a scope stand beside the default ones under names that nobody writes. */
const keyOf = (scope: string | undefined, group: string): string => (scope === undefined ? group : `${scope}\0${group}`)

function splitKey(key: string): { readonly scope: string | undefined; readonly group: string } {
  const at = key.indexOf('\0')
  return at < 0 ? { scope: undefined, group: key } : { scope: key.slice(0, at), group: key.slice(at + 1) }
}

function groupsOf(system: ActorSystem, scope: string | undefined): readonly string[] {
  const inhabited = system.groups.names().filter((key) => system.groups.members(key).length > 0)
  return inhabited.map(splitKey).flatMap((each) => (each.scope === scope ? [each.group] : []))
}

function limitsOf(registry: Registry, scope: string | undefined): PgScope | undefined {
  if (scope === undefined) return undefined
  const entry = registry.get(scope)
  if (entry?.kind === 'pg.scope') return viewOf(entry, 'pg.scope')
  const hint = entry === undefined ? '' : `: it is a ${entry.kind}`
  throw new AppError('not_found', `no pg.scope ${scope}${hint}`, undefined, { retryable: false })
}

function refuseOverLimits(
  system: ActorSystem,
  scope: string | undefined,
  keys: readonly string[],
  pid: Pid,
  limits: PgScope | undefined,
): void {
  if (limits === undefined) return
  const { maxGroups, maxMembersPerGroup } = limits
  const refuse = (what: string): never => {
    throw new AppError('rate_limited', `${scope}: ${what}`, undefined, { retryable: true })
  }
  const known = new Set(groupsOf(system, scope).map((group) => keyOf(scope, group)))
  const total = new Set([...known, ...keys]).size
  if (maxGroups > 0 && total > known.size && total > maxGroups) refuse(`it may have ${maxGroups} groups`)
  for (const key of keys) {
    const members = system.groups.members(key)
    if (maxMembersPerGroup > 0 && members.length >= maxMembersPerGroup && !members.some((member) => member === pid)) {
      refuse(`the group ${splitKey(key).group} may have ${maxMembersPerGroup} members`)
    }
  }
}

interface Watch {
  readonly pid: Pid
  readonly scope: string | undefined
  /** Undefined: all groups of the scope. */
  readonly group: string | undefined
  readonly topic: string
}

/**
 * Passes joins and leaves on to programs. A program is told nothing about groups by the runtime itself, so one process of
 * the node's listens for all of them. It hears of every group that it was told of before somebody joined: those that
 * programs join, and those that were there when a program began to watch.
 */
class GroupWatchers {
  readonly #system: ActorSystem
  readonly #watches = new Map<string, Map<string, Watch>>()
  readonly #heard = new Map<string, Ref>()
  #listener: Pid | undefined = undefined

  constructor(system: ActorSystem) {
    this.#system = system
  }

  /** The same topic again replaces. */
  watch(watch: Watch): void {
    const pid = String(watch.pid)
    if (!this.#watches.has(pid)) {
      this.#watches.set(pid, new Map())
      this.#system.watchExit(watch.pid, () => {
        this.#watches.delete(pid)
        this.#forgetUnwatched()
      })
    }
    this.#watches.get(pid)!.set(watch.topic, watch)
    if (watch.group !== undefined) this.#hear(keyOf(watch.scope, watch.group))
    else for (const group of groupsOf(this.#system, watch.scope)) this.#hear(keyOf(watch.scope, group))
  }

  unwatch(pid: Pid, topic: string): void {
    this.#watches.get(String(pid))?.delete(topic)
    this.#forgetUnwatched()
  }

  /** A group that is about to get its first member is of no use to those who watch all of them unless it is heard now. */
  beforeJoin(key: string): void {
    if (!this.#heard.has(key) && this.#interested(key).length > 0) this.#hear(key)
  }

  #interested(key: string): readonly Watch[] {
    const { scope, group } = splitKey(key)
    const all = [...this.#watches.values()].flatMap((byTopic) => [...byTopic.values()])
    return all.filter((watch) => watch.scope === scope && (watch.group === undefined || watch.group === group))
  }

  #hear(key: string): void {
    if (this.#heard.has(key)) return
    this.#heard.set(key, this.#system.groups.monitor(key, this.#living()).ref)
  }

  #forgetUnwatched(): void {
    for (const [key, ref] of this.#heard) {
      if (this.#interested(key).length > 0) continue
      this.#system.groups.demonitor(ref)
      this.#heard.delete(key)
    }
  }

  #living(): Pid {
    return (this.#listener ??= this.#system.spawn(
      behavior<never, undefined>({
        name: 'pg watcher',
        init: () => undefined,
        receive: () => next.same,
        notice: (_ctx, notice: Notice) => {
          if (notice.kind === 'group') this.#tell(notice)
          return next.same
        },
      }),
      { trapExits: true },
    ))
  }

  #tell({ group: key, change, pid }: GroupNotice): void {
    const event = { kind: change === 'joined' ? 'join' : 'leave', group: splitKey(key).group, pids: [pid] }
    for (const watch of this.#interested(key)) this.#system.cast(watch.pid, programMessage(watch.topic, [event]))
  }
}

import { behavior, next, programMessage, type ActorSystem, type GroupNotice, type Notice } from '@daruma/actors'
import { AppError, samePid, type Pid, type Ref } from '@daruma/protocol'
import { viewOf, type PgScope } from '@daruma/registry'
import type { NodeParts } from '../parts.ts'
import type { RequestHandlers } from './table.ts'

/**
 * Process groups: each `pg.scope` entry has groups of its own, kept by the actor system under `groupName`, so that
 * TypeScript actors can join them, too. A process leaves by ending. On a single node all members are local.
 */
export function pgRequests(parts: Pick<NodeParts, 'system' | 'registry'>): RequestHandlers {
  const { system } = parts
  const { groups } = system
  const watchers = new GroupWatchers(system)

  return {
    'pg.open': ({ scope: id }) => {
      scopeOf(parts, id)
      return null
    },
    'pg.join': ({ scope: id, groups: names }, scope) => {
      // All or none: what is refused is found out before the first is joined.
      refuseOverLimits(system, id, names, scope.self, scopeOf(parts, id))
      for (const name of names) {
        watchers.beforeJoin(id, name)
        groups.join(groupName(id, name), scope.self)
      }
      return null
    },
    'pg.leave': ({ scope: id, groups: names }, scope) => {
      scopeOf(parts, id)
      const left = names.filter((name) => groups.leave(groupName(id, name), scope.self))
      if (left.length > 0) return null
      throw new AppError('invalid', `this process is in no group ${names.join(', ')} of ${id}`, undefined, {
        retryable: false,
      })
    },
    'pg.members': ({ scope: id, group }) => {
      scopeOf(parts, id)
      return groups.members(groupName(id, group))
    },
    'pg.groups': ({ scope: id }) => {
      scopeOf(parts, id)
      return groupsOf(system, id)
    },
    'pg.broadcast': ({ scope: id, group, topic, payload }, scope) => {
      scopeOf(parts, id)
      groups.broadcast(groupName(id, group), programMessage(topic, payload, scope.self))
      return null
    },
    'pg.monitor': ({ scope: id, group, topic }, scope) => {
      scopeOf(parts, id)
      const names = group === undefined ? groupsOf(system, id) : [group]
      watchers.watch({ pid: scope.self, scope: id, group, topic })
      return Object.fromEntries(names.map((name) => [name, groups.members(groupName(id, name))]))
    },
    'pg.demonitor': ({ topic }, scope) => {
      watchers.unwatch(scope.self, topic)
      return null
    },
  }
}

/** What the group of a scope is called in the actor system. */
export const groupName = (scope: string, group: string): string => `${scope}\0${group}`

function splitName(name: string): { readonly scope: string; readonly group: string } {
  const at = name.indexOf('\0')
  return { scope: name.slice(0, Math.max(at, 0)), group: name.slice(at + 1) }
}

function groupsOf({ groups }: ActorSystem, scope: string): readonly string[] {
  const inhabited = groups.names().filter((name) => groups.members(name).length > 0)
  return inhabited.map(splitName).flatMap((each) => (each.scope === scope ? [each.group] : []))
}

function scopeOf({ registry, system }: Pick<NodeParts, 'system' | 'registry'>, id: string): PgScope {
  if (system.isClustered) {
    // Groups that only seem to hold for all nodes would be worse than none.
    const message = `pg.scope ${id}: groups are not kept across nodes by this version; run this app on a node without --cluster`
    throw new AppError('invalid', message, undefined, { retryable: false })
  }
  const entry = registry.get(id)
  if (entry?.kind === 'pg.scope') return viewOf(entry, 'pg.scope')
  const hint = entry === undefined ? '' : `: it is a ${entry.kind}`
  throw new AppError('not_found', `no pg.scope ${id}${hint}`, undefined, { retryable: false })
}

function refuseOverLimits(
  system: ActorSystem,
  scope: string,
  wanted: readonly string[],
  pid: Pid,
  { maxGroups, maxMembersPerGroup }: PgScope,
): void {
  const refuse = (what: string): never => {
    throw new AppError('rate_limited', `${scope}: ${what}`, undefined, { retryable: true })
  }
  const known = groupsOf(system, scope)
  const total = new Set([...known, ...wanted]).size
  if (maxGroups > 0 && total > known.length && total > maxGroups) refuse(`it may have ${maxGroups} groups`)
  if (maxMembersPerGroup === 0) return
  for (const group of wanted) {
    const members = system.groups.members(groupName(scope, group))
    if (members.length >= maxMembersPerGroup && !members.some((member) => samePid(member, pid))) {
      refuse(`the group ${group} may have ${maxMembersPerGroup} members`)
    }
  }
}

interface Watch {
  readonly pid: Pid
  readonly scope: string
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
    const groups = watch.group === undefined ? groupsOf(this.#system, watch.scope) : [watch.group]
    for (const group of groups) this.#hear(groupName(watch.scope, group))
  }

  unwatch(pid: Pid, topic: string): void {
    this.#watches.get(String(pid))?.delete(topic)
    this.#forgetUnwatched()
  }

  /** A group that is about to get its first member is of no use to those who watch all of them unless it is heard now. */
  beforeJoin(scope: string, group: string): void {
    const name = groupName(scope, group)
    if (!this.#heard.has(name) && this.#interested(name).length > 0) this.#hear(name)
  }

  #interested(name: string): readonly Watch[] {
    const { scope, group } = splitName(name)
    const all = [...this.#watches.values()].flatMap((byTopic) => [...byTopic.values()])
    return all.filter((watch) => watch.scope === scope && (watch.group === undefined || watch.group === group))
  }

  #hear(name: string): void {
    if (this.#heard.has(name)) return
    this.#heard.set(name, this.#system.groups.monitor(name, this.#living()).ref)
  }

  #forgetUnwatched(): void {
    for (const [name, ref] of this.#heard) {
      if (this.#interested(name).length > 0) continue
      this.#system.groups.demonitor(ref)
      this.#heard.delete(name)
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

  #tell({ group: name, change, pid }: GroupNotice): void {
    const { group } = splitName(name)
    const event = { system: 'pg', kind: `member.${change}`, path: group, data: { Group: group, PIDs: [pid] } }
    for (const watch of this.#interested(name)) this.#system.cast(watch.pid, programMessage(watch.topic, [event]))
  }
}

import type { EntryId } from '@daruma/protocol'
import type { Entry } from './entry.ts'
import { referencesOf } from './references.ts'

export interface Edge {
  readonly from: EntryId
  readonly to: EntryId
}

export type StartOrder =
  /** Everything in one level may start at once, after all levels before it. Stop in reverse. */
  | { readonly kind: 'ordered'; readonly levels: readonly (readonly Entry[])[] }
  | { readonly kind: 'cyclic'; readonly cycles: readonly (readonly EntryId[])[] }

/**
 * Levels in which `entries` can be started: an entry stands after all that it requires or refers to.
 * Entries that `isWanted` leaves out still order those around them. Within a level ids are sorted, so that the order is
 * the same on every node. References to entries that are not there order nothing.
 */
export function startOrder(entries: Iterable<Entry>, isWanted: (entry: Entry) => boolean = () => true): StartOrder {
  const all = new Map<EntryId, Entry>()
  for (const entry of entries) all.set(entry.id, entry)
  const targets = new Map<EntryId, readonly EntryId[]>()
  for (const entry of all.values()) targets.set(entry.id, orderedAfter(entry, all))
  const edges = [...targets].flatMap(([from, tos]) => tos.map((to) => ({ from, to })))
  const cycles = cyclesOf(edges)
  if (cycles.length > 0) return { kind: 'cyclic', cycles }

  const levels = new Map<EntryId, number>()
  // The first level of an entry that is left out is that of what it stands on, so that it costs no level of its own.
  const levelAfter = (id: EntryId): number => {
    const known = levels.get(id)
    if (known !== undefined) return known
    const below = Math.max(0, ...targets.get(id)!.map(levelAfter))
    const level = isWanted(all.get(id)!) ? below + 1 : below
    levels.set(id, level)
    return level
  }
  const byLevel: Entry[][] = []
  for (const entry of [...all.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    const level = levelAfter(entry.id)
    if (isWanted(entry)) (byLevel[level - 1] ??= []).push(entry)
  }
  return { kind: 'ordered', levels: byLevel }
}

/** Everything that must run before `id` can, nearest last; without `id` itself. */
export function dependenciesOf(entries: ReadonlyMap<EntryId, Entry>, id: EntryId): EntryId[] {
  const seen = new Set<EntryId>([id])
  const found: EntryId[] = []
  const visit = (from: EntryId): void => {
    const entry = entries.get(from)
    if (entry === undefined) return
    for (const to of orderedAfter(entry, entries)) {
      if (seen.has(to)) continue
      seen.add(to)
      visit(to)
      found.push(to)
    }
  }
  visit(id)
  return found
}

function orderedAfter(entry: Entry, entries: ReadonlyMap<EntryId, Entry>): EntryId[] {
  const targets = referencesOf(entry)
    .filter(({ target, spec }) => spec.order && entries.has(target))
    .map(({ target }) => target)
  return [...new Set(targets)]
}

/** `app:a -> app:b -> app:a` */
export function formatCycle(cycle: readonly EntryId[]): string {
  return [...cycle, cycle[0]].join(' -> ')
}

/**
 * One shortest cycle for each knot of ids that reach each other, starting with the knot's smallest id.
 * Empty exactly when the edges can be put in order.
 */
export function cyclesOf(edges: readonly Edge[]): EntryId[][] {
  const next = targetsOf(knotted(edges))
  const cycles: EntryId[][] = []
  const settled = new Set<EntryId>()
  for (const start of [...next.keys()].toSorted()) {
    if (settled.has(start)) continue
    const cycle = shortestCycle(start, next)
    if (cycle === undefined) continue
    cycles.push(cycle)
    // The rest of this knot is the same fault: whoever mends it is told of what remains.
    const ahead = reachable(start, next)
    for (const id of ahead) if (reachable(id, next).has(start)) settled.add(id)
  }
  return cycles
}

function targetsOf(edges: readonly Edge[]): Map<EntryId, EntryId[]> {
  const next = new Map<EntryId, EntryId[]>()
  for (const { from, to } of edges) {
    const targets = next.get(from)
    if (targets === undefined) next.set(from, [to])
    else targets.push(to)
  }
  return next
}

/** What is left when ids that point at nothing (left) are taken away again and again. Sound apps leave nothing. */
function knotted(edges: readonly Edge[]): Edge[] {
  const sources = targetsOf(edges.map(({ from, to }) => ({ from: to, to: from })))
  const open = new Map<EntryId, number>()
  for (const { from, to } of edges) {
    open.set(from, (open.get(from) ?? 0) + 1)
    if (!open.has(to)) open.set(to, 0)
  }
  const free = [...open.keys()].filter((id) => open.get(id) === 0)
  for (const id of free) {
    for (const source of sources.get(id) ?? []) {
      const left = open.get(source)! - 1
      open.set(source, left)
      if (left === 0) free.push(source)
    }
  }
  return edges.filter(({ from, to }) => open.get(from)! > 0 && open.get(to)! > 0)
}

function shortestCycle(start: EntryId, next: ReadonlyMap<EntryId, readonly EntryId[]>): EntryId[] | undefined {
  const cameFrom = new Map<EntryId, EntryId>()
  const queue = [start]
  for (const id of queue) {
    for (const target of (next.get(id) ?? []).toSorted()) {
      if (target === start) {
        const path = [id]
        while (path[0] !== start) path.unshift(cameFrom.get(path[0]!)!)
        return path
      }
      if (cameFrom.has(target)) continue
      cameFrom.set(target, id)
      queue.push(target)
    }
  }
  return undefined
}

function reachable(start: EntryId, next: ReadonlyMap<EntryId, readonly EntryId[]>): Set<EntryId> {
  const seen = new Set<EntryId>([start])
  for (const id of seen) for (const target of next.get(id) ?? []) seen.add(target)
  return seen
}

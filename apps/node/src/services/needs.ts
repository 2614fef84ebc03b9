import { AppError, type EntryId } from '@daruma/protocol'
import { dependenciesOf, formatCycle, startOrder, type Entry } from '@daruma/registry'

/** Which services stand on which, through whatever entries lie between them. */
export interface Needs {
  /** Every service after all that it requires. */
  readonly order: readonly EntryId[]
  /** All that `id` requires, directly or not, in start order. */
  of(id: EntryId): readonly EntryId[]
  /** All that require `id`, directly or not, in start order. */
  by(id: EntryId): readonly EntryId[]
}

/** @throws AppError invalid - the entries require each other in a circle; the text says which */
export function needsOf(entries: readonly Entry[], isService: (entry: Entry) => boolean): Needs {
  const order = startOrder(entries, isService)
  if (order.kind === 'cyclic') {
    const cycles = order.cycles.map(formatCycle)
    throw new AppError('invalid', `entries require each other: ${cycles.join('; ')}`, { cycles }, { retryable: false })
  }
  const ids = order.levels.flatMap((level) => level.map(({ id }) => id))
  const all = new Map(entries.map((entry) => [entry.id, entry]))
  const of = new Map<EntryId, readonly EntryId[]>()
  const by = new Map<EntryId, EntryId[]>(ids.map((id) => [id, []]))
  for (const id of ids) {
    const required = new Set(dependenciesOf(all, id))
    of.set(
      id,
      ids.filter((other) => required.has(other)),
    )
    for (const other of of.get(id)!) by.get(other)!.push(id)
  }
  return { order: ids, of: (id) => of.get(id) ?? [], by: (id) => by.get(id) ?? [] }
}

import { AppError } from '@daruma/protocol'
import { isKind, viewOf, type Entry, type Lifecycle } from '@daruma/registry'

/** The `lifecycle` of an entry with its defaults. @throws AppError invalid - its kind has none */
export function lifecycleOf(entry: Entry): Lifecycle {
  const view: object = isKind(entry.kind) ? viewOf(entry, entry.kind) : {}
  if ('lifecycle' in view) return view.lifecycle as Lifecycle
  throw new AppError('invalid', `${entry.id} is a ${entry.kind}, which has no lifecycle and cannot be a service`)
}

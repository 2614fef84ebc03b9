import type { EntryId } from '@daruma/protocol'
import type { Entries } from './changes.ts'
import type { Entry } from './entry.ts'

interface State {
  /** The state that `changes` starts from; undefined: the first state, whose changes are all its entries. */
  base: number | undefined
  /** Null: not there any more. */
  changes: ReadonlyMap<EntryId, Entry | null>
}

/**
 * States by number, each stored as what it changed: a thousand versions of a large app cost what their changes cost.
 * Entries are shared between states, so that equal ones are the same object.
 */
export class StateStore {
  readonly #states = new Map<number, State>()

  constructor(first: Entries) {
    this.#states.set(0, { base: undefined, changes: first })
  }

  /** `entries` as state `id`, which was made from state `base`. */
  add(id: number, entries: Entries, base: number, baseEntries: Entries): void {
    const changes = new Map<EntryId, Entry | null>()
    for (const [entryId, entry] of entries) if (baseEntries.get(entryId) !== entry) changes.set(entryId, entry)
    for (const entryId of baseEntries.keys()) if (!entries.has(entryId)) changes.set(entryId, null)
    this.#states.set(id, { base, changes })
  }

  has(id: number): boolean {
    return this.#states.has(id)
  }

  /** Ascending. */
  ids(): number[] {
    return [...this.#states.keys()]
  }

  /** All entries of state `id`, which must be stored. Takes time that grows with the states between it and the first. */
  entries(id: number): Entries {
    const chain: State[] = []
    for (let at: number | undefined = id; at !== undefined; at = chain.at(-1)!.base) chain.push(this.#states.get(at)!)
    const entries = new Map<EntryId, Entry>()
    for (const { changes } of chain.toReversed()) {
      for (const [entryId, entry] of changes) {
        if (entry === null) entries.delete(entryId)
        else entries.set(entryId, entry)
      }
    }
    return entries
  }

  /** Drops state `id`, not the first one. States that were made from it stay as they were. */
  forget(id: number): void {
    const gone = this.#states.get(id)!
    this.#states.delete(id)
    for (const state of this.#states.values()) {
      if (state.base !== id) continue
      state.base = gone.base
      state.changes = new Map([...gone.changes, ...state.changes])
    }
  }
}

import { AppError, type EntryId } from '@daruma/protocol'
import { buildDelta, decideChanges, refuseBroken, type Entries, type Operation } from './changes.ts'
import { importsOf } from './check.ts'
import { type Entry, type EntryInput } from './entry.ts'
import { rememberReferences } from './references.ts'
import { StateStore } from './states.ts'
import { findEntries, type Filter, type Found } from './find.ts'

/** One state that the registry had. Compare ids; neighbours are those in the list of versions at the time of asking. */
export interface Version {
  readonly id: number
  previous(): Version | undefined
  next(): Version | undefined
  toString(): string
}

/** All entries as of one version. Never changes. */
export interface Snapshot {
  readonly version: Version
  /** Sorted by id. */
  entries(): readonly Entry[]
  get(id: string): Entry | undefined
  find(filter: Filter): Found
  namespace(namespace: string): readonly Entry[]
  /** A changeset that conflicts with whatever touches its entries from now on. */
  changes(): Changes
}

/** Steps that are applied together or not at all. */
export interface Changes {
  create(entry: EntryInput): this
  update(entry: EntryInput): this
  delete(id: string): this
  ops(): readonly Operation[]
  /**
   * Makes the steps the current state and returns its version. When it returns, watchers have been told and new calls
   * meet the new entries. When it throws, nothing was applied (but see `watch` for a watcher that throws).
   *
   * @throws AppError invalid - there are no steps, or an entry cannot be stored
   * @throws AppError conflict - an entry is there, is not there, or was changed since the snapshot
   * @throws AppError internal - the new state would be broken, or a guard refused it
   */
  apply(): Version
}

/** What one version did to the one that was current before it. */
export interface RegistryChange {
  readonly version: Version
  readonly created: readonly Entry[]
  readonly updated: readonly { readonly before: Entry; readonly after: Entry }[]
  readonly deleted: readonly Entry[]
  /** Code that did not change itself, but imports, directly or not, what did. */
  readonly invalidated: readonly Entry[]
}

export interface History {
  versions(): readonly Version[]
  getVersion(id: number): Version | undefined
  /** @throws AppError not_found - the version is not kept any more */
  snapshotAt(version: Version): Snapshot
}

export interface RegistryOptions {
  /** States kept for rollback, the first and the current one apart. Default 1_000; the oldest go first. */
  readonly maxVersions?: number
}

/**
 * The entries of an app while it runs, with every state that they had.
 *
 * - R1 A state is checked as a whole before it becomes current, by the same rules as a folder that is loaded.
 * - R2 Version ids only grow. Version 0 is the state at boot and is always kept.
 * - R3 A rollback makes an old version current under its old id; the versions after it stay, and can be applied again.
 * - R4 Everything is synchronous: when a call returns, the state that it asked for is in force and all watchers know.
 */
export interface Registry {
  get(id: string): Entry | undefined
  find(filter: Filter): Found
  entries(): readonly Entry[]
  snapshot(): Snapshot
  /** @throws AppError invalid - 0, the boot state, which only `history` gives; not_found - no such version */
  snapshotAt(versionId: number): Snapshot
  currentVersion(): Version
  /** Sorted by id. */
  versions(): readonly Version[]
  history(): History
  changes(): Changes
  /** @throws AppError not_found - no such version; internal - a guard refused */
  applyVersion(version: Version): true
  buildDelta(from: Iterable<EntryInput>, to: Iterable<EntryInput>): Operation[]
  /**
   * Calls `check` before a state becomes current; what it throws keeps the state from being applied (as internal, or as
   * itself where it is an AppError of kind conflict or internal). Returns how to stop.
   */
  guard(check: (change: RegistryChange) => void): () => void
  /**
   * Calls `tell` after each change, in the order of registration, before `apply` returns. Returns how to stop.
   * A watcher must not throw: refusing is for guards. One that does leaves the version in force, does not keep the others
   * from being told, and makes `apply` throw internal.
   */
  watch(tell: (change: RegistryChange) => void): () => void
}

/** @throws AppError internal - `entries` do not fit each other; those of a loaded app always do */
export function createRegistry(entries: Iterable<Entry>, options: RegistryOptions = {}): Registry {
  const maxVersions = options.maxVersions ?? 1_000
  const references = rememberReferences()
  const guards = new Set<(change: RegistryChange) => void>()
  const watchers = new Set<(change: RegistryChange) => void>()
  let current = { id: 0, entries: new Map([...entries].map((entry) => [entry.id, entry])) as Entries }
  let lastId = 0
  let isApplying = false
  refuseBroken(current.entries, references)
  const states = new StateStore(current.entries)

  function versionOf(id: number): Version {
    return Object.freeze({
      id,
      previous: () => neighbour(states.ids().findLast((known) => known < id)),
      next: () => neighbour(states.ids().find((known) => known > id)),
      toString: () => `Version ${id}`,
    })
  }

  const neighbour = (id: number | undefined): Version | undefined => (id === undefined ? undefined : versionOf(id))
  const versionList = (): Version[] => states.ids().map(versionOf)

  function checkKnown(id: number): void {
    if (states.has(id)) return
    throw new AppError('not_found', `no version ${id}; known: ${states.ids().slice(-20).join(', ')}`)
  }

  /** `commit` stores the state, once no guard objects. */
  function makeCurrent(id: number, next: Entries, commit: () => void): Version {
    if (isApplying) {
      throw new AppError('conflict', 'the registry is being changed; a guard or watcher cannot change it again')
    }
    isApplying = true
    try {
      const change: RegistryChange = { version: versionOf(id), ...difference(current.entries, next) }
      for (const check of guards) ask(check, change)
      commit()
      current = { id, entries: next }
      forgetOldest()
      tellAll(change)
      return change.version
    } finally {
      isApplying = false
    }
  }

  function tellAll(change: RegistryChange): void {
    const errors: unknown[] = []
    for (const tell of watchers) {
      try {
        tell(change)
      } catch (error) {
        errors.push(error) // one watcher's failure must not keep the others on the old state
      }
    }
    if (errors.length === 0) return
    throw new AppError('internal', `version ${change.version.id} is in force, but a watcher failed`, undefined, {
      cause: errors[0],
    })
  }

  function forgetOldest(): void {
    const forgettable = states.ids().filter((id) => id !== 0 && id !== current.id)
    for (const id of forgettable.slice(0, Math.max(0, forgettable.length - maxVersions))) states.forget(id)
  }

  function changesOn(base: Entries): Changes {
    const operations: Operation[] = []
    return {
      create(entry) {
        operations.push({ kind: 'entry.create', entry })
        return this
      },
      update(entry) {
        operations.push({ kind: 'entry.update', entry })
        return this
      },
      delete(id) {
        operations.push({ kind: 'entry.delete', entry: { id } })
        return this
      },
      ops: () => [...operations],
      apply() {
        const next = decideChanges(current.entries, base, operations, references)
        const id = lastId + 1
        return makeCurrent(id, next, () => {
          states.add(id, next, current.id, current.entries)
          lastId = id
        })
      },
    }
  }

  function snapshotOf(id: number, stateEntries: Entries): Snapshot {
    return {
      version: versionOf(id),
      entries: () => sorted(stateEntries.values()),
      get: (entryId) => stateEntries.get(entryId as EntryId),
      find: (filter) => findEntries(stateEntries.values(), filter),
      namespace: (namespace) => findEntries(stateEntries.values(), { '.ns': namespace }).entries,
      changes: () => changesOn(stateEntries),
    }
  }

  function snapshotAt(id: number): Snapshot {
    checkKnown(id)
    return snapshotOf(id, id === current.id ? current.entries : states.entries(id))
  }

  return {
    get: (id) => current.entries.get(id as EntryId),
    find: (filter) => findEntries(current.entries.values(), filter),
    entries: () => sorted(current.entries.values()),
    snapshot: () => snapshotOf(current.id, current.entries),
    snapshotAt(versionId) {
      if (versionId === 0) {
        throw new AppError('invalid', 'version 0 is the state at boot; ask the history for it, by its version')
      }
      return snapshotAt(versionId)
    },
    currentVersion: () => versionOf(current.id),
    versions: versionList,
    history: () => ({
      versions: versionList,
      getVersion: (id) => (states.has(id) ? versionOf(id) : undefined),
      snapshotAt: (version) => snapshotAt(version.id),
    }),
    changes: () => changesOn(current.entries),
    applyVersion({ id }) {
      checkKnown(id)
      if (id !== current.id) makeCurrent(id, states.entries(id), () => undefined)
      return true
    },
    buildDelta,
    guard: (check) => register(guards, check),
    watch: (tell) => register(watchers, tell),
  }
}

function ask(check: (change: RegistryChange) => void, change: RegistryChange): void {
  try {
    check(change)
  } catch (error) {
    if (error instanceof AppError && (error.kind === 'conflict' || error.kind === 'internal')) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new AppError('internal', `nothing was applied: ${reason}`, undefined, { retryable: false, cause: error })
  }
}

function register<T>(set: Set<T>, member: T): () => void {
  set.add(member)
  return () => void set.delete(member)
}

function sorted(entries: Iterable<Entry>): Entry[] {
  return [...entries].toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

function difference(before: Entries, after: Entries): Omit<RegistryChange, 'version'> {
  const created = sorted([...after.values()].filter((entry) => !before.has(entry.id)))
  const deleted = sorted([...before.values()].filter((entry) => !after.has(entry.id)))
  const changed = [...after.values()].filter((entry) => before.has(entry.id) && before.get(entry.id) !== entry)
  const updated = sorted(changed).map((entry) => ({ before: before.get(entry.id)!, after: entry }))
  const touched = new Set<EntryId>([...created, ...deleted].map(({ id }) => id))
  for (const { after: entry } of updated) touched.add(entry.id)
  return { created, updated, deleted, invalidated: importersOf(after, touched) }
}

/** Entries that import one of `touched`, or import one that does, and are not touched themselves. */
function importersOf(entries: Entries, touched: ReadonlySet<EntryId>): Entry[] {
  const importers = new Map<EntryId, EntryId[]>()
  for (const entry of entries.values()) {
    for (const target of importsOf(entry)) {
      const known = importers.get(target)
      if (known === undefined) importers.set(target, [entry.id])
      else known.push(entry.id)
    }
  }
  const reached = new Set<EntryId>(touched)
  for (const id of reached) for (const importer of importers.get(id) ?? []) reached.add(importer)
  return sorted([...reached].filter((id) => !touched.has(id)).map((id) => entries.get(id)!))
}

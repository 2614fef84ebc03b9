import { AppError } from '@daruma/protocol'
import type { HostResult, LuaValue } from '../engine.ts'
import { failure } from '../error-object.ts'
import { sessionOf, type Session } from '../session.ts'
import { HostObject, hostClass, toData, type HostMethod } from '../value.ts'
import { invalid, isTable, requireInteger, requireName, requireTable, requireText, typeName } from './support/args.ts'
import { deltaOf, findEntries, ignoredKeys, splitId, type EntryFilter } from './support/find-entries.ts'
import { failWith, fallible, type LuaModule } from './support/module.ts'
import { requireEntryId } from './support/sending.ts'
import { ask, type EntryOp, type EntryRecord, type VersionRecord } from './requests.ts'

/* ------------------------------------------------------------------------------------------------ versions */

const versionClass = hostClass<VersionRecord>({
  name: 'Version',
  methods: {
    id: ({ state }) => [state.id],
    string: ({ state }) => [state.text],
    previous: ({ state }, ctx) => neighbour(sessionOf(ctx), state, -1),
    next: ({ state }, ctx) => neighbour(sessionOf(ctx), state, 1),
  },
  tostring: ({ state }) => `Version(${state.text})`,
  eq: (left, right) => isVersion(left) && isVersion(right) && left.state.id === right.state.id,
})

type Version = HostObject<VersionRecord>
const isVersion = (value: LuaValue): value is Version => HostObject.is(value, versionClass)
const version = (record: VersionRecord): Version => new HostObject(versionClass, record)

/** The one before or after in the list of all versions; nil at its ends. */
function neighbour(session: Session, { id }: VersionRecord, step: 1 | -1): HostResult {
  return ask(session, 'registry.versions', null, (versions) => {
    const at = versions.findIndex((each) => each.id === id)
    const found = at < 0 ? undefined : versions[at + step]
    return [found === undefined ? undefined : version(found)]
  })
}

const listVersions = (session: Session): HostResult =>
  ask(session, 'registry.versions', null, (versions) => [versions.map(version)])

function findVersion(session: Session, id: number, then: (found: VersionRecord) => HostResult): HostResult {
  return ask(session, 'registry.versions', null, (versions) => {
    const found = versions.find((each) => each.id === id)
    if (found === undefined) return failure(notFound(`no registry version ${id}`))
    return then(found)
  })
}

const notFound = (message: string): AppError => new AppError('not_found', message, undefined, { retryable: false })

/* ------------------------------------------------------------------------------------------------ entries */

const entryTable = ({ id, kind, meta, data }: EntryRecord): Record<string, unknown> => ({ id, kind, meta, data })

function filterOf(session: Session, value: LuaValue): EntryFilter {
  if (value === undefined) return {}
  const data = toData(requireTable(value, 'find: filter'))
  const filter = Array.isArray(data) ? {} : (data as Record<string, unknown>)
  for (const key of ignoredKeys(filter)) {
    session.host.log('warn', `registry.find ignores "${key}": keys are .kind, .name, .ns, .id and meta.<name>`)
  }
  return filter
}

function find(session: Session, value: LuaValue, at: { readonly version?: number }): HostResult {
  const filter = filterOf(session, value)
  return ask(session, 'registry.entries', at, (entries) => {
    try {
      return [findEntries(entries, filter).map(entryTable)]
    } catch (error) {
      return failWith(error)
    }
  })
}

/** An entry as a program writes it: kind, meta and data may be left out where they do not count. */
function entryRecord(value: LuaValue, what: string): EntryRecord {
  const data = toData(requireTable(value, what))
  const fields = (Array.isArray(data) ? {} : data) as Record<string, unknown>
  const { id, kind = '', meta = {}, data: content = {} } = fields
  if (typeof id !== 'string' || !id.includes(':')) throw invalid(`${what}: id must be namespace:name`)
  if (typeof kind !== 'string') throw invalid(`${what}: kind must be text`)
  return { id, kind, meta: recordOf(meta), data: recordOf(content) }
}

const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}

function entryId(value: LuaValue, what: string): string {
  if (isTable(value))
    return `${requireText(value.get('ns'), `${what}: ns`)}:${requireText(value.get('name'), `${what}: name`)}`
  return requireEntryId(value, what)
}

/* ------------------------------------------------------------------------------------------------ changes */

interface ChangesState {
  readonly base: number
  readonly ops: EntryOp[]
}

const chained =
  (add: (args: readonly LuaValue[]) => EntryOp): HostMethod<ChangesState> =>
  (self, _ctx, args) => {
    self.state.ops.push(add(args))
    return [self]
  }

const opTable = ({ kind, entry }: EntryOp): Record<string, unknown> => ({ kind, entry: entryTable(entry) })

const changesClass = hostClass<ChangesState>({
  name: 'Changes',
  methods: {
    create: chained(([entry]) => {
      const record = entryRecord(entry, 'create: entry')
      if (record.kind === '') throw invalid('create: kind must not be empty')
      return { kind: 'entry.create', entry: record }
    }),
    update: chained(([entry]) => ({ kind: 'entry.update', entry: entryRecord(entry, 'update: entry') })),
    delete: chained(([id]) => ({
      kind: 'entry.delete',
      entry: { id: entryId(id, 'delete: id'), kind: '', meta: {}, data: {} },
    })),
    ops: ({ state }) => [state.ops.map(opTable)],
    apply: ({ state }, ctx) => {
      if (state.ops.length === 0) return failure(invalid('apply: no changes to apply'))
      // A copy: the program may go on adding while the host works.
      const input = { base: state.base, ops: [...state.ops] }
      return ask(sessionOf(ctx), 'registry.apply', input, (record) => [version(record)])
    },
  },
  tostring: ({ state }) => `Changes(${state.ops.length})`,
})

/* ---------------------------------------------------------------------------------------- snapshots, history */

const snapshotClass = hostClass<VersionRecord>({
  name: 'Snapshot',
  methods: {
    version: ({ state }) => [version(state)],
    entries: ({ state }, ctx) =>
      ask(sessionOf(ctx), 'registry.entries', { version: state.id }, (entries) => [entries.map(entryTable)]),
    get: ({ state }, ctx, [id]) =>
      attempt(() =>
        ask(sessionOf(ctx), 'registry.get', { id: requireEntryId(id, 'get: id'), version: state.id }, (entry) => [
          entryTable(entry),
        ]),
      ),
    find: ({ state }, ctx, [filter]) => attempt(() => find(sessionOf(ctx), filter, { version: state.id })),
    namespace: ({ state }, ctx, [ns]) =>
      attempt(() => {
        const name = requireName(ns, 'namespace: name')
        return ask(sessionOf(ctx), 'registry.entries', { version: state.id }, (entries) => [
          entries.filter((entry) => splitId(entry.id).ns === name).map(entryTable),
        ])
      }),
    changes: ({ state }) => [new HostObject(changesClass, { base: state.id, ops: [] })],
  },
  tostring: ({ state }) => `Snapshot(${state.text})`,
})

const snapshot = (record: VersionRecord): HostObject<VersionRecord> => new HostObject(snapshotClass, record)

const historyClass = hostClass<null>({
  name: 'History',
  methods: {
    versions: (_self, ctx) => listVersions(sessionOf(ctx)),
    get_version: (_self, ctx, [id]) =>
      attempt(() => findVersion(sessionOf(ctx), requireInteger(id, 'get_version: id'), (found) => [version(found)])),
    snapshot_at: (_self, ctx, [at]) =>
      attempt(() => findVersion(sessionOf(ctx), versionId(at, 'snapshot_at: version'), (found) => [snapshot(found)])),
  },
  tostring: () => 'History',
})

function attempt(run: () => HostResult): HostResult {
  try {
    return run()
  } catch (error) {
    return failWith(error)
  }
}

function versionId(value: LuaValue, what: string): number {
  if (isVersion(value)) return value.state.id
  if (typeof value === 'number') return requireInteger(value, what)
  throw invalid(`${what}: expected a Version or its id, got ${typeName(value)}`)
}

export const registryModule: LuaModule = {
  name: 'registry',
  summary: 'The entries of the app: read, change, roll back.',
  deterministic: false,
  spec: {
    get: fallible((ctx, [id]) =>
      ask(sessionOf(ctx), 'registry.get', { id: requireEntryId(id, 'get: id') }, (entry) => [entryTable(entry)]),
    ),
    find: fallible((ctx, [filter]) => find(sessionOf(ctx), filter, {})),
    parse_id: fallible((_ctx, [id]) => [splitId(requireText(id, 'parse_id: id'))]),
    snapshot: fallible((ctx) => ask(sessionOf(ctx), 'registry.version', null, (record) => [snapshot(record)])),
    snapshot_at: fallible((ctx, [at]) => {
      const id = versionId(at, 'snapshot_at: version')
      if (id <= 0)
        throw invalid(
          `snapshot_at: ${id} is no version id; the state at boot is registry.history():snapshot_at(version)`,
        )
      return findVersion(sessionOf(ctx), id, (found) => [snapshot(found)])
    }),
    current_version: fallible((ctx) => ask(sessionOf(ctx), 'registry.version', null, (record) => [version(record)])),
    versions: fallible((ctx) => listVersions(sessionOf(ctx))),
    history: () => [new HostObject(historyClass, null)],
    apply_version: fallible((ctx, [at]) =>
      ask(sessionOf(ctx), 'registry.apply_version', { version: versionId(at, 'apply_version: version') }, () => [true]),
    ),
    build_delta: fallible((_ctx, [from, to]) => [
      deltaOf(entryList(from, 'build_delta: from'), entryList(to, 'build_delta: to')).map(opTable),
    ]),
  },
  docs: {
    'registry.get(id) -> {id, kind, meta, data} | nil, error': '',
    'registry.find(filter) -> entries | nil, error':
      'Keys `.kind .name .ns .id meta.x`; before `meta.`: `~` regular expression, `*` contains, `^` starts, `$` ends.',
    'registry.parse_id(id) -> {ns, name}': '',
    'registry.snapshot(), snapshot_at(id) -> snapshot | nil, error':
      '`version() entries() get(id) find(filter) namespace(ns) changes()`.',
    'registry.current_version(), versions()':
      '`id() string() previous() next()`; sorted by id, 0 is the state at boot.',
    'registry.history() -> history': '`versions() get_version(id) snapshot_at(version)`.',
    'registry.apply_version(version) -> true | nil, error': 'Rolls back or forward.',
    'registry.build_delta(from, to) -> ops': 'What turns one list of entries into another.',
    'changes:create(entry), update(entry), delete(id) -> changes':
      '`ops()`; `apply() -> version | nil, error`: all or nothing.',
  },
}

function entryList(value: LuaValue, what: string): readonly EntryRecord[] {
  return requireTable(value, what)
    .entries()
    .map(([, entry]) => entryRecord(entry, what))
}

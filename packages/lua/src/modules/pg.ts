import { formatPid, type Pid } from '@daruma/protocol'
import type { Channel, HostResult, LuaValue } from '../engine.ts'
import { sessionOf, type Session } from '../session.ts'
import { HostObject, hostClass, type HostMethod } from '../value.ts'
import { errorObject } from '../error-object.ts'
import { invalid, isTable, requireName } from './support/args.ts'
import { valueOf } from './support/message.ts'
import { failWith, fallible, type LuaModule } from './support/module.ts'
import { requireEntryId, requireTopic, sendable } from './support/sending.ts'
import { ask } from './requests.ts'

interface GroupsState {
  readonly scope: string
  isReleased: boolean
}

interface WatchState {
  readonly session: Session
  readonly scope: string
  readonly topic: string
  readonly channel: Channel
  isClosed: boolean
}

const watchClass = hostClass<WatchState>({
  name: 'pg.subscription',
  methods: {
    channel: ({ state }) => [state.channel],
    close: ({ state }) => {
      if (state.isClosed) return [true]
      state.isClosed = true
      const { session, scope, topic } = state
      session.mailbox.closePrivate(topic)
      return ask(session, 'pg.demonitor', { scope, topic }, () => [true])
    },
  },
  tostring: ({ state }) => `pg.subscription(${state.topic})`,
})

/** Names: one text or a list of them. */
function groupsOf(value: LuaValue, what: string): readonly string[] {
  if (isTable(value)) return value.entries().map(([, name]) => requireName(name, what))
  return [requireName(value, what)]
}

type Method = (scope: string, session: Session, args: readonly LuaValue[]) => HostResult

const texts = (pids: readonly Pid[] = []): readonly string[] => pids.map((pid) => formatPid(pid))

/** The members now, and what changes from then on: nothing can slip in between. */
function watch(scope: string, session: Session, group: string | undefined): HostResult {
  const topic = session.privateTopic('pg')
  const channel = session.mailbox.listenPrivately(topic, (event) => valueOf(session, event))
  const input = { scope, ...(group === undefined ? {} : { group }), topic }
  return session.askOutcome({ kind: 'request', handler: 'pg.monitor', input }, (completion) => {
    if ('error' in completion) {
      session.mailbox.closePrivate(topic)
      return [undefined, undefined, errorObject(completion.error)]
    }
    const members = completion.value as Readonly<Record<string, readonly Pid[]>>
    const snapshot =
      group === undefined
        ? Object.fromEntries(Object.entries(members).map(([name, pids]) => [name, texts(pids)]))
        : texts(members[group])
    return [new HostObject(watchClass, { session, scope, topic, channel, isClosed: false }), snapshot]
  })
}

const broadcast =
  (local: boolean): Method =>
  (scope, session, [group, topic, ...values]) => {
    const input = {
      scope,
      group: requireName(group, 'broadcast: group'),
      topic: requireTopic(topic, 'broadcast: topic'),
      payload: sendable(session, values),
      local,
    }
    return ask(session, 'pg.broadcast', input, () => [true])
  }

const members =
  (local: boolean): Method =>
  (scope, session, [group]) =>
    ask(session, 'pg.members', { scope, group: requireName(group, 'get_members: group'), local }, (pids) => [
      texts(pids),
    ])

const methods: Readonly<Record<string, Method>> = {
  join: (scope, session, [groups]) =>
    ask(session, 'pg.join', { scope, groups: groupsOf(groups, 'join: group') }, () => [true]),
  leave: (scope, session, [groups]) =>
    ask(session, 'pg.leave', { scope, groups: groupsOf(groups, 'leave: group') }, () => [true]),
  get_members: members(false),
  get_local_members: members(true),
  which_groups: (scope, session) => ask(session, 'pg.groups', { scope, local: false }),
  which_local_groups: (scope, session) => ask(session, 'pg.groups', { scope, local: true }),
  broadcast: broadcast(false),
  broadcast_local: broadcast(true),
  monitor: (scope, session, [group]) => watch(scope, session, requireName(group, 'monitor: group')),
  events: (scope, session) => watch(scope, session, undefined),
}

const ofScope =
  (method: Method): HostMethod<GroupsState> =>
  ({ state }, ctx, args) => {
    try {
      if (state.isReleased) throw invalid(`process groups of ${state.scope} were released`)
      return method(state.scope, sessionOf(ctx), args)
    } catch (error) {
      return failWith(error)
    }
  }

const groupsClass = hostClass<GroupsState>({
  name: 'pg',
  methods: {
    ...Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, ofScope(method)])),
    release: ({ state }) => {
      const wasHeld = !state.isReleased
      state.isReleased = true
      return [wasHeld]
    },
  },
  tostring: ({ state }) => `pg(${state.scope})`,
})

export const pgModule: LuaModule = {
  name: 'pg',
  summary: 'Process groups across the cluster.',
  deterministic: false,
  spec: {
    open: fallible((ctx, [id]) => {
      const scope = requireEntryId(id, 'pg.open: id')
      return ask(sessionOf(ctx), 'pg.open', { scope }, () => [
        new HostObject(groupsClass, { scope, isReleased: false }),
      ])
    }),
  },
  docs: {
    'pg.open(scope_id) -> groups | nil, error': 'The groups of a pg.scope entry.',
    'groups:join(group | groups), leave(group | groups) -> true | nil, error': 'This process.',
    'groups:get_members(group), get_local_members(group) -> pids | nil, error': '',
    'groups:which_groups(), which_local_groups() -> names | nil, error': '',
    'groups:broadcast(group, topic, ...), broadcast_local(...) -> true | nil, error': '',
    'groups:monitor(group) -> subscription, members | nil, nil, error':
      '`subscription:channel()` delivers {system, kind = "member.joined" | "member.left", path, data}; `close()`.',
    'groups:events() -> subscription, members by group | nil, nil, error': 'Of all groups.',
    'groups:release() -> boolean': 'Later calls are Invalid.',
  },
}

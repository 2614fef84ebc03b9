import { AppError, formatPid } from '@daruma/protocol'
import type { Pid, SpawnOptions } from '@daruma/protocol'
import type { HostFunction, HostResult, LuaValue } from '../engine.ts'
import { failure } from '../error-object.ts'
import { sessionOf, type Session } from '../session.ts'
import { HostObject, hostClass, toData } from '../value.ts'
import {
  invalid,
  isString,
  isTable,
  requireInteger,
  requireName,
  requireTable,
  requireText,
  textOf,
  typeName,
} from './support/args.ts'
import { actorKey, requireActor, requireScope, scopeKey } from './support/actor.ts'
import { messageOf, valueOf } from './support/message.ts'
import { fallible, type LuaModule } from './support/module.ts'
import { spawnOptions, type OptionTable } from './support/options.ts'
import { requireDestination, requireEntryId, requirePid, requireTopic, sendable } from './support/sending.ts'
import { ask, type NameScope } from './requests.ts'

interface SpawnerState {
  readonly context: Readonly<Record<string, unknown>>
  readonly options: OptionTable
  readonly name: string | undefined
  readonly messages: readonly { readonly topic: string; readonly payload: readonly unknown[] }[]
}

type SpawnKind = { readonly monitor: boolean; readonly link: boolean }

const plain: SpawnKind = { monitor: false, link: false }
const monitored: SpawnKind = { monitor: true, link: false }
const linked: SpawnKind = { monitor: false, link: true }
const linkedMonitored: SpawnKind = { monitor: true, link: true }

const bare: SpawnerState = { context: {}, options: {}, name: undefined, messages: [] }

const spawner = (state: SpawnerState): HostObject<SpawnerState> => new HostObject(spawnerClass, state)

/** Immutable: each `with_` gives another spawner. */
const spawnerClass = hostClass<SpawnerState>({
  name: 'spawner',
  methods: {
    with_context: ({ state }, _ctx, [values]) => [
      spawner({ ...state, context: { ...state.context, ...record(values, 'with_context: values') } }),
    ],
    with_options: ({ state }, _ctx, [options]) => [
      spawner({ ...state, options: { ...state.options, ...record(options, 'with_options: options') } }),
    ],
    with_actor: ({ state }, _ctx, [actor]) => [
      spawner({
        ...state,
        context: { ...state.context, [actorKey]: toData(requireActor(actor, 'with_actor: actor')) },
      }),
    ],
    with_scope: ({ state }, _ctx, [scope]) => [
      spawner({
        ...state,
        context: { ...state.context, [scopeKey]: toData(requireScope(scope, 'with_scope: scope')) },
      }),
    ],
    with_name: ({ state }, _ctx, [name]) => [spawner({ ...state, name: requireName(name, 'with_name: name') })],
    with_message: ({ state }, ctx, [topic, ...values]) => [
      spawner({
        ...state,
        messages: [
          ...state.messages,
          { topic: requireTopic(topic, 'with_message: topic'), payload: sendable(sessionOf(ctx), values) },
        ],
      }),
    ],
    spawn: ({ state }, ctx, args) => guarded(() => spawn(sessionOf(ctx), state, plain, args)),
    spawn_monitored: ({ state }, ctx, args) => guarded(() => spawn(sessionOf(ctx), state, monitored, args)),
    spawn_linked: ({ state }, ctx, args) => guarded(() => spawn(sessionOf(ctx), state, linked, args)),
    spawn_linked_monitored: ({ state }, ctx, args) =>
      guarded(() => spawn(sessionOf(ctx), state, linkedMonitored, args)),
    exec: ({ state }, ctx, args) => guarded(() => exec(sessionOf(ctx), state, args)),
  },
  tostring: () => 'spawner',
})

function record(value: LuaValue, what: string): Readonly<Record<string, unknown>> {
  const data = toData(requireTable(value, what))
  return Array.isArray(data) ? {} : (data as Record<string, unknown>)
}

function guarded(run: () => HostResult): HostResult {
  try {
    return run()
  } catch (error) {
    if (error instanceof Error) return failure(error)
    throw error
  }
}

function optionsOf(state: SpawnerState, kind: SpawnKind): SpawnOptions {
  return {
    ...spawnOptions(state.options),
    ...(kind.monitor ? { monitor: true } : {}),
    ...(kind.link ? { link: true } : {}),
    ...(state.name === undefined ? {} : { name: state.name }),
    ...(state.messages.length === 0 ? {} : { messages: state.messages }),
    ...(Object.keys(state.context).length === 0 ? {} : { context: state.context }),
  }
}

function spawn(
  session: Session,
  state: SpawnerState,
  kind: SpawnKind,
  [id, host, ...args]: readonly LuaValue[],
): HostResult {
  const target = requireEntryId(id, 'spawn: id')
  const hostId = requireName(host, 'spawn: host')
  // A workflow always hears of its children's ends: the journal has them anyway.
  const options = optionsOf(state, session.isWorkflow ? { ...kind, monitor: true } : kind)
  return session.ask({
    kind: 'spawn',
    target,
    host: hostId,
    args: sendable(session, args),
    ...(Object.keys(options).length === 0 ? {} : { options }),
  })
}

export function exec(session: Session, state: SpawnerState, [id, host, ...args]: readonly LuaValue[]): HostResult {
  const options = optionsOf(state, plain)
  return session.ask({
    kind: 'exec',
    target: requireEntryId(id, 'exec: id'),
    host: requireName(host, 'exec: host'),
    args: sendable(session, args),
    ...(Object.keys(options).length === 0 ? {} : { options }),
  })
}

export const execPlain = (session: Session, args: readonly LuaValue[]): HostResult => exec(session, bare, args)

const spawnAs = (kind: SpawnKind): HostFunction => fallible((ctx, args) => spawn(sessionOf(ctx), bare, kind, args))

const done = (): HostResult => [true]

/** link, unlink, monitor, unmonitor: facts about processes, which a workflow outlives. */
function relation(kind: 'link' | 'unlink' | 'monitor' | 'unmonitor'): HostFunction {
  return fallible((ctx, [destination]) => {
    const session = sessionOf(ctx)
    if (session.isWorkflow) {
      throw invalid(`process.${kind} is not supported in workflow context; a spawned child is monitored by itself`)
    }
    return session.ask({ kind, to: requireDestination(session, destination, `${kind}: destination`) }, done)
  })
}

function nameScope(value: LuaValue, what: string): NameScope {
  const scope = value === undefined ? 0 : requireInteger(value, what)
  if (scope !== 0 && scope !== 1 && scope !== 2 && scope !== 3) {
    throw invalid(`${what}: ${scope} is not one of process.registry.LOCAL, EVENTUAL, CONSISTENT, STRONG`)
  }
  return scope
}

const trapSlot = 'process.trap_links'

const setOptions: HostFunction = (ctx, [options]) => {
  const session = sessionOf(ctx)
  const problem = (text: string): HostResult => [false, invalid(text)]
  if (!isTable(options)) return problem('set_options: expected a table')
  let trap: boolean | undefined
  for (const [key, value] of options.entries()) {
    if (key !== 'trap_links')
      return problem(`set_options: unknown option "${isString(key) ? textOf(key) : typeName(key)}"; known: trap_links`)
    if (typeof value !== 'boolean') return problem('set_options: trap_links must be true or false')
    trap = value
  }
  if (trap === undefined) return [true]
  const on = trap
  return session.ask({ kind: 'trap_links', on }, () => {
    session.slots.set(trapSlot, on)
    return [true]
  })
}

/** A topic's channel: raw values, or messages with `{message = true}`. */
export function listen(session: Session, topic: string, asMessages: boolean): HostResult {
  return [session.mailbox.listen(topic, (event) => (asMessages ? messageOf(session, event) : valueOf(session, event)))]
}

export const unlisten: HostFunction = (ctx, [channel]) => {
  sessionOf(ctx).mailbox.unlisten(channel)
}

/** Global `subscribe(topic)`: as listen, and for the reserved topics that hosts send to. */
export const subscribe: HostFunction = fallible((ctx, [topic]) =>
  listen(sessionOf(ctx), requireName(topic, 'subscribe: topic'), false),
)

export const processModule: LuaModule = {
  name: 'process',
  summary: 'Processes and workflows: who am I, send, spawn, watch, receive.',
  deterministic: true,
  global: true,
  spec: {
    id: (ctx) => [sessionOf(ctx).host.entry],
    pid: (ctx) => [sessionOf(ctx).selfText],
    send: fallible((ctx, [destination, topic, ...values]) => {
      const session = sessionOf(ctx)
      return session.ask(
        {
          kind: 'send',
          to: requireDestination(session, destination, 'send: destination'),
          topic: requireTopic(topic, 'send: topic'),
          payload: sendable(session, values),
        },
        done,
      )
    }),
    spawn: spawnAs(plain),
    spawn_monitored: spawnAs(monitored),
    spawn_linked: spawnAs(linked),
    spawn_linked_monitored: spawnAs(linkedMonitored),
    exec: fallible((ctx, args) => execPlain(sessionOf(ctx), args)),
    terminate: fallible((ctx, [destination]) => {
      const session = sessionOf(ctx)
      const to = requireDestination(session, destination, 'terminate: destination')
      return session.ask({ kind: 'exit', to, mode: 'terminate' }, done)
    }),
    cancel: fallible((ctx, [destination, reason]) => {
      const session = sessionOf(ctx)
      const to = requireDestination(session, destination, 'cancel: destination')
      const why = reason === undefined ? {} : { reason: requireText(reason, 'cancel: reason') }
      return session.ask({ kind: 'exit', to, mode: 'cancel', ...why }, done)
    }),
    monitor: relation('monitor'),
    unmonitor: relation('unmonitor'),
    link: relation('link'),
    unlink: relation('unlink'),
    get_options: (ctx) => [{ trap_links: sessionOf(ctx).slots.get(trapSlot) === true }],
    set_options: setOptions,
    inbox: (ctx) => {
      const session = sessionOf(ctx)
      return [session.mailbox.inbox((event) => messageOf(session, event))]
    },
    events: (ctx) => [sessionOf(ctx).mailbox.events()],
    listen: fallible((ctx, [topic, options]) => {
      const asMessages = isTable(options) && options.get('message') === true
      return listen(sessionOf(ctx), requireTopic(topic, 'listen: topic'), asMessages)
    }),
    unlisten,
    with_context: fallible((_ctx, [values]) => [spawner({ ...bare, context: record(values, 'with_context: values') })]),
    with_options: fallible((_ctx, [options]) => [
      spawner({ ...bare, options: record(options, 'with_options: options') }),
    ]),
    upgrade: fallible((ctx, [id, ...args]) => {
      const session = sessionOf(ctx)
      const target = id === undefined ? undefined : requireEntryId(id, 'upgrade: id')
      session.become(target, sendable(session, args))
    }),
    event: { CANCEL: 'pid.cancel', EXIT: 'pid.exit', LINK_DOWN: 'pid.link.down' },
    registry: {
      LOCAL: 0,
      EVENTUAL: 1,
      CONSISTENT: 2,
      STRONG: 3,
      register: fallible((ctx, [name, pid, scope]) => {
        const session = sessionOf(ctx)
        const input = {
          name: requireName(name, 'register: name'),
          ...(pid === undefined ? {} : { pid: requirePid(session, pid, 'register: pid') }),
          scope: nameScope(scope, 'register: scope'),
        }
        return ask(session, 'names.register', input, done)
      }),
      lookup: fallible((ctx, [name]) =>
        ask(sessionOf(ctx), 'names.lookup', { name: requireName(name, 'lookup: name') }, (pid) => [pidText(pid)]),
      ),
      // A boolean and nothing else: that a name was not there is no failure.
      unregister: (ctx, [name, scope]) => {
        const session = sessionOf(ctx)
        const input = { name: requireText(name, 'unregister: name'), scope: nameScope(scope, 'unregister: scope') }
        return session.askOutcome({ kind: 'request', handler: 'names.unregister', input }, (completion) => [
          'value' in completion && completion.value === true,
        ])
      },
    },
  },
  docs: {
    'process.id() -> text': 'The registry id of the running entry.',
    'process.pid() -> text': 'The pid of this process: the same text each time.',
    'process.send(dest, topic, ...) -> true | nil, error':
      'Sends values to a pid or a registered name. Topics are not empty and do not start with "@".',
    'process.spawn(id, host, ...) -> pid | nil, error': 'Starts a process or workflow.',
    'process.spawn_monitored(id, host, ...) -> pid | nil, error': 'As spawn; its end arrives as an EXIT event.',
    'process.spawn_linked(id, host, ...) -> pid | nil, error': 'As spawn; the failure of one is the failure of both.',
    'process.spawn_linked_monitored(id, host, ...) -> pid | nil, error': 'Both.',
    'process.exec(id, host, ...) -> result | nil, error': 'Starts a process and waits for its result.',
    'process.terminate(dest) -> true | nil, error': 'Ends a process without giving it a chance.',
    'process.cancel(dest, reason?) -> true | nil, error': 'Asks a process to end: a CANCEL event.',
    'process.monitor(dest), unmonitor(dest) -> true | nil, error': 'EXIT event when it ends.',
    'process.link(dest), unlink(dest) -> true | nil, error': 'Shares failure, both ways.',
    'process.get_options() -> table': '`{trap_links = boolean}`.',
    'process.set_options(options) -> true | false, error': '`trap_links`: failures of links become LINK_DOWN events.',
    'process.inbox() -> channel': 'Messages that no listener takes.',
    'process.events() -> channel': 'EXIT, LINK_DOWN and CANCEL events.',
    'process.listen(topic, {message = true}?) -> channel': 'The values (or messages) of one topic.',
    'process.unlisten(channel)': 'Later messages of that topic go to the inbox again.',
    'process.with_context(values), with_options(options) -> spawner': 'An immutable spawner.',
    'process.upgrade(id?, ...)':
      'Goes on as other code with the same pid, mailbox, links and monitors. In a workflow: as a new run.',
    'process.registry.register(name, pid?, scope?) -> true | nil, error': 'Gives a process a name.',
    'process.registry.lookup(name) -> pid | nil, error': 'Who has the name.',
    'process.registry.unregister(name, scope?) -> boolean': 'False: it was not registered.',
  },
}

function pidText(pid: Pid | string): string {
  if (typeof pid === 'string') return pid
  if (typeof pid !== 'object') throw new AppError('internal', 'names.lookup: the host did not answer with a pid')
  return formatPid(pid)
}

import type { CallOptions } from '@daruma/protocol'
import type { Channel, HostResult, LuaValue } from '../engine.ts'
import { errorObject, failure, type ErrorObject } from '../error-object.ts'
import { canceled, sessionOf, type Session } from '../session.ts'
import { HostObject, hostClass, toData } from '../value.ts'
import { requireTable } from './support/args.ts'
import { actorKey, requireActor, requireScope, scopeKey } from './support/actor.ts'
import { fallible, failWith, type LuaModule } from './support/module.ts'
import { callOptions, type OptionTable } from './support/options.ts'
import { payloadOf, type Payload } from './support/payload-object.ts'
import { requireEntryId, sendable } from './support/sending.ts'

/** What an executor adds to each of its calls. */
export interface ExecutorState {
  readonly context: Readonly<Record<string, unknown>>
  readonly options: OptionTable
}

const bare: ExecutorState = { context: {}, options: {} }

const executor = (state: ExecutorState): HostObject<ExecutorState> => new HostObject(executorClass, state)

/** Immutable: each `with_` gives another executor. */
const executorClass = hostClass<ExecutorState>({
  name: 'executor',
  methods: {
    with_context: ({ state }, _ctx, [values]) => [
      executor({ ...state, context: { ...state.context, ...record(values, 'with_context: values') } }),
    ],
    with_options: ({ state }, _ctx, [options]) => [
      executor({ ...state, options: { ...state.options, ...record(options, 'with_options: options') } }),
    ],
    with_actor: ({ state }, _ctx, [actor]) => [
      executor({
        ...state,
        context: { ...state.context, [actorKey]: toData(requireActor(actor, 'with_actor: actor')) },
      }),
    ],
    with_scope: ({ state }, _ctx, [scope]) => [
      executor({
        ...state,
        context: { ...state.context, [scopeKey]: toData(requireScope(scope, 'with_scope: scope')) },
      }),
    ],
    call: ({ state }, ctx, args) => attempt(() => call(sessionOf(ctx), state, args)),
    async: ({ state }, ctx, args) => attempt(() => startCall(sessionOf(ctx), state, args)),
  },
  tostring: () => 'executor',
})

function attempt(run: () => HostResult): HostResult {
  try {
    return run()
  } catch (error) {
    return failWith(error)
  }
}

function record(value: LuaValue, what: string): Readonly<Record<string, unknown>> {
  const data = toData(requireTable(value, what))
  return Array.isArray(data) ? {} : (data as Record<string, unknown>)
}

function command(session: Session, state: ExecutorState, [id, ...args]: readonly LuaValue[]) {
  const options: CallOptions = {
    ...callOptions(state.options),
    ...(Object.keys(state.context).length === 0 ? {} : { context: state.context }),
  }
  return {
    kind: 'call',
    target: requireEntryId(id, 'call: target'),
    args: sendable(session, args),
    ...(Object.keys(options).length === 0 ? {} : { options }),
  } as const
}

export function call(session: Session, state: ExecutorState, args: readonly LuaValue[]): HostResult {
  return session.ask(command(session, state, args))
}

/** The result of a call that goes on meanwhile. Complete once its result was delivered to this process. */
interface FutureState {
  readonly session: Session
  readonly channel: Channel
  id: number | undefined
  outcome: { readonly payload: Payload } | { readonly error: ErrorObject } | undefined
  isCanceled: boolean
}

const futureClass = hostClass<FutureState>({
  name: 'future',
  methods: {
    response: ({ state }) => [state.channel],
    channel: ({ state }) => [state.channel],
    is_complete: ({ state }) => [state.outcome !== undefined],
    is_canceled: ({ state }) => [state.isCanceled],
    result: ({ state }) => {
      if (state.isCanceled) return failure(canceled())
      if (state.outcome === undefined) return [undefined, undefined]
      return 'error' in state.outcome ? [undefined, state.outcome.error] : [state.outcome.payload]
    },
    error: ({ state }) =>
      state.outcome !== undefined && 'error' in state.outcome ? [state.outcome.error, true] : [undefined, false],
    cancel: ({ state }) => {
      if (state.outcome !== undefined || state.isCanceled || state.id === undefined) return [true]
      const { session, id } = state
      return session.ask({ kind: 'abandon', id }, () => {
        state.isCanceled = true
        return [true]
      })
    },
  },
  tostring: ({ state }) => `future(${state.outcome === undefined ? 'pending' : 'complete'})`,
})

export function startCall(session: Session, state: ExecutorState, args: readonly LuaValue[]): HostResult {
  const future: FutureState = {
    session,
    channel: session.proc.channel({ capacity: 1, name: 'future' }),
    id: undefined,
    outcome: undefined,
    isCanceled: false,
  }
  const answer = session.issue(command(session, state, args), (completion) => {
    if ('error' in completion) {
      const error = errorObject(completion.error)
      future.outcome = { error }
      future.channel.push(error)
    } else {
      const payload = payloadOf(session.revive(completion.value))
      future.outcome = { payload }
      future.channel.push(payload)
    }
  })
  if (answer.kind === 'refused') return failure(answer.error)
  if (answer.kind === 'pending') future.id = answer.id
  return [new HostObject(futureClass, future)]
}

export const funcsModule: LuaModule = {
  name: 'funcs',
  summary: 'Calls functions; in a workflow, activities.',
  deterministic: true,
  spec: {
    call: fallible((ctx, args) => call(sessionOf(ctx), bare, args)),
    async: fallible((ctx, args) => startCall(sessionOf(ctx), bare, args)),
    new: () => [executor(bare)],
  },
  docs: {
    'funcs.call(id, ...) -> result | nil, error': 'Calls a function and waits.',
    'funcs.async(id, ...) -> future | nil, error': 'Starts a call and goes on.',
    'funcs.new() -> executor': 'With `with_context`, `with_actor`, `with_scope`, `with_options`, `call`, `async`.',
    'future:response(), future:channel() -> channel': 'Delivers the Payload, or the error object.',
    'future:is_complete(), is_canceled() -> boolean': 'Complete once delivered; canceled once `cancel` was called.',
    'future:result() -> payload | nil | nil, error': 'Does not wait: nil while pending.',
    'future:error() -> error, true | nil, false': 'Whether, and how, it failed.',
    'future:cancel() -> true | nil, error': 'Gives it up: `result()` is then an error of kind Canceled.',
  },
}

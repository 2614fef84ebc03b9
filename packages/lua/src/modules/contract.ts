import { AppError } from '@daruma/protocol'
import type { HostFunction, HostResult, LuaValue } from '../engine.ts'
import { sessionOf, type Session } from '../session.ts'
import { HostObject, hostClass, toData } from '../value.ts'
import { isString, isTable, requireTable, requireText, textOf } from './support/args.ts'
import { actorKey, requireActor, requireScope, scopeKey } from './support/actor.ts'
import { failWith, fallible, type LuaModule } from './support/module.ts'
import { requireEntryId } from './support/sending.ts'
import { call, startCall, type ExecutorState } from './funcs.ts'
import { ask, type BindingRecord, type ContractMethod, type ContractRecord } from './requests.ts'

interface InstanceState {
  readonly binding: BindingRecord
  readonly executor: ExecutorState
  /** The function of each method, made when it is first asked for. */
  readonly functions: Map<string, HostFunction>
}

/** Methods of the binding as `instance:name(...)`, and `instance:name_async(...)` for a future. */
const instanceClass = hostClass<InstanceState>({
  name: 'contract.instance',
  index: ({ state }, key) => (isString(key) ? methodOf(state, textOf(key)) : undefined),
  tostring: ({ state }) => `contract.instance(${state.binding.id})`,
})

function methodOf(state: InstanceState, name: string): HostFunction {
  const known = state.functions.get(name)
  if (known !== undefined) return known
  const { methods } = state.binding
  const isAsync = !(name in methods) && name.endsWith('_async')
  const method = isAsync ? name.slice(0, -'_async'.length) : name
  const target = methods[method]
  const made: HostFunction = fallible((ctx, [, ...args]) => {
    if (target === undefined) {
      const known = Object.keys(methods).join(', ')
      throw new AppError('not_found', `${state.binding.id} has no method "${method}"; known: ${known}`, undefined, {
        retryable: false,
      })
    }
    return (isAsync ? startCall : call)(sessionOf(ctx), state.executor, [target, ...args])
  })
  state.functions.set(name, made)
  return made
}

interface ContractState {
  readonly record: ContractRecord
  readonly executor: ExecutorState
}

const bare: ExecutorState = { context: {}, options: {} }

const contractObject = (state: ContractState): HostObject<ContractState> => new HostObject(contractClass, state)

const withContext = ({ record, executor }: ContractState, added: Readonly<Record<string, unknown>>) =>
  contractObject({ record, executor: { ...executor, context: { ...executor.context, ...added } } })

const methodTable = ({ name, description, inputSchemas, outputSchemas }: ContractMethod): Record<string, unknown> => ({
  name,
  description,
  input_schemas: inputSchemas,
  output_schemas: outputSchemas,
})

function recordOf(value: LuaValue, what: string): Readonly<Record<string, unknown>> {
  if (value === undefined) return {}
  const data = toData(requireTable(value, what))
  return Array.isArray(data) ? {} : (data as Record<string, unknown>)
}

const contractClass = hostClass<ContractState>({
  name: 'contract',
  methods: {
    id: ({ state }) => [state.record.id],
    methods: ({ state }) => [state.record.methods.map(methodTable)],
    method: ({ state }, _ctx, [name]) => {
      const wanted = requireText(name, 'method: name')
      const found = state.record.methods.find((each) => each.name === wanted)
      if (found !== undefined) return [methodTable(found)]
      return failWith(
        new AppError('not_found', `${state.record.id} has no method "${wanted}"`, undefined, { retryable: false }),
      )
    },
    implementations: ({ state }, ctx) => ask(sessionOf(ctx), 'contract.implementations', { contract: state.record.id }),
    with_context: ({ state }, _ctx, [values]) => [withContext(state, recordOf(values, 'with_context: values'))],
    with_actor: ({ state }, _ctx, [actor]) => [
      withContext(state, { [actorKey]: toData(requireActor(actor, 'with_actor: actor')) }),
    ],
    with_scope: ({ state }, _ctx, [scope]) => [
      withContext(state, { [scopeKey]: toData(requireScope(scope, 'with_scope: scope')) }),
    ],
    with_options: ({ state: { record, executor } }, _ctx, [options]) => [
      contractObject({
        record,
        executor: { ...executor, options: { ...executor.options, ...recordOf(options, 'with_options: options') } },
      }),
    ],
    open: ({ state }, ctx, [binding, scope]) => {
      try {
        const input = {
          contract: state.record.id,
          ...(binding === undefined ? {} : { binding: requireEntryId(binding, 'open: binding') }),
        }
        return open(sessionOf(ctx), input, state.executor, recordOf(scope, 'open: scope'))
      } catch (error) {
        return failWith(error)
      }
    },
  },
  tostring: ({ state }) => `contract(${state.record.id})`,
})

function open(
  session: Session,
  input: { contract?: string; binding?: string },
  executor: ExecutorState,
  scope: Readonly<Record<string, unknown>>,
): HostResult {
  const state = { ...executor, context: { ...executor.context, ...scope } }
  return ask(session, 'contract.open', input, (binding) => [
    new HostObject(instanceClass, { binding, executor: state, functions: new Map() }),
  ])
}

/** "ns:name?debug=true&limit=5": what follows the question mark is context, numbers and booleans as such. */
function parseBinding(text: string): { readonly id: string; readonly query: Readonly<Record<string, unknown>> } {
  const [id = '', query] = text.split('?', 2)
  const values = [...new URLSearchParams(query ?? '')].map(([key, value]) => [key, typed(value)])
  return { id, query: Object.fromEntries(values) as Record<string, unknown> }
}

const typed = (text: string): unknown =>
  text === 'true' || text === 'false' ? text === 'true' : /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text

export const contractModule: LuaModule = {
  name: 'contract',
  summary: 'Services by contract: a binding says which function answers which method.',
  deterministic: true,
  spec: {
    get: fallible((ctx, [id]) =>
      ask(sessionOf(ctx), 'contract.get', { id: requireEntryId(id, 'contract.get: id') }, (record) => [
        contractObject({ record, executor: bare }),
      ]),
    ),
    open: fallible((ctx, [id, scope, options]) => {
      const { id: binding, query } = parseBinding(requireText(id, 'contract.open: binding'))
      const executor = { context: query, options: isTable(options) ? recordOf(options, 'contract.open: options') : {} }
      const input = { binding: requireEntryId(binding, 'contract.open: binding') }
      return open(sessionOf(ctx), input, executor, recordOf(scope, 'contract.open: scope'))
    }),
    find_implementations: fallible((ctx, [id]) =>
      ask(sessionOf(ctx), 'contract.implementations', { contract: requireEntryId(id, 'find_implementations: id') }),
    ),
    is: (_ctx, [instance, id]) => [
      HostObject.is(instance, instanceClass) && isString(id) && instance.state.binding.contracts.includes(textOf(id)),
    ],
  },
  docs: {
    'contract.open(binding, scope?, options?) -> instance | nil, error':
      '`instance:method(...)` calls, `instance:method_async(...)` gives a future. `binding?key=value` adds context.',
    'contract.get(id) -> contract | nil, error':
      '`id() methods() method(name) implementations() with_context(t) with_actor(a) with_scope(s) with_options(t) open(binding?, scope?)`.',
    'contract.find_implementations(id) -> ids | nil, error': '',
    'contract.is(instance, id) -> boolean': '',
  },
}

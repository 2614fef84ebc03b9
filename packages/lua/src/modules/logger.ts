import type { LogLevel } from '@daruma/protocol'
import type { HostFunction, LuaValue } from '../engine.ts'
import { failure } from '../error-object.ts'
import { sessionOf, type Session } from '../session.ts'
import { HostObject, hostClass, type HostMethod } from '../value.ts'
import { concatText, invalid, isString, isTable, requireText, textOf } from './support/args.ts'
import type { LuaModule } from './support/module.ts'

interface LoggerState {
  readonly name: string
  readonly fields: Readonly<Record<string, unknown>>
}

const levels = ['debug', 'info', 'warn', 'error'] as const

/** What can be logged of a value: a log line never fails. */
function loggable(value: LuaValue, depth = 0): unknown {
  if (isTable(value)) {
    if (depth > 8) return '...'
    const entries = value.entries()
    const isList = entries.length > 0 && entries.every(([key]) => typeof key === 'number')
    if (isList) return entries.map(([, item]) => loggable(item, depth + 1))
    return Object.fromEntries(entries.map(([key, item]) => [shown(key), loggable(item, depth + 1)]))
  }
  return typeof value === 'object' ? shown(value) : value
}

function shown(value: LuaValue): string {
  try {
    return concatText(value)
  } catch {
    return typeof value === 'boolean' ? String(value) : isString(value) ? textOf(value) : 'value without a text'
  }
}

function log(session: Session, state: LoggerState, level: LogLevel, message: LuaValue, fields: LuaValue): void {
  const own = isTable(fields) ? (loggable(fields) as Record<string, unknown>) : {}
  session.host.log(level, shown(message), {
    pid: session.selfText,
    entry: session.host.entry,
    ...(state.name === '' ? {} : { logger: state.name }),
    ...state.fields,
    ...(Array.isArray(own) ? { fields: own } : own),
  })
}

const bare: LoggerState = { name: '', fields: {} }

const methods: Record<string, HostMethod<LoggerState>> = {
  with: ({ state }, _ctx, [fields]) => [
    new HostObject(loggerClass, {
      ...state,
      fields: { ...state.fields, ...(isTable(fields) ? (loggable(fields) as Record<string, unknown>) : {}) },
    }),
  ],
  named: ({ state }, _ctx, [name]) => {
    const text = requireText(name, 'named: name')
    if (text === '') return failure(invalid('named: name must not be empty'))
    return [new HostObject(loggerClass, { ...state, name: state.name === '' ? text : `${state.name}.${text}` })]
  },
}
for (const level of levels) {
  methods[level] = ({ state }, ctx, [message, fields]) => log(sessionOf(ctx), state, level, message, fields)
}

const loggerClass = hostClass<LoggerState>({
  name: 'logger',
  methods,
  tostring: ({ state }) => `logger(${state.name})`,
})

/** The module's functions are called as `logger:info(...)` and as `logger.info(...)`. */
const plainly = (method: HostMethod<LoggerState>): HostFunction => {
  const self = new HostObject(loggerClass, bare)
  return (ctx, args) => method(self, ctx, isTable(args[0]) ? args.slice(1) : args)
}

export const loggerModule: LuaModule = {
  name: 'logger',
  summary: 'Log records with fields; pid and entry come by themselves.',
  deterministic: false,
  spec: Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, plainly(method)])),
  docs: {
    'logger:debug|info|warn|error(message, fields?)': 'Writes a record.',
    'logger:with(fields) -> logger': 'A logger that adds these fields to each record.',
    'logger:named(name) -> logger | nil, error': "A logger of that name, below its parent's.",
  },
}

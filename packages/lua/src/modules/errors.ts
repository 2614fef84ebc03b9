import { AppError } from '@daruma/protocol'
import type { HostFunction, LuaFrame } from '../engine.ts'
import { errorObject, isErrorObject, kindOfLua, luaKinds, wireOf, type ErrorObject } from '../error-object.ts'
import { HostObject, toData } from '../value.ts'
import { invalid, isString, isTable, requireText, textOf, typeName } from './support/args.ts'
import type { LuaModule } from './support/module.ts'

const create: HostFunction = (ctx, [from]) => {
  if (isErrorObject(from)) return [from]
  if (isString(from)) return [made(new AppError('unknown', textOf(from)), ctx.frames())]
  if (!isTable(from)) throw invalid(`errors.new: expected text or a table with a message, got ${typeName(from)}`)
  const kind = from.get('kind')
  const retryable = from.get('retryable')
  const details = from.get('details')
  const error = new AppError(
    kind === undefined ? 'unknown' : kindOfLua(requireText(kind, 'errors.new: kind')),
    requireText(from.get('message') ?? '', 'errors.new: message'),
    details === undefined ? undefined : toData(details),
    typeof retryable === 'boolean' ? { retryable } : {},
  )
  return [made(error, ctx.frames())]
}

/** The same kind, retryability and details under a longer message; the original is its cause. */
const wrap: HostFunction = (ctx, [from, context]) => {
  const inner = isErrorObject(from)
    ? from
    : made(new AppError('unknown', requireText(from, 'errors.wrap: error')), ctx.frames())
  const prefix = context === undefined ? '' : `${requireText(context, 'errors.wrap: context')}: `
  const { kind, message, retryable, details } = inner.state
  const error = new AppError(kind, `${prefix}${message}`, details, { retryable })
  return [made(error, ctx.frames(), inner)]
}

function made(error: AppError, frames: readonly LuaFrame[], cause?: ErrorObject): ErrorObject {
  const { state, class: cls } = errorObject(error, frames)
  return new HostObject(cls, {
    ...state,
    stack: stackText(frames),
    ...(cause === undefined ? {} : { cause: wireOf(cause) }),
  })
}

export function stackText(frames: readonly LuaFrame[]): string {
  return frames
    .filter(({ line }) => line > 0)
    .map(({ source, line, name }) => `${source}:${line}: in ${name === '' ? 'main chunk' : name}`)
    .join('\n')
}

export const errorsModule: LuaModule = {
  name: 'errors',
  summary: 'Errors with a kind, retryability and details.',
  deterministic: true,
  global: true,
  spec: {
    NOT_FOUND: luaKinds.not_found,
    ALREADY_EXISTS: luaKinds.already_exists,
    INVALID: luaKinds.invalid,
    PERMISSION_DENIED: luaKinds.permission_denied,
    UNAVAILABLE: luaKinds.unavailable,
    INTERNAL: luaKinds.internal,
    CANCELED: luaKinds.canceled,
    CONFLICT: luaKinds.conflict,
    TIMEOUT: luaKinds.timeout,
    RATE_LIMITED: luaKinds.rate_limited,
    UNKNOWN: luaKinds.unknown,
    new: create,
    wrap,
    is: (_ctx, [error, kind]) => [
      isErrorObject(error) && isString(kind) && luaKinds[error.state.kind] === textOf(kind),
    ],
    call_stack: (_ctx, [error]) => {
      if (!isErrorObject(error)) return [undefined]
      const frames = error.state.frames.map(({ source, line, name }) => ({ source, line, name }))
      return [{ thread: 'main', frames }]
    },
  },
  docs: {
    'errors.new(text | {message, kind?, retryable?, details?}) -> error':
      'Makes an error; without a kind it is UNKNOWN.',
    'errors.wrap(error | text, context) -> error': '"context: message", with kind, retryability and details kept.',
    'errors.is(value, kind) -> boolean': 'True for an error object of that kind.',
    'errors.call_stack(error) -> {thread, frames = {{source, line, name}}} | nil': 'Where it was made.',
    'error:message(), kind(), retryable(), details(), stack()': 'What it says of itself; tostring is the message.',
  },
}

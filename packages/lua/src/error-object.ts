import { AppError, fromWire, isAppError, toWire } from '@daruma/protocol'
import type { ErrorKind, WireError } from '@daruma/protocol'
import { HostObject, hostClass } from './value.ts'
import { raise } from './engine.ts'
import type { LuaFrame, LuaValue } from './engine.ts'
import { numberText } from './fengari/number.ts'

/** The kinds in the words of Lua programs: `err:kind()`, `errors.NOT_FOUND`. */
export const luaKinds: Readonly<Record<ErrorKind, string>> = {
  not_found: 'NotFound',
  already_exists: 'AlreadyExists',
  invalid: 'Invalid',
  permission_denied: 'PermissionDenied',
  unavailable: 'Unavailable',
  internal: 'Internal',
  canceled: 'Canceled',
  conflict: 'Conflict',
  timeout: 'Timeout',
  rate_limited: 'RateLimited',
  unknown: '',
}

const kindsByLuaName: ReadonlyMap<string, ErrorKind> = new Map(
  Object.entries(luaKinds).map(([kind, name]) => [name, kind as ErrorKind]),
)

/** 'NotFound' -> 'not_found'; a name that is none of ours -> 'unknown'. */
export const kindOfLua = (name: string): ErrorKind => kindsByLuaName.get(name) ?? 'unknown'

/** An error as Lua sees it. `details` are data, copied into a fresh table at each call of `details()`. */
export interface ErrorState {
  readonly kind: ErrorKind
  readonly message: string
  readonly retryable: boolean | undefined
  readonly details: unknown
  /** Text of the place where it was made; '' when unknown. */
  readonly stack: string
  /** The Lua frames where it was made, innermost first. */
  readonly frames: readonly LuaFrame[]
  readonly cause: WireError | undefined
}

/** The class of error objects: message() kind() retryable() details() stack(); tostring and `..` give the message. */
export const errorClass = hostClass<ErrorState>({
  name: 'error',
  methods: {
    message: (self) => [self.state.message],
    kind: (self) => [luaKinds[self.state.kind]],
    retryable: (self) => [self.state.retryable],
    details: (self) => [isEmpty(self.state.details) ? undefined : self.state.details],
    stack: (self) => [self.state.stack],
  },
  tostring: (self) => self.state.message,
  concat: (left, right) => textFor(left) + textFor(right),
  toData: (self) => toAppError(self.state),
})

export type ErrorObject = HostObject<ErrorState>

export const isErrorObject = (value: unknown): value is ErrorObject => HostObject.is(value, errorClass)

/** One side of `..`. */
function textFor(value: LuaValue): string {
  if (isErrorObject(value)) return value.state.message
  if (typeof value === 'string') return value
  if (typeof value === 'number') return numberText(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8')
  if (value instanceof HostObject && value.class.tostring !== undefined) return value.class.tostring(value)
  const type =
    value instanceof HostObject
      ? value.class.name
      : value === undefined
        ? 'nil'
        : typeof value === 'object'
          ? value.kind
          : typeof value
  throw raise(`attempt to concatenate a ${type} value`)
}

/** Makes the error object of anything thrown, sent or journaled; one that is an error object already stays itself. */
export function errorObject(from: unknown, frames: readonly LuaFrame[] = []): ErrorObject {
  if (isErrorObject(from)) return from
  const wire = from instanceof Error ? toWire(from) : isWireError(from) ? from : toWire(from)
  return new HostObject(errorClass, {
    kind: wire.kind,
    message: wire.message,
    retryable: wire.retryable,
    details: wire.details,
    stack: isAppError(from) && isHostStack(wire.stack) ? '' : (wire.stack ?? ''),
    frames,
    cause: wire.cause,
  })
}

/** An AppError tells its own story; where host code made it says nothing to a program. A bug's stack is kept. */
const isHostStack = (stack: string | undefined): boolean => stack !== undefined && /\n {4}at /.test(stack)

/** The same error as plain data, for the wire and the journal. */
export function wireOf(error: ErrorObject): WireError {
  const { kind, message, retryable, details, stack, cause } = error.state
  return {
    kind,
    message,
    ...(retryable === undefined ? {} : { retryable }),
    ...(details === undefined ? {} : { details }),
    ...(stack === '' ? {} : { stack }),
    ...(cause === undefined ? {} : { cause }),
  }
}

/** What a host function returns for a failure: `nil, error`. */
export const failure = (error: unknown): readonly [undefined, ErrorObject] => [undefined, errorObject(error)]

export function toAppError(state: ErrorState): AppError {
  const error = new AppError(state.kind, state.message, state.details, {
    retryable: state.retryable,
    cause: state.cause === undefined ? undefined : fromWire(state.cause),
  })
  error.stack = state.stack === '' ? state.message : state.stack
  return error
}

const isWireError = (value: unknown): value is WireError =>
  typeof value === 'object' && value !== null && 'kind' in value && 'message' in value

const isEmpty = (details: unknown): boolean =>
  details === undefined || details === null || (typeof details === 'object' && Object.keys(details).length === 0)

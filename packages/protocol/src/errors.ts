/**
 * The one error model of TypeScript, Lua and the wire. Branch on `kind`, never on text or class.
 * `retryable` is decided where the error is born: `undefined` means that nobody decided.
 */
export const errorKinds = [
  'not_found',
  'already_exists',
  'invalid',
  'permission_denied',
  'unavailable',
  'internal',
  'canceled',
  'conflict',
  'timeout',
  'rate_limited',
  'unknown',
] as const

export type ErrorKind = (typeof errorKinds)[number]

/** An error as plain data: what travels between nodes and stands in journals. */
export interface WireError {
  readonly kind: ErrorKind
  readonly message: string
  readonly retryable?: boolean
  readonly details?: unknown
  /** Where it was raised, in the words of the language that raised it. For people; never compared. */
  readonly stack?: string
  readonly cause?: WireError
}

export interface AppErrorOptions {
  readonly retryable?: boolean | undefined
  readonly cause?: unknown
}

export class AppError extends Error {
  readonly kind: ErrorKind
  readonly retryable: boolean | undefined
  readonly details: unknown

  constructor(kind: ErrorKind, message: string, details?: unknown, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.kind = kind
    this.retryable = options.retryable
    this.details = details
  }
}

/** True for an AppError, of the given kind where one is given. */
export function isAppError(error: unknown, kind?: ErrorKind): error is AppError {
  return error instanceof AppError && (kind === undefined || error.kind === kind)
}

const isErrorKind = (kind: unknown): kind is ErrorKind => errorKinds.includes(kind as ErrorKind)

/**
 * Any thrown value as data. An AppError keeps kind, retryable and details; any other Error is `internal`;
 * a thrown non-error is `internal` with its text. Never throws, and cuts chains of causes at eight.
 */
export function toWire(thrown: unknown, depth = 0): WireError {
  if (thrown instanceof AppError) {
    return {
      kind: thrown.kind,
      message: thrown.message,
      ...(thrown.retryable === undefined ? {} : { retryable: thrown.retryable }),
      ...(thrown.details === undefined ? {} : { details: thrown.details }),
      ...(thrown.stack === undefined ? {} : { stack: thrown.stack }),
      ...(thrown.cause === undefined || depth > 7 ? {} : { cause: toWire(thrown.cause, depth + 1) }),
    }
  }
  if (thrown instanceof Error) {
    return {
      kind: 'internal',
      message: thrown.message || thrown.name,
      ...(thrown.stack === undefined ? {} : { stack: thrown.stack }),
      ...(thrown.cause === undefined || depth > 7 ? {} : { cause: toWire(thrown.cause, depth + 1) }),
    }
  }
  return { kind: 'internal', message: describeThrown(thrown) }
}

/** The AppError that `wire` describes. An unknown kind (a newer peer's) becomes `unknown`. */
export function fromWire(wire: WireError): AppError {
  const error = new AppError(isErrorKind(wire.kind) ? wire.kind : 'unknown', String(wire.message), wire.details, {
    retryable: wire.retryable,
    cause: wire.cause === undefined ? undefined : fromWire(wire.cause),
  })
  if (wire.stack !== undefined) error.stack = wire.stack
  return error
}

function describeThrown(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown
  try {
    return `thrown value: ${JSON.stringify(thrown) ?? String(thrown)}`
  } catch {
    return 'thrown value that cannot be shown'
  }
}

import { AppError, type ErrorKind } from '@daruma/protocol'

const statuses: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  conflict: 409,
  rate_limited: 429,
  unavailable: 503,
  canceled: 503,
  timeout: 504,
  internal: 500,
  unknown: 500,
}

/** A status of its own, where one of the kinds is too broad. */
interface WithStatus {
  readonly status: number
}

/** The HTTP status of a failure: by its kind, unless its details name one. */
export function statusOf(error: AppError): number {
  const { details } = error
  return hasStatus(details) ? details.status : statuses[error.kind]
}

/** What a client is told. Of an internal error only that there was one: its text is for the log. */
export function errorBody(error: AppError): string {
  const message = error.kind === 'internal' || error.kind === 'unknown' ? 'internal error' : error.message
  return JSON.stringify({ error: { kind: error.kind, message } })
}

/** A refusal with an HTTP status that its kind does not have. */
export function httpError(status: number, kind: ErrorKind, message: string): AppError {
  return new AppError(kind, message, { status } satisfies WithStatus, { retryable: false })
}

function hasStatus(details: unknown): details is WithStatus {
  return typeof details === 'object' && details !== null && typeof (details as WithStatus).status === 'number'
}

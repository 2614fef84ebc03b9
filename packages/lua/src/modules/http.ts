import { AppError } from '@daruma/protocol'
import type { HostContext, HostResult, LuaValue } from '../engine.ts'
import { sessionOf } from '../session.ts'
import { HostObject, hostClass, toData, type HostMethod } from '../value.ts'
import {
  bytesOf,
  invalid,
  isString,
  isTable,
  optional,
  requireInteger,
  requireName,
  requireText,
  textOf,
} from './support/args.ts'
import { jsonText } from './support/json-text.ts'
import { failWith, fallible, type LuaModule } from './support/module.ts'
import { ask, type HttpPart, type HttpServed } from './requests.ts'
import { encode } from './json.ts'

function servedBy(ctx: HostContext): HttpServed {
  const served = sessionOf(ctx).host.context['@http'] as HttpServed | undefined
  if (served === undefined) {
    throw new AppError('internal', 'this program does not serve an HTTP request', undefined, { retryable: false })
  }
  return served
}

/** "application/json" of "application/json; charset=utf-8". */
const mediaType = (value: string): string => value.split(';')[0]!.trim().toLowerCase()

function accepts(header: string | undefined, wanted: string): boolean {
  if (header === undefined || header.trim() === '') return true
  const [type] = wanted.toLowerCase().split('/')
  return header.split(',').some((range) => {
    const offered = mediaType(range)
    return offered === '*/*' || offered === `${type}/*` || offered === wanted.toLowerCase()
  })
}

const requestClass = hostClass<HttpServed>({
  name: 'http.request',
  methods: {
    method: ({ state }) => [state.method],
    path: ({ state }) => [state.path],
    query: ({ state }, _ctx, [key]) => [state.query[requireText(key, 'query: key')]?.[0]],
    query_params: ({ state }) => [
      Object.fromEntries(Object.entries(state.query).map(([key, values]) => [key, values.join(',')])),
    ],
    header: ({ state }, _ctx, [name]) => [state.headers[requireText(name, 'header: name').toLowerCase()]],
    headers: ({ state }) => [state.headers],
    content_type: ({ state }) => [state.headers['content-type']],
    content_length: ({ state }) => [bytesOf(state.body).length],
    host: ({ state }) => [state.headers['host']],
    param: ({ state }, _ctx, [name]) => [state.params[requireText(name, 'param: name')]],
    params: ({ state }) => [state.params],
    body: ({ state }) => [state.body],
    body_json: ({ state }) => {
      try {
        return [JSON.parse(textOf(state.body))]
      } catch (error) {
        return failWith(invalid(`body is no JSON: ${error instanceof Error ? error.message : String(error)}`))
      }
    },
    has_body: ({ state }) => [bytesOf(state.body).length > 0],
    is_content_type: ({ state }, _ctx, [type]) => [
      mediaType(state.headers['content-type'] ?? '') === mediaType(requireText(type, 'is_content_type: type')),
    ],
    accepts: ({ state }, _ctx, [type]) => [accepts(state.headers['accept'], requireText(type, 'accepts: type'))],
    remote_addr: ({ state }) => [state.remoteAddress],
  },
  tostring: ({ state }) => `http.request(${state.method} ${state.path})`,
})

type Part = (args: readonly LuaValue[]) => HttpPart | readonly HttpPart[]

/** Sends the parts one after the other; the first that is refused is the answer. */
const sending =
  (part: Part): HostMethod<null> =>
  (_self, ctx, args) => {
    try {
      const parts = part(args)
      return send(ctx, Array.isArray(parts) ? (parts as readonly HttpPart[]) : [parts as HttpPart])
    } catch (error) {
      return failWith(error)
    }
  }

function send(ctx: HostContext, [first, ...rest]: readonly HttpPart[]): HostResult {
  if (first === undefined) return [true]
  return ask(sessionOf(ctx), 'http.respond', first, () => send(ctx, rest))
}

const contentType = (value: string): HttpPart => ({ kind: 'header', name: 'Content-Type', value })

const responseClass = hostClass<null>({
  name: 'http.response',
  methods: {
    set_status: sending(([code]) => {
      const status = requireInteger(code, 'set_status: code')
      if (status < 100 || status > 999) throw invalid(`set_status: ${status} is no HTTP status`)
      return { kind: 'status', code: status }
    }),
    set_header: sending(([name, value]) => ({
      kind: 'header',
      name: requireName(name, 'set_header: name'),
      value: requireText(typeof value === 'number' ? String(value) : value, 'set_header: value'),
    })),
    set_content_type: sending(([type]) => contentType(requireName(type, 'set_content_type: type'))),
    set_transfer: sending(([mode]) => {
      const word = requireText(mode, 'set_transfer: mode')
      if (word !== 'chunked' && word !== 'sse')
        throw invalid(`set_transfer: unknown mode "${word}"; known: chunked, sse`)
      return { kind: 'transfer', mode: word }
    }),
    write: sending(([data]) => {
      if (!isString(data)) throw invalid('write: expected text; use write_json for a table')
      return { kind: 'write', data }
    }),
    write_json: sending(([value]) => [
      contentType('application/json'),
      { kind: 'write', data: encode(value, undefined) },
    ]),
    write_event: sending(([event]) => {
      if (!isTable(event)) throw invalid('write_event: expected {name, data}')
      const name = optional(event.get('name'), requireText, 'write_event: name')
      const data = event.get('data')
      const text = isString(data) ? textOf(data) : jsonText(toData(data))
      const lines = text.split('\n').map((line) => `data: ${line}\n`)
      return [
        { kind: 'write', data: `${name === undefined ? '' : `event: ${name}\n`}${lines.join('')}\n` },
        { kind: 'flush' },
      ]
    }),
    flush: sending(() => ({ kind: 'flush' })),
  },
  tostring: () => 'http.response',
})

export const httpModule: LuaModule = {
  name: 'http',
  summary: 'The HTTP request that this program serves, and its answer.',
  deterministic: false,
  spec: {
    request: fallible((ctx) => [new HostObject(requestClass, servedBy(ctx))]),
    response: fallible((ctx) => {
      servedBy(ctx)
      return [new HostObject(responseClass, null)]
    }),
    METHOD: {
      GET: 'GET',
      POST: 'POST',
      PUT: 'PUT',
      DELETE: 'DELETE',
      PATCH: 'PATCH',
      HEAD: 'HEAD',
      OPTIONS: 'OPTIONS',
    },
    STATUS: {
      OK: 200,
      CREATED: 201,
      ACCEPTED: 202,
      NO_CONTENT: 204,
      PARTIAL_CONTENT: 206,
      MOVED_PERMANENTLY: 301,
      FOUND: 302,
      SEE_OTHER: 303,
      NOT_MODIFIED: 304,
      TEMPORARY_REDIRECT: 307,
      PERMANENT_REDIRECT: 308,
      BAD_REQUEST: 400,
      UNAUTHORIZED: 401,
      PAYMENT_REQUIRED: 402,
      FORBIDDEN: 403,
      NOT_FOUND: 404,
      METHOD_NOT_ALLOWED: 405,
      NOT_ACCEPTABLE: 406,
      CONFLICT: 409,
      GONE: 410,
      UNPROCESSABLE: 422,
      TOO_MANY_REQUESTS: 429,
      INTERNAL_ERROR: 500,
      INTERNAL_SERVER_ERROR: 500,
      NOT_IMPLEMENTED: 501,
      BAD_GATEWAY: 502,
      SERVICE_UNAVAILABLE: 503,
      GATEWAY_TIMEOUT: 504,
      VERSION_NOT_SUPPORTED: 505,
    },
    CONTENT: {
      JSON: 'application/json',
      FORM: 'application/x-www-form-urlencoded',
      MULTIPART: 'multipart/form-data',
      TEXT: 'text/plain',
      STREAM: 'application/octet-stream',
    },
    TRANSFER: { CHUNKED: 'chunked', SSE: 'sse' },
  },
  docs: {
    'http.request() -> request | nil, error':
      '`method() path() query(key) query_params() header(name) headers() content_type() content_length() host() param(name) params() body() body_json() has_body() is_content_type(type) accepts(type) remote_addr()`.',
    'http.response() -> response | nil, error':
      '`set_status(code) set_header(name, value) set_content_type(type) set_transfer(mode) write(text) write_json(value) write_event({name, data}) flush()`; each true, or nil and an error.',
    'http.METHOD, http.STATUS, http.CONTENT, http.TRANSFER': 'Names.',
  },
}

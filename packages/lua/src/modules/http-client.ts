import type { HostFunction, HostResult, LuaTable, LuaValue } from '../engine.ts'
import { sessionOf, type Session } from '../session.ts'
import {
  bytesOf,
  invalid,
  isString,
  isTable,
  optional,
  requireInteger,
  requireName,
  requireText,
  scalarText,
} from './support/args.ts'
import { requireDurationMs } from './support/duration.ts'
import { fallible, type LuaModule } from './support/module.ts'
import { ask, type HttpAnswer, type HttpQuestion } from './requests.ts'

const pairsOf = (table: LuaValue): [string, string][] =>
  isTable(table)
    ? table.entries().map(([key, value]) => [scalarText(key, 'http: name'), scalarText(value, 'http: value')])
    : []

const formText = (table: LuaValue): string => new URLSearchParams(pairsOf(table)).toString()

function questionOf(method: string, url: LuaValue, options: LuaTable | undefined): HttpQuestion {
  const address = parseUrl(requireName(url, 'http: url'))
  const query = formText(options?.get('query'))
  if (query !== '') address.search = address.search === '' ? query : `${address.search}&${query}`
  const headers: Record<string, string> = Object.fromEntries(pairsOf(options?.get('headers')))
  const has = (name: string): boolean => Object.keys(headers).some((key) => key.toLowerCase() === name)
  const cookies = pairsOf(options?.get('cookies')).map(([key, value]) => `${key}=${value}`)
  if (cookies.length > 0) headers['Cookie'] = cookies.join('; ')
  const auth = options?.get('auth')
  if (isTable(auth)) {
    const user = `${requireText(auth.get('user'), 'http: auth.user')}:${requireText(auth.get('pass') ?? '', 'http: auth.pass')}`
    headers['Authorization'] = `Basic ${Buffer.from(user).toString('base64')}`
  }
  const form = options?.get('form')
  const given = options?.get('body')
  if (form !== undefined && given !== undefined) throw invalid('http: body and form exclude each other')
  if (isTable(form) && !has('content-type')) headers['Content-Type'] = 'application/x-www-form-urlencoded'
  const body = isTable(form) ? formText(form) : given === undefined ? undefined : bodyOf(given)
  const timeout = options?.get('timeout')
  // Here a bare number is seconds, unlike everywhere else: what programs for this API expect.
  const timeoutMs =
    timeout === undefined
      ? undefined
      : typeof timeout === 'number'
        ? timeout * 1_000
        : requireDurationMs(timeout, 'http: timeout')
  const maxResponseBytes = optional(options?.get('max_response_body'), requireInteger, 'http: max_response_body')
  return {
    method,
    url: address.toString(),
    headers,
    ...(body === undefined ? {} : { body }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(maxResponseBytes === undefined || maxResponseBytes === 0 ? {} : { maxResponseBytes }),
  }
}

function bodyOf(value: LuaValue): string | Uint8Array {
  if (!isString(value)) throw invalid('http: body must be text; encode a table first')
  return value
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw invalid(`http: invalid URL "${text}"`)
  return url
}

const responseTable = (answer: HttpAnswer): Record<string, unknown> => ({
  status_code: answer.statusCode,
  body: answer.body,
  body_size: bytesOf(answer.body).length,
  headers: answer.headers,
  cookies: answer.cookies,
  url: answer.url,
})

function send(session: Session, method: string, url: LuaValue, options: LuaValue): HostResult {
  const question = questionOf(method, url, isTable(options) ? options : undefined)
  return ask(session, 'http.request', question, (answer) => [responseTable(answer)])
}

const verb = (method: string): HostFunction =>
  fallible((ctx, [url, options]) => send(sessionOf(ctx), method, url, options))

export const httpClientModule: LuaModule = {
  name: 'http_client',
  summary: 'Requests to other servers.',
  deterministic: false,
  spec: {
    get: verb('GET'),
    head: verb('HEAD'),
    post: verb('POST'),
    put: verb('PUT'),
    patch: verb('PATCH'),
    delete: verb('DELETE'),
    request: fallible((ctx, [method, url, options]) =>
      send(sessionOf(ctx), requireName(method, 'request: method').toUpperCase(), url, options),
    ),
    encode_uri: fallible((_ctx, [text]) => [
      new URLSearchParams([['', requireText(text, 'encode_uri: text')]]).toString().slice(1),
    ]),
    decode_uri: fallible((_ctx, [text]) => {
      try {
        return [decodeURIComponent(requireText(text, 'decode_uri: text').replaceAll('+', ' '))]
      } catch (error) {
        throw error instanceof URIError ? invalid(`decode_uri: ${error.message}`) : error
      }
    }),
  },
  docs: {
    'http_client.get|head|post|put|patch|delete(url, options?) -> response | nil, error':
      'options: headers, body, query, form, cookies, auth {user, pass}, timeout (seconds or "30s"), max_response_body. response: status_code, body, body_size, headers, cookies, url.',
    'http_client.request(method, url, options?) -> response | nil, error': 'Any method.',
    'http_client.encode_uri(text), decode_uri(text) -> text | nil, error': '',
  },
}

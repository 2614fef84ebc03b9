import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { HttpServed } from '@daruma/lua'
import { AppError } from '@daruma/protocol'
import { httpError } from './failures.ts'

/** A request as middleware and routes look at it, before its body is read. */
export interface Incoming {
  readonly request: IncomingMessage
  readonly method: string
  /** As it was asked for: still percent-encoded, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** `ip:port` of the peer; where a trusted proxy stands before us, the client's address as that one gives it. */
  remoteAddress: string
}

export function incomingOf(request: IncomingMessage): Incoming {
  const url = request.url ?? '/'
  const mark = url.indexOf('?')
  return {
    request,
    method: request.method ?? 'GET',
    path: mark < 0 ? url : url.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)),
    remoteAddress: peerOf(request),
  }
}

/** Of the other end of the connection, without port; IPv4 in its own form. */
export function peerAddress(request: IncomingMessage): string {
  return (request.socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')
}

function peerOf(request: IncomingMessage): string {
  const address = peerAddress(request)
  return `${address.includes(':') ? `[${address}]` : address}:${request.socket.remotePort ?? 0}`
}

/**
 * The whole body. A body that is too large is not read to its end: whoever answers then should close the connection.
 *
 * @throws AppError invalid, status 413 - the body is larger; unavailable - the client went away
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = (): AppError =>
    httpError(413, 'invalid', `the body of the request is larger than the ${maxBytes} bytes that are taken here`)
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return Promise.reject(tooLarge())
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const end = (settle: () => void): void => {
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone)
      settle()
    }
    const onData = (chunk: Buffer): void => {
      size += chunk.length
      chunks.push(chunk)
      if (size <= maxBytes) return
      request.pause()
      end(() => reject(tooLarge()))
    }
    const onEnd = (): void => end(() => resolve(Buffer.concat(chunks)))
    const onGone = (): void =>
      end(() => reject(new AppError('unavailable', 'the client went away in the middle of its request')))
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone)
  })
}

/**
 * What a handler finds in its context. Its fields are getters of the class on purpose: context travels on with whatever a
 * handler spawns, and a workflow's journal must not hold the bodies and credentials of those who started it. To a codec
 * this object is empty.
 */
export class Served implements HttpServed {
  readonly #incoming: Incoming
  readonly #params: Readonly<Record<string, string>>
  readonly #body: Buffer

  constructor(incoming: Incoming, params: Readonly<Record<string, string>>, body: Buffer) {
    this.#incoming = incoming
    this.#params = params
    this.#body = body
  }

  get method(): string {
    return this.#incoming.method
  }

  get path(): string {
    const { path } = this.#incoming
    try {
      return decodeURIComponent(path)
    } catch {
      return path
    }
  }

  get query(): Readonly<Record<string, readonly string[]>> {
    const { query } = this.#incoming
    return Object.fromEntries([...new Set(query.keys())].map((key) => [key, query.getAll(key)]))
  }

  get headers(): Readonly<Record<string, string>> {
    const pairs = Object.entries(this.#incoming.request.headers)
    return Object.fromEntries(
      pairs.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
    )
  }

  get params(): Readonly<Record<string, string>> {
    return this.#params
  }

  get body(): string | Uint8Array {
    return isUtf8(this.#body) ? this.#body.toString('utf8') : this.#body
  }

  get remoteAddress(): string {
    return this.#incoming.remoteAddress
  }
}

import type { ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { AppError } from '@daruma/protocol'
import type { HttpPart } from '@daruma/lua'
import { errorBody, statusOf } from './failures.ts'

const gzipped = promisify(gzip)

/** So much is kept before it is sent: what is smaller goes out in one piece, with its length. */
const keptBytes = 1 << 20

export interface Compression {
  readonly level: number
  /** Smaller answers are left as they are. */
  readonly minBytes: number
}

/**
 * One answer on its way. Status and headers count until the first write or flush; after that they are refused. What is
 * written is kept until it is flushed, is more than a mebibyte, or the answer ends.
 */
export class Exchange {
  readonly #response: ServerResponse
  #status = 200
  #kept: Uint8Array[] = []
  #keptBytes = 0
  #isBegun = false
  /** Set by middleware, before the handler runs. */
  compression: Compression | undefined = undefined

  constructor(response: ServerResponse) {
    this.#response = response
  }

  /** Over: ended by us or left by the client. */
  get isOver(): boolean {
    return this.#response.writableEnded || this.#response.destroyed
  }

  /** @throws AppError invalid - status or header after the first write; unavailable - the client has gone */
  respond(part: HttpPart): null | Promise<null> {
    if (this.isOver) {
      throw new AppError('unavailable', 'the client has gone, or the answer has ended', undefined, { retryable: false })
    }
    switch (part.kind) {
      case 'status':
        this.#refuseLate(`status ${part.code}`)
        this.#status = part.code
        return null
      case 'header':
        this.#refuseLate(`header ${part.name}`)
        this.#setHeader(part.name, part.value)
        return null
      case 'transfer':
        this.#refuseLate(`transfer mode ${part.mode}`)
        if (part.mode === 'sse') {
          this.#setHeader('Content-Type', 'text/event-stream')
          this.#setHeader('Cache-Control', 'no-cache')
          // What is sent event by event must not wait in a proxy for more.
          this.#setHeader('X-Accel-Buffering', 'no')
        }
        return null
      case 'write': {
        this.#isBegun = true
        const bytes = typeof part.data === 'string' ? Buffer.from(part.data, 'utf8') : part.data
        this.#kept.push(bytes)
        this.#keptBytes += bytes.length
        return this.#keptBytes > keptBytes ? this.#flush() : null
      }
      case 'flush':
        this.#isBegun = true
        return this.#flush()
    }
  }

  /** Sends what is there and ends. */
  async end(): Promise<void> {
    if (this.isOver) return
    const response = this.#response
    const body = Buffer.concat(this.#kept)
    this.#kept = []
    if (response.headersSent) {
      response.end(body)
      return
    }
    const { compression } = this
    const isCompressed =
      compression !== undefined && body.length >= compression.minBytes && !response.hasHeader('content-encoding')
    const sent = isCompressed ? await gzipped(body, { level: compression.level }) : body
    if (this.isOver) return
    response.statusCode = this.#status
    if (compression !== undefined) response.appendHeader('vary', 'Accept-Encoding')
    if (isCompressed) response.setHeader('content-encoding', 'gzip')
    if (this.#status >= 200 && this.#status !== 204 && this.#status !== 304) {
      response.setHeader('content-length', sent.length)
    }
    response.end(sent)
  }

  /**
   * Ends with an error in place of what the handler kept, and the connection with it if the request was not read to
   * its end. An answer that was partly sent is cut off.
   */
  fail(error: AppError): void {
    const response = this.#response
    if (this.isOver) return
    if (response.headersSent) {
      response.destroy()
      return
    }
    this.#kept = []
    response.statusCode = statusOf(error)
    const body = Buffer.from(errorBody(error))
    for (const name of ['content-encoding', 'cache-control', 'etag', 'last-modified']) response.removeHeader(name)
    if (!response.req.complete) response.setHeader('connection', 'close')
    response.setHeader('content-type', 'application/json')
    response.setHeader('content-length', body.length)
    response.end(body)
  }

  #setHeader(name: string, value: string): void {
    try {
      // Names that differ in case alone are one header; Node refuses what would split the head.
      this.#response.setHeader(name, value)
    } catch (error) {
      throw new AppError('invalid', `header ${name}: ${(error as Error).message}`, undefined, { retryable: false })
    }
  }

  #refuseLate(what: string): void {
    if (!this.#isBegun) return
    throw new AppError('invalid', `${what} comes too late: the answer was begun`, undefined, { retryable: false })
  }

  #flush(): null | Promise<null> {
    const response = this.#response
    if (!response.headersSent) {
      response.statusCode = this.#status
      response.flushHeaders()
    }
    const bytes = Buffer.concat(this.#kept)
    this.#kept = []
    this.#keptBytes = 0
    if (bytes.length === 0 || response.write(bytes)) return null
    return new Promise((resolve) => {
      const on = (): void => {
        response.off('drain', on).off('close', on)
        resolve(null)
      }
      response.on('drain', on).on('close', on)
    })
  }
}

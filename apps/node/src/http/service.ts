import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { AppError, isAppError, toWire, fromWire } from '@daruma/protocol'
import { viewOf, type Entry, type HttpService as HttpServiceView } from '@daruma/registry'
import type { NodeParts } from '../parts.ts'
import { actingAs } from '../requests/security.ts'
import { listenFailure, parseAddress } from './address.ts'
import { Exchange } from './exchange.ts'
import { servedKey, type Exchanges } from './exchanges.ts'
import { httpError } from './failures.ts'
import { incomingOf, readBody, Served, type Incoming } from './incoming.ts'
import { middlewareOf, type Middleware } from './middleware.ts'
import { buildRoutes, type Route, type RouteTable } from './routes.ts'
import { serveFile } from './static-files.ts'

export interface HttpOptions {
  readonly exchanges: Exchanges
  /** Folders of fs.directory entries are relative to it. Default: the folder of this process. */
  readonly folder?: string
  /** Default 16 MiB. */
  readonly maxBodyBytes?: number
}

export type HttpParts = Pick<NodeParts, 'registry' | 'functions' | 'clock' | 'logger'>

export interface HttpServer {
  /**
   * Resolves when it listens. @throws AppError unavailable - the address cannot be had, with the reason and what to do;
   * invalid - routes or middleware that cannot be served
   */
  start(): Promise<void>
  /** Takes no more requests; those that run have until the deadline. Resolves when everything is closed. */
  stop(deadlineMs: number): Promise<void>
  /** Undefined: it does not listen. */
  readonly address: { readonly host: string; readonly port: number } | undefined
}

const defaultReadMs = 60_000
const defaultIdleMs = 60_000

/**
 * The server of one http.service entry. Its routes follow the registry: an endpoint that is added answers when the change
 * is answered; a change that would make routes ambiguous is refused.
 */
export function httpService(parts: HttpParts, entry: Entry, options: HttpOptions): HttpServer {
  let run: Running | undefined
  return {
    async start() {
      const starting = new Running(parts, entry, options)
      await starting.listen()
      run = starting
    },
    async stop(deadlineMs) {
      const stopping = run
      run = undefined
      await stopping?.close(deadlineMs)
    },
    get address() {
      return run?.address
    },
  }
}

class Running {
  readonly #parts: HttpParts
  readonly #entry: Entry
  readonly #view: HttpServiceView
  readonly #options: HttpOptions
  readonly #server: Server
  readonly #acting: Readonly<Record<string, unknown>>
  readonly #calls = new Set<AbortController>()
  /** By the router entry: another generation of it is another object. */
  #middleware = new Map<Entry, readonly Middleware[]>()
  #routes: RouteTable
  readonly #unwatch: readonly (() => void)[]

  constructor(parts: HttpParts, entry: Entry, options: HttpOptions) {
    const { registry } = parts
    this.#parts = parts
    this.#entry = entry
    this.#view = viewOf(entry, 'http.service')
    this.#options = options
    this.#acting = actingAs(registry, this.#view.lifecycle.security)
    this.#routes = buildRoutes(registry.entries(), entry.id)
    this.#middleware = this.#middlewareOf(this.#routes)
    const { readMs = defaultReadMs, idleMs = defaultIdleMs } = this.#view.timeouts
    this.#server = createServer({
      requestTimeout: readMs,
      headersTimeout: readMs,
      keepAliveTimeout: idleMs,
      // How often Node looks whether a request is late.
      connectionsCheckingInterval: Math.min(Math.max(readMs, 100), 5_000),
    })
    this.#server.on('request', (request, response) => void this.#handle(request, response))
    this.#unwatch = [
      registry.guard(({ created, updated, deleted }) => {
        const next = new Map(registry.entries().map((each) => [each.id, each]))
        for (const { id } of deleted) next.delete(id)
        for (const each of [...created, ...updated.map(({ after }) => after)]) next.set(each.id, each)
        if (next.has(entry.id)) this.#middlewareOf(buildRoutes([...next.values()], entry.id))
      }),
      registry.watch(() => {
        if (registry.get(entry.id) === undefined) return
        this.#routes = buildRoutes(registry.entries(), entry.id)
        this.#middleware = this.#middlewareOf(this.#routes)
      }),
    ]
  }

  get address(): { readonly host: string; readonly port: number } | undefined {
    const address = this.#server.address() as AddressInfo | null
    return address === null ? undefined : { host: address.address, port: address.port }
  }

  async listen(): Promise<void> {
    const { addr } = this.#view
    const { host, port } = parseAddress(this.#entry.id, addr)
    try {
      await new Promise<void>((resolved, reject) => {
        this.#server.once('error', reject)
        this.#server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
          this.#server.off('error', reject)
          resolved()
        })
      })
    } catch (error) {
      for (const stop of this.#unwatch) stop()
      throw listenFailure(this.#entry.id, addr, port, error as NodeJS.ErrnoException)
    }
    const bound = this.address!
    this.#parts.logger.log('info', `${this.#entry.id} listens on ${bound.host}:${bound.port}`, {
      port: bound.port,
      routes: this.#routes.size,
    })
  }

  async close(deadlineMs: number): Promise<void> {
    const closed = new Promise<void>((resolved) => this.#server.close(() => resolved()))
    this.#server.closeIdleConnections()
    const cancel = this.#parts.clock.after(deadlineMs, () => {
      for (const call of this.#calls) call.abort()
      this.#server.closeAllConnections()
    })
    await closed
    cancel()
    for (const stop of this.#unwatch) stop()
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const incoming = incomingOf(request)
    const exchange = new Exchange(response)
    // Whoever writes to a client that just left hears of it from the exchange; as an event it would end the node.
    response.on('error', () => undefined)
    // A connection that waits for its next request would keep a server that closes.
    response.once('close', () => {
      if (!this.#server.listening) this.#server.closeIdleConnections()
    })
    try {
      await this.#dispatch(incoming, response, exchange)
    } catch (error) {
      this.#failed(incoming, exchange, error)
    }
  }

  async #dispatch(incoming: Incoming, response: ServerResponse, exchange: Exchange): Promise<void> {
    const { method, path } = incoming
    const match = this.#routes.match(method, path)
    const router = match.kind === 'route' ? match.route.router : match.kind === 'none' ? match.router : undefined
    for (const middleware of router === undefined ? [] : (this.#middleware.get(router) ?? [])) {
      if (middleware(incoming, response, exchange)) return
    }
    switch (match.kind) {
      case 'route':
        return this.#call(match.route, match.params, incoming, response, exchange)
      case 'static':
        return serveFile(match.mount, this.#folderOf(match.mount.fs), incoming, response, exchange)
      case 'none':
        if (match.allowed.length === 0) throw httpError(404, 'not_found', `nothing is at ${path}`)
        response.setHeader('allow', match.allowed.join(', '))
        throw httpError(405, 'invalid', `${path} has no ${method}; it has ${match.allowed.join(', ')}`)
    }
  }

  async #call(
    route: Route,
    params: Readonly<Record<string, string>>,
    incoming: Incoming,
    response: ServerResponse,
    exchange: Exchange,
  ): Promise<void> {
    const { clock, functions } = this.#parts
    const call = new AbortController()
    this.#calls.add(call)
    const onClose = (): void => call.abort()
    response.once('close', onClose)
    const { writeMs = 0 } = this.#view.timeouts
    const late = (): void => {
      const error = new AppError('timeout', `no answer within ${writeMs} ms`, undefined, { retryable: true })
      this.#failed(incoming, exchange, error)
      call.abort()
    }
    const stopTimer = writeMs === 0 ? undefined : clock.after(writeMs, late)
    try {
      const body = await readBody(incoming.request, this.#options.maxBodyBytes ?? 16 << 20)
      const served = new Served(incoming, params, body)
      this.#options.exchanges.open(served, exchange)
      await functions.call(route.func, [], { context: { ...this.#acting, [servedKey]: served }, signal: call.signal })
      await exchange.end()
    } finally {
      stopTimer?.()
      response.off('close', onClose)
      this.#calls.delete(call)
    }
  }

  #failed(incoming: Incoming, exchange: Exchange, thrown: unknown): void {
    if (exchange.isOver) return
    const error = isAppError(thrown) ? thrown : fromWire(toWire(thrown))
    if (error.kind === 'internal' || error.kind === 'unknown') {
      const { method, path } = incoming
      this.#parts.logger.log('error', `${method} ${path} failed: ${error.message}`, {
        server: this.#entry.id,
        stack: error.stack,
      })
    }
    exchange.fail(error)
  }

  #middlewareOf(routes: RouteTable): Map<Entry, readonly Middleware[]> {
    // What a router counts (its rate limit) outlives changes of other entries.
    return new Map(
      routes.routers.map((router) => [router, this.#middleware.get(router) ?? middlewareOf(router, this.#parts.clock)]),
    )
  }

  #folderOf(fs: string): string {
    const entry = this.#parts.registry.get(fs)
    if (entry === undefined) throw new AppError('internal', `there is no ${fs}`)
    const { directory } = viewOf(entry, 'fs.directory')
    return resolve(this.#options.folder ?? process.cwd(), directory)
  }
}

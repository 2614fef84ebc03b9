import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createSystem, outcomeOf, programBehavior, type ProgramHandlers } from '@daruma/actors'
import { createLua } from '@daruma/lua'
import { AppError, fromWire, systemClock, systemRng, type Clock, type Logger } from '@daruma/protocol'
import { createRegistry, type Entry, type Registry } from '@daruma/registry'
import { entry } from '@daruma/registry/testing'
import { onTestFinished } from 'vitest'
import { Exchanges } from '../src/http/exchanges.ts'
import { exchangeRequests } from '../src/http/requests.ts'
import { httpService, type HttpOptions, type HttpServer } from '../src/http/service.ts'
import type { Functions } from '../src/parts.ts'
import { Programs } from '../src/programs.ts'
import { requestTable, type RequestHandlers } from '../src/requests/table.ts'

export interface HttpWorld {
  readonly registry: Registry
  readonly server: HttpServer
  readonly url: string
  readonly logs: string[]
  readonly folder: string
  /** How many processes run. */
  readonly running: () => number
}

export interface HttpWorldOptions extends Partial<HttpOptions> {
  readonly files?: Readonly<Record<string, string>>
  readonly clock?: Clock
  readonly groups?: readonly RequestHandlers[]
}

/** A Lua function that handles requests. */
export const handler = (id: string, body: string, modules: readonly string[] = ['http']): Entry =>
  entry(id, 'function.lua', {
    source: `${modules.map((name) => `local ${name} = require("${name}")`).join('\n')}
return { main = function() ${body} end }`,
    method: 'main',
    modules,
  })

export const endpoint = (name: string, method: string, path: string, func: string, router = 'api'): Entry =>
  entry(`app:${name}`, 'http.endpoint', { method, path, func }, { router })

/** A server on a free port of the loopback, with real processes behind it. Entries: those given, and `app:gateway`. */
export async function serve(entries: readonly Entry[], options: HttpWorldOptions = {}): Promise<HttpWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'daruma-http-'))
  for (const [name, text] of Object.entries(options.files ?? {})) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const given = entries.some(({ kind }) => kind === 'http.service')
    ? []
    : [entry('app:gateway', 'http.service', { addr: '127.0.0.1:0' })]
  const registry = createRegistry([...given, ...entries])
  const logs: string[] = []
  const logger: Logger = { log: (level, message) => void logs.push(`${level} ${message}`) }
  const clock = options.clock ?? systemClock()
  const system = createSystem({ node: 'web', clock: systemClock(), rng: systemRng(), logger })
  const programs = new Programs(createLua(), registry, folder)
  const exchanges = new Exchanges()
  const handlers: ProgramHandlers = {
    request: requestTable([exchangeRequests(exchanges), ...(options.groups ?? [])]),
    call: (target, args, call, scope) =>
      functions.call(target, args, { context: { ...scope.context, ...call.context }, signal: scope.signal }),
  }
  const functions: Functions = {
    async call(target, args, { context, signal }) {
      const create = programs.factory(target, ['function.lua'])
      const pid = system.spawn(programBehavior({ entry: target, args, context, create, handlers }))
      const exited = system.exited(pid)
      signal?.addEventListener('abort', () => system.exit(pid, { kind: 'kill' }))
      const { value, error } = outcomeOf(await exited, pid)
      if (signal?.aborted === true) throw new AppError('canceled', 'canceled')
      if (error !== undefined) throw fromWire(error)
      return value
    },
  }
  const service = registry.entries().find(({ kind }) => kind === 'http.service')!
  const server = httpService({ registry, functions, clock, logger }, service, { exchanges, folder, ...options })
  await server.start()
  onTestFinished(async () => {
    await server.stop(0)
    await system.shutdown({ deadlineMs: 0 })
    rmSync(folder, { recursive: true, force: true })
  })
  const { host, port } = server.address!
  return { registry, server, url: `http://${host}:${port}`, logs, folder, running: () => system.size }
}

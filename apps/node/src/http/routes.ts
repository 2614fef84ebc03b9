import createRouter, { type HTTPMethod } from 'find-my-way'
import { AppError, entryNamespace, type EntryId } from '@daruma/protocol'
import { isRecord, resolveId, viewOf, type Entry, type HttpEndpoint, type HttpRouter } from '@daruma/registry'
import { isBelow, readPath } from './path-pattern.ts'

export const routedMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const

export interface Route {
  readonly endpoint: EntryId
  readonly router: Entry
  readonly func: EntryId
}

export interface Mount {
  readonly entry: Entry
  readonly path: string
  /** The fs.directory entry. */
  readonly fs: EntryId
  readonly spa: boolean
  readonly index: string
  readonly cacheControl: string | undefined
}

/** What is to be done with a method and a path. */
export type Match =
  | { readonly kind: 'route'; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'static'; readonly mount: Mount }
  /** `allowed`: the methods that the path has; none where nothing is there. `router`: whose prefix the path is below. */
  | { readonly kind: 'none'; readonly allowed: readonly string[]; readonly router: Entry | undefined }

export interface RouteTable {
  match(method: string, path: string): Match
  /** Routers of this server, for their middleware. */
  readonly routers: readonly Entry[]
  readonly size: number
}

/**
 * The routes of one server: its routers and their endpoints, and static mounts. A fixed segment wins over a parameter, a
 * parameter over a rest; a route over a mount. Where no route fits, the longest prefix decides whose affair the path is.
 *
 * @throws AppError invalid - with every fault: paths that cannot be read, two endpoints for one path, endpoints or routers
 *   that do not say to whom they belong where that is not clear
 */
export function buildRoutes(entries: readonly Entry[], server: EntryId): RouteTable {
  const problems: string[] = []
  const belongs = ownership(entries, problems)
  const routers = entries.filter((entry) => entry.kind === 'http.router' && belongs.serverOf(entry) === server)
  const mounts = entries
    .filter((entry) => entry.kind === 'http.static' && belongs.serverOf(entry) === server)
    .map(mountOf)
  const finder = createRouter<createRouter.HTTPVersion.V1>({ ignoreTrailingSlash: true, maxParamLength: 2_048 })
  const declared = new Map<string, EntryId>()
  let size = 0

  const add = (method: HTTPMethod, entry: Entry, view: HttpEndpoint, router: Entry, prefix: string): void => {
    const { routerPath, restName, shape } = readPath(prefix, view.path)
    const key = `${method} ${shape}`
    const first = declared.get(key)
    if (first !== undefined) {
      // An endpoint for all methods leaves to others what they declare.
      if (view.method !== '*')
        problems.push(`${entry.id}: ${method} ${prefix}${view.path} is the path of ${first} already`)
      return
    }
    declared.set(key, entry.id)
    const stored: Stored = { route: { endpoint: entry.id, router, func: view.func }, restName }
    finder.on(method, routerPath, neverCalled, stored)
    size++
  }

  const endpoints = entries.flatMap((entry) => {
    const router = entry.kind === 'http.endpoint' ? belongs.routerOf(entry) : undefined
    if (router === undefined || !routers.includes(router)) return []
    return [{ entry, router, view: viewOf(entry, 'http.endpoint'), prefix: prefixOf(router) }]
  })
  for (const { entry, view, router, prefix } of endpoints.toSorted(
    (a, b) => Number(a.view.method === '*') - Number(b.view.method === '*'),
  )) {
    try {
      for (const method of view.method === '*' ? routedMethods : [view.method]) add(method, entry, view, router, prefix)
    } catch (error) {
      problems.push(`${entry.id}: ${(error as Error).message}`)
    }
  }
  if (problems.length > 0) throw new AppError('invalid', problems.join('; '), { problems }, { retryable: false })

  const find = (method: string, path: string): Match | undefined => {
    const found = finder.find(method as HTTPMethod, path)
    if (found === null) return undefined
    const { route, restName } = found.store as Stored
    const { '*': tail, ...named } = found.params
    const params = restName === undefined ? named : { ...named, [restName]: tail ?? '' }
    return { kind: 'route', route, params: params as Record<string, string> }
  }

  /** What can be read can be asked about. */
  const findOrHead = (method: string, path: string): Match | undefined =>
    find(method, path) ?? (method === 'HEAD' ? find('GET', path) : undefined)

  return {
    routers,
    size,
    match(method, path) {
      const found = findOrHead(method, path)
      if (found !== undefined) return found
      const router = longest(routers, prefixOf, path)
      const mount = longest(mounts, (each) => each.path, path)
      if (mount !== undefined && (router === undefined || prefixOf(router).length <= mount.path.length)) {
        return { kind: 'static', mount }
      }
      return { kind: 'none', allowed: routedMethods.filter((other) => findOrHead(other, path) !== undefined), router }
    },
  }
}

interface Stored {
  readonly route: Route
  readonly restName: string | undefined
}

function neverCalled(): void {
  throw new TypeError('routes are looked up, not dispatched')
}

const prefixOf = (router: Entry): string => viewOf(router, 'http.router').prefix

function longest<T>(all: readonly T[], prefix: (each: T) => string, path: string): T | undefined {
  return all.filter((each) => isBelow(path, prefix(each))).toSorted((a, b) => prefix(b).length - prefix(a).length)[0]
}

function mountOf(entry: Entry): Mount {
  const { path, fs } = viewOf(entry, 'http.static')
  const written = entry.data['static_options'] ?? entry.data['options']
  const options = isRecord(written) ? written : {}
  const text = (name: string): string | undefined =>
    typeof options[name] === 'string' && options[name] !== '' ? options[name] : undefined
  return {
    entry,
    path,
    fs,
    spa: options['spa'] === true || options['spa'] === 'true',
    index: text('index') ?? 'index.html',
    cacheControl: text('cache'),
  }
}

/** To whom routers, mounts and endpoints belong; what says nothing belongs to the only one there is. */
function ownership(entries: readonly Entry[], problems: string[]) {
  const servers = entries.filter(({ kind }) => kind === 'http.service')
  const routers = entries.filter(({ kind }) => kind === 'http.router')
  const only = (entry: Entry, what: string, all: readonly Entry[]): Entry | undefined => {
    if (all.length === 1) return all[0]
    problems.push(`${entry.id} names no ${what}, and this app has ${all.length}; set meta.${what}`)
    return undefined
  }
  return {
    serverOf(entry: Entry): EntryId | undefined {
      const { server } = viewOf(entry, 'http.router', 'http.static') as Pick<HttpRouter, 'server'>
      return server ?? only(entry, 'server', servers)?.id
    },
    routerOf(entry: Entry): Entry | undefined {
      const { router } = viewOf(entry, 'http.endpoint')
      // Written as a field by some: docs of this kind show both.
      const field = entry.data['router']
      const id = router ?? (typeof field === 'string' ? resolveId(field, entryNamespace(entry.id)) : undefined)
      if (id === undefined) return only(entry, 'router', routers)
      const found = routers.find((each) => each.id === id)
      if (found === undefined) problems.push(`${entry.id}: there is no http.router ${id}`)
      return found
    },
  }
}

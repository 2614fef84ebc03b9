import type { EntryId } from '@daruma/protocol'
import * as v from 'valibot'
import { lifecycle, type Lifecycle } from '../lifecycle.ts'
import { defined, duration, kind, listOf, open, ref, text } from '../schema.ts'
import { callableKinds } from './code.ts'

export const httpMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', '*'] as const

export interface HttpService {
  /** `:8080`, `127.0.0.1:8080`. */
  readonly addr: string
  readonly timeouts: { readonly readMs?: number; readonly writeMs?: number; readonly idleMs?: number }
  readonly lifecycle: Lifecycle
}

export interface HttpRouter {
  /** Absent: the app's only http.service. */
  readonly server?: EntryId
  readonly prefix: string
  readonly middleware: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
  readonly postMiddleware: readonly string[]
  readonly postOptions: Readonly<Record<string, unknown>>
}

export interface HttpEndpoint {
  /** Absent: the app's only http.router. */
  readonly router?: EntryId
  readonly method: (typeof httpMethods)[number]
  /** `/users/{id}`, `/files/{path...}`. */
  readonly path: string
  readonly func: EntryId
}

export interface HttpStatic {
  readonly server?: EntryId
  readonly path: string
  readonly fs: EntryId
}

const routePath = v.pipe(v.string(), v.startsWith('/', 'expected a path that starts with "/"'))

export const httpService = kind({
  data: v.object({
    addr: v.pipe(v.string(), v.regex(/^[^\s]*:\d{1,5}$/, 'expected an address like ":8080" or "127.0.0.1:8080"')),
    timeouts: v.optional(
      v.object({ read: v.optional(duration()), write: v.optional(duration()), idle: v.optional(duration()) }),
      {},
    ),
    host: v.optional(open()),
    lifecycle,
  }),
  view: ({ addr, timeouts, lifecycle }): HttpService => ({
    addr,
    timeouts: defined({ readMs: timeouts.read, writeMs: timeouts.write, idleMs: timeouts.idle }),
    lifecycle,
  }),
})

export const httpRouter = kind({
  data: v.object({
    prefix: v.optional(routePath, '/'),
    middleware: v.optional(listOf(text()), []),
    options: v.optional(open(), {}),
    post_middleware: v.optional(listOf(text()), []),
    post_options: v.optional(open(), {}),
    lifecycle,
  }),
  meta: v.object({ server: v.optional(ref(['http.service'])) }),
  view: ({ prefix, middleware, options, post_middleware, post_options }, { server }): HttpRouter => ({
    prefix,
    middleware,
    options,
    postMiddleware: post_middleware,
    postOptions: post_options,
    ...defined({ server }),
  }),
})

export const httpEndpoint = kind({
  data: v.object({ method: v.picklist(httpMethods), path: routePath, func: ref(callableKinds), lifecycle }),
  meta: v.object({ router: v.optional(ref(['http.router'])) }),
  view: ({ method, path, func }, { router }): HttpEndpoint => ({ method, path, func, ...defined({ router }) }),
})

export const httpStatic = kind({
  data: v.object({ path: routePath, fs: ref(['fs.directory']), options: v.optional(open()), lifecycle }),
  meta: v.object({ server: v.optional(ref(['http.service'])) }),
  view: ({ path, fs }, { server }): HttpStatic => ({ path, fs, ...defined({ server }) }),
})

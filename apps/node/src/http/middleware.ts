import type { ServerResponse } from 'node:http'
import { AppError, type Clock } from '@daruma/protocol'
import { nearHint, viewOf, type Entry } from '@daruma/registry'
import { compress } from './compress.ts'
import { cors } from './cors.ts'
import type { Exchange } from './exchange.ts'
import type { Incoming } from './incoming.ts'
import { Options } from './options.ts'
import { rateLimit } from './rate-limit.ts'
import { realIp } from './real-ip.ts'

/** Looks at a request before its route does. True: it is answered, nobody else shall see it. */
export type Middleware = (incoming: Incoming, response: ServerResponse, exchange: Exchange) => boolean

const offered: Readonly<Record<string, (options: Options, clock: Clock) => Middleware>> = {
  cors,
  real_ip: realIp,
  ratelimit: rateLimit,
  compress,
}

/**
 * The middleware of a router, in the order written.
 *
 * @throws AppError invalid - middleware that is not offered, or an option that cannot be read
 */
export function middlewareOf(router: Entry, clock: Clock): readonly Middleware[] {
  const { middleware, options, postMiddleware } = viewOf(router, 'http.router')
  const [post] = postMiddleware
  if (post !== undefined) throw unknown(router, post)
  return middleware.map((name) => {
    const make = Object.hasOwn(offered, name) ? offered[name] : undefined
    if (make === undefined) throw unknown(router, name)
    return make(new Options(router.id, options), clock)
  })
}

function unknown(router: Entry, name: string): AppError {
  const names = Object.keys(offered)
  const hint = nearHint(name, names) ?? `offered: ${names.join(', ')}`
  return new AppError('invalid', `${router.id}: there is no middleware "${name}"; ${hint}`, undefined, {
    retryable: false,
  })
}

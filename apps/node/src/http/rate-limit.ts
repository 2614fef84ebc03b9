import { isIPv6 } from 'node:net'
import type { Clock } from '@daruma/protocol'
import type { Incoming } from './incoming.ts'
import type { Middleware } from './middleware.ts'
import type { Options } from './options.ts'

interface Bucket {
  tokens: number
  /** Monotonic instant as of which `tokens` counts. */
  atMs: number
}

/**
 * A token bucket per key: `burst` requests at once, refilled at `requests` per `window`. Keys that nobody used for
 * `entry_ttl` are forgotten, as are the oldest beyond `max_entries`.
 */
export function rateLimit(options: Options, clock: Clock): Middleware {
  const requests = options.count('ratelimit.requests', 100)
  const windowMs = options.durationMs('ratelimit.window', '1m')
  const burst = options.count('ratelimit.burst', 20)
  const ttlMs = options.durationMs('ratelimit.entry_ttl', '10m')
  const sweepMs = options.durationMs('ratelimit.cleanup_interval', '5m')
  const maxEntries = options.count('ratelimit.max_entries', 100_000)
  const keyOf = keyReader(options)
  if (!(windowMs > 0)) throw options.invalid('ratelimit.window', 'must be longer than nothing')
  const perMs = requests / windowMs
  /** In order of last use. */
  const buckets = new Map<string, Bucket>()
  let sweptMs = clock.monotonicMs()

  const forget = (nowMs: number): void => {
    for (const [key, { atMs }] of buckets) {
      if (nowMs - atMs < ttlMs && buckets.size <= maxEntries) return
      buckets.delete(key)
    }
  }

  return (incoming, response) => {
    const nowMs = clock.monotonicMs()
    const key = keyOf(incoming)
    const known = buckets.get(key)
    const tokens = known === undefined ? burst : Math.min(burst, known.tokens + (nowMs - known.atMs) * perMs)
    const isAllowed = tokens >= 1
    buckets.delete(key)
    buckets.set(key, { tokens: isAllowed ? tokens - 1 : tokens, atMs: nowMs })
    if (buckets.size > maxEntries || nowMs - sweptMs >= sweepMs) {
      sweptMs = nowMs
      forget(nowMs)
    }
    response.setHeader('x-ratelimit-limit', String(requests))
    response.setHeader('x-ratelimit-window', `${windowMs / 1_000}s`)
    if (isAllowed) return false
    response.setHeader('retry-after', String(Math.max(1, Math.ceil((1 - tokens) / perMs / 1_000))))
    response.writeHead(429, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: { kind: 'rate_limited', message: 'too many requests' } }))
    return true
  }
}

function keyReader(options: Options): (incoming: Incoming) => string {
  const strategy = options.text('ratelimit.key', 'ip')
  if (strategy === 'ip') return ({ remoteAddress }) => addressOf(remoteAddress)
  const [how, name = ''] = strategy.split(/:(.*)/s)
  if (how === 'header' && name !== '') return ({ request }) => String(request.headers[name.toLowerCase()] ?? '')
  if (how === 'query' && name !== '') return ({ query }) => query.get(name) ?? ''
  throw options.invalid('ratelimit.key', `expected ip, header:NAME or query:NAME, found "${strategy}"`)
}

/** Without the port, which is another one for each connection. */
function addressOf(remoteAddress: string): string {
  return isIPv6(remoteAddress) ? remoteAddress : remoteAddress.replace(/:\d+$/, '')
}

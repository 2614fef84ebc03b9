import type { Middleware } from './middleware.ts'
import type { Options } from './options.ts'

/** Lets pages of other origins ask. Preflight requests are answered here. Origins may be `*` or `https://*.example.com`. */
export function cors(options: Options): Middleware {
  const origins = options.list('cors.allow.origins', '*')
  const methods = options.list('cors.allow.methods', 'GET,POST,PUT,DELETE,OPTIONS,PATCH').join(', ')
  const headers = options
    .list('cors.allow.headers', 'Origin,Content-Type,Accept,Authorization,X-Requested-With')
    .join(', ')
  const exposed = options.list('cors.expose.headers', '').join(', ')
  const credentials = options.flag('cors.allow.credentials')
  const privateNetwork = options.flag('cors.allow.private.network')
  const maxAge = options.text('cors.max.age', '86400')
  const isOpen = origins.includes('*')
  if (isOpen && credentials) {
    throw options.invalid(
      'cors.allow.credentials',
      'needs cors.allow.origins by name: "*" would let any page act as its user',
    )
  }
  const isAllowed = (origin: string): boolean => isOpen || origins.some((pattern) => meansOrigin(pattern, origin))

  return ({ request, method }, response) => {
    const { origin } = request.headers
    if (!isOpen) response.appendHeader('vary', 'Origin')
    const isPreflight = method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined
    if (origin === undefined) return false
    if (isAllowed(origin)) {
      response.setHeader('access-control-allow-origin', isOpen ? '*' : origin)
      if (credentials) response.setHeader('access-control-allow-credentials', 'true')
      if (exposed !== '' && !isPreflight) response.setHeader('access-control-expose-headers', exposed)
      if (isPreflight) {
        response.setHeader('access-control-allow-methods', methods)
        response.setHeader('access-control-allow-headers', headers)
        response.setHeader('access-control-max-age', maxAge)
        if (privateNetwork && request.headers['access-control-request-private-network'] === 'true') {
          response.setHeader('access-control-allow-private-network', 'true')
        }
      }
    }
    if (!isPreflight) return false
    // Without the headers above the browser refuses by itself.
    response.writeHead(204).end()
    return true
  }
}

/** `*.example.com` and `https://*.example.com`: any subdomain, but not the domain itself. */
function meansOrigin(pattern: string, origin: string): boolean {
  if (pattern === origin) return true
  const star = pattern.indexOf('*.')
  if (star < 0) return false
  const [before, after] = [pattern.slice(0, star), pattern.slice(star + 1)]
  const host = origin.slice(origin.indexOf('//') + 2)
  return (before === '' || origin.startsWith(before)) && host.endsWith(after) && host.length > after.length
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import send from 'send'
import type { Exchange } from './exchange.ts'
import { httpError } from './failures.ts'
import type { Incoming } from './incoming.ts'
import type { Mount } from './routes.ts'

/**
 * Serves a file of `folder` below the mount's path: conditional requests, ranges, content types. Names that begin with a
 * dot are not there, nor is anything outside of the folder. With `spa`, what is not there is the index.
 */
export function serveFile(
  mount: Mount,
  folder: string,
  incoming: Incoming,
  response: ServerResponse,
  exchange: Exchange,
): void {
  if (incoming.method !== 'GET' && incoming.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    exchange.fail(httpError(405, 'invalid', `${incoming.path} can only be read`))
    return
  }
  const below = incoming.path.slice(mount.path.replace(/\/+$/, '').length)
  const stream = (path: string, onMissing: () => void): void => {
    filesOf(incoming.request, path, folder, mount)
      .on('error', (error: Error & { status?: number }) => {
        if (error.status === 404) onMissing()
        else
          exchange.fail(
            httpError(error.status ?? 500, (error.status ?? 500) < 500 ? 'invalid' : 'internal', error.message),
          )
      })
      // A folder without the slash at its end.
      .on('directory', () => onMissing())
      .pipe(response)
  }
  const missing = (): void => exchange.fail(httpError(404, 'not_found', `there is no ${incoming.path}`))
  stream(below === '' ? '/' : below, () => (mount.spa ? stream(`/${mount.index}`, missing) : missing()))
}

function filesOf(request: IncomingMessage, path: string, folder: string, mount: Mount): send.SendStream {
  const stream = send(request, path, {
    root: folder,
    dotfiles: 'ignore',
    index: mount.index,
    cacheControl: mount.cacheControl === undefined,
    maxAge: 0,
  })
  const { cacheControl } = mount
  if (cacheControl !== undefined)
    stream.on('headers', (response: ServerResponse) => response.setHeader('cache-control', cacheControl))
  return stream
}

import { constants } from 'node:zlib'
import type { Middleware } from './middleware.ts'
import type { Options } from './options.ts'

const levels: Readonly<Record<string, number>> = {
  fastest: constants.Z_BEST_SPEED,
  default: constants.Z_DEFAULT_COMPRESSION,
  best: constants.Z_BEST_COMPRESSION,
}

/** Answers that go out in one piece are packed with gzip for clients that take it. */
export function compress(options: Options): Middleware {
  const name = options.text('compress.level', 'default')
  const level = Object.hasOwn(levels, name) ? levels[name] : undefined
  if (level === undefined) throw options.invalid('compress.level', `expected fastest, default or best, found "${name}"`)
  const minBytes = options.count('compress.min.length', 1_024)
  return ({ request }, _response, exchange) => {
    if (takesGzip(String(request.headers['accept-encoding'] ?? ''))) exchange.compression = { level, minBytes }
    return false
  }
}

function takesGzip(header: string): boolean {
  return header.split(',').some((each) => {
    const [coding = '', ...parameters] = each.split(';').map((part) => part.trim().toLowerCase())
    return (coding === 'gzip' || coding === '*') && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}

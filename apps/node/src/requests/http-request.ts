import { isUtf8 } from 'node:buffer'
import { AppError } from '@daruma/protocol'
import type { HttpAnswer, HttpQuestion } from '@daruma/lua'
import type { NodeParts } from '../parts.ts'
import type { RequestHandlers } from './table.ts'

export const defaultRequestTimeoutMs = 30_000
export const defaultMaxResponseBytes = 32 << 20

/** Requests of programs to other servers. Redirects are followed, up to twenty. */
export function httpClientRequests({ clock }: Pick<NodeParts, 'clock'>): RequestHandlers {
  return {
    'http.request': async (question, scope) => {
      const { timeoutMs = defaultRequestTimeoutMs } = question
      const abort = new AbortController()
      const stopTimer = clock.after(timeoutMs, () => {
        const why = `${question.method} ${question.url}: no answer within ${timeoutMs} ms`
        abort.abort(new AppError('timeout', why, undefined, { retryable: true }))
      })
      const giveUp = (): void => abort.abort(new AppError('canceled', 'canceled', undefined, { retryable: false }))
      scope.signal.addEventListener('abort', giveUp, { once: true })
      try {
        return await perform(question, abort.signal)
      } catch (error) {
        throw abort.signal.aborted ? abort.signal.reason : failure(question, error)
      } finally {
        stopTimer()
        scope.signal.removeEventListener('abort', giveUp)
      }
    },
  }
}

async function perform(question: HttpQuestion, signal: AbortSignal): Promise<HttpAnswer> {
  const { method, url, headers, body, maxResponseBytes = defaultMaxResponseBytes } = question
  const response = await fetch(url, {
    method,
    headers,
    signal,
    // A copy: the bytes belong to the program, which goes on.
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
  })
  const bytes = await boundedBody(response, maxResponseBytes)
  return {
    statusCode: response.status,
    headers: Object.fromEntries(response.headers),
    cookies: Object.fromEntries(response.headers.getSetCookie().map(cookiePair)),
    body: isUtf8(bytes) ? bytes.toString('utf8') : new Uint8Array(bytes),
    url: response.url,
  }
}

async function boundedBody(response: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > maxBytes) {
      throw new AppError('invalid', `the answer is larger than the ${maxBytes} bytes that were allowed`, undefined, {
        retryable: false,
      })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function cookiePair(header: string): readonly [string, string] {
  const [pair = ''] = header.split(';', 1)
  const at = pair.indexOf('=')
  return at < 0 ? [pair.trim(), ''] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
}

/** fetch says "fetch failed" and hides why in the cause; a wrong argument has none. */
function failure({ method, url }: HttpQuestion, error: unknown): unknown {
  if (error instanceof AppError || !(error instanceof Error)) return error
  const { cause } = error
  if (!(cause instanceof Error)) {
    return new AppError('invalid', `${method} ${url}: ${error.message}`, undefined, { retryable: false, cause: error })
  }
  const { code } = cause as NodeJS.ErrnoException
  const why = [code, cause.message].filter((text) => text !== undefined && text !== '').join(': ')
  return new AppError('unavailable', `${method} ${url}: ${why}`, undefined, { retryable: true, cause: error })
}

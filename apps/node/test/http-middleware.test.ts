import { request as rawRequest, type IncomingMessage } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { SimClock } from '@daruma/protocol/testing'
import { entry } from '@daruma/registry/testing'
import { describe, expect, test } from 'vitest'
import { endpoint, handler, serve, type HttpWorldOptions } from './http-world.ts'

const hello = handler(
  'app:h',
  'local res = http.response() res:write(http.request():query("big") and string.rep("x", 5000) or http.request():remote_addr())',
)

async function behind(middleware: string[], options: Record<string, unknown> = {}, world: HttpWorldOptions = {}) {
  const api = entry('app:api', 'http.router', { prefix: '/api', middleware, options }, { server: 'gateway' })
  const { server } = await serve([api, hello, endpoint('e', 'GET', '/', 'h')], world)
  return (
    headers: Record<string, string> = {},
    method = 'GET',
    path = '/api',
  ): Promise<{ answer: IncomingMessage; body: Buffer }> =>
    new Promise((resolve, reject) => {
      rawRequest({ host: '127.0.0.1', port: server.address!.port, path, method, headers }, (answer) => {
        const chunks: Buffer[] = []
        answer
          .on('data', (chunk: Buffer) => chunks.push(chunk))
          .on('end', () => resolve({ answer, body: Buffer.concat(chunks) }))
      })
        .on('error', reject)
        .end()
    })
}

describe('cors', () => {
  const preflight = { origin: 'https://a.example.com', 'access-control-request-method': 'POST' }

  test('by default every origin may ask, and preflights are answered without a route', async () => {
    const ask = await behind(['cors'])
    const { answer } = await ask(preflight, 'OPTIONS', '/api/anything')
    expect(answer.statusCode).toBe(204)
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, POST, PUT, DELETE, OPTIONS, PATCH',
      'access-control-max-age': '86400',
    })
    const plain = await ask({ origin: 'https://a.example.com' })
    expect([plain.answer.statusCode, plain.answer.headers['access-control-allow-origin']]).toEqual([200, '*'])
    expect(
      (await ask({ origin: 'https://x.y' }, 'GET', '/api/none')).answer.headers['access-control-allow-origin'],
    ).toBe('*')
  })

  test.each([
    ['https://a.example.com', true],
    ['https://a.b.example.com', true],
    ['https://example.com', false],
    ['https://evilexample.com', false],
    ['http://a.example.com', false],
    ['https://app.other.org', true],
    ['https://app.other.org.evil.com', false],
  ])('origin %s among named ones: %s', async (origin, allowed) => {
    const ask = await behind(['cors'], {
      'cors.allow.origins': 'https://*.example.com, https://app.other.org',
      'cors.allow.credentials': 'true',
    })
    const { answer } = await ask({ origin })
    expect(answer.headers['access-control-allow-origin']).toBe(allowed ? origin : undefined)
    expect(answer.headers['access-control-allow-credentials']).toBe(allowed ? 'true' : undefined)
    expect(answer.headers['vary']).toContain('Origin')
  })

  test('credentials for every origin are refused at the start', async () => {
    await expect(behind(['cors'], { 'cors.allow.credentials': 'true' })).rejects.toMatchObject({ kind: 'invalid' })
  })
})

describe('ratelimit', () => {
  test('a burst passes, then 429 until the bucket has filled again', async () => {
    const clock = new SimClock()
    const options = { 'ratelimit.requests': '60', 'ratelimit.window': '1m', 'ratelimit.burst': '2' }
    const ask = await behind(['ratelimit'], options, { clock })
    const statuses = async (count: number): Promise<(number | undefined)[]> => {
      const found: (number | undefined)[] = []
      for (let at = 0; at < count; at++) found.push((await ask()).answer.statusCode)
      return found
    }
    expect(await statuses(3)).toEqual([200, 200, 429])
    const { answer } = await ask()
    expect(answer.headers).toMatchObject({ 'x-ratelimit-limit': '60', 'x-ratelimit-window': '60s', 'retry-after': '1' })
    clock.advance(1_000)
    expect(await statuses(2)).toEqual([200, 429])
  })

  test('keys have buckets of their own', async () => {
    const options = { ratelimit_burst: 1, 'ratelimit.key': 'header:X-Key' }
    const ask = await behind(['ratelimit'], options, { clock: new SimClock() })
    const of = async (key: string): Promise<number | undefined> => (await ask({ 'x-key': key })).answer.statusCode
    expect([await of('a'), await of('b'), await of('a')]).toEqual([200, 200, 429])
  })
})

describe('real_ip', () => {
  const peer = async (headers: Record<string, string>, options: Record<string, unknown> = {}): Promise<string> => {
    const ask = await behind(['real_ip'], options)
    return (await ask(headers)).body.toString()
  }

  test.each([
    ['a chain of proxies of ours', { 'x-forwarded-for': '6.6.6.6, 8.8.8.8, 10.0.0.1' }, '8.8.8.8'],
    ['a header of a proxy', { 'x-real-ip': '9.9.9.9', 'x-forwarded-for': '8.8.8.8' }, '9.9.9.9'],
    ['IPv6', { 'true-client-ip': '2001:db8::1' }, '2001:db8::1'],
  ])('%s', async (_title, headers, expected) => {
    expect(await peer(headers)).toBe(expected)
  })

  test('who is not trusted is who he is, whatever he claims', async () => {
    expect(await peer({ 'x-real-ip': '9.9.9.9' }, { 'real_ip.trusted.subnets': '10.0.0.0/8' })).toMatch(
      /^127\.0\.0\.1:\d+$/,
    )
  })

  test('nonsense for a subnet is refused at the start', async () => {
    await expect(peer({}, { 'real_ip.trusted.subnets': '10.0.0.0/99' })).rejects.toMatchObject({ kind: 'invalid' })
  })
})

describe('compress', () => {
  const gzip = { 'accept-encoding': 'br, gzip;q=0.8' }

  test('large answers are packed for those who take it, with their length', async () => {
    const ask = await behind(['compress'])
    const { answer, body } = await ask(gzip, 'GET', '/api?big=1')
    expect(answer.headers).toMatchObject({
      'content-encoding': 'gzip',
      'content-length': String(body.length),
      vary: 'Accept-Encoding',
    })
    expect(gunzipSync(body).toString()).toBe('x'.repeat(5_000))
  })

  test.each([
    ['small answers', gzip, '/api'],
    ['clients that take no gzip', {}, '/api?big=1'],
    ['clients that refuse it', { 'accept-encoding': 'gzip;q=0' }, '/api?big=1'],
  ])('%s are left as they are', async (_title, headers, path) => {
    const ask = await behind(['compress'])
    const { answer } = await ask(headers as Record<string, string>, 'GET', path)
    expect(answer.headers['content-encoding']).toBeUndefined()
  })
})

import { createServer, request as rawRequest, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { SimClock } from '@daruma/protocol/testing'
import { entry } from '@daruma/registry/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Exchanges } from '../src/http/exchanges.ts'
import { httpService } from '../src/http/service.ts'
import { endpoint, handler, serve } from './http-world.ts'

const api = (data: Record<string, unknown> = {}) =>
  entry('app:api', 'http.router', { prefix: '/api', ...data }, { server: 'gateway' })

const show = handler(
  'app:show',
  `local req, res = http.request(), http.response()
  res:write_json({
    method = req:method(), path = req:path(), id = req:param("id"), params = req:params(),
    q = req:query("q"), all = req:query_params(), kind = req:header("X-Kind"), body = req:body(),
    json = req:is_content_type("application/json") and req:body_json() or nil,
    peer = string.match(req:remote_addr(), "^[%d.]+"),
  })`,
)

const json = async (response: Response): Promise<Record<string, unknown>> =>
  (await response.json()) as Record<string, unknown>

describe('requests', () => {
  test('a handler sees method, path, parameters, query, headers and body', async () => {
    const { url } = await serve([api(), show, endpoint('e', 'POST', '/orders/{id}/lines/{line}', 'show')])
    const response = await fetch(`${url}/api/orders/a%20b/lines/2?q=x&q=y&z=%26`, {
      method: 'POST',
      headers: { 'x-kind': 'test', 'content-type': 'application/json; charset=utf-8' },
      body: '{"n": [1, 2]}',
    })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await json(response)).toEqual({
      method: 'POST',
      path: '/api/orders/a b/lines/2',
      id: 'a b',
      params: { id: 'a b', line: '2' },
      q: 'x',
      all: { q: 'x,y', z: '&' },
      kind: 'test',
      body: '{"n": [1, 2]}',
      json: { n: [1, 2] },
      peer: '127.0.0.1',
    })
  })

  test('bytes come and go as they are', async () => {
    const echo = handler('app:echo', 'http.response():write(http.request():body())')
    const { url } = await serve([api(), echo, endpoint('e', 'PUT', '/', 'echo')])
    const body = Uint8Array.from({ length: 256 }, (_, at) => at)
    const response = await fetch(`${url}/api`, { method: 'PUT', body })
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(body)
    expect(response.headers.get('content-length')).toBe('256')
  })

  test('a body beyond the limit is 413, announced or not, and nothing runs', async () => {
    const { url, logs } = await serve([api(), show, endpoint('e', 'POST', '/', 'show')], { maxBodyBytes: 10 })
    const announced = await fetch(`${url}/api`, { method: 'POST', body: 'x'.repeat(11) })
    expect(announced.status).toBe(413)
    const stream = new ReadableStream({
      start(controller) {
        for (let part = 0; part < 20; part++) controller.enqueue(new TextEncoder().encode('xxxxx'))
        controller.close()
      },
    })
    const chunked = await fetch(`${url}/api`, { method: 'POST', body: stream, duplex: 'half' } as RequestInit)
    expect(chunked.status).toBe(413)
    expect((await fetch(`${url}/api`, { method: 'POST', body: 'x'.repeat(10) })).status).toBe(200)
    expect(logs.filter((line) => line.startsWith('error'))).toEqual([])
  })

  test('functions that a handler calls serve the same request', async () => {
    const outer = handler('app:outer', 'return funcs.call("app:inner")', ['funcs'])
    const inner = handler('app:inner', 'http.response():write("from " .. http.request():path())')
    const { url } = await serve([api(), outer, inner, endpoint('e', 'GET', '/x', 'outer')])
    expect(await (await fetch(`${url}/api/x`)).text()).toBe('from /api/x')
  })

  test('the actor of the server is who its handlers act for', async () => {
    const gateway = entry('app:gateway', 'http.service', {
      addr: '127.0.0.1:0',
      lifecycle: { security: { actor: { id: 'web' } } },
    })
    const who = handler('app:who', 'http.response():write(security.actor():id())', ['http', 'security'])
    const { url } = await serve([gateway, api(), who, endpoint('e', 'GET', '/', 'who')])
    expect(await (await fetch(`${url}/api/`)).text()).toBe('web')
  })
})

describe('answers', () => {
  const answering = async (body: string, init?: RequestInit) => {
    const world = await serve([
      api(),
      handler('app:h', `local res = http.response() ${body}`),
      endpoint('e', '*', '/', 'h'),
    ])
    return { ...world, response: await fetch(`${world.url}/api`, init) }
  }

  test('status and headers are what the handler says', async () => {
    const { response } = await answering(`
      res:set_status(http.STATUS.CREATED)
      res:set_header("Location", "/orders/7")
      res:set_content_type("text/plain")
      res:write("one ") res:write("two")`)
    expect([response.status, response.headers.get('location'), await response.text()]).toEqual([
      201,
      '/orders/7',
      'one two',
    ])
    expect(response.headers.get('content-length')).toBe('7')
  })

  test('a handler that says nothing answers 200 without a body', async () => {
    const { response } = await answering('')
    expect([response.status, await response.text()]).toEqual([200, ''])
  })

  test('status and headers after the first write are refused as Invalid', async () => {
    const { response } = await answering(`
      res:write("a")
      local ok, err = res:set_status(500)
      local ok2, err2 = res:set_header("X", "1")
      res:write(tostring(ok) .. err:kind() .. err2:kind())`)
    expect([response.status, await response.text()]).toEqual([200, 'anilInvalidInvalid'])
  })

  test('a header that would split the head is Invalid', async () => {
    const { response } = await answering(`
      local _, err = res:set_header("X-A", "a\\r\\nSet-Cookie: x=1")
      res:write(err:kind())`)
    expect(response.headers.has('set-cookie')).toBe(false)
    expect(await response.text()).toBe('Invalid')
  })

  test.each([
    ['return nil, errors.new({ message = "no order 7", kind = errors.NOT_FOUND })', 404, 'not_found', 'no order 7'],
    ['return nil, errors.new({ message = "bad", kind = errors.INVALID })', 400, 'invalid', 'bad'],
    ['return nil, errors.new({ message = "busy", kind = errors.RATE_LIMITED })', 429, 'rate_limited', 'busy'],
    ['error("secret details")', 500, 'internal', 'internal error'],
  ])('%s: %d', async (body, status, kind, message) => {
    const { response, logs } = await answering(`res:write("kept, not sent") ${body}`)
    expect(response.status).toBe(status)
    expect(await json(response)).toEqual({ error: { kind, message } })
    expect(logs.some((line) => line.includes('secret details') && line.startsWith('error GET /api failed'))).toBe(
      status === 500,
    )
  })

  test('what is flushed is sent at once; events arrive one by one', async () => {
    const { response } = await answering(`
      res:set_transfer(http.TRANSFER.SSE)
      for i = 1, 2 do res:write_event({ name = "n", data = { i = i } }) end`)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(await response.text()).toBe('event: n\ndata: {"i":1}\n\nevent: n\ndata: {"i":2}\n\n')
  })

  test('a large answer is streamed', async () => {
    const { response } = await answering(`
      local part = string.rep("x", 400000)
      for _ = 1, 8 do res:write(part) end`)
    expect((await response.text()).length).toBe(3_200_000)
    expect(response.headers.has('content-length')).toBe(false)
  })

  test('HEAD is answered by the GET of the path, without its body', async () => {
    const h = handler('app:h', 'http.response():write("abc")')
    const { url } = await serve([api(), h, endpoint('e', 'GET', '/', 'h')])
    const response = await fetch(`${url}/api`, { method: 'HEAD' })
    expect([response.status, response.headers.get('content-length'), await response.text()]).toEqual([200, '3', ''])
  })
})

describe('failures around the handler', () => {
  test('what is nowhere is 404; another method than those there is 405 with Allow', async () => {
    const { url } = await serve([api(), show, endpoint('e', 'POST', '/x', 'show'), endpoint('f', 'GET', '/x', 'show')])
    const missing = await fetch(`${url}/nowhere`)
    expect([missing.status, await json(missing)]).toEqual([
      404,
      { error: { kind: 'not_found', message: 'nothing is at /nowhere' } },
    ])
    const other = await fetch(`${url}/api/x`, { method: 'DELETE' })
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
    expect((await fetch(`${url}/api/%zz`)).status).toBe(404)
  })

  test('a handler that is too slow is 504, and ended', async () => {
    const clock = new SimClock()
    const gateway = entry('app:gateway', 'http.service', { addr: '127.0.0.1:0', timeouts: { write: '5s' } })
    const slow = handler('app:slow', 'process.inbox():receive()', [])
    const { url, running } = await serve([gateway, api(), slow, endpoint('e', 'GET', '/', 'slow')], { clock })
    const asked = fetch(`${url}/api`)
    await until(() => running() === 1)
    clock.advance(5_000)
    expect((await asked).status).toBe(504)
    await until(() => running() === 0)
  })

  test('a client that leaves takes its handler with it', async () => {
    const slow = handler('app:slow', 'process.inbox():receive()', [])
    const { url, running } = await serve([api(), slow, endpoint('e', 'GET', '/', 'slow')])
    const leave = new AbortController()
    const asked = fetch(`${url}/api`, { signal: leave.signal })
    await until(() => running() === 1)
    leave.abort()
    await expect(asked).rejects.toThrow('aborted')
    await until(() => running() === 0)
  })

  test('what is no HTTP does not disturb the others', async () => {
    const { url, server } = await serve([api(), show, endpoint('e', 'GET', '/', 'show')])
    const socket = connect(server.address!.port, '127.0.0.1')
    socket.write('\0\0 nonsense\r\n\r\n')
    await new Promise((resolve) => socket.once('close', resolve).resume())
    expect((await fetch(`${url}/api`)).status).toBe(200)
  })
})

describe('the life of a server', () => {
  test('a port in use is unavailable, with the port and what to do', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => taken.once('listening', resolve))
    onTestFinished(() => void taken.close())
    const { port } = taken.address() as AddressInfo
    const gateway = entry('app:gateway', 'http.service', { addr: `127.0.0.1:${port}` })
    await expect(serve([gateway])).rejects.toMatchObject({
      kind: 'unavailable',
      retryable: true,
      details: { port },
      message: expect.stringMatching(
        new RegExp(`^app:gateway cannot listen on 127.0.0.1:${port}: another program listens .* -o app:gateway:addr=`),
      ),
    })
  })

  test('stopping lets requests end that run, and takes no more', async () => {
    const slow = handler('app:slow', 'time.sleep("150ms") http.response():write("done")', ['http', 'time'])
    const { url, server, running } = await serve([api(), slow, endpoint('e', 'GET', '/', 'slow')])
    const asked = fetch(`${url}/api`)
    await until(() => running() === 1)
    const stopped = server.stop(5_000)
    await expect(fetch(`${url}/api`)).rejects.toThrow('fetch failed')
    expect(await (await asked).text()).toBe('done')
    await stopped
    expect(server.address).toBeUndefined()
  })

  test('at the deadline those who still run are cut off', async () => {
    const never = handler('app:never', 'process.inbox():receive()', [])
    const { url, server, running } = await serve([api(), never, endpoint('e', 'GET', '/', 'never')])
    const asked = fetch(`${url}/api`)
    await until(() => running() === 1)
    const cut = asked.catch((error: unknown) => (error as Error).message)
    await server.stop(20)
    expect(await cut).toBe('fetch failed')
    await until(() => running() === 0)
  })

  test('it can be started again', async () => {
    const { server } = await serve([api(), show, endpoint('e', 'GET', '/', 'show')])
    await server.stop(0)
    await server.start()
    const { host, port } = server.address!
    expect((await fetch(`http://${host}:${port}/api`)).status).toBe(200)
  })

  test('routes follow the registry, and a change that makes them ambiguous is refused', async () => {
    const { url, registry } = await serve([api(), show, endpoint('e', 'GET', '/a/{id}', 'show')])
    const add = (name: string, path: string) =>
      registry
        .changes()
        .create({
          id: `app:${name}`,
          kind: 'http.endpoint',
          meta: { router: 'api' },
          data: { method: 'GET', path, func: 'show' },
        })
        .apply()
    expect((await fetch(`${url}/api/b`)).status).toBe(404)
    add('b', '/b')
    expect((await fetch(`${url}/api/b`)).status).toBe(200)
    expect(() => add('c', '/a/{other}')).toThrow(
      /app:e: GET .* is the path of app:c already|app:c: .* is the path of app:e already/,
    )
    registry.changes().delete('app:b').apply()
    expect((await fetch(`${url}/api/b`)).status).toBe(404)
  })

  test('middleware that nobody offers keeps the server from starting', async () => {
    await expect(serve([api({ middleware: ['token_auth'] })])).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining(
        'there is no middleware "token_auth"; offered: cors, real_ip, ratelimit, compress',
      ),
    })
  })

  test('a server that is not started has no address', () => {
    const world = {
      registry: undefined as never,
      functions: undefined as never,
      clock: undefined as never,
      logger: undefined as never,
    }
    const gateway = entry('app:gateway', 'http.service', { addr: ':0' })
    expect(httpService(world, gateway, { exchanges: new Exchanges() }).address).toBeUndefined()
  })
})

describe('files', () => {
  const files = {
    'public/index.html': '<h1>home</h1>',
    'public/a b.txt': 'text',
    'public/.hidden': 'no',
    'secret.txt': 'no',
    'public-not/x.txt': 'no',
  }
  const mount = (path: string, options: Record<string, unknown> = {}) => [
    entry('app:public', 'fs.directory', { directory: 'public' }),
    entry('app:files', 'http.static', { path, fs: 'public', static_options: options }, { server: 'gateway' }),
  ]

  test.each([
    ['/files/', 200],
    ['/files', 200],
    ['/files/a%20b.txt', 200],
    ['/files/.hidden', 404],
    ['/files/none.txt', 404],
    ['/files/%2e%2e/secret.txt', 404],
    ['/files/..%2fsecret.txt', 404],
    ['/files/..%2fpublic-not/x.txt', 404],
  ])('%s: %d', async (path, status) => {
    const { server } = await serve(mount('/files'), { files })
    const answer = await raw(server.address!.port, path)
    expect([answer.statusCode === 403 ? 404 : answer.statusCode, path]).toEqual([status, path])
  })

  test('types, conditions, ranges and cache control', async () => {
    const { url, server } = await serve(mount('/', { cache: 'public, max-age=60' }), { files })
    const first = await fetch(`${url}/a%20b.txt`)
    expect(first.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(first.headers.get('cache-control')).toBe('public, max-age=60')
    const again = await raw(server.address!.port, '/a%20b.txt', { 'if-none-match': first.headers.get('etag')! })
    expect(again.statusCode).toBe(304)
    const part = await fetch(`${url}/a%20b.txt`, { headers: { range: 'bytes=1-2' } })
    expect([part.status, await part.text()]).toEqual([206, 'ex'])
    expect((await fetch(`${url}/a%20b.txt`, { method: 'POST' })).status).toBe(405)
  })

  test('with spa, what is not there is the index; routes win over files', async () => {
    const { url } = await serve([...mount('/', { spa: true }), api(), show, endpoint('e', 'GET', '/x', 'show')], {
      files,
    })
    expect(await (await fetch(`${url}/some/page`)).text()).toBe('<h1>home</h1>')
    expect((await fetch(`${url}/api/x`)).headers.get('content-type')).toBe('application/json')
    expect((await fetch(`${url}/api/y`)).status).toBe(404)
  })
})

/** Sends path and headers as they are: fetch would tidy them up. */
function raw(port: number, path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    rawRequest({ host: '127.0.0.1', port, path, headers }, (answer) => {
      answer.resume()
      resolve(answer)
    })
      .on('error', reject)
      .end()
  })
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, Writable } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { httpClientRequests } from '../src/requests/http-request.ts'
import { ioRequests, Terminals } from '../src/requests/io.ts'
import { World } from './requests-world.ts'

describe('io', () => {
  class Sink extends Writable {
    text = ''
    override _write(chunk: Buffer, _encoding: string, done: () => void): void {
      this.text += chunk.toString('utf8')
      done()
    }
  }

  function terminal(world: World) {
    const [stdout, stderr, stdin] = [new Sink(), new Sink(), new PassThrough()]
    return { stdout, stderr, stdin, terminals: new Terminals(world.system, { stdout, stderr, stdin }) }
  }

  test('only a process that was given a terminal has one', async () => {
    const world = new World()
    const { terminals, stdout, stderr } = terminal(world)
    const io = ioRequests(terminals)
    const [command, other] = [await world.asker(io), await world.asker(io)]
    terminals.attach(command.pid, { args: ['--fast'] })
    expect(command.ask('io.args', null)).toEqual(['--fast'])
    command.ask('io.write', { stream: 'stdout', data: 'out' })
    command.ask('io.write', { stream: 'stderr', data: new TextEncoder().encode('err') })
    await command.later('io.flush', null)
    expect([stdout.text, stderr.text]).toEqual(['out', 'err'])
    expect(await other.failure('io.write', { stream: 'stdout', data: 'x' })).toBe('unavailable')
    expect(await other.failure('io.readline', null)).toBe('unavailable')
  })

  test('lines and bytes are read in turn, however the input is cut up', async () => {
    const world = new World()
    const { terminals, stdin } = terminal(world)
    const { later, pid } = await world.asker(ioRequests(terminals))
    terminals.attach(pid, {})
    const asked = Promise.all([
      later('io.readline', null),
      later('io.readline', null),
      later('io.read', { maxBytes: 3 }),
      later('io.readline', null),
      later('io.readline', null),
    ])
    for (const part of ['fir', 'st\r\nsec', 'ond\nbytes and', ' rest']) stdin.write(part)
    stdin.end()
    const [first, second, bytes, rest, end] = await asked
    expect([first, second, Buffer.from(bytes as Uint8Array).toString(), rest, end]).toEqual([
      'first',
      'second',
      'byt',
      'es and rest',
      null,
    ])
    expect(await later('io.read', { maxBytes: 10 })).toHaveLength(0)
  })

  test('who writes faster than it is read waits', async () => {
    const world = new World()
    const slow = new PassThrough({ highWaterMark: 4 })
    const { terminals } = terminal(world)
    const { ask, pid } = await world.asker(ioRequests(terminals))
    terminals.attach(pid, { stdout: slow })
    expect(ask('io.write', { stream: 'stdout', data: 'abc' })).toBe(null)
    const waiting: unknown = ask('io.write', { stream: 'stdout', data: 'defgh' })
    expect(waiting).toBeInstanceOf(Promise)
    slow.resume()
    expect(await waiting).toBe(null)
  })
})

describe('http.request', () => {
  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  test('an answer has status, headers, cookies, body and the address after redirects', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/old') return void response.writeHead(302, { location: '/new' }).end()
      response.setHeader('set-cookie', ['a=1; Path=/', 'b=two'])
      response.setHeader('x-method', request.method!)
      response.end('héllo')
    })
    const { later } = await new World().asker(httpClientRequests(new World()))
    const answer = await later('http.request', { method: 'GET', url: `${url}/old`, headers: {} })
    expect(answer).toMatchObject({ statusCode: 200, body: 'héllo', cookies: { a: '1', b: 'two' }, url: `${url}/new` })
    expect(answer.headers['x-method']).toBe('GET')
  })

  test('bodies go out and come back as bytes', async () => {
    const url = await serve((request, response) => void request.pipe(response))
    const { later } = await new World().asker(httpClientRequests(new World()))
    const body = Uint8Array.of(0xff, 0, 1)
    const answer = await later('http.request', { method: 'POST', url, headers: {}, body })
    expect(answer.body).toEqual(body)
  })

  test('an answer beyond its allowance is invalid', async () => {
    const url = await serve((_request, response) => void response.end('x'.repeat(100)))
    const { failure } = await new World().asker(httpClientRequests(new World()))
    const question = { method: 'GET', url, headers: {}, maxResponseBytes: 99 }
    expect(await failure('http.request', question)).toBe('invalid')
  })

  test('nobody there is unavailable, and may be tried again', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const { ask } = await new World().asker(httpClientRequests(new World()))
    const asked = ask('http.request', { method: 'GET', url: `http://127.0.0.1:${port}`, headers: {} })
    await expect(asked).rejects.toMatchObject({ kind: 'unavailable', retryable: true })
  })

  test('no answer in time is a timeout; a program that gives up or ends takes its request with it', async () => {
    const asked: (() => void)[] = []
    const url = await serve(() => asked.shift()?.())
    const world = new World()
    const { failure, abort } = await world.asker(httpClientRequests(world))
    const arrival = (): Promise<void> => new Promise((resolve) => asked.push(resolve))
    const question = { method: 'GET', url, headers: {}, timeoutMs: 50 }
    const [first] = [arrival()]
    const late = failure('http.request', question)
    await first
    world.clock.advance(50)
    expect(await late).toBe('timeout')
    const second = arrival()
    const given = failure('http.request', question)
    await second
    abort.abort()
    expect(await given).toBe('canceled')
  })

  test('a question that cannot be asked is invalid', async () => {
    const { failure } = await new World().asker(httpClientRequests(new World()))
    expect(await failure('http.request', { method: 'GET', url: 'http://127.0.0.1:1', headers: {}, body: 'x' })).toBe(
      'invalid',
    )
  })
})

import { entry } from '@daruma/registry/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseAddress } from '../src/http/address.ts'
import { readPath } from '../src/http/path-pattern.ts'
import { buildRoutes } from '../src/http/routes.ts'
import { endpoint } from './http-world.ts'

const server = entry('app:gateway', 'http.service', { addr: ':0' })
const router = (name: string, prefix: string) => entry(`app:${name}`, 'http.router', { prefix }, { server: 'gateway' })

function table(...routes: readonly (readonly [name: string, method: string, path: string])[]) {
  const entries = routes.map(([name, method, path]) => endpoint(name, method, path, 'fn'))
  const built = buildRoutes([server, router('api', '/'), ...entries], server.id)
  return (method: string, path: string) => {
    const match = built.match(method, path)
    return match.kind === 'route'
      ? [match.route.endpoint, match.params]
      : match.kind === 'none'
        ? match.allowed
        : match.kind
  }
}

describe('which endpoint answers', () => {
  const match = table(
    ['fixed', 'GET', '/orders/new'],
    ['one', 'GET', '/orders/{id}'],
    ['all', 'GET', '/orders/{rest...}'],
    ['deep', 'GET', '/orders/{id}/lines/{line}'],
    ['make', 'POST', '/orders/'],
    ['any', '*', '/any/{x}'],
    ['put', 'PUT', '/any/{y}'],
    ['colon', 'GET', '/jobs/run:now'],
  )
  test.each([
    ['a fixed segment wins over a parameter', 'GET', '/orders/new', ['app:fixed', {}]],
    ['a parameter over a rest', 'GET', '/orders/7', ['app:one', { id: '7' }]],
    ['a rest takes what follows', 'GET', '/orders/7/x/y', ['app:all', { rest: '7/x/y' }]],
    ['deeper patterns are found past shorter ones', 'GET', '/orders/7/lines/2', ['app:deep', { id: '7', line: '2' }]],
    ['parameters are decoded, also a slash in them', 'GET', '/orders/a%2Fb%20c', ['app:one', { id: 'a/b c' }]],
    ['a slash at the end means nothing', 'POST', '/orders', ['app:make', {}]],
    ['an endpoint of all methods', 'DELETE', '/any/1', ['app:any', { x: '1' }]],
    ['leaves to others what they declare', 'PUT', '/any/1', ['app:put', { y: '1' }]],
    ['a colon is a colon', 'GET', '/jobs/run:now', ['app:colon', {}]],
    ['and no parameter', 'GET', '/jobs/runx', []],
    ['HEAD is the GET of the path', 'HEAD', '/orders/new', ['app:fixed', {}]],
    ['another method than those there', 'DELETE', '/orders', ['POST']],
    ['case counts', 'GET', '/Orders/new', []],
    ['a broken escape is nowhere', 'GET', '/orders/%zz', []],
  ])('%s', (_title, method, path, expected) => {
    expect(match(method, path)).toEqual(expected)
  })

  test('every path that a pattern of parameters was made from is found, with its parameters', () => {
    const segment = fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' })
    const find = table(['e', 'GET', '/a/{x}/b/{y}'])
    fc.assert(
      fc.property(segment, segment, (x, y) => {
        expect(find('GET', `/a/${encodeURIComponent(x)}/b/${encodeURIComponent(y)}`)).toEqual(['app:e', { x, y }])
      }),
      { verbose: 1 },
    )
  })
})

describe('paths that cannot be read', () => {
  test.each([
    ['/a/{x}.json', 'a parameter is a whole segment'],
    ['/a/{x', 'a parameter is a whole segment'],
    ['/a/*', 'a parameter is a whole segment'],
    ['/a/{x...}/b', 'before its end'],
    ['/a/{x}/{x}', 'two parameters {x}'],
  ])('%s: %s', (path, why) => {
    expect(() => readPath('/p', path)).toThrow(why)
  })
})

describe('whose affair a path is', () => {
  const files = entry('app:files', 'http.static', { path: '/web', fs: 'app:dir' }, { server: 'gateway' })

  test('where no route fits, the longest prefix decides', () => {
    const entries = [server, router('a', '/api'), router('b', '/api/private'), router('w', '/web/api'), files]
    const { match } = buildRoutes(entries, server.id)
    const owner = (path: string) => {
      const found = match('GET', path)
      return found.kind === 'static' ? found.mount.entry.id : found.kind === 'none' ? found.router?.id : undefined
    }
    expect(['/api/x', '/api/private/x', '/apix', '/web/x', '/web', '/web/api/x', '/'].map(owner)).toEqual([
      'app:a',
      'app:b',
      undefined,
      'app:files',
      'app:files',
      'app:w',
      undefined,
    ])
  })

  test('who names no server or router belongs to the only one; of several, that is a fault', () => {
    const bare = entry('app:e', 'http.endpoint', { method: 'GET', path: '/x', func: 'fn' })
    const free = entry('app:r', 'http.router', { prefix: '/r' })
    expect(buildRoutes([server, free, bare], server.id).match('GET', '/r/x').kind).toBe('route')
    const second = entry('app:second', 'http.service', { addr: ':0' })
    expect(() => buildRoutes([server, second, free], server.id)).toThrow('app:r names no server, and this app has 2')
    expect(() => buildRoutes([server, router('a', '/a'), router('b', '/b'), bare], server.id)).toThrow(
      'app:e names no router, and this app has 2',
    )
  })

  test('all faults are told at once', () => {
    const entries = [
      server,
      router('api', '/'),
      endpoint('a', 'GET', '/{x}', 'fn'),
      endpoint('b', 'GET', '/{y}', 'fn'),
      endpoint('c', 'GET', '/{z', 'fn'),
    ]
    expect(() => buildRoutes(entries, server.id)).toThrow(/app:b: GET .* is the path of app:a already; app:c: the path/)
  })

  test('the routes of another server are not ours', () => {
    const second = entry('app:second', 'http.service', { addr: ':0' })
    const entries = [server, second, router('api', '/'), endpoint('a', 'GET', '/x', 'fn')]
    expect(buildRoutes(entries, second.id).match('GET', '/x')).toMatchObject({ kind: 'none', allowed: [] })
  })
})

describe('addresses', () => {
  test.each([
    [':8080', undefined, 8080],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['[::1]:80', '::1', 80],
    ['localhost:9', 'localhost', 9],
  ])('%s', (addr, host, port) => {
    expect(parseAddress(server.id, addr)).toEqual({ host, port })
  })

  test('a port above 65535 is invalid', () => {
    expect(() => parseAddress(server.id, ':70000')).toThrow(expect.objectContaining({ kind: 'invalid' }))
  })
})

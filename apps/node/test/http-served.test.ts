import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { msgpackCodec } from '@daruma/protocol'
import { expect, test } from 'vitest'
import { Exchanges } from '../src/http/exchanges.ts'
import { incomingOf, Served } from '../src/http/incoming.ts'

test('to a codec a request is empty: what a handler spawns inherits its context, and journals must not hold bodies', () => {
  const request = new IncomingMessage(new Socket())
  request.url = '/a%20b?x=1'
  request.method = 'POST'
  request.headers = { authorization: 'Bearer secret' }
  const served = new Served(incomingOf(request), {}, Buffer.from('private'))
  expect([served.path, served.headers['authorization'], served.body]).toEqual(['/a b', 'Bearer secret', 'private'])
  const codec = msgpackCodec()
  expect(codec.decode(codec.encode({ '@http': served }))).toEqual({ '@http': {} })
})

test('who has a copy of a request, or none, serves none', () => {
  const exchanges = new Exchanges()
  for (const context of [{}, { '@http': {} }, { '@http': 'x' }]) {
    expect(() => exchanges.of(context)).toThrow(expect.objectContaining({ kind: 'internal' }))
  }
})

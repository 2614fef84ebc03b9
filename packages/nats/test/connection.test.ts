import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { openNats } from '@daruma/nats'
import { freePort, startNatsServer } from '@daruma/nats/testing'

test('an address where nobody listens is unavailable at once, with its name and what to do', async () => {
  const address = `nats://127.0.0.1:${await freePort()}`
  await expect(openNats({ servers: address })).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringMatching(new RegExp(`no NATS server at ${address} .*start one with "nats-server -js"`)),
    details: { servers: [address] },
  })
})

test('a server that accepts and stays silent is unavailable when the time limit is over', async () => {
  const sockets: Socket[] = []
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const servers = `nats://127.0.0.1:${(silent.address() as AddressInfo).port}`
  await expect(openNats({ servers, connectTimeoutMs: 200 })).rejects.toMatchObject({ kind: 'unavailable' })
  for (const socket of sockets) socket.destroy()
  silent.close()
})

test('wrong credentials are permission_denied; the right user, password or token connect', async () => {
  const server = await startNatsServer({ config: 'authorization { user: ann, password: secret }' })
  await expect(openNats({ servers: server.url })).rejects.toMatchObject({ kind: 'permission_denied' })
  await expect(openNats({ servers: server.url, user: 'ann', password: 'no' })).rejects.toMatchObject({
    kind: 'permission_denied',
    message: expect.stringContaining('check user, token, nkey or creds'),
  })
  await (await openNats({ servers: server.url, user: 'ann', password: 'secret' })).close()
  await server.stop()
  const byToken = await startNatsServer({ config: 'authorization { token: "t0ken" }' })
  await (await openNats({ servers: byToken.url, token: 't0ken' })).close()
  await byToken.stop()
})

test('of several addresses one that answers is enough', async () => {
  const server = await startNatsServer()
  const dead = `nats://127.0.0.1:${await freePort()}`
  await (await openNats({ servers: [dead, server.url] })).close()
  await server.stop()
})

test('a credentials file that cannot be read is invalid, with its name', async () => {
  await expect(openNats({ credsFile: '/no/such.creds' })).rejects.toMatchObject({
    kind: 'invalid',
    message: expect.stringContaining('/no/such.creds'),
  })
})

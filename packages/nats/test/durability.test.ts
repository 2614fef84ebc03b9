import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Durability } from '@daruma/protocol'
import { openNats } from '@daruma/nats'
import { whyNot, type SyncEvidence } from '@daruma/nats/internal'
import { startNatsServer, type NatsServer } from '@daruma/nats/testing'

const here: SyncEvidence = { url: 'http://a:8222', serverId: 'A', syncAlways: true }

describe('what a server can hold', () => {
  const table: [Durability, string, boolean, SyncEvidence[], RegExp | undefined][] = [
    ['process', '2.9.10', true, [], undefined],
    ['process', '2.15.1', true, [], undefined],
    ['process', '2.8.4', true, [], /found nats-server 2\.8\.4.*use 2\.9 or later/],
    ['process', '2.9.10', false, [], /without JetStream; start it with "nats-server -js"/],
    ['disk', '2.9.10', true, [here], /cannot sync before it acknowledges; use 2\.10 or later, or ask for.*"process"/],
    ['disk', '2.10.27', true, [], /set "sync_interval: always"/],
    ['disk', '2.10.27', true, [here], undefined],
    ['disk', '2.10.27', true, [{ ...here, syncAlways: false }], /http:\/\/a:8222 does not sync always/],
    ['disk', '2.10.27', true, [here, { ...here, url: 'http://b', syncAlways: false }], /http:\/\/b does not sync/],
    ['disk', '2.10.27', true, [{ ...here, serverId: 'B' }], /is not the server that answers here/],
    ['replica', '2.10.27', true, [], /does not fence on replicated streams; use 2\.11 or later/],
    ['replica', '2.11.0', true, [], undefined],
    ['replica', '3.0.0', true, [], undefined],
  ]
  test.each(table)('%s on %s, JetStream %s, evidence %j: %s', (asked, version, jetStream, evidence, problem) => {
    const sentence = whyNot(asked, { version, serverId: 'A', jetStream }, evidence)
    if (problem === undefined) expect(sentence).toBeUndefined()
    else expect(sentence).toMatch(problem)
  })
})

describe('the server at hand', () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await startNatsServer()
  })
  afterAll(() => server.stop())

  test('says what it is', async () => {
    const store = await openNats({ servers: server.url })
    expect(store.info).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+/), durability: 'process' })
    expect((await store.log('q')).durability).toBe('process')
    await store.close()
  })

  test('without "sync_interval: always" it is refused for durability disk', async () => {
    await expect(
      openNats({ servers: server.url, durability: 'disk', monitorUrls: [server.monitorUrl] }),
    ).rejects.toMatchObject({ kind: 'invalid', message: expect.stringMatching(/asked for durability "disk", found/) })
  })

  test('alone it is refused for durability replica', async () => {
    await expect(openNats({ servers: server.url, prefix: 'alone', durability: 'replica' })).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringMatching(/2\.11 or later|needs a cluster/),
    })
  })

  test('without JetStream it is refused, with what to do', async () => {
    const bare = await startNatsServer({ jetStream: false })
    await expect(openNats({ servers: bare.url })).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('nats-server -js'),
    })
    await bare.stop()
  })

  test('a stream that is there in another shape is refused with every difference, and left as it is', async () => {
    const store = await openNats({ servers: server.url, prefix: 'other' })
    await store.log('q')
    await store.close()
    const { connect, RetentionPolicy } = await import('nats')
    const client = await connect({ servers: server.url })
    const streams = (await client.jetstreamManager()).streams
    await streams.add({
      name: 'SHAPE_LOG_q',
      subjects: ['shape.log.q.*'],
      max_age: 1_000_000_000,
      retention: RetentionPolicy.Workqueue,
    })
    const shaped = await openNats({ servers: server.url, prefix: 'shape' })
    await expect(shaped.log('q')).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringMatching(
        /retention is "workqueue", needs "limits".*max_age is 1000000000, needs 0.*nats stream edit/,
      ),
    })
    expect((await streams.info('SHAPE_LOG_q')).config.retention).toBe('workqueue')
    await shaped.close()
    await client.close()
  })
})

import { accessSync, constants } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { delimiter } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { bytesOf, logContract, textOf } from '@daruma/protocol/testing'
import type { Log } from '@daruma/protocol'
import { openNats, type NatsOptions, type NatsStore } from '@daruma/nats'
import { startNatsCluster, startNatsServer, type NatsCluster, type NatsServer } from '@daruma/nats/testing'

/**
 * Servers beside the installed one, of which the durabilities `disk` (2.10 or later) and `replica` (2.11 or later) are asked.
 * Named by paths in NATS_SERVERS_NEWER, as in PATH; without it these cases are shown as skipped.
 */
const binaries = (process.env['NATS_SERVERS_NEWER'] ?? '').split(delimiter).filter((path) => path !== '')
for (const binary of binaries) accessSync(binary, constants.X_OK)

const versionOf = (binary: string): string =>
  execFileSync(binary, ['-v'], { encoding: 'utf8' })
    .replace(/^nats-server: v/, '')
    .trim()
const minorOf = (binary: string): number => Number(versionOf(binary).split('.')[1])

const stores: NatsStore[] = []

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()))
})

async function logOf(options: NatsOptions): Promise<Log> {
  const store = await openNats({ requestTimeoutMs: 15_000, ...options })
  stores.push(store)
  return store.log('q')
}

test.skipIf(binaries.length > 0)(
  'NATS_SERVERS_NEWER names no newer server: durabilities disk and replica are not tested here',
  (context) => context.skip(),
)

describe.each(binaries.map((binary) => [versionOf(binary), binary]))(
  'durability disk on nats-server %s (paths in NATS_SERVERS_NEWER)',
  (_, binary) => {
    let server: NatsServer
    beforeAll(async () => {
      server = await startNatsServer({ binary: binary!, jetStreamConfig: 'sync_interval: always' })
    })
    afterAll(() => server.stop())

    const harness = {
      open: async () => logOf({ servers: server.url, durability: 'disk', monitorUrls: [server.monitorUrl] }),
      restart: async () => {
        await server.kill()
        await server.start()
      },
    }

    test('a server that syncs always is accepted, and says so in its log', async () => {
      expect((await harness.open()).durability).toBe('disk')
    })

    test('the monitoring page of another server is no evidence', async () => {
      const other = await startNatsServer({ binary: binary!, jetStreamConfig: 'sync_interval: always' })
      await expect(
        openNats({ servers: server.url, durability: 'disk', monitorUrls: [other.monitorUrl] }),
      ).rejects.toMatchObject({
        kind: 'invalid',
        message: expect.stringContaining('is not the server that answers here'),
      })
      await other.stop()
    })

    for (const { title, run } of logContract) test(title, () => run(harness))
  },
)

const replicating = binaries.filter((binary) => minorOf(binary) >= 11)

describe.each(replicating.map((binary) => [versionOf(binary), binary]))(
  'durability replica on three nats-servers %s (paths in NATS_SERVERS_NEWER)',
  (_, binary) => {
    let cluster: NatsCluster
    beforeAll(async () => {
      cluster = await startNatsCluster({ binary: binary! })
      await logOf({ servers: cluster.urls, durability: 'replica', requestTimeoutMs: 25_000 })
    }, 40_000)
    afterAll(() => cluster.stop())

    const open = async (): Promise<Log> => logOf({ servers: cluster.urls, durability: 'replica' })

    // The suite's restart would end all three at once, which is beyond the promise: one may be lost.
    for (const { title, run } of logContract) test(title, () => run({ open, restart: async () => cluster.start(0) }))

    test('of three writers on three servers that extend the same end at once, exactly one wins each round', async () => {
      const logs = await Promise.all(cluster.urls.map((servers) => logOf({ servers, durability: 'replica' })))
      let lastSeq = 0
      for (let round = 0; round < 300; round++) {
        const answers = await Promise.all(
          logs.map((log, at) => log.append('race-of-three', lastSeq, bytesOf(`${round}/${at}`))),
        )
        const won = answers.flatMap((answer) => (answer.kind === 'appended' ? [answer.seq] : []))
        expect(won, `round ${round}: ${JSON.stringify(answers)}`).toHaveLength(1)
        lastSeq = won[0]!
      }
    })

    test.each([0, 1, 2])(
      'server %i dies by kill -9 while a writer appends: nothing is lost, doubled or reordered',
      async (index) => {
        const log = await open()
        const partition = `survives-${index}`
        const written: string[] = []
        let lastSeq = 0
        for (let at = 0; at < 150; at++) {
          if (at === 50) await cluster.kill(index)
          lastSeq = await appendSurely(log, partition, lastSeq, `record ${at}`)
          written.push(`record ${at}`)
        }
        await cluster.start(index)
        const seen: (string | undefined)[] = []
        for await (const { bytes } of log.scan(partition, 0)) seen.push(textOf(bytes))
        expect(seen).toEqual(written)
      },
      60_000,
    )
  },
)

/** Appends by the rule L4: after any doubt the end of the log decides whether the record is in. */
async function appendSurely(log: Log, partition: string, expectedSeq: number, text: string): Promise<number> {
  for (;;) {
    try {
      const answer = await log.append(partition, expectedSeq, bytesOf(text))
      if (answer.kind === 'appended') return answer.seq
      if (textOf((await log.last(partition))?.bytes) === text) return (await log.last(partition))!.seq
    } catch {
      const last = await log.last(partition).catch(() => undefined)
      if (last !== undefined && textOf(last.bytes) === text) return last.seq
    }
  }
}

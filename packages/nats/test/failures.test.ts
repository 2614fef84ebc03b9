import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Log } from '@daruma/protocol'
import { bytesOf, textOf } from '@daruma/protocol/testing'
import { openNats, type NatsOptions, type NatsStore } from '@daruma/nats'
import { startLossyProxy, startNatsServer, type NatsServer } from '@daruma/nats/testing'

let server: NatsServer
let stores: NatsStore[]

beforeEach(async () => {
  server = await startNatsServer()
  stores = []
})

afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()))
  await server.stop()
})

async function connect(options: NatsOptions = {}): Promise<NatsStore> {
  const store = await openNats({ servers: server.url, requestTimeoutMs: 3_000, ...options })
  stores.push(store)
  return store
}

async function texts(log: Log, partition: string): Promise<(string | undefined)[]> {
  const all: (string | undefined)[] = []
  for await (const { bytes } of log.scan(partition, 0)) all.push(textOf(bytes))
  return all
}

/** Asks until an answer comes: what an owner does before it goes on. */
async function surely<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch {
      continue
    }
  }
}

/** Appends by the rule L4: after any doubt the end of the log decides whether the record is in. */
async function appendSurely(
  log: Log,
  partition: string,
  expectedSeq: number,
  text: string,
): Promise<number | undefined> {
  for (;;) {
    try {
      const answer = await log.append(partition, expectedSeq, bytesOf(text))
      if (answer.kind === 'appended') return answer.seq
    } catch {
      // Falls through to the look at the end.
    }
    const last = await surely(() => log.last(partition))
    if (textOf(last?.bytes) === text) return last!.seq
    if ((last?.seq ?? 0) !== expectedSeq) return undefined
  }
}

describe('the server dies and comes back', () => {
  test.each(['kill', 'restart'] as const)(
    'by %s while a writer appends: nothing is lost, doubled or reordered',
    async (how) => {
      const log = await (await connect()).log('q')
      const written: string[] = []
      let lastSeq = 0
      let deaths: Promise<void> | undefined
      for (let at = 0; at < 300; at++) {
        if (at === 100) deaths = how === 'kill' ? server.kill().then(() => server.start()) : server.restart()
        const seq = await appendSurely(log, 'p', lastSeq, `record ${at}`)
        expect(seq).toBeGreaterThan(lastSeq)
        lastSeq = seq!
        written.push(`record ${at}`)
      }
      await deaths
      expect(await texts(log, 'p')).toEqual(written)
    },
  )

  test('while several race for the end: each record is won once, and every winner is in the log', async () => {
    const logs = await Promise.all(Array.from({ length: 4 }, async () => (await connect()).log('q')))
    const wins = new Map<number, string>()
    const race = async (log: Log, writer: number): Promise<void> => {
      for (let at = 0; at < 60; at++) {
        const expectedSeq = (await surely(() => log.last('p')))?.seq ?? 0
        const seq = await appendSurely(log, 'p', expectedSeq, `${writer}/${at}`)
        if (seq === undefined) continue
        expect(wins.get(seq)).toBeUndefined()
        wins.set(seq, `${writer}/${at}`)
      }
    }
    const racing = Promise.all(logs.map(race))
    await server.kill()
    await server.start()
    await racing
    const inOrder = [...wins].sort(([a], [b]) => a - b).map(([, text]) => text)
    expect(await texts(logs[0]!, 'p')).toEqual(inOrder)
  })

  test('requests made while it is away wait for it, and are done once', async () => {
    const log = await (await connect()).log('q')
    await log.append('p', 0, bytesOf('before'))
    const { seq } = (await log.last('p'))!
    await server.kill()
    // The client notices with the next turn of the event loop; reads are repeated across that gap.
    const last = log.last('p')
    await server.start()
    expect((await last)?.seq).toBe(seq)
    expect(await appendSurely(log, 'p', seq, 'after')).toBeGreaterThan(seq)
    expect(await texts(log, 'p')).toEqual(['before', 'after'])
  })

  test('when it stays away, every call is rejected within its time limit', async () => {
    const store = await connect({ requestTimeoutMs: 300 })
    const log = await store.log('q')
    const inbox = await store.inbox('q')
    await server.kill()
    for (const call of [
      log.append('p', 0, bytesOf('x')),
      log.last('p'),
      log.trim('p', 5),
      inbox.deliver('p', 'id', bytesOf('x')),
      store.leases.acquire('k', 'me', 1_000),
      store.snapshots.get('k'),
    ]) {
      await expect(call).rejects.toMatchObject({ kind: expect.stringMatching(/unavailable|timeout/) })
    }
    await expect(log.last('p')).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining(server.url),
    })
  })

  test('a consumer of the inbox gets what is delivered after it came back', async () => {
    const inbox = await (await connect()).inbox('q')
    const got: string[] = []
    const all = new Promise<void>((resolve) => {
      void inbox.consume('p', (message) => {
        const text = textOf(message.bytes)!
        if (!got.includes(text)) got.push(text)
        void message.ack().catch(() => undefined)
        if (text === '3') resolve()
      })
    })
    await inbox.deliver('p', '1', bytesOf('1'))
    await server.kill()
    await server.start()
    await surely(() => inbox.deliver('p', '2', bytesOf('2')))
    await surely(() => inbox.deliver('p', '3', bytesOf('3')))
    await all
    expect(got).toEqual(['1', '2', '3'])
  })

  test('a watcher of a lease hears of changes after it came back', async () => {
    const { leases } = await connect()
    const heard: (string | undefined)[] = []
    let wake = (): void => undefined
    await leases.watch('k', (holder) => {
      heard.push(holder)
      wake()
    })
    await leases.acquire('k', 'ann', 100)
    while (heard.length < 1) await new Promise<void>((resolve) => (wake = resolve))
    await server.kill()
    await server.start()
    const bob = (await connect()).leases
    while ((await surely(() => bob.acquire('k', 'bob', 60_000))).kind === 'taken') continue
    while (heard.length < 2) await new Promise<void>((resolve) => (wake = resolve))
    expect(heard).toEqual(['ann', 'bob'])
  })

  test('in order: acknowledged messages and deleted snapshots stay gone', async () => {
    const store = await connect()
    const inbox = await store.inbox('q')
    await store.snapshots.put('k', bytesOf('x'))
    await store.snapshots.delete('k')
    await inbox.deliver('p', '1', bytesOf('1'))
    await inbox.deliver('p', '2', bytesOf('2'))
    await new Promise<void>((resolve) => {
      void inbox.consume('p', (message) => {
        if (message.messageId === '1') void message.ack().then(resolve)
      })
    })
    await server.restart()
    expect(await surely(() => store.snapshots.get('k'))).toBeUndefined()
    const next = await (await connect()).inbox('q')
    const first = await new Promise((resolve) => {
      void next.consume('p', ({ messageId }) => resolve(messageId))
    })
    expect(first).toBe('2')
  })
})

describe('bytes get lost on the way', () => {
  test('a lost acknowledgement is a timeout; the record is stored, and the end of the log tells', async () => {
    const proxy = await startLossyProxy(server.port)
    const log = await (await connect({ servers: proxy.url, requestTimeoutMs: 300 })).log('q')
    proxy.dropAnswers()
    await expect(log.append('p', 0, bytesOf('stored'))).rejects.toMatchObject({
      kind: 'timeout',
      message: expect.stringContaining('it may have been done'),
    })
    proxy.breakConnections()
    expect(textOf((await surely(() => log.last('p')))?.bytes)).toBe('stored')
    await proxy.close()
  })

  test('a lost request is the same timeout; nothing is stored', async () => {
    const proxy = await startLossyProxy(server.port)
    const log = await (await connect({ servers: proxy.url, requestTimeoutMs: 300 })).log('q')
    proxy.dropRequests()
    await expect(log.append('p', 0, bytesOf('lost'))).rejects.toMatchObject({ kind: 'timeout' })
    proxy.breakConnections()
    expect(await surely(() => log.last('p'))).toBeUndefined()
    await proxy.close()
  })

  test('a connection that breaks under many appends in flight leaves each of them decided by the log', async () => {
    const proxy = await startLossyProxy(server.port)
    const log = await (await connect({ servers: proxy.url })).log('q')
    let broken = false
    const chains = await Promise.all(
      Array.from({ length: 20 }, async (_, chain) => {
        const written: string[] = []
        let lastSeq = 0
        for (let at = 0; at < 30; at++) {
          if (at === 15 && !broken) {
            broken = true
            proxy.breakConnections()
          }
          lastSeq = (await appendSurely(log, `p${chain}`, lastSeq, `${chain}/${at}`))!
          written.push(`${chain}/${at}`)
        }
        return written
      }),
    )
    for (const [chain, written] of chains.entries()) expect(await texts(log, `p${chain}`)).toEqual(written)
    await proxy.close()
  })

  test('a scan that loses its connection half-way goes on behind the last record it gave', async () => {
    const proxy = await startLossyProxy(server.port)
    const log = await (await connect({ servers: proxy.url })).log('q')
    let lastSeq = 0
    for (let at = 0; at < 2_500; at++) lastSeq = (await appendSurely(log, 'p', lastSeq, `${at}`))!
    const seen: string[] = []
    for await (const { bytes } of log.scan('p', 0)) {
      seen.push(textOf(bytes)!)
      if (seen.length === 1_200) proxy.breakConnections()
    }
    expect(seen).toEqual(Array.from({ length: 2_500 }, (_, at) => `${at}`))
    await proxy.close()
  })
})

test('a stream at its limit rejects loudly, keeps what it has, and takes more when there is room again', async () => {
  const log = await (await connect()).log('q')
  const { connect: bare } = await import('nats')
  const client = await bare({ servers: server.url })
  const { streams } = await client.jetstreamManager()
  await streams.update('DARUMA_LOG_q', { max_bytes: 10_000 })
  let lastSeq = 0
  let refusal: unknown
  while (refusal === undefined) {
    try {
      const answer = await log.append('p', lastSeq, new Uint8Array(1_000))
      if (answer.kind === 'appended') lastSeq = answer.seq
    } catch (error) {
      refusal = error
    }
  }
  expect(refusal).toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('raise the limit or free space'),
  })
  expect((await log.last('p'))?.seq).toBe(lastSeq)
  await log.trim('p', lastSeq)
  expect(await log.append('p', lastSeq, new Uint8Array(1_000))).toMatchObject({ kind: 'appended' })
  await client.close()
})

import assert from 'node:assert/strict'
import type { DownReason, Peer, Transport, TransportListener } from '../transport.ts'
import { bytesOf, textOf, type ContractCase } from './contract.ts'

/** How the suite gets at a cluster. Each case uses node names of its own. */
export interface TransportHarness {
  /** A transport that is not started; the incarnation grows with each life of a name. */
  make(node: string, incarnation: number): Promise<Transport>
  /** The node falls silent for good without a word. */
  crash(transport: Transport): Promise<void>
  /** Nothing passes between it and the others, until `heal`. */
  isolate(transport: Transport): Promise<void>
  heal(transport: Transport): Promise<void>
  /** Lets the cluster run until `condition` holds, or fails after a while with `what`. */
  until(what: string, condition: () => boolean): Promise<void>
}

/** Records what a transport tells. */
export class TransportLog implements TransportListener {
  readonly received: { readonly from: Peer; readonly text: string }[] = []
  /** `up b`, `down b silent`, `got b text`, in order. */
  readonly story: string[] = []
  onReceive(from: Peer, bytes: Uint8Array): void {
    const text = textOf(bytes)!
    this.received.push({ from, text })
    this.story.push(`got ${from.node} ${text}`)
  }

  onNodeUp(peer: Peer): void {
    this.story.push(`up ${peer.node}.${peer.incarnation}`)
  }

  onNodeDown(peer: Peer, why: DownReason): void {
    this.story.push(`down ${peer.node}.${peer.incarnation} ${why}`)
  }

  textsFrom(node: string): string[] {
    return this.received.flatMap(({ from, text }) => (from.node === node ? [text] : []))
  }

  count(entry: string): number {
    return this.story.filter((told) => told.startsWith(entry)).length
  }
}

interface Started {
  readonly transport: Transport
  readonly log: TransportLog
}

async function started(harness: TransportHarness, node: string, incarnation: number): Promise<Started> {
  const transport = await harness.make(node, incarnation)
  const log = new TransportLog()
  await transport.start(log)
  return { transport, log }
}

async function meet(harness: TransportHarness, ...all: Started[]): Promise<void> {
  await harness.until('every node is up for every other', () =>
    all.every(({ transport, log }) =>
      all.every((other) => other.transport === transport || log.count(`up ${other.transport.self.node}.`) > 0),
    ),
  )
}

const peerOf = ({ transport }: Started): Peer => transport.self

async function closeAll(...all: Started[]): Promise<void> {
  await Promise.all(all.map(({ transport }) => transport.close()))
}

export const transportContract: readonly ContractCase<TransportHarness>[] = [
  {
    title: 'nodes of one cluster come up for each other, exactly once each',
    async run(harness) {
      const all = [await started(harness, 'm1', 1), await started(harness, 'm2', 1), await started(harness, 'm3', 1)]
      await meet(harness, ...all)
      for (const { transport, log } of all) {
        assert.equal(transport.peers().length, 2)
        assert.equal(log.count('up '), 2)
        assert.equal(log.count('down '), 0)
      }
      assert.equal(all[0]!.transport.peer(peerOf(all[1]!).node)?.incarnation, 1)
      await closeAll(...all)
    },
  },
  {
    title: 'T1: messages of one pair arrive in order, each once, small and large mixed',
    async run(harness) {
      const [a, b] = [await started(harness, 'o1', 1), await started(harness, 'o2', 1)]
      await meet(harness, a, b)
      const sent: string[] = []
      for (let at = 0; at < 2_000; at++) {
        const text = at % 97 === 0 ? `${at} ${'x'.repeat(30_000)}` : String(at)
        assert.equal(a.transport.send(peerOf(b), bytesOf(text)), 'accepted')
        sent.push(text)
        if (at % 500 === 0) await Promise.resolve()
      }
      await harness.until('all have arrived', () => b.log.received.length >= sent.length)
      assert.deepEqual(b.log.textsFrom('o1'), sent)
      await closeAll(a, b)
    },
  },
  {
    title: 'T5: the bytes may be written to as soon as send has answered, and nothing arrives within send',
    async run(harness) {
      const [a, b] = [await started(harness, 'c1', 1), await started(harness, 'c2', 1)]
      await meet(harness, a, b)
      const bytes = bytesOf('kept')
      a.transport.send(peerOf(b), bytes)
      assert.equal(b.log.received.length, 0)
      bytes.fill(0)
      await harness.until('it has arrived', () => b.log.received.length === 1)
      assert.equal(b.log.received[0]!.text, 'kept')
      await closeAll(a, b)
    },
  },
  {
    title: 'a message over the limit is refused at the sender, one at the limit arrives whole',
    async run(harness) {
      const [a, b] = [await started(harness, 'l1', 1), await started(harness, 'l2', 1)]
      await meet(harness, a, b)
      const { maxMessageBytes } = a.transport
      assert.equal(a.transport.send(peerOf(b), new Uint8Array(maxMessageBytes + 1)), 'too_large')
      assert.equal(a.transport.send(peerOf(b), new Uint8Array(maxMessageBytes).fill(97)), 'accepted')
      await harness.until('it has arrived', () => b.log.received.length === 1)
      assert.equal(b.log.received[0]!.text.length, maxMessageBytes)
      await closeAll(a, b)
    },
  },
  {
    title: 'a peer that nobody knows is no_connection, and so is the node itself',
    async run(harness) {
      const a = await started(harness, 'n1', 1)
      assert.equal(a.transport.send({ ...peerOf(a), incarnation: 9 }, bytesOf('x')), 'no_connection')
      assert.equal(a.transport.send(peerOf(a), bytesOf('x')), 'no_connection')
      await closeAll(a)
    },
  },
  {
    title: 'a node that closes: what it had sent arrives, then the others see it leave, once',
    async run(harness) {
      const [a, b] = [await started(harness, 'g1', 1), await started(harness, 'g2', 1)]
      await meet(harness, a, b)
      a.transport.send(peerOf(b), bytesOf('last words'))
      await a.transport.close()
      await harness.until('b saw it leave', () => b.log.count('down ') === 1)
      assert.deepEqual(b.log.story, ['up g1.1', 'got g1 last words', 'down g1.1 left'])
      assert.deepEqual(a.log.story.at(-1), 'down g2.1 closed')
      assert.equal(b.transport.send(a.transport.self, bytesOf('x')), 'no_connection')
      await closeAll(b)
    },
  },
  {
    title: 'a node that crashes is seen down exactly once, and sends to it are refused from then on',
    async run(harness) {
      const [a, b] = [await started(harness, 'k1', 1), await started(harness, 'k2', 1)]
      await meet(harness, a, b)
      await harness.crash(a.transport)
      await harness.until('b sees it down', () => b.log.count('down ') === 1)
      assert.deepEqual(b.log.story, ['up k1.1', 'down k1.1 silent'])
      assert.equal(b.transport.send(a.transport.self, bytesOf('x')), 'no_connection')
      await closeAll(b)
    },
  },
  {
    title: 'T4: a restarted node receives nothing that was meant for its former life, whose end is told first',
    async run(harness) {
      const [a, b] = [await started(harness, 'r1', 1), await started(harness, 'r2', 1)]
      await meet(harness, a, b)
      await harness.crash(a.transport)
      for (let at = 0; at < 50; at++) b.transport.send(a.transport.self, bytesOf(`old ${at}`))
      const again = await started(harness, 'r1', 2)
      await harness.until('the new life is up', () => b.log.count('up r1.2') === 1 && again.log.count('up ') === 1)
      assert.deepEqual(
        b.log.story.filter((told) => !told.startsWith('up r1.1')).map((told) => told.split(' ').slice(0, 2).join(' ')),
        ['down r1.1', 'up r1.2'],
      )
      assert.equal(b.transport.send(a.transport.self, bytesOf('old')), 'no_connection')
      b.transport.send(again.transport.self, bytesOf('new'))
      await harness.until('the new message arrives', () => again.log.received.length > 0)
      assert.deepEqual(again.log.textsFrom('r2'), ['new'])
      await closeAll(again, b)
    },
  },
  {
    title: 'T2, T3: after a partition both saw the other down once, come up anew, and nothing from before it arrives',
    async run(harness) {
      const [a, b] = [await started(harness, 'p1', 1), await started(harness, 'p2', 1)]
      await meet(harness, a, b)
      await harness.isolate(a.transport)
      a.transport.send(peerOf(b), bytesOf('lost a'))
      b.transport.send(peerOf(a), bytesOf('lost b'))
      await harness.until('both see the other down', () => a.log.count('down ') === 1 && b.log.count('down ') === 1)
      await harness.heal(a.transport)
      await harness.until('both are up again', () => a.log.count('up ') === 2 && b.log.count('up ') === 2)
      a.transport.send(peerOf(b), bytesOf('after a'))
      b.transport.send(peerOf(a), bytesOf('after b'))
      await harness.until('messages arrive', () => a.log.received.length > 0 && b.log.received.length > 0)
      assert.deepEqual([a.log.textsFrom('p2'), b.log.textsFrom('p1')], [['after b'], ['after a']])
      assert.deepEqual([a.log.count('down '), b.log.count('down ')], [1, 1])
      await closeAll(a, b)
    },
  },
  {
    title: 'T5: what waits for a peer that takes nothing is bounded: messages are refused, signals still get in',
    async run(harness) {
      const [a, b] = [await started(harness, 'f1', 1), await started(harness, 'f2', 1)]
      await meet(harness, a, b)
      await harness.isolate(b.transport)
      const bytes = new Uint8Array(100_000)
      let taken = 0
      while (a.transport.send(peerOf(b), bytes) === 'accepted' && taken < 10_000) taken++
      assert.ok(taken > 10 && taken < 10_000, `${taken} messages were accepted`)
      assert.equal(a.transport.send(peerOf(b), bytes), 'congested')
      assert.equal(a.transport.send(peerOf(b), bytesOf('x'), 'signal'), 'accepted')
      await harness.heal(b.transport)
      await harness.until('it takes messages again', () => a.transport.send(peerOf(b), bytes) === 'accepted')
      assert.equal(b.log.count('down '), 0)
      await closeAll(a, b)
    },
  },
]

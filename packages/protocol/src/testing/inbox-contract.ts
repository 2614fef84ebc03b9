import assert from 'node:assert/strict'
import type { Inbox, InboxMessage } from '../log.ts'
import { assertRejects, awkwardNames, bytesOf, textOf, type ContractCase, type PortHarness } from './contract.ts'

export type InboxHarness = PortHarness<Inbox>

/** Keeps what a consumer was handed, and waits for more. */
class Collector {
  readonly messages: InboxMessage[] = []
  #waiting: (() => void)[] = []

  readonly onMessage = (message: InboxMessage): void => {
    this.messages.push(message)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  async atLeast(count: number): Promise<InboxMessage[]> {
    while (this.messages.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return this.messages
  }

  get texts(): (string | undefined)[] {
    return this.messages.map(({ bytes }) => textOf(bytes))
  }
}

async function deliverAll(inbox: Inbox, partition: string, texts: readonly string[]): Promise<void> {
  for (const text of texts) await inbox.deliver(partition, `id-${text}`, bytesOf(text))
}

/** Consumes until `count` messages came, acknowledges them and stops. */
async function drain(inbox: Inbox, partition: string, count: number): Promise<(string | undefined)[]> {
  const collector = new Collector()
  const consumption = await inbox.consume(partition, collector.onMessage)
  for (const message of await collector.atLeast(count)) await message.ack()
  await consumption.stop()
  return collector.texts
}

export const inboxContract: readonly ContractCase<InboxHarness>[] = [
  {
    title: 'B2: messages come in the order in which they were stored, those from before the consumer first',
    async run({ open }) {
      const inbox = await open()
      await deliverAll(inbox, 'order', ['1', '2', '3'])
      const collector = new Collector()
      const consumption = await inbox.consume('order', collector.onMessage)
      await deliverAll(inbox, 'order', ['4', '5'])
      const messages = await collector.atLeast(5)
      assert.deepEqual(collector.texts, ['1', '2', '3', '4', '5'])
      assert.deepEqual([messages[0]!.messageId, messages[0]!.attempt], ['id-1', 1])
      for (const message of messages) await message.ack()
      await consumption.stop()
    },
  },
  {
    title: 'B1: the same message id twice is stored once',
    async run({ open }) {
      const inbox = await open()
      const other = await open()
      await inbox.deliver('twice', 'same', bytesOf('first'))
      await inbox.deliver('twice', 'same', bytesOf('second'))
      await other.deliver('twice', 'same', bytesOf('third'))
      await inbox.deliver('twice', 'another', bytesOf('end'))
      assert.deepEqual(await drain(inbox, 'twice', 2), ['first', 'end'])
    },
  },
  {
    title: 'B1: a message id is remembered also after its message was acknowledged',
    async run({ open }) {
      const inbox = await open()
      await inbox.deliver('acked-id', 'same', bytesOf('first'))
      assert.deepEqual(await drain(inbox, 'acked-id', 1), ['first'])
      await inbox.deliver('acked-id', 'same', bytesOf('again'))
      await inbox.deliver('acked-id', 'other', bytesOf('end'))
      assert.deepEqual(await drain(inbox, 'acked-id', 1), ['end'])
    },
  },
  {
    title: 'the same message id in two partitions is two messages',
    async run({ open }) {
      const inbox = await open()
      await inbox.deliver('ids-a', 'same', bytesOf('a'))
      await inbox.deliver('ids-b', 'same', bytesOf('b'))
      assert.deepEqual(await drain(inbox, 'ids-a', 1), ['a'])
      assert.deepEqual(await drain(inbox, 'ids-b', 1), ['b'])
    },
  },
  {
    title: 'B2: what was not acknowledged comes again to the next consumer, in order; what was, does not',
    async run({ open }) {
      const inbox = await open()
      await deliverAll(inbox, 'again', ['1', '2', '3', '4'])
      const first = new Collector()
      const consumption = await inbox.consume('again', first.onMessage)
      const messages = await first.atLeast(4)
      await messages[1]!.ack()
      await consumption.stop()
      assert.deepEqual(await drain(inbox, 'again', 3), ['1', '3', '4'])
    },
  },
  {
    title: 'B2: a new consumer takes over at once from one that never stopped',
    async run({ open }) {
      const inbox = await open()
      const successor = await open()
      await deliverAll(inbox, 'takeover', ['1', '2'])
      const first = new Collector()
      await inbox.consume('takeover', first.onMessage)
      await first.atLeast(2)
      const second = new Collector()
      const consumption = await successor.consume('takeover', second.onMessage)
      await second.atLeast(2)
      await deliverAll(inbox, 'takeover', ['3'])
      for (const message of await second.atLeast(3)) await message.ack()
      assert.deepEqual(
        [first.texts, second.texts],
        [
          ['1', '2'],
          ['1', '2', '3'],
        ],
      )
      await consumption.stop()
    },
  },
  {
    title: 'after stop no message is handed out',
    async run({ open }) {
      const inbox = await open()
      const stopped = new Collector()
      const consumption = await inbox.consume('stopped', stopped.onMessage)
      await consumption.stop()
      await consumption.stop()
      await deliverAll(inbox, 'stopped', ['1'])
      assert.deepEqual(await drain(inbox, 'stopped', 1), ['1'])
      assert.deepEqual(stopped.texts, [])
    },
  },
  {
    title: 'partitions are independent, whatever their names and message ids are made of',
    async run({ open }) {
      const inbox = await open()
      const names = awkwardNames.map((name) => `names:${name}`)
      for (const name of names) await inbox.deliver(name, `id ${name}`, bytesOf(name))
      for (const name of names) {
        const collector = new Collector()
        const consumption = await inbox.consume(name, collector.onMessage)
        const [message] = await collector.atLeast(1)
        assert.deepEqual([message!.messageId, textOf(message!.bytes)], [`id ${name}`, name])
        await message!.ack()
        await consumption.stop()
      }
    },
  },
  {
    title: 'hundreds of messages that nobody has acknowledged yet are all handed out',
    async run({ open }) {
      const inbox = await open()
      const texts = Array.from({ length: 600 }, (_, index) => String(index))
      await Promise.all(texts.map((text) => inbox.deliver('burst', text, bytesOf(text))))
      const collector = new Collector()
      const consumption = await inbox.consume('burst', collector.onMessage)
      const messages = await collector.atLeast(600)
      assert.deepEqual(new Set(collector.texts), new Set(texts))
      await Promise.all(messages.map((message) => message.ack()))
      await consumption.stop()
    },
  },
  {
    // Whether the acknowledged one comes again is the store's affair: an acknowledgement promises only that it may be forgotten.
    title: 'B1: stored messages survive a restart, in their order, at the latest until they are acknowledged',
    async run({ open, restart }) {
      const before = await open()
      await deliverAll(before, 'restart', ['1', '2', '3'])
      const collector = new Collector()
      await before.consume('restart', collector.onMessage)
      const messages = await collector.atLeast(3)
      await messages[0]!.ack()
      await restart()
      const inbox = await open()
      await deliverAll(inbox, 'restart', ['4'])
      const again = new Collector()
      await inbox.consume('restart', again.onMessage)
      while (!again.texts.includes('4')) await again.atLeast(again.messages.length + 1)
      assert.deepEqual(
        again.texts.filter((text) => text !== '1'),
        ['2', '3', '4'],
      )
    },
  },
  {
    title: 'a closed inbox rejects as unavailable and hands out nothing',
    async run({ open }) {
      const inbox = await open()
      const other = await open()
      const collector = new Collector()
      await inbox.consume('closed', collector.onMessage)
      await inbox.close()
      await assertRejects(inbox.deliver('closed', 'x', bytesOf('x')), 'unavailable')
      await other.deliver('closed', 'y', bytesOf('y'))
      assert.deepEqual(await drain(other, 'closed', 1), ['y'])
      assert.deepEqual(collector.texts, [])
    },
  },
]

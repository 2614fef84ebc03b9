import { createSystem, next, type Actor, type Behavior } from '@daruma/actors'
import { rate, signal, type Measurement } from '../harness.ts'

const producers = 40
const consumers = 40
const itemsEach = 10_000
const total = producers * itemsEach
const capacity = 50

type Producer = 'produce'
interface Consumer {
  readonly item: number
}
type Buffer =
  | { readonly kind: 'item'; readonly from: Actor<Producer>; readonly item: number }
  | { readonly kind: 'ready'; readonly from: Actor<Consumer> }

interface Stock {
  readonly items: number[]
  readonly ready: Actor<Consumer>[]
  readonly held: Actor<Producer>[]
  taken: number
}

/** Savina's producer-consumer: the manager holds producers back while the buffer is full. */
async function boundedBuffer(): Promise<void> {
  const system = createSystem()
  const { done, fire } = signal()
  const manager: Behavior<Buffer, Stock> = {
    init: () => ({ items: [], ready: [], held: [], taken: 0 }),
    receive(ctx, message, stock) {
      if (message.kind === 'item') {
        const consumer = stock.ready.pop()
        if (consumer === undefined) stock.items.push(message.item)
        else ctx.send(consumer, { item: message.item })
        if (stock.items.length < capacity) ctx.send(message.from, 'produce')
        else stock.held.push(message.from)
        return next.same
      }
      if (++stock.taken - consumers === total) fire()
      const item = stock.items.pop()
      if (item === undefined) stock.ready.push(message.from)
      else ctx.send(message.from, { item })
      const producer = stock.held.pop()
      if (producer !== undefined) ctx.send(producer, 'produce')
      return next.same
    },
  }
  const buffer = system.spawn(manager)
  const producer: Behavior<Producer, number> = {
    init(ctx) {
      ctx.send(ctx.self, 'produce')
      return 0
    },
    receive(ctx, _message, made) {
      if (made === itemsEach) return next.stop({ kind: 'normal' })
      ctx.send(buffer, { kind: 'item', from: ctx.self, item: made })
      return next.state(made + 1)
    },
  }
  const consumer: Behavior<Consumer, number> = {
    init(ctx) {
      ctx.send(buffer, { kind: 'ready', from: ctx.self })
      return 0
    },
    receive(ctx, { item }, sum) {
      ctx.send(buffer, { kind: 'ready', from: ctx.self })
      return next.state(sum + item)
    },
  }
  for (let at = 0; at < consumers; at++) system.spawn(consumer)
  for (let at = 0; at < producers; at++) system.spawn(producer)
  await done
  await system.shutdown()
}

export async function run(): Promise<Measurement> {
  return {
    name: `${producers} producers, ${consumers} consumers`,
    unit: 'items/s',
    value: await rate(total, boundedBuffer, 4),
  }
}

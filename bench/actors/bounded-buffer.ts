import { createSystem, next, type Actor, type Behavior } from '@daruma/actors'
import { rate, scaled, signal, type Measurement } from '../harness.ts'
import { FloorActor, FloorLoop } from './floor.ts'

const producers = 40
const consumers = 40
const itemsEach = scaled(10_000)
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

// The floor's classes stand outside of a round, so that each round finds them compiled.

class FloorManager extends FloorActor {
  readonly #loop: FloorLoop
  readonly #items: number[] = []
  readonly #ready: FloorActor[] = []
  readonly #held: FloorActor[] = []
  taken = 0

  constructor(loop: FloorLoop) {
    super()
    this.#loop = loop
  }

  receive(message: { readonly kind: 'item' | 'ready'; readonly from: FloorActor; readonly item: number }): void {
    if (message.kind === 'item') {
      const consumer = this.#ready.pop()
      if (consumer === undefined) this.#items.push(message.item)
      else this.#loop.send(consumer, { item: message.item })
      if (this.#items.length < capacity) this.#loop.send(message.from, 'produce')
      else this.#held.push(message.from)
      return
    }
    this.taken++
    const item = this.#items.pop()
    if (item === undefined) this.#ready.push(message.from)
    else this.#loop.send(message.from, { item })
    const producer = this.#held.pop()
    if (producer !== undefined) this.#loop.send(producer, 'produce')
  }
}

class FloorProducer extends FloorActor {
  readonly #loop: FloorLoop
  readonly #buffer: FloorManager
  #made = 0

  constructor(loop: FloorLoop, buffer: FloorManager) {
    super()
    this.#loop = loop
    this.#buffer = buffer
    loop.send(this, 'produce')
  }

  receive(): void {
    if (this.#made < itemsEach) this.#loop.send(this.#buffer, { kind: 'item', from: this, item: this.#made++ })
  }
}

class FloorConsumer extends FloorActor {
  readonly #loop: FloorLoop
  readonly #buffer: FloorManager
  sum = 0

  constructor(loop: FloorLoop, buffer: FloorManager) {
    super()
    this.#loop = loop
    this.#buffer = buffer
    loop.send(buffer, { kind: 'ready', from: this, item: 0 })
  }

  receive({ item }: Consumer): void {
    this.sum += item
    this.#loop.send(this.#buffer, { kind: 'ready', from: this, item: 0 })
  }
}

function floor(): void {
  const loop = new FloorLoop()
  const buffer = new FloorManager(loop)
  for (let at = 0; at < consumers; at++) void new FloorConsumer(loop, buffer)
  for (let at = 0; at < producers; at++) void new FloorProducer(loop, buffer)
  loop.drain()
  if (buffer.taken - consumers !== total) throw new Error(`${buffer.taken - consumers} of ${total} were taken`)
}

export async function run(): Promise<Measurement> {
  return {
    name: `${producers} producers, ${consumers} consumers`,
    unit: 'items/s',
    value: await rate(total, boundedBuffer, 4),
    floor: await rate(total, floor, 4),
  }
}

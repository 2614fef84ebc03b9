import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError, msgpackCodec } from '@daruma/protocol'
import { MemoryInbox, MemoryLeases, MemoryLog, MemorySnapshots, SimClock } from '@daruma/protocol/testing'
import { activity, FunctionExecutor, workflow, WorkflowDirectory, WorkflowEngine } from '@daruma/workflow'
import { mayGive, whomToAsk } from '../src/balance.ts'

const double = activity('double', (n: number) => n * 2)

const adder = workflow('adder', async (ctx, n: number) => {
  const doubled = await ctx.call(double, n)
  ctx.onQuery('doubled', () => doubled)
  const more = await ctx.receive<number>('more')
  return doubled + more
})

/** Nodes that share one store and reach each other by messages that are encoded, as on a wire. */
class Nodes {
  readonly clock = new SimClock()
  readonly #log = new MemoryLog({ clock: this.clock })
  readonly #leases = new MemoryLeases({ clock: this.clock })
  readonly #snapshots = new MemorySnapshots()
  readonly #inbox = new MemoryInbox()
  readonly #codec = msgpackCodec()
  readonly up = new Map<string, { engine: WorkflowEngine; log: MemoryLog; leases: MemoryLeases }>()
  forwarded: string[] = []

  async open(node: string): Promise<WorkflowEngine> {
    const log = this.#log.reopen({})
    const leases = this.#leases.reopen()
    const functions = new FunctionExecutor([double])
    const engine = await this.settle(
      WorkflowEngine.open({
        taskQueue: 'shared',
        node,
        storage: { log, snapshots: this.#snapshots, inbox: this.#inbox.reopen(), leases },
        programs: (type) => (type === 'adder' ? adder.create : undefined),
        executor: functions,
        directory: new WorkflowDirectory(),
        partitions: 8,
        leaseMs: 10_000,
        clock: this.clock,
        machineClock: this.clock,
        forward: async (to, _queue, request) => {
          this.forwarded.push(`${node} > ${to} ${request.kind}`)
          const target = this.up.get(to)
          if (target === undefined) {
            throw new AppError('unavailable', `no connection to ${to}`, { notDone: true }, { retryable: true })
          }
          const bytes = this.#codec.encode(request)
          const answer = await target.engine.answer(this.#codec.decode(bytes))
          return this.#codec.decode(this.#codec.encode(answer))
        },
      }),
    )
    this.up.set(node, { engine, log, leases })
    return engine
  }

  crash(node: string): void {
    const { engine, log, leases } = this.up.get(node)!
    this.up.delete(node)
    log.crash()
    leases.crash()
    engine.abandon()
  }

  async close(node: string): Promise<void> {
    const { engine } = this.up.get(node)!
    await this.settle(engine.close())
    this.up.delete(node)
  }

  async idle(): Promise<void> {
    for (let round = 0; round < 60; round++) await new Promise<void>((resolve) => setImmediate(resolve))
  }

  /** Time moves on step by step until the promise settles. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const watched = promise.finally(() => (settled = true))
    watched.catch(() => undefined)
    for (let steps = 0; !settled && steps < 600; steps++) {
      await this.idle()
      if (!settled) this.clock.advance(100)
    }
    if (!settled) throw new Error('it never settled')
    return watched
  }

  async advance(byMs: number): Promise<void> {
    for (let passed = 0; passed < byMs; passed += 500) {
      await this.idle()
      this.clock.advance(500)
    }
    await this.idle()
  }

  get owned(): Record<string, number> {
    return Object.fromEntries(Array.from(this.up, ([node, { engine }]) => [node, engine.ownership.owned]))
  }
}

describe('workflows on several nodes', () => {
  test('a request to any node reaches the owner, is answered after its commit, and every verb works alike', async () => {
    const nodes = new Nodes()
    await nodes.open('a')
    const b = await nodes.open('b')
    const c = await nodes.open('c')
    await nodes.advance(6_000)
    const ids = Array.from({ length: 20 }, (_, at) => `w${at}`)
    for (const [at, id] of ids.entries()) await nodes.settle(b.start('adder', [at], { id }))
    expect(nodes.forwarded).toContain('b > a submit')
    await nodes.idle()
    for (const [at, id] of ids.entries()) expect(await nodes.settle(c.query(id, 'doubled'))).toEqual({ value: 2 * at })
    for (const id of ids) await nodes.settle(c.send(id, 'more', [100]))
    for (const [at, id] of ids.entries()) expect(await nodes.settle(b.ended(id))).toEqual({ value: 2 * at + 100 })
    expect((await nodes.settle(c.history('w3'))).length).toBeGreaterThan(2)
    await expect(nodes.settle(b.start('unknown', [], { id: 'w0x' }))).rejects.toMatchObject({ kind: 'not_found' })
  })

  test('a node that joins gets its share; one that leaves hands over at once', async () => {
    const nodes = new Nodes()
    await nodes.open('a')
    expect(nodes.owned).toEqual({ a: 8 })
    await nodes.open('b')
    await nodes.advance(1_000)
    expect(nodes.owned).toEqual({ a: 4, b: 4 })
    await nodes.open('c')
    await nodes.advance(1_000)
    expect(Object.values(nodes.owned).toSorted((a, b) => a - b)).toEqual([2, 3, 3])
    const startedAtMs = nodes.clock.monotonicMs()
    await nodes.close('a')
    await nodes.advance(500)
    expect(nodes.clock.monotonicMs() - startedAtMs).toBeLessThan(10_000 / 3)
    expect(nodes.owned['b']! + nodes.owned['c']!).toBe(8)
    await nodes.advance(6_000)
    expect(nodes.owned).toEqual({ b: 4, c: 4 })
  })

  test('a crash: what waits for its workflows gets its answer from the next owner, within two lease periods', async () => {
    const nodes = new Nodes()
    const a = await nodes.open('a')
    const b = await nodes.open('b')
    await nodes.advance(6_000)
    const ids = Array.from({ length: 16 }, (_, at) => `x${at}`)
    for (const [at, id] of ids.entries()) await nodes.settle(a.start('adder', [at], { id }))
    await nodes.idle()
    const ends = ids.map((id) => b.ended(id))
    nodes.crash('a')
    const crashedAtMs = nodes.clock.monotonicMs()
    const sent = ids.map((id) => b.send(id, 'more', [1], { messageId: `m-${id}` }))
    await nodes.settle(Promise.all(sent))
    expect(nodes.clock.monotonicMs() - crashedAtMs).toBeLessThan(20_000)
    expect(await nodes.settle(Promise.all(ends))).toEqual(ids.map((_, at) => ({ value: 2 * at + 1 })))
    expect(nodes.owned).toEqual({ b: 8 })
  })

  test('what is no forwarded request is refused, and so is one that this node does not own', async () => {
    const nodes = new Nodes()
    const a = await nodes.open('a')
    const b = await nodes.open('b')
    await nodes.advance(1_000)
    for (const input of [undefined, 1, {}, { kind: 'submit' }, { kind: 'query', workflowId: 'x' }]) {
      await expect(a.answer(input)).rejects.toMatchObject({ kind: 'invalid' })
    }
    const elsewhere = Array.from({ length: 50 }, (_, at) => `y${at}`).find((id) => !b.owns(id))!
    await expect(b.answer({ kind: 'ended', workflowId: elsewhere })).rejects.toMatchObject({
      kind: 'unavailable',
      details: { notDone: true },
    })
  })
})

describe('balance', () => {
  test('moves between nodes that know who owns what end, with nobody two apart', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40), { minLength: 2, maxLength: 12 }), (counts) => {
        const owned = new Map(counts.map((count, at) => [`n${at}`, count]))
        const total = counts.reduce((sum, count) => sum + count, 0)
        for (let moves = 0; ; moves++) {
          // Each move makes the sum of squares smaller by two at least.
          expect(moves).toBeLessThanOrEqual(counts.reduce((sum, count) => sum + count * count, 0) / 2)
          const move = [...owned].flatMap(([poor, mine]) => {
            const others = new Map([...owned].filter(([node, count]) => node !== poor && count > 0))
            const rich = whomToAsk(mine, others)
            return rich === undefined ? [] : [[poor, rich] as const]
          })[0]
          if (move === undefined) break
          const [poor, rich] = move
          expect(mayGive(owned.get(rich)!, owned.get(poor)!)).toBe(true)
          owned.set(poor, owned.get(poor)! + 1)
          owned.set(rich, owned.get(rich)! - 1)
        }
        const after = [...owned.values()]
        expect(Math.max(...after) - Math.min(...after)).toBeLessThanOrEqual(1)
        expect(after.reduce((sum, count) => sum + count, 0)).toBe(total)
      }),
      { verbose: 1 },
    )
  })
})

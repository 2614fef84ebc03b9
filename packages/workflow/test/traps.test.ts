import { describe, expect, test } from 'vitest'
import { AppError, msgpackCodec, type Outcome } from '@daruma/protocol'
import { activity, workflow, type ProcessSide } from '@daruma/workflow'
import { WorkflowLab } from '@daruma/workflow/testing'

// The traps of the contract, by their numbers. Those that are not here have their tests where their feature has:
// 3, 4, 14, 32, 36-39 with the adapters and the cluster; 16 scopes; 21, 40 determinism; 26 updates; 29, 30 limits;
// 31 checkpoint. 12 is here and with schedules.

const step = activity('step', (n: number) => n + 1)
const hourMs = 3_600_000

/** A chain of steps with a sleep in it. */
const chain = workflow('chain', async (ctx, n: number) => {
  let value = 0
  for (let at = 0; at < n; at++) value = await ctx.call(step, value)
  await ctx.sleep('1h')
  return value
})

async function open(
  workflows: NonNullable<ConstructorParameters<typeof WorkflowLab>[0]['workflows']>,
  more: object = {},
): Promise<WorkflowLab> {
  const lab = new WorkflowLab({ workflows, functions: [step], ...more })
  await lab.open()
  return lab
}

describe('trap', () => {
  test('1: an owner that was paused past its end stores nothing more, and acts on nothing more', async () => {
    const lab = await open([chain])
    const paused = lab.engine
    const id = await lab.start('chain', 2)
    await lab.idle()
    await lab.open()
    await expect(paused.send(id, 'x', [])).rejects.toThrowError('was taken over')
    expect(await lab.result(id)).toBe(2)
    expect(lab.executions).toHaveLength(2)
  })

  test.each(['lose_ack', 'refuse_stored'] as const)(
    '2: a commit that was stored and answered by %s is not taken for a fence, nor stored twice',
    async (kind) => {
      const lab = new WorkflowLab({ workflows: [chain], functions: [step] })
      let appends = 0
      await lab.open(({ name }) => (name === 'append' && ++appends > 1 ? { kind } : undefined))
      const id = await lab.start('chain', 5)
      expect(await lab.result(id)).toBe(5)
      expect(lab.executions).toHaveLength(5)
    },
  )

  test('5: a function that ran and was not recorded runs again under the same key', async () => {
    const lab = new WorkflowLab({ workflows: [chain], functions: [step] })
    let appends = 0
    await lab.open(({ name }) => {
      if (name !== 'append' || ++appends !== 4) return undefined
      queueMicrotask(() => lab.crash())
      return { kind: 'fail' }
    })
    const id = await lab.start('chain', 3, { id: 'w' })
    await lab.idle()
    await lab.open()
    expect(await lab.result(id)).toBe(3)
    expect(lab.executions.map(({ key }) => key)).toEqual(['w/1/1', 'w/1/2', 'w/1/2', 'w/1/3'])
  })

  test('6: the next step does not start before the result of the last is stored', async () => {
    const lab = new WorkflowLab({ workflows: [chain], functions: [step] })
    let appends = 0
    await lab.open(({ name }) =>
      name === 'append' && ++appends === 4 ? { kind: 'delay_request', durationMs: 60_000 } : undefined,
    )
    const id = await lab.start('chain', 3)
    await lab.idle()
    expect(lab.executions).toHaveLength(2)
    expect(await lab.result(id)).toBe(3)
  })

  test('8: a message id counts once after a month, an eviction and a crash', async () => {
    const w = workflow('w', async (ctx) => {
      const first = await ctx.receive<number>('n')
      await ctx.sleep('720h')
      return [first, await ctx.receive<number>('n')]
    })
    const lab = await open([w], { maxResident: 0 })
    const id = await lab.start('w')
    await lab.settle(lab.engine.send(id, 'n', [1], { messageId: 'one' }))
    await lab.idle()
    lab.crash()
    lab.clock.advance(800 * hourMs)
    await lab.open()
    await lab.settle(lab.engine.send(id, 'n', [1], { messageId: 'one' }))
    await lab.settle(lab.engine.send(id, 'n', [2], { messageId: 'two' }))
    expect(await lab.result(id)).toEqual([1, 2])
  })

  test('9: a thousand messages for code that does not listen yet wait for it, in order', async () => {
    const w = workflow('w', async (ctx) => {
      await ctx.sleep('1h')
      const got: number[] = []
      while (got.length < 1_000) got.push(await ctx.receive<number>('n'))
      return got.every((n, at) => n === at)
    })
    const lab = await open([w])
    const id = await lab.start('w')
    await lab.settle(Promise.all(Array.from({ length: 1_000 }, (_, n) => lab.engine.send(id, 'n', [n]))))
    expect(await lab.result(id)).toBe(true)
  })

  test('10: a message that comes while the workflow ends is handled or refused, never taken and lost', async () => {
    const w = workflow('w', async (ctx) => {
      const got: number[] = []
      ctx.onQuery('got', () => got)
      for (;;) {
        got.push(await ctx.receive<number>('n'))
        if (got.length === 3) return got
      }
    })
    const lab = await open([w])
    const id = await lab.start('w')
    const answers = await lab.settle(
      Promise.allSettled(Array.from({ length: 6 }, (_, n) => lab.engine.send(id, 'n', [n]))),
    )
    const taken = answers.flatMap(({ status }, n) => (status === 'fulfilled' ? [n] : []))
    expect(await lab.result(id)).toEqual(taken)
  })

  test('11: messages that come while a workflow continues as new are neither lost nor doubled', async () => {
    const w = workflow('w', async (ctx, state: { got: number[] }): Promise<number[]> => {
      const got = [...state.got, await ctx.receive<number>('n')]
      return got.length === 60 ? got : ctx.continueAsNew({ got })
    })
    const lab = await open([w])
    const id = await lab.start('w', { got: [] })
    await lab.settle(
      Promise.all(Array.from({ length: 60 }, (_, n) => lab.engine.send(id, 'n', [n], { messageId: `m${n}` }))),
    )
    expect(await lab.result(id)).toEqual(Array.from({ length: 60 }, (_, n) => n))
    expect(lab.engine.describe(id)?.run).toBe(60)
  })

  test('12: timers that fell due while nobody ran fire at once, in their order, and tell the time at which they fire', async () => {
    const w = workflow('w', async (ctx) => {
      const fired: string[] = []
      const started = ctx.now()
      let lateMs = 0
      await Promise.all(
        [3, 1, 2].map(async (hours) => {
          await ctx.sleep(hours * hourMs)
          fired.push(`${hours}h`)
          lateMs = ctx.now() - started
        }),
      )
      return [fired, lateMs >= 100 * hourMs]
    })
    const lab = await open([w])
    const id = await lab.start('w')
    await lab.idle()
    lab.crash()
    lab.clock.advance(100 * hourMs)
    await lab.open()
    expect(await lab.result(id)).toEqual([['1h', '2h', '3h'], true])
  })

  test('13: a wall clock that steps back fires nothing early and nothing twice; a sleep of sixty days is one', async () => {
    const w = workflow('w', async (ctx) => {
      const started = ctx.now()
      await ctx.sleep(60 * 24 * hourMs)
      await ctx.call(step, 1)
      return ctx.now() - started
    })
    const lab = await open([w])
    const id = await lab.start('w')
    await lab.idle()
    const dueMs = lab.clock.wallMs() + 60 * 24 * hourMs
    lab.clock.advance(30 * 24 * hourMs)
    lab.clock.stepWall(-10 * 24 * hourMs)
    lab.clock.advance(30 * 24 * hourMs)
    await lab.idle()
    expect(lab.executions).toHaveLength(0)
    expect(await lab.result(id)).toBeGreaterThanOrEqual(60 * 24 * hourMs)
    expect(lab.clock.wallMs()).toBeGreaterThanOrEqual(dueMs)
    expect(lab.executions).toHaveLength(1)
  })

  test('15: a cancellation wakes a sleep, also one that was recorded before a crash', async () => {
    const w = workflow('w', async (ctx) => {
      await ctx.sleep('100h').catch(() => undefined)
      return ctx.shield((shield) => shield.call(step, 1))
    })
    const lab = await open([w])
    const id = await lab.start('w')
    await lab.idle()
    lab.crash()
    await lab.open()
    const beforeMs = lab.clock.wallMs()
    await lab.settle(lab.engine.cancel(id))
    expect(await lab.result(id)).toBe(2)
    expect(lab.clock.wallMs() - beforeMs).toBeLessThan(hourMs)
  })

  test('17: a crash resets neither the attempts nor the time that a call has in all', async () => {
    const failing = activity('failing', () => {
      throw new AppError('unavailable', 'down', undefined, { retryable: true })
    })
    const w = workflow('w', async (ctx) =>
      ctx.call(failing, undefined, { scheduleToCloseMs: 20_000, retry: { initialIntervalMs: 4_000 } }),
    )
    const lab = new WorkflowLab({ workflows: [w], functions: [failing] })
    await lab.open()
    const id = await lab.start('w')
    await lab.idle()
    for (let life = 0; life < 3; life++) {
      lab.crash()
      await lab.open()
      lab.clock.advance(4_000)
      await lab.idle()
    }
    await lab.ended(id)
    expect(lab.executions.map(({ attempt }) => attempt)).toEqual([1, 2, 3])
  })

  const mismatches: [
    string,
    (ctx: Parameters<Parameters<typeof workflow<number, unknown>>[1]>[0]) => Promise<unknown>,
    string,
  ][] = [
    ['18: changed arguments', async (ctx) => ctx.call(step, 5), 'args: [1] / [5]'],
    ['18: another kind of command', async (ctx) => ctx.sleep(1), 'program asked sleep'],
    ['18: another order', async (ctx) => [await ctx.sleep('1h'), await ctx.call(step, 1)], 'program asked sleep'],
    ['19: an end before the journal’s', async () => 'done', 'its end: completed'],
    ['19: one command less', async (ctx) => ctx.receive('never'), 'nothing more'],
  ]
  test.each(mismatches)(
    '%s pauses the run with both sides shown; it goes on when the code is right',
    async (_, code, shown) => {
      const right = workflow('w', async (ctx) => {
        const value = await ctx.call(step, 1)
        await ctx.sleep('1h')
        return value
      })
      const lab = await open([right])
      const id = await lab.start('w')
      await lab.idle()
      lab.crash()
      lab.define(workflow('w', async (ctx, _input: number) => code(ctx)))
      await lab.open()
      lab.clock.advance(2 * hourMs)
      await lab.idle()
      const described = lab.engine.describe(id)
      expect(described?.status).toBe('stuck')
      expect(described?.stuck).toContain('journal has call step')
      expect(described?.stuck).toContain(shown)
      lab.define(right)
      lab.engine.retryStuck(id)
      expect(await lab.result(id)).toBe(2)
    },
  )

  test('20: a version is one answer for a run, in loops too, and its marker may go with its last user', async () => {
    const looped = workflow('w', async (ctx) => {
      const answers: number[] = []
      for (let at = 0; at < 3; at++) {
        answers.push(ctx.version('change', 1, 2))
        await ctx.sleep(1_000)
      }
      await ctx.receive('go')
      return answers
    })
    const before = workflow('w', async (ctx) => {
      for (let at = 0; at < 3; at++) await ctx.sleep(1_000)
      await ctx.receive('go')
      return 'before'
    })
    const lab = await open([before])
    const old = await lab.start('w')
    lab.clock.advance(1_000)
    await lab.idle()
    lab.crash()
    lab.define(looped)
    await lab.open()
    const young = await lab.start('w')
    for (let at = 0; at < 4; at++) {
      lab.clock.advance(1_000)
      await lab.idle()
    }
    await lab.settle(lab.engine.send(old, 'go', []))
    expect(await lab.result(old)).toEqual([1, 1, 1])
    lab.crash()
    lab.define(before) // the gate is gone, and with it its marker's reader
    await lab.open()
    await lab.settle(lab.engine.send(young, 'go', []))
    expect(await lab.result(young)).toBe('before')
  })

  test('22: a workflow whose code breaks ends alone; its neighbours of the partition go on', async () => {
    const broken = workflow('broken', async (ctx) => {
      await ctx.sleep(1_000)
      ;(undefined as unknown as { x: number }).x = 1
    })
    const lab = await open([broken, chain])
    const poisoned = await lab.start('broken')
    const fine = await lab.start('chain', 3)
    expect((await lab.ended(poisoned)).error?.kind).toBe('internal')
    expect(await lab.result(fine)).toBe(3)
  })

  test('24, 42: parallel branches are answered in one order, live, replayed, and evicted after every turn', async () => {
    const fan = workflow('fan', async (ctx) => {
      const order: string[] = []
      await Promise.all(
        ['a', 'b', 'c'].map(async (branch) => {
          for (let at = 0; at < 3; at++) {
            await ctx.sleep(1_000)
            order.push(`${branch}${await ctx.call(step, at)}`)
          }
        }),
      )
      return order
    })
    const orders: unknown[] = []
    for (const maxResident of [100, 0]) {
      const lab = await open([fan], { maxResident })
      orders.push(await lab.result(await lab.start('fan')))
    }
    expect(orders[1]).toEqual(orders[0])
  })

  test('25: a gate that is put before other commands does not rename them', async () => {
    const before = workflow('w', async (ctx) => {
      const a = await ctx.call(step, 1)
      await ctx.receive('go')
      return [a, await ctx.call(step, 10)]
    })
    const after = workflow('w', async (ctx) => {
      const isNew = ctx.patched('early')
      const a = await ctx.call(step, isNew ? 2 : 1)
      await ctx.receive('go')
      return [a, await ctx.call(step, 10)]
    })
    const lab = await open([before])
    const id = await lab.start('w', undefined, { id: 'w' })
    await lab.idle()
    lab.crash()
    lab.define(after)
    await lab.open()
    await lab.settle(lab.engine.send(id, 'go', []))
    expect(await lab.result(id)).toEqual([2, 11])
    expect(lab.executions.map(({ key }) => key)).toEqual(['w/1/1', 'w/1/2'])
  })

  test('27: a query that changes variables neither wakes a condition nor shows in the workflow', async () => {
    const w = workflow('w', async (ctx) => {
      let open = false
      ctx.onQuery('force', () => (open = true))
      return ctx.condition(() => open, '10h')
    })
    const lab = await open([w])
    const id = await lab.start('w')
    await lab.idle()
    await lab.settle(lab.engine.query(id, 'force'))
    await lab.idle()
    expect(lab.engine.describe(id)?.status).toBe('running')
    expect(await lab.result(id)).toBe(false)
  })

  test('28: of two starts that race one creates, and the other meets it or is refused', async () => {
    const lab = await open([chain])
    const [a, b] = await lab.settle(
      Promise.all([lab.engine.start('chain', [1], { id: 'same' }), lab.engine.start('chain', [2], { id: 'same' })]),
    )
    expect(String(a)).toBe(String(b))
    const race = await lab.settle(
      Promise.allSettled(
        [1, 2, 3].map((n) => lab.engine.start('chain', [n], { id: 'one', idConflict: 'fail', requestId: `r${n}` })),
      ),
    )
    expect(race.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await lab.result('one')
    await lab.result('same')
    expect(lab.executions).toHaveLength(2)
  })

  test('33, 34: a child starts once and its end is told once, whatever is redelivered', async () => {
    const parent = workflow('parent', async (ctx) => {
      const child = ctx.spawn(chain, 1, { workflowId: 'the-child' })
      return [await child.result(), await child.result()]
    })
    const lab = await open([parent, chain], { partitions: 4 })
    const id = await lab.start('parent')
    for (let life = 0; life < 4; life++) {
      await lab.idle()
      lab.crash()
      lab.clock.advance(30 * 60_000)
      await lab.open()
    }
    expect(await lab.result(id)).toEqual([1, 1])
    expect(new Set(lab.executions.map(({ key }) => key)).size).toBe(1)
    expect(lab.engine.describe('the-child')?.run).toBe(1)
  })

  test('35: what was sent to a plain process is not sent again by a replay', async () => {
    const sent: unknown[] = []
    const processes: ProcessSide = {
      send: async (_, message) => void sent.push(message.payload[0]),
      exit: async () => undefined,
    }
    const w = workflow('w', async (ctx) => {
      for (let at = 0; at < 3; at++) {
        ctx.send('logger', 'line', at)
        await ctx.sleep(1_000)
      }
    })
    const lab = await open([w], { processes, maxResident: 0 })
    await lab.result(await lab.start('w'))
    await lab.idle()
    expect(sent).toEqual([0, 1, 2])
  })

  test('41: what one run leaves in its variables is not seen by another, nor by its own replay', async () => {
    const w = workflow('w', async (ctx) => {
      const seen: number[] = []
      ctx.onQuery('seen', () => seen)
      seen.push(await ctx.receive<number>('n'))
      return seen
    })
    const lab = await open([w], { maxResident: 0 })
    const ids = [await lab.start('w'), await lab.start('w')]
    await lab.settle(Promise.all(ids.map((id, n) => lab.engine.send(id, 'n', [n]))))
    const results: Outcome[] = []
    for (const id of ids) results.push(await lab.ended(id))
    expect(results.map(({ value }) => value)).toEqual([[0], [1]])
  })

  test('7: a letter of the inbox that is redelivered after its commit counts once', async () => {
    const w = workflow('w', async (ctx) => [await ctx.receive('n'), await ctx.receive('n')])
    const lab = await open([w])
    await lab.start('w', undefined, { id: 'w' })
    const letter = (n: number): Uint8Array =>
      msgpackCodec().encode({
        kind: 'message',
        workflowId: 'w',
        message: { kind: 'message', from: undefined, topic: 'n', payload: [n], messageId: `m${n}` },
      })
    await lab.settle(lab.inbox.deliver('lab.0', 'm1', letter(1)))
    await lab.idle()
    lab.crash()
    await lab.open()
    await lab.settle(lab.inbox.deliver('lab.0', 'm1 again', letter(1)))
    await lab.settle(lab.inbox.deliver('lab.0', 'm2', letter(2)))
    expect(await lab.result('w')).toEqual([1, 2])
  })

  const two = workflow('w', async (ctx) => [await ctx.receive('n'), await ctx.receive('n')])

  test('8: a message id counts once for a workflow whose start is delayed', async () => {
    const lab = new WorkflowLab({ workflows: [two] })
    await lab.open()
    const id = await lab.start('w', undefined, { startDelayMs: 60_000 })
    await lab.settle(lab.engine.send(id, 'n', [1], { messageId: 'a' }))
    await lab.settle(lab.engine.send(id, 'n', [1], { messageId: 'a' }))
    await lab.settle(lab.engine.send(id, 'n', [2], { messageId: 'b' }))
    expect(await lab.result(id)).toEqual([1, 2])
  })
  test('8: a message id counts once for a workflow that is stuck', async () => {
    const right = workflow('w', async (ctx) => {
      await ctx.sleep(5)
      return [await ctx.receive('n'), await ctx.receive('n')]
    })
    const lab = new WorkflowLab({ workflows: [right] })
    await lab.open()
    const id = await lab.start('w')
    await lab.idle()
    lab.crash()
    lab.define(two)
    await lab.open()
    await lab.settle(lab.engine.send(id, 'n', [1], { messageId: 'a' }))
    await lab.settle(lab.engine.send(id, 'n', [1], { messageId: 'a' }))
    await lab.settle(lab.engine.send(id, 'n', [2], { messageId: 'b' }))
    lab.define(right)
    lab.engine.retryStuck()
    expect(await lab.result(id)).toEqual([1, 2])
  })
})

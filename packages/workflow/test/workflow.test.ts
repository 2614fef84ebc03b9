import { describe, expect, test } from 'vitest'
import { AppError } from '@daruma/protocol'
import { activity, isCanceled, workflow } from '@daruma/workflow'
import { WorkflowLab } from '@daruma/workflow/testing'

const charge = activity('charge', (order: { id: string }) => ({ chargeId: `c-${order.id}` }))
const check = activity('check', (_chargeId: string) => 'failed')
const refund = activity('refund', (chargeId: string) => `refunded ${chargeId}`)

const payment = workflow('payment', async (ctx, order: { id: string }) => {
  const result = await ctx.call(charge, order)
  await ctx.sleep('24h')
  const status = await ctx.call(check, result.chargeId)
  if (status === 'failed') return ctx.call(refund, result.chargeId)
  return status
})

test('a workflow runs its calls in order and sleeps for a day in no time', async () => {
  const lab = new WorkflowLab({ workflows: [payment], functions: [charge, check, refund] })
  await lab.open()
  const startMs = lab.clock.wallMs()
  const id = await lab.start('payment', { id: '7' })
  expect(await lab.result(id)).toBe('refunded c-7')
  expect(lab.clock.wallMs() - startMs).toBeGreaterThanOrEqual(86_400_000)
  expect(lab.executions.map(({ target }) => target)).toEqual(['charge', 'check', 'refund'])
})

test('a chain of n calls costs n + O(1) entries', async () => {
  const step = activity('step', (n: number) => n + 1)
  const chain = workflow('chain', async (ctx, n: number) => {
    let value = 0
    for (let i = 0; i < n; i++) value = await ctx.call(step, value)
    return value
  })
  const lab = new WorkflowLab({ workflows: [chain], functions: [step] })
  await lab.open()
  const id = await lab.start('chain', 20)
  expect(await lab.result(id)).toBe(20)
  expect((await lab.settle(lab.engine.history(id))).length).toBe(22)
})

test('after a crash in the sleep, what is recorded is not executed again', async () => {
  const lab = new WorkflowLab({ workflows: [payment], functions: [charge, check, refund] })
  await lab.open()
  const id = await lab.start('payment', { id: '7' })
  await lab.idle()
  lab.crash()
  lab.clock.advance(100 * 3_600_000)
  await lab.open()
  expect(await lab.result(id)).toBe('refunded c-7')
  expect(lab.executions.map(({ target }) => target)).toEqual(['charge', 'check', 'refund'])
})

describe('messages', () => {
  const approval = workflow('approval', async (ctx) => {
    const first = await ctx.receive<{ ok: boolean }>('decision')
    const second = await ctx.receive<{ ok: boolean }>('decision')
    return [first.ok, second.ok]
  })

  test('come in order, wait for the code that listens, and count once by their id', async () => {
    const lab = new WorkflowLab({ workflows: [approval] })
    await lab.open()
    const id = await lab.start('approval')
    await lab.settle(lab.engine.send(id, 'noise', ['x']))
    await lab.settle(lab.engine.send(id, 'decision', [{ ok: true }], { messageId: 'm1' }))
    await lab.settle(lab.engine.send(id, 'decision', [{ ok: true }], { messageId: 'm1' }))
    lab.crash()
    await lab.open()
    await lab.settle(lab.engine.send(id, 'decision', [{ ok: true }], { messageId: 'm1' }))
    await lab.settle(lab.engine.send(id, 'decision', [{ ok: false }], { messageId: 'm2' }))
    expect(await lab.result(id)).toEqual([true, false])
  })

  test('given with the start come before anything sent later', async () => {
    const lab = new WorkflowLab({ workflows: [approval] })
    await lab.open()
    const id = await lab.start('approval', undefined, {
      id: 'a',
      messages: [{ topic: 'decision', payload: [{ ok: false }] }],
    })
    await lab.settle(lab.engine.send(id, 'decision', [{ ok: true }]))
    expect(await lab.result(id)).toEqual([false, true])
  })

  test('to a workflow that has ended are refused, never taken and lost', async () => {
    const lab = new WorkflowLab({ workflows: [approval] })
    await lab.open()
    const id = await lab.start('approval')
    await lab.settle(lab.engine.terminate(id, 'enough'))
    await expect(lab.settle(lab.engine.send(id, 'decision', [1]))).rejects.toThrowError('has ended (terminated)')
    await expect(lab.settle(lab.engine.send('nobody', 'decision', [1]))).rejects.toThrowError('no workflow nobody')
  })
})

test('a message that was taken counts as taken also when it is sent again after the end', async () => {
  const once = workflow('once', async (ctx) => ctx.receive<string>('go'))
  const lab = new WorkflowLab({ workflows: [once] })
  await lab.open()
  const id = await lab.start('once')
  await lab.settle(lab.engine.send(id, 'go', ['x'], { messageId: 'm' }))
  expect(await lab.result(id)).toBe('x')
  await lab.settle(lab.engine.send(id, 'go', ['x'], { messageId: 'm' }))
  await expect(lab.settle(lab.engine.send(id, 'go', ['x'], { messageId: 'other' }))).rejects.toThrowError('has ended')
})

describe('children', () => {
  const child = workflow('child', async (ctx, n: number) => {
    await ctx.sleep(1_000)
    if (n < 0) throw new AppError('invalid', 'negative')
    return n * 2
  })
  const parent = workflow('parent', async (ctx, n: number) => {
    const handle = ctx.spawn(child, n)
    const direct = await ctx.exec(child, 10)
    return [await handle.result(), direct]
  })

  test('exec waits for the result, spawn gives a handle', async () => {
    const lab = new WorkflowLab({ workflows: [child, parent] })
    await lab.open()
    expect(await lab.result(await lab.start('parent', 4))).toEqual([8, 20])
  })

  test('a failed child fails its parent with the same kind of error', async () => {
    const lab = new WorkflowLab({ workflows: [child, parent] })
    await lab.open()
    await expect(lab.result(await lab.start('parent', -1))).rejects.toMatchObject({
      kind: 'invalid',
      message: 'negative',
    })
  })

  test('a parent that crashed between the end of its child and the news of it hears of it once', async () => {
    const lab = new WorkflowLab({ workflows: [child, parent], partitions: 4 })
    await lab.open()
    const id = await lab.start('parent', 4)
    await lab.idle()
    lab.crash()
    await lab.open()
    expect(await lab.result(id)).toEqual([8, 20])
    expect([...lab.engine.list()].filter(({ type }) => type === 'child')).toHaveLength(2)
  })

  test('open children are terminated with their parent, unless they are abandoned', async () => {
    const sleeper = workflow('sleeper', async (ctx) => ctx.sleep('10h'))
    const leaver = workflow('leaver', async (ctx) => {
      ctx.spawn(sleeper, undefined, { workflowId: 'taken' })
      ctx.spawn(sleeper, undefined, { workflowId: 'left', parentClose: 'abandon' })
      await ctx.sleep(10)
    })
    const lab = new WorkflowLab({ workflows: [sleeper, leaver] })
    await lab.open()
    await lab.result(await lab.start('leaver'))
    await lab.idle()
    expect(lab.engine.describe('taken')?.status).toBe('terminated')
    expect(lab.engine.describe('left')?.status).toBe('running')
  })
})

describe('cancellation', () => {
  const tidy = activity('tidy', () => 'tidied')
  test('wakes a sleep with an error of kind canceled; clean-up may call functions', async () => {
    const long = workflow('long', async (ctx) => {
      try {
        await ctx.sleep('1000h')
        return 'slept'
      } catch (error) {
        if (!isCanceled(error)) throw error
        return ctx.shield((inner) => inner.call(tidy, undefined))
      }
    })
    const lab = new WorkflowLab({ workflows: [long], functions: [tidy] })
    await lab.open()
    const id = await lab.start('long')
    await lab.settle(lab.engine.cancel(id, 'changed my mind'))
    expect(await lab.result(id)).toBe('tidied')
  })

  test('that nobody catches ends the workflow as canceled', async () => {
    const long = workflow('long', async (ctx) => ctx.sleep('1000h'))
    const lab = new WorkflowLab({ workflows: [long] })
    await lab.open()
    const id = await lab.start('long')
    await lab.settle(lab.engine.cancel(id))
    expect((await lab.ended(id)).error?.kind).toBe('canceled')
    expect(lab.engine.describe(id)?.status).toBe('canceled')
  })
})

describe('retries', () => {
  test('a function that throws is retried with backoff, also over a crash', async () => {
    let failures = 3
    const flaky = activity('flaky', () => {
      if (failures-- > 0) throw new Error('not yet')
      return 'done'
    })
    const w = workflow('w', async (ctx) => ctx.call(flaky, undefined, { retry: { initialIntervalMs: 1_000 } }))
    const lab = new WorkflowLab({ workflows: [w], functions: [flaky] })
    await lab.open()
    const id = await lab.start('w')
    await lab.idle()
    lab.clock.advance(1_000)
    await lab.idle()
    lab.crash()
    await lab.open()
    const beforeMs = lab.clock.wallMs()
    expect(await lab.result(id)).toBe('done')
    expect(lab.executions.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4])
    expect(lab.clock.wallMs() - beforeMs).toBeGreaterThanOrEqual(2_000 + 4_000 - 1)
  })

  test('an error that says it is not retryable is final', async () => {
    const broken = activity('broken', () => {
      throw new AppError('invalid', 'no such card', undefined, { retryable: false })
    })
    const w = workflow('w', async (ctx) => ctx.call(broken, undefined))
    const lab = new WorkflowLab({ workflows: [w], functions: [broken] })
    await lab.open()
    await expect(lab.result(await lab.start('w'))).rejects.toMatchObject({ kind: 'invalid', message: 'no such card' })
    expect(lab.executions).toHaveLength(1)
  })
})

describe('identity', () => {
  const waiting = workflow('waiting', async (ctx, n: number) => `${n} ${await ctx.receive<string>('go')}`)

  test('a given id meets the running workflow, whose input stands; its messages are delivered', async () => {
    const lab = new WorkflowLab({ workflows: [waiting] })
    await lab.open()
    await lab.start('waiting', 1, { id: 'same' })
    await lab.start('waiting', 2, { id: 'same', messages: [{ topic: 'go', payload: ['went'] }] })
    expect(await lab.result('same')).toBe('1 went')
  })

  test.each([
    ['fail', 'is already running'],
    ['terminate_existing', undefined],
  ] as const)('idConflict %s', async (idConflict, error) => {
    const lab = new WorkflowLab({ workflows: [waiting] })
    await lab.open()
    await lab.start('waiting', 1, { id: 'same' })
    const again = lab.start('waiting', 2, { id: 'same', idConflict, messages: [{ topic: 'go', payload: ['went'] }] })
    if (error !== undefined) return expect(again).rejects.toThrowError(error)
    await again
    expect(await lab.result('same')).toBe('2 went')
    expect(lab.engine.describe('same')?.run).toBe(2)
  })

  test('an unknown type is refused with its name', async () => {
    const lab = new WorkflowLab({})
    await lab.open()
    await expect(lab.start('ghost')).rejects.toThrowError('no workflow type ghost on task queue lab')
  })
})

test('continue-as-new starts a fresh journal and inherits what nobody read', async () => {
  const counter = workflow('counter', async (ctx, state: { runs: number; sum: number }): Promise<number> => {
    const sum = state.sum + (await ctx.receive<number>('add'))
    if (state.runs === 3) return sum
    return ctx.continueAsNew({ runs: state.runs + 1, sum })
  })
  const lab = new WorkflowLab({ workflows: [counter] })
  await lab.open()
  const id = await lab.start('counter', { runs: 1, sum: 0 })
  for (const n of [1, 10, 100]) await lab.settle(lab.engine.send(id, 'add', [n]))
  expect(await lab.result(id)).toBe(111)
  expect(lab.engine.describe(id)?.run).toBe(3)
})

describe('changed code', () => {
  const a = activity('a', () => 1)
  const b = activity('b', () => 2)
  const before = workflow('w', async (ctx) => {
    await ctx.call(a, undefined)
    await ctx.receive('go')
    return 'old'
  })
  const after = workflow('w', async (ctx) => {
    await ctx.call(b, undefined)
    await ctx.receive('go')
    return 'new'
  })

  test('under a running workflow makes it stuck, not failed; its mail is kept, and it goes on when the code is right', async () => {
    const lab = new WorkflowLab({ workflows: [before], functions: [a, b] })
    await lab.open()
    const id = await lab.start('w')
    await lab.idle()
    lab.crash()
    lab.define(after)
    await lab.open()
    await lab.settle(lab.engine.send(id, 'go', []))
    await lab.idle()
    const stuck = lab.engine.describe(id)
    expect(stuck?.status).toBe('stuck')
    expect(stuck?.stuck).toContain('journal has call a, program asked call b')
    lab.define(before)
    lab.engine.retryStuck()
    expect(await lab.result(id)).toBe('old')
  })

  test('behind a gate lets old runs go the old way and new ones the new', async () => {
    const gated = workflow('w', async (ctx) => {
      await ctx.call(ctx.patched('use-b') ? b : a, undefined)
      await ctx.receive('go')
      return ctx.patched('use-b') ? 'new' : 'old'
    })
    const lab = new WorkflowLab({ workflows: [before], functions: [a, b] })
    await lab.open()
    const old = await lab.start('w')
    await lab.idle()
    lab.crash()
    lab.define(gated)
    await lab.open()
    const young = await lab.start('w')
    for (const id of [old, young]) await lab.settle(lab.engine.send(id, 'go', []))
    expect([await lab.result(old), await lab.result(young)]).toEqual(['old', 'new'])
  })
})

test('awaiting something that is not of the context is an error that says so', async () => {
  const foreign = workflow('foreign', async () => {
    await new Promise(() => undefined)
  })
  const lab = new WorkflowLab({ workflows: [foreign] })
  await lab.open()
  await expect(lab.result(await lab.start('foreign'))).rejects.toThrowError('awaits something that is not its context')
})

test('a value that cannot be recorded fails the call that asked, with its path', async () => {
  const w = workflow('w', async (ctx) => ctx.call('a', { onDone: () => 1 }))
  const lab = new WorkflowLab({ workflows: [w] })
  await lab.open()
  await expect(lab.result(await lab.start('w'))).rejects.toThrowError('call.args[0].onDone is a function')
})

test('parallel branches are answered in the order of the journal, in replay as live', async () => {
  const slow = activity('slow', (n: number) => n)
  const fan = workflow('fan', async (ctx) => {
    const order: number[] = []
    await Promise.all(
      [3, 1, 2].map(async (n) => {
        await ctx.sleep(n * 1_000)
        order.push(await ctx.call(slow, n))
      }),
    )
    await ctx.receive('go')
    return order
  })
  const lab = new WorkflowLab({ workflows: [fan], functions: [slow], maxResident: 0 })
  await lab.open()
  const id = await lab.start('fan')
  lab.clock.advance(1_500)
  await lab.idle()
  lab.crash()
  await lab.open()
  lab.clock.advance(10_000)
  await lab.idle()
  await lab.settle(lab.engine.send(id, 'go', []))
  expect(await lab.result(id)).toEqual([1, 2, 3])
})

test('a query reads state without writing, also after the end', async () => {
  const w = workflow('w', async (ctx) => {
    let seen = 0
    ctx.onQuery('seen', () => seen)
    for (; seen < 2; seen++) await ctx.receive('tick')
    return seen
  })
  const lab = new WorkflowLab({ workflows: [w] })
  await lab.open()
  const id = await lab.start('w')
  await lab.settle(lab.engine.send(id, 'tick', []))
  const before = (await lab.settle(lab.engine.history(id))).length
  expect(await lab.settle(lab.engine.query(id, 'seen'))).toEqual({ value: 1 })
  expect((await lab.settle(lab.engine.history(id))).length).toBe(before)
  await lab.settle(lab.engine.send(id, 'tick', []))
  await lab.result(id)
  expect(await lab.settle(lab.engine.query(id, 'seen'))).toEqual({ value: 2 })
})

test('a second owner of the log fences the first, which stops without a line more', async () => {
  const lab = new WorkflowLab({ workflows: [payment], functions: [charge, check, refund] })
  const first = await lab.open()
  const id = await lab.start('payment', { id: '7' })
  await lab.open()
  await expect(first.send(id, 'x', [])).rejects.toMatchObject({ kind: 'unavailable' })
  expect(lab.notices.some(({ kind }) => kind === 'fenced')).toBe(true)
  expect(await lab.result(id)).toBe('refunded c-7')
})

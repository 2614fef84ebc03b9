import { describe, expect, test } from 'vitest'
import { AppError, isAppError } from '@daruma/protocol'
import { activity, workflow } from '@daruma/workflow'
import { crashAtEveryStep, WorkflowLab } from '@daruma/workflow/testing'

const note = activity('note', (n: number) => n)
let validations = 0
const account = workflow('account', async (ctx) => {
  let balance = 0
  let closed = false
  ctx.onQuery('balance', () => balance)
  ctx.onUpdate(
    'deposit',
    async (amount: number) => {
      await ctx.sleep(1_000)
      const noted = await ctx.call(note, amount)
      balance += noted
      return balance
    },
    {
      validate: (amount: number) => {
        validations++
        if (amount <= 0) throw new AppError('invalid', `cannot deposit ${amount}`, undefined, { retryable: false })
      },
    },
  )
  ctx.onUpdate('break', async () => {
    throw new AppError('conflict', 'the handler broke')
  })
  ctx.onUpdate('close', () => {
    closed = true
    return 'closed'
  })
  ctx.onUpdate('hang', () => ctx.sleep('1000h'))
  await ctx.condition(() => closed)
  return balance
})
const generatorAccount = workflow.gen('account', function* (ctx) {
  let balance = 0
  let closed = false
  ctx.onUpdate('deposit', function* (amount: number) {
    yield* ctx.sleep(1_000)
    const noted = yield* ctx.call(note, amount)
    balance += noted
    return balance
  } as never)
  ctx.onUpdate('close', () => {
    closed = true
    return 'closed'
  })
  yield* ctx.condition(() => closed)
  return balance
})

const open = async (options: object = {}): Promise<{ lab: WorkflowLab; id: string }> => {
  const lab = new WorkflowLab({ workflows: [account], functions: [note], ...options })
  await lab.open()
  return { lab, id: await lab.start('account', undefined, { id: 'w' }) }
}

describe('an update', () => {
  test('is answered with what its handler returns', async () => {
    const { lab, id } = await open()
    expect(await lab.settle(lab.engine.update(id, 'deposit', [5]))).toBe(5)
    expect(await lab.settle(lab.engine.update(id, 'deposit', [2]))).toBe(7)
    expect(await lab.settle(lab.engine.update(id, 'close'))).toBe('closed')
    expect(await lab.result(id)).toBe(7)
  })

  test('that its validator refuses leaves nothing in the journal', async () => {
    const { lab, id } = await open()
    await lab.idle()
    const before = (await lab.settle(lab.engine.history(id))).length
    await expect(lab.settle(lab.engine.update(id, 'deposit', [-1]))).rejects.toMatchObject({
      kind: 'invalid',
      message: 'cannot deposit -1',
    })
    await expect(lab.settle(lab.engine.update(id, 'withdraw', [1]))).rejects.toThrowError(
      'no update "withdraw" on workflow account; it has: deposit, break, close, hang',
    )
    expect((await lab.settle(lab.engine.history(id))).length).toBe(before)
  })

  test('is answered at acceptance to those who ask for no more', async () => {
    const { lab, id } = await open()
    const beforeMs = lab.clock.wallMs()
    expect(
      await lab.settle(lab.engine.update(id, 'deposit', [5], { updateId: 'u', waitFor: 'accepted' })),
    ).toBeUndefined()
    expect(lab.clock.wallMs()).toBe(beforeMs)
    expect(await lab.settle(lab.engine.update(id, 'deposit', [5], { updateId: 'u' }))).toBe(5)
  })

  test('counts once by its id, while it runs, after it completed, after a crash, and after the end', async () => {
    const { lab, id } = await open()
    const ask = (): Promise<unknown> => lab.engine.update(id, 'deposit', [5], { updateId: 'u' })
    expect(await lab.settle(Promise.all([ask(), ask()]))).toEqual([5, 5])
    lab.crash()
    await lab.open()
    expect(await lab.settle(ask())).toBe(5)
    await lab.settle(lab.engine.update(id, 'close'))
    expect(await lab.settle(ask())).toBe(5)
    expect(await lab.result(id)).toBe(5)
    expect(lab.executions).toHaveLength(1)
  })

  test('counts once also when a checkpoint carried it forward', async () => {
    const { lab, id } = await open()
    const ask = (): Promise<unknown> => lab.engine.update(id, 'deposit', [5], { updateId: 'u' })
    const started = lab.engine.update(id, 'deposit', [7], { updateId: 'v', waitFor: 'accepted' })
    await lab.settle(started)
    await lab.settle(lab.engine.checkpoint())
    expect(await lab.settle(ask())).toBe(12)
    await lab.settle(lab.engine.checkpoint())
    lab.crash()
    await lab.open()
    expect(await lab.settle(ask())).toBe(12)
    expect(await lab.settle(lab.engine.update(id, 'deposit', [7], { updateId: 'v' }))).toBe(7)
    expect(lab.executions).toHaveLength(2)
  })

  test('goes on after a crash, and its validator is not asked again', async () => {
    const { lab, id } = await open()
    await lab.settle(lab.engine.update(id, 'deposit', [5], { updateId: 'u', waitFor: 'accepted' }))
    const asked = validations
    lab.crash()
    await lab.open()
    expect(await lab.settle(lab.engine.update(id, 'deposit', [5], { updateId: 'u' }))).toBe(5)
    expect(validations).toBe(asked)
  })

  test('whose handler fails is answered with its error; the workflow goes on', async () => {
    const { lab, id } = await open()
    await expect(lab.settle(lab.engine.update(id, 'break'))).rejects.toMatchObject({
      kind: 'conflict',
      message: 'the handler broke',
    })
    expect(await lab.settle(lab.engine.update(id, 'deposit', [1]))).toBe(1)
  })

  test('that still runs when the workflow ends is refused to whoever waits', async () => {
    const { lab, id } = await open()
    const hanging = lab.engine.update(id, 'hang', [], { updateId: 'h' })
    hanging.catch(() => undefined)
    await lab.idle()
    await lab.settle(lab.engine.update(id, 'close'))
    await expect(lab.settle(hanging)).rejects.toThrowError('its run ended before update h completed')
    await expect(lab.settle(lab.engine.update(id, 'deposit', [1]))).rejects.toThrowError('has ended')
  })

  test('to a workflow that takes none is refused', async () => {
    const plain = workflow('plain', async (ctx) => ctx.sleep('1h'))
    const lab = new WorkflowLab({ workflows: [plain] })
    await lab.open()
    const id = await lab.start('plain')
    await expect(lab.settle(lab.engine.update(id, 'x'))).rejects.toThrowError(
      'no update "x" on workflow plain; it has: none',
    )
  })

  test('with values that cannot be recorded is refused with their path', async () => {
    const { lab, id } = await open()
    await expect(lab.settle(lab.engine.update(id, 'deposit', [() => 1]))).rejects.toThrowError('args[0] is a function')
  })
})

describe.each([
  ['async', account],
  ['generator', generatorAccount],
])('updates of a workflow in %s form', (_, definition) => {
  test.each([10_000, 0])('survive a crash at every commit with %i programs kept in memory', async (maxResident) => {
    const report = await crashAtEveryStep({ workflows: [definition], functions: [note], maxResident }, async (lab) => {
      await lab.start('account', undefined, { id: 'w', requestId: 'once' })
      for (const [updateId, name, args] of [
        ['a', 'deposit', [5]],
        ['b', 'deposit', [2]],
        ['c', 'close', []],
      ] as const) {
        await lab.settle(lab.engine.update('w', name, args, { updateId })).catch((error: unknown) => {
          if (!isAppError(error, 'not_found')) throw error
        })
      }
    })
    expect(report.undisturbed.value).toBe(7)
    for (const { outcome } of report.crashes) expect(outcome.value).toBe(7)
  })
})

test('a message for a workflow whose start is delayed waits for its start', async () => {
  const w = workflow('w', async (ctx) => ctx.receive<string>('go'))
  const lab = new WorkflowLab({ workflows: [w] })
  await lab.open()
  const id = await lab.start('w', undefined, { startDelayMs: 60_000 })
  await lab.settle(lab.engine.send(id, 'go', ['went']))
  await expect(lab.settle(lab.engine.update(id, 'x'))).rejects.toMatchObject({ kind: 'unavailable' })
  lab.crash()
  await lab.open()
  expect(await lab.result(id)).toBe('went')
})

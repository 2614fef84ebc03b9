import { describe, expect, test } from 'vitest'
import { AppError } from '@daruma/protocol'
import { activity, workflow } from '@daruma/workflow'
import { WorkflowLab } from '@daruma/workflow/testing'

const one = activity('one', () => 1)

describe('a long history', () => {
  const roller = workflow('roller', async (ctx, total: number): Promise<unknown> => {
    for (let n = total; ; n++) {
      if (n >= 40) return 'done'
      if (ctx.info.suggestContinueAsNew === true) return ctx.continueAsNew(n)
      await ctx.call(one, undefined)
    }
  })

  test('is told to the workflow, which goes on as a new run when it suits it', async () => {
    const lab = new WorkflowLab({ workflows: [roller], functions: [one], limits: { suggestEvents: 20 } })
    await lab.open()
    const id = await lab.start('roller', 0)
    expect(await lab.result(id)).toBe('done')
    expect(lab.engine.describe(id)?.run).toBeGreaterThan(3)
    expect(lab.executions).toHaveLength(40)
  })

  test('is suggested at the same place when it replays', async () => {
    const lab = new WorkflowLab({
      workflows: [roller],
      functions: [one],
      limits: { suggestBytes: 600 },
      maxResident: 0,
    })
    await lab.open()
    const id = await lab.start('roller', 0)
    expect(await lab.result(id)).toBe('done')
    expect(lab.notices.filter(({ kind }) => kind === 'stuck')).toEqual([])
  })

  test.each([
    [{ maxEvents: 50 }, /events of 50;/],
    [{ maxBytes: 2_000 }, /bytes of 2000/],
  ])('that reaches %o fails the workflow with the limit in its error', async (limits, message) => {
    const endless = workflow('endless', async (ctx) => {
      for (;;) await ctx.call(one, undefined)
    })
    const lab = new WorkflowLab({ workflows: [endless], functions: [one], limits })
    await lab.open()
    const id = await lab.start('endless')
    const { error } = await lab.ended(id)
    expect(error?.kind).toBe('invalid')
    expect(error?.message).toMatch(message)
    expect(lab.engine.describe(id)?.status).toBe('failed')
  })

  test('of mail to a workflow whose code is away is limited, too', async () => {
    const w = workflow('w', async (ctx) => ctx.receive('never'))
    const lab = new WorkflowLab({ workflows: [w], limits: { maxEvents: 10 } })
    await lab.open()
    const id = await lab.start('w')
    await lab.idle()
    lab.undefine('w')
    lab.crash()
    await lab.open()
    for (let n = 0; n < 10; n++) {
      await lab.settle(lab.engine.send(id, 'letter', [n])).catch((error: unknown) => {
        expect(error).toBeInstanceOf(AppError)
      })
    }
    expect(lab.engine.describe(id)?.status).toBe('failed')
  })
})

describe('what is too large for a record', () => {
  const big = activity('big', (size: number) => 'x'.repeat(size))

  test('as a result fails its call with size and limit, and the workflow goes on', async () => {
    const w = workflow('w', async (ctx) => {
      const first = await ctx.call(big, 20_000).catch((error: unknown) => error as AppError)
      const second = await ctx.call(big, 100)
      return [(first as AppError).kind, (first as AppError).message, second.length]
    })
    const lab = new WorkflowLab({ workflows: [w], functions: [big], maxRecordBytes: 16_384 })
    await lab.open()
    const [kind, message, length] = (await lab.result(await lab.start('w'))) as [string, string, number]
    expect(kind).toBe('invalid')
    expect(message).toMatch(/call big: its result has 20\d\d\d bytes, the journal takes 5632/)
    expect(length).toBe(100)
    expect(lab.executions).toHaveLength(2)
  })

  test('as an error fails its call with the beginning of the error', async () => {
    const broken = activity('broken', () => {
      throw new AppError('conflict', 'z'.repeat(20_000), undefined, { retryable: false })
    })
    const w = workflow('w', async (ctx) => {
      const failed = await ctx.call(broken, undefined).catch((error: unknown) => error as AppError)
      return [(failed as AppError).kind, (failed as AppError).message.length]
    })
    const lab = new WorkflowLab({ workflows: [w], functions: [broken], maxRecordBytes: 16_384 })
    await lab.open()
    const [kind, length] = (await lab.result(await lab.start('w'))) as [string, number]
    expect(kind).toBe('conflict')
    expect(length).toBeLessThan(1_200)
  })

  test('as the result of a child is an error of that child to its parent', async () => {
    const child = workflow('child', async () => 'x'.repeat(10_000))
    const parent = workflow('parent', async (ctx) => {
      const failed = await ctx.exec(child, undefined).catch((error: unknown) => error as AppError)
      return (failed as AppError).message
    })
    const lab = new WorkflowLab({ workflows: [child, parent], maxRecordBytes: 16_384 })
    await lab.open()
    expect(await lab.result(await lab.start('parent'))).toMatch(/bytes, the journal takes 5632/)
  })

  test('because of all that one turn asks for fails the workflow, and nobody else', async () => {
    const w = workflow('w', async (ctx) => {
      await Promise.all([1, 2, 3].map(() => ctx.call('big', 'x'.repeat(8_000))))
    })
    const other = workflow('other', async (ctx) => ctx.call(one, undefined))
    const lab = new WorkflowLab({ workflows: [w, other], functions: [big, one], maxRecordBytes: 16_384 })
    await lab.open()
    const { error } = await lab.ended(await lab.start('w'))
    expect(error?.message).toMatch(/one turn of \d+ bytes cannot be recorded: the log takes 15360/)
    expect(await lab.result(await lab.start('other'))).toBe(1)
  })

  test('as a message or a start is refused to its sender', async () => {
    const w = workflow('w', async (ctx) => ctx.receive('letter'))
    const lab = new WorkflowLab({ workflows: [w], maxRecordBytes: 16_384 })
    await lab.open()
    const id = await lab.start('w')
    const refusal = { kind: 'invalid', message: expect.stringMatching(/bytes, the journal takes 5632/) as string }
    await expect(lab.settle(lab.engine.send(id, 'letter', ['x'.repeat(20_000)]))).rejects.toMatchObject(refusal)
    await expect(lab.start('w', 'x'.repeat(20_000))).rejects.toMatchObject(refusal)
    await lab.settle(lab.engine.send(id, 'letter', ['small']))
    expect(await lab.result(id)).toBe('small')
  })
})

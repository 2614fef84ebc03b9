import { describe, expect, test } from 'vitest'
import { activity, workflow } from '@daruma/workflow'
import { WorkflowLab } from '@daruma/workflow/testing'

const step = activity('step', (n: number) => n * 10)
const child = workflow('child', async (ctx, n: number) => {
  await ctx.sleep('1h')
  return n
})

describe('a reset', () => {
  const chain = workflow('chain', async (ctx) => {
    const seed = ctx.uuid()
    const values = [await ctx.call(step, 1), await ctx.call(step, 2), await ctx.call(step, 3)]
    ctx.send(ctx.self, 'echo', seed)
    const echo = await ctx.receive('echo')
    return { values, isSame: echo === seed, letter: await ctx.receive('letter') }
  })
  const ended = { values: [10, 20, 30], isSame: true, letter: 'dear' }

  test('runs on from the chosen turn; what is recorded before it is not executed again', async () => {
    const lab = new WorkflowLab({ workflows: [chain], functions: [step] })
    await lab.open()
    const id = await lab.start('chain')
    await lab.settle(lab.engine.send(id, 'letter', ['dear'], { messageId: 'd' }))
    expect(await lab.result(id)).toEqual(ended)
    // Turn 0 asks for the first call, turn 1 takes its result and asks for the second.
    expect(await lab.settle(lab.engine.reset(id, 2))).toBe(2)
    expect(await lab.result(id)).toEqual(ended)
    expect(lab.executions.map(({ key }) => key.replace(id, 'w'))).toEqual(['w/1/1', 'w/1/2', 'w/1/3', 'w/2/2', 'w/2/3'])
    expect(lab.engine.describe(id)).toMatchObject({ run: 2, status: 'completed' })
  })

  test.each([0, 1, 2, 3, 4])('to turn %i comes to the same end, also over a crash', async (turn) => {
    for (const crashes of [false, true]) {
      const lab = new WorkflowLab({ workflows: [chain], functions: [step], maxResident: turn % 2 === 0 ? 0 : 10 })
      await lab.open()
      const id = await lab.start('chain')
      await lab.idle()
      await lab.settle(lab.engine.reset(id, turn))
      if (crashes) {
        lab.crash()
        await lab.open()
      }
      await lab.settle(lab.engine.send(id, 'letter', ['dear'], { messageId: 'd' }))
      expect(await lab.result(id)).toEqual(ended)
    }
  })

  test('that a crash cut off leaves the old run as it was', async () => {
    const lab = new WorkflowLab({ workflows: [chain], functions: [step] })
    await lab.open()
    const id = await lab.start('chain')
    await lab.idle()
    lab.log.failNext({ kind: 'fail' }, 'append')
    lab.engine.reset(id, 1).catch(() => undefined)
    await lab.idle()
    lab.crash()
    await lab.open()
    expect(lab.engine.describe(id)?.run).toBe(1)
    await lab.settle(lab.engine.send(id, 'letter', ['dear']))
    expect(await lab.result(id)).toEqual(ended)
  })

  test('keeps the children that were asked for before it, and ends those that were asked for after it', async () => {
    const parent = workflow('parent', async (ctx) => {
      const first = ctx.spawn(child, 1, { workflowId: 'first' })
      await ctx.call(step, 1)
      const second = ctx.spawn(child, 2)
      return [await first.result(), await second.result()]
    })
    const lab = new WorkflowLab({ workflows: [child, parent], functions: [step] })
    await lab.open()
    const id = await lab.start('parent', undefined, { id: 'parent' })
    await lab.idle()
    await lab.settle(lab.engine.reset(id, 1))
    expect(await lab.result(id)).toEqual([1, 2])
    expect(lab.engine.describe('first')?.run).toBe(1)
    expect(lab.engine.describe('parent/1/3')?.status).toBe('terminated')
    expect(lab.engine.describe('parent/2/3')?.status).toBe('completed')
  })

  test('is the way out of a journal that new code does not match', async () => {
    const before = workflow('w', async (ctx) => [
      await ctx.call(step, 1),
      await ctx.call(step, 2),
      await ctx.receive('go'),
    ])
    const after = workflow('w', async (ctx) => [
      await ctx.call(step, 1),
      await ctx.call(step, 5),
      await ctx.receive('go'),
    ])
    const lab = new WorkflowLab({ workflows: [before], functions: [step] })
    await lab.open()
    const id = await lab.start('w')
    await lab.idle()
    lab.crash()
    lab.define(after)
    await lab.open()
    await lab.settle(lab.engine.send(id, 'go', ['went']))
    const stuck = lab.notices.findLast((notice) => notice.kind === 'stuck')
    await lab.settle(lab.engine.reset(id, stuck!.mismatch!.turn))
    expect(await lab.result(id)).toEqual([10, 50, 'went'])
  })

  test('to a turn that is not there is refused', async () => {
    const lab = new WorkflowLab({ workflows: [chain], functions: [step] })
    await lab.open()
    const id = await lab.start('chain')
    await lab.idle()
    await expect(lab.settle(lab.engine.reset(id, 99))).rejects.toThrowError('the run has turns 0 to')
    await expect(lab.settle(lab.engine.reset('nobody', 0))).rejects.toThrowError('no workflow nobody')
  })
})

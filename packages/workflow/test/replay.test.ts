import { describe, expect, test } from 'vitest'
import {
  activity,
  describeMismatch,
  exportJournal,
  importJournal,
  replayJournal,
  workflow,
  type Journal,
  type ListFilter,
} from '@daruma/workflow'
import { WorkflowLab } from '@daruma/workflow/testing'

const step = activity('step', (n: number) => n + 1)
const child = workflow('child', async (ctx, n: number) => {
  await ctx.sleep(1_000)
  return n
})
const before = workflow('w', async (ctx, n: number) => {
  const a = await ctx.call(step, n)
  const handle = ctx.spawn(child, a)
  const letter = await ctx.receiveMessage('letter')
  ctx.send(letter.from ?? ctx.self, 'answer', a)
  return [await handle.result(), letter.payload, ctx.uuid()]
})
const after = workflow('w', async (ctx, n: number) => {
  const a = await ctx.call(step, n + 1)
  return a
})

async function journal(): Promise<Journal> {
  const lab = new WorkflowLab({ workflows: [before, child], functions: [step] })
  await lab.open()
  const id = await lab.start('w', 1)
  const payload = [{ $odd: new Uint8Array([1, 2]), big: 2n ** 60n, not: NaN, when: new Date(5) }]
  await lab.settle(lab.engine.send(id, 'letter', payload, { from: lab.engine.pidOf('someone') }))
  await lab.ended(id)
  return { self: lab.engine.pidOf(id), taskQueue: 'lab', events: await lab.settle(lab.engine.history(id)) }
}

describe('a journal that was exported', () => {
  test('is JSON, and comes back as it was', async () => {
    const recorded = await journal()
    const back = importJournal(JSON.parse(JSON.stringify(exportJournal(recorded))))
    expect(back.events).toEqual(recorded.events)
    expect(String(back.self)).toBe(String(recorded.self))
  })

  test('replays against the code that wrote it, to its end', async () => {
    const back = importJournal(JSON.parse(JSON.stringify(exportJournal(await journal()))))
    expect(await replayJournal(back, before.create)).toBeUndefined()
  })

  test('tells where changed code parts from it', async () => {
    const mismatch = await replayJournal(await journal(), after.create)
    expect(describeMismatch(mismatch!)).toContain('journal has call step, program asked call step (args: [1] / [2])')
  })

  test.each([[{}], [null], [[]], [{ format: 2, pid: '{a@b|c}', taskQueue: 'q', events: [] }]])(
    'that is none (%j) is refused',
    (input) => {
      expect(() => importJournal(input)).toThrowError('not a journal of format 1')
    },
  )
})

test('a list can be filtered by status, type, id, time and attributes', async () => {
  const w = workflow('waiting', async (ctx) => ctx.receive('go'))
  const lab = new WorkflowLab({ workflows: [w, child] })
  await lab.open()
  await lab.start('waiting', undefined, { id: 'order-1', searchAttributes: { customer: 'ada', tags: ['a', 'b'] } })
  lab.clock.advance(60_000)
  const fromMs = lab.clock.wallMs()
  await lab.start('waiting', undefined, { id: 'order-2', searchAttributes: { customer: 'bob' } })
  await lab.start('child', 1, { id: 'other' })
  await lab.ended('other')
  const ids = (filter: ListFilter): string[] =>
    [...lab.engine.list(filter)].map(({ workflowId }) => workflowId).toSorted()
  expect(ids({})).toEqual(['order-1', 'order-2', 'other'])
  expect(ids({ status: 'running' })).toEqual(['order-1', 'order-2'])
  expect(ids({ type: 'child' })).toEqual(['other'])
  expect(ids({ idPrefix: 'order-', startedFromMs: fromMs })).toEqual(['order-2'])
  expect(ids({ startedBeforeMs: fromMs })).toEqual(['order-1'])
  expect(ids({ attributes: { customer: 'ada' } })).toEqual(['order-1'])
  expect(ids({ attributes: { tags: 'b' } })).toEqual(['order-1'])
  expect(ids({ attributes: { customer: 'eve' } })).toEqual([])
})

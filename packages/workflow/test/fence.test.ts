import { expect, test } from 'vitest'
import { workflow } from '@daruma/workflow'
import { WorkflowLab } from '@daruma/workflow/testing'

const listener = workflow('listener', async (ctx, input: { heard: number[]; until: number }) => {
  const heard = [...input.heard, await ctx.receive<number>('word')]
  if (heard.length < input.until) ctx.continueAsNew({ ...input, heard })
  return heard
})

test('an owner that was taken over and does not know it says no to nobody', async () => {
  const lab = new WorkflowLab({ workflows: [listener] })
  const stale = await lab.open()
  const owner = await lab.open()
  await lab.settle(owner.start('listener', [{ heard: [], until: 1 }], { id: 'l' }))
  // It has never heard of the workflow: its own word would be not_found.
  await expect(lab.settle(stale.send('l', 'word', [1]))).rejects.toMatchObject({ kind: 'unavailable' })
  await lab.settle(owner.send('l', 'word', [2]))
  expect(await lab.result('l')).toEqual([2])
})

test('a message id that an earlier run took is dropped by the runs after it', async () => {
  const lab = new WorkflowLab({ workflows: [listener] })
  await lab.open()
  const id = await lab.start('listener', { heard: [], until: 3 })
  const say = (word: number): Promise<void> =>
    lab.settle(lab.engine.send(id, 'word', [word], { messageId: `m${word}` }))
  await say(1)
  await lab.idle()
  await say(1)
  await say(2)
  await lab.idle()
  lab.crash()
  await lab.open()
  await say(1)
  await say(2)
  await say(3)
  expect(await lab.result(id)).toEqual([1, 2, 3])
  await say(1) // it was taken, whoever asks how late
})

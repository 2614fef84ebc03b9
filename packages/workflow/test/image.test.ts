import { describe, expect, test } from 'vitest'
import { msgpackCodec } from '@daruma/protocol'
import { isCanceled, workflow } from '@daruma/workflow'
import { WorkflowLab } from '@daruma/workflow/testing'
import { Few } from '../src/few.ts'
import { Head } from '../src/head.ts'
import { headOf, imageOf } from '../src/image.ts'
import { functions, programs } from './fixtures/programs.ts'

/** Everything that a head shows, whatever fields it may get: what an image forgets is lost with the next checkpoint. */
function shown(head: Head): Record<string, unknown> {
  const fields: Record<string, unknown> = Object.fromEntries(Object.entries(head))
  for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(Head.prototype))) {
    if (get !== undefined) fields[name] = get.call(head)
  }
  for (const [name, value] of Object.entries(fields)) if (value instanceof Few) fields[name] = [...value]
  const { seqs: _, started, stuck: __, ...rest } = fields
  return { ...rest, type: (started as Head['started']).type, run: (started as Head['started']).run }
}

describe('the image of a head', () => {
  test('holds all of it, at each event of many kinds of workflows', async () => {
    const updated = workflow('updated', async (ctx) => {
      ctx.onUpdate('set', (value: number) => value)
      try {
        await ctx.receive('go')
      } catch (error) {
        if (!isCanceled(error)) throw error
        await ctx.shield((inner) => inner.sleep('1h'))
      }
      return 'gone'
    })
    const lab = new WorkflowLab({ workflows: [...programs, updated], functions })
    await lab.open()
    await lab.start('family', 1, { id: 'family', memo: { a: 1 } })
    await lab.start('stubborn', undefined, { id: 'stubborn', searchAttributes: { b: 2 } })
    await lab.start('letters', undefined, { id: 'letters', messages: [{ topic: 'letter', payload: ['x'] }] })
    await lab.start('branches', undefined, { id: 'branches' })
    await lab.start('pinger', 'x', { id: 'pinger' })
    await lab.start('hopeless', undefined, { id: 'hopeless', executionTimeoutMs: 10_000 })
    await lab.start('updated', undefined, { id: 'updated' })
    await lab.settle(lab.engine.update('updated', 'set', [5]))
    await lab.settle(lab.engine.cancel('updated'))
    lab.undefine('letters')
    lab.clock.advance(61_000)
    await lab.idle()
    await lab.settle(lab.engine.send('family', 'go', [null]))
    const codec = msgpackCodec()
    const heads = new Map<string, Head>()
    let compared = 0
    for (const notice of lab.notices) {
      if (notice.kind !== 'recorded') continue
      const { workflow: id, event } = notice
      const known = heads.get(id)
      if (event.kind === 'started' && known === undefined) heads.set(id, new Head(id, event))
      else known?.apply(event)
      const head = heads.get(id)!
      const image = codec.decode(codec.encode(imageOf(head))) as ReturnType<typeof imageOf>
      expect(shown(headOf(id, image)), `${id} at ${event.kind}`).toEqual(shown(head))
      compared++
    }
    expect(compared).toBeGreaterThan(25)
  })
})

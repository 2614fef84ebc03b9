import { activity, replayJournal, workflow, type JournalEvent } from '@daruma/workflow'
import { WorkflowLab } from '@daruma/workflow/testing'
import type { Measurement } from '../harness.ts'

const step = activity('step', (n: number) => n + 1)
const chain = workflow('chain', async (ctx, count: number) => {
  let value = 0
  for (let at = 0; at < count; at++) value = await ctx.call(step, value)
  return value
})

/** A journal of calls fed to its program again. Budget: at any length alike, so that replay is linear. */
export async function run(): Promise<Measurement[]> {
  const found: Measurement[] = []
  for (const steps of [1_000, 10_000]) {
    const lab = new WorkflowLab({ workflows: [chain], functions: [step] })
    await lab.open()
    const id = await lab.start('chain', steps)
    await lab.ended(id)
    const events: JournalEvent[] = await lab.settle(lab.engine.history(id))
    const journal = { self: lab.engine.pidOf(id), taskQueue: 'lab', events }
    await replayJournal(journal, chain.create)
    const rounds = 20_000 / steps
    const startMs = performance.now()
    for (let round = 0; round < rounds; round++) {
      const mismatch = await replayJournal(journal, chain.create)
      if (mismatch !== undefined) throw new Error(JSON.stringify(mismatch))
    }
    found.push({
      name: `replay of ${steps} steps`,
      unit: 'steps/s',
      value: (steps * rounds * 1_000) / (performance.now() - startMs),
      budget: { absolute: 200_000 },
    })
  }
  return found
}

import { FunctionExecutor, workflow, WorkflowDirectory, WorkflowEngine, type WorkflowStorage } from '@daruma/workflow'

const sleeper = workflow('sleeper', async (ctx, input: { customer: string }) => {
  await ctx.sleep('30d')
  return input.customer
})

/** Resident programs are kept few, so that what is measured is heads. */
export function openSleepers(storage: WorkflowStorage): Promise<WorkflowEngine> {
  return WorkflowEngine.open({
    taskQueue: 'sleepers',
    storage,
    programs: (type) => (type === sleeper.name ? sleeper.create : undefined),
    executor: new FunctionExecutor([]),
    directory: new WorkflowDirectory(),
    maxResident: 10,
  })
}

export async function startSleepers(engine: WorkflowEngine, count: number): Promise<void> {
  const width = 2_000
  for (let at = 0; at < count; at += width) {
    await Promise.all(
      Array.from({ length: Math.min(width, count - at) }, (_, n) =>
        engine.start('sleeper', [{ customer: `customer-${at + n}` }]),
      ),
    )
  }
}

import { describe, expect, test } from 'vitest'
import { AppError } from '@daruma/protocol'
import { activity, workflow } from '@daruma/workflow'
import { crashAtEveryStep, WorkflowLab } from '@daruma/workflow/testing'

const hourMs = 3_600_000
const attempts = activity('attempts', (n: number) => n)

describe('a retry policy of the workflow', () => {
  const flaky = workflow('w', async (ctx, failures: number) => {
    await ctx.call(attempts, ctx.info.attempt)
    if (ctx.info.attempt <= failures) throw new AppError('unavailable', `attempt ${ctx.info.attempt} failed`)
    return `attempt ${ctx.info.attempt}`
  })
  const retry = { initialIntervalMs: 60_000, maximumAttempts: 3 }

  test.each([
    [2, { value: 'attempt 3' }],
    [5, { error: { kind: 'unavailable', message: 'attempt 3 failed' } }],
  ])('runs it again with the same input, %i failures', async (failures, expected) => {
    const lab = new WorkflowLab({ workflows: [flaky], functions: [attempts] })
    await lab.open()
    const beforeMs = lab.clock.wallMs()
    const id = await lab.start('w', failures, { retry })
    expect(await lab.ended(id)).toMatchObject(expected)
    expect(lab.clock.wallMs() - beforeMs).toBe(60_000 + 100_000) // doubled, up to the default maximum
    expect(lab.engine.describe(id)?.run).toBe(3)
  })

  test('keeps what nobody read, and whoever waits waits on', async () => {
    const w = workflow('w', async (ctx) => {
      if (ctx.info.attempt === 1) throw new AppError('internal', 'too early')
      return ctx.receive('letter')
    })
    const parent = workflow('parent', async (ctx) => ctx.exec(w, undefined, { workflowId: 'w', retry }))
    const lab = new WorkflowLab({ workflows: [w, parent] })
    await lab.open()
    const id = await lab.start('parent')
    await lab.idle()
    await lab.settle(lab.engine.send('w', 'letter', ['read']))
    expect(await lab.result(id)).toBe('read')
  })

  test('does not follow a cancellation', async () => {
    const w = workflow('w', async (ctx) => ctx.sleep('10h'))
    const lab = new WorkflowLab({ workflows: [w] })
    await lab.open()
    const id = await lab.start('w', undefined, { retry })
    await lab.settle(lab.engine.cancel(id))
    await lab.ended(id)
    expect(lab.engine.describe(id)).toMatchObject({ status: 'canceled', run: 1 })
  })

  test('survives a crash at every commit: no attempt is counted twice', async () => {
    const report = await crashAtEveryStep({ workflows: [flaky], functions: [attempts] }, async (lab) => {
      await lab.start('w', 2, { id: 'w', requestId: 'once', retry })
    })
    for (const { outcome, executions } of report.crashes) {
      expect(outcome).toEqual({ value: 'attempt 3' })
      expect(new Set(executions.map(({ args }) => args[0]))).toEqual(new Set([1, 2, 3]))
    }
  })
})

describe('a cron line of a start', () => {
  const tick = activity('tick', (ms: number) => ms)
  const ticking = workflow('w', async (ctx, sleepMs: number) => {
    await ctx.call(tick, ctx.now())
    await ctx.sleep(sleepMs)
  })
  const run = async (
    sleepMs: number,
    hours: number,
    options: object,
  ): Promise<{ lab: WorkflowLab; hours: number[] }> => {
    const lab = new WorkflowLab({ workflows: [ticking], functions: [tick] })
    await lab.open()
    await lab.start('w', sleepMs, { id: 'w', ...options })
    const endMs = lab.clock.wallMs() + hours * hourMs
    while (lab.clock.wallMs() < endMs) {
      lab.clock.advance(60_000)
      await lab.idle()
    }
    const firstMs = Number(lab.executions[0]?.args[0])
    return { lab, hours: lab.executions.map(({ args }) => (Number(args[0]) - firstMs) / hourMs) }
  }

  test('begins a run at each of its instants, until it is cancelled', async () => {
    const { lab, hours } = await run(1_000, 5.5, { cronSchedule: '0 * * * *' })
    expect(hours).toEqual([0, 1, 2, 3, 4].slice(0, hours.length))
    expect(hours.length).toBeGreaterThanOrEqual(5)
    expect(lab.engine.describe('w')?.status).toBe('running')
    await lab.settle(lab.engine.cancel('w'))
    expect(lab.engine.describe('w')?.status).toBe('canceled')
  })

  test('skips what passed while a run took its time', async () => {
    const { hours } = await run(1.5 * hourMs, 6.5, { cronSchedule: '@hourly' })
    expect(hours.slice(0, 3)).toEqual([0, 2, 4])
  })

  test('survives a crash at every commit: a run begins once for its instant', async () => {
    const report = await crashAtEveryStep({ workflows: [ticking], functions: [tick] }, async (lab) => {
      const executionTimeoutMs = 3.5 * hourMs
      await lab.start('w', 1_000, { id: 'w', requestId: 'once', cronSchedule: '0 * * * *', executionTimeoutMs })
    })
    expect(report.undisturbed).toEqual({ value: undefined }) // of the last run for which there was time
    expect(report.commits).toBeGreaterThan(8)
    for (const { outcome, executions, atCommit, how } of report.crashes) {
      expect(outcome).toEqual(report.undisturbed)
      const keys = new Set(executions.map(({ key }) => key))
      expect([...keys], `${how} ${atCommit}`).toEqual(['w/1/1', 'w/2/1', 'w/3/1', 'w/4/1'].slice(0, keys.size))
      expect(keys.size).toBeGreaterThanOrEqual(3)
    }
  })

  test('that cannot be read refuses the start', async () => {
    const lab = new WorkflowLab({ workflows: [ticking] })
    await lab.open()
    await expect(lab.start('w', 1, { cronSchedule: 'every day' })).rejects.toThrowError(
      'cron line "every day" in zone UTC',
    )
    await expect(lab.start('w', 1, { cronSchedule: '@daily', timeZone: 'Mars/Base' })).rejects.toThrowError(
      'zone Mars/Base',
    )
  })
})

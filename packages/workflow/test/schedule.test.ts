import { describe, expect, test } from 'vitest'
import { isAppError } from '@daruma/protocol'
import { activity, workflow, type ScheduleSpec } from '@daruma/workflow'
import { parseCron } from '../src/cron.ts'
import { crashAtEveryStep, WorkflowLab } from '@daruma/workflow/testing'

const hourMs = 3_600_000
const report = activity('report', (n: number) => n)
const job = workflow('job', async (ctx, sleepMs: number) => {
  await ctx.call(report, ctx.now())
  await ctx.sleep(sleepMs)
})

const hourly = (sleepMs: number, more: Partial<ScheduleSpec> = {}): ScheduleSpec => ({
  cron: '0 * * * *',
  workflow: { type: 'job', input: sleepMs },
  ...more,
})

async function openAtHour(): Promise<WorkflowLab> {
  const lab = new WorkflowLab({ workflows: [job], functions: [report], partitions: 2 })
  lab.clock.advance(hourMs - (lab.clock.wallMs() % hourMs))
  await lab.open()
  return lab
}

/** Lets time pass in steps, as a machine that is up sees it. */
async function pass(lab: WorkflowLab, hours: number): Promise<void> {
  for (let minute = 0; minute < hours * 60; minute += 10) {
    lab.clock.advance(600_000)
    await lab.idle()
  }
}

const jobs = (lab: WorkflowLab): string[] =>
  [...lab.engine.list()]
    .filter(({ type }) => type === 'job')
    .map(({ workflowId }) => workflowId)
    .toSorted()

describe('a cron line', () => {
  const at = (text: string): number => Date.parse(text)
  test.each([
    ['0 9 * * 1-5', 'UTC', '2026-11-20T10:00:00Z', '2026-11-23T09:00:00Z'],
    ['0 9 * * *', 'Europe/Berlin', '2026-07-01T00:00:00Z', '2026-07-01T07:00:00Z'],
    ['0 9 * * *', 'Europe/Berlin', '2026-12-01T00:00:00Z', '2026-12-01T08:00:00Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-03-28T22:00:00Z', '2026-03-29T01:00:00Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-24T22:00:00Z', '2026-10-25T00:30:00Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z'],
    ['@every 15m', 'UTC', '2026-01-01T00:15:00Z', '2026-01-01T00:30:00Z'],
    ['*/10 * * * * *', 'UTC', '2026-01-01T00:00:01Z', '2026-01-01T00:00:10Z'],
  ])('%s in %s comes next after %s at %s', (line, zone, after, next) => {
    expect(new Date(parseCron(line, zone).next(at(after))!).toISOString()).toBe(new Date(at(next)).toISOString())
  })
})

describe('a schedule', () => {
  test('starts its workflow at each tick, under an id that names the tick', async () => {
    const lab = await openAtHour()
    await lab.settle(lab.engine.schedules.create('hourly', hourly(1_000)))
    await pass(lab, 3.2)
    expect(jobs(lab)).toHaveLength(3)
    expect(jobs(lab)[0]).toMatch(/^hourly-\d{4}-\d\d-\d\dT\d\d:00:00Z$/)
    expect([...lab.engine.schedules.list()].map(({ name }) => name)).toEqual(['hourly'])
  })

  test.each([
    ['skip', 2, 0],
    ['buffer_one', 3, 0],
    ['allow_all', 6, 3],
  ] as const)('whose workflow takes two and a half hours, overlap %s', async (overlap, begun, running) => {
    const lab = await openAtHour()
    await lab.settle(lab.engine.schedules.create('s', hourly(2.5 * hourMs, { overlap })))
    await pass(lab, 6.2)
    expect(lab.executions.length).toBe(begun)
    const { running: left } = await lab.settle(lab.engine.schedules.describe('s'))
    expect(left.length).toBeGreaterThanOrEqual(running)
  })

  test.each([
    ['one', 1],
    ['skip', 0],
    ['all', 30],
  ] as const)('that nobody ran for thirty hours, missed %s', async (missed, begun) => {
    const lab = await openAtHour()
    await lab.settle(lab.engine.schedules.create('s', hourly(0, { missed, overlap: 'allow_all' })))
    await lab.idle()
    lab.crash()
    lab.clock.advance(30.5 * hourMs)
    await lab.open()
    lab.clock.advance(1)
    await lab.idle()
    expect(lab.executions).toHaveLength(begun)
    await pass(lab, 1)
    expect(lab.executions).toHaveLength(begun + 1)
  })

  test('after ten thousand missed ticks does not do them all', async () => {
    const lab = await openAtHour()
    await lab.settle(lab.engine.schedules.create('s', hourly(0)))
    await lab.idle()
    lab.crash()
    lab.clock.advance(10_000 * hourMs)
    await lab.open()
    lab.clock.advance(1)
    await lab.idle()
    expect(lab.executions).toHaveLength(1)
  })

  test('can be paused, resumed, triggered, filled back, replaced and deleted', async () => {
    const lab = await openAtHour()
    const { schedules } = lab.engine
    const startMs = lab.clock.wallMs()
    await lab.settle(schedules.create('s', hourly(0)))
    await lab.settle(schedules.pause('s', 'holidays'))
    await pass(lab, 3.1)
    expect(lab.executions).toHaveLength(0)
    expect(await lab.settle(schedules.describe('s'))).toMatchObject({ isPaused: true, note: 'holidays', started: 0 })
    await lab.settle(schedules.trigger('s'))
    await lab.idle()
    expect(lab.executions).toHaveLength(1)
    expect(await lab.settle(schedules.backfill('s', startMs, startMs + 2 * hourMs))).toBe(3)
    await lab.settle(schedules.backfill('s', startMs, startMs + 2 * hourMs))
    await lab.idle()
    expect(lab.executions).toHaveLength(4)
    await lab.settle(schedules.resume('s'))
    await pass(lab, 1)
    expect(lab.executions).toHaveLength(5)
    await lab.settle(schedules.replace('s', hourly(0, { cron: '@every 10m', overlap: 'allow_all' })))
    await pass(lab, 0.5)
    expect(lab.executions).toHaveLength(8)
    await lab.settle(schedules.delete('s'))
    await pass(lab, 2)
    expect(lab.executions).toHaveLength(8)
    expect([...schedules.list()]).toEqual([])
  })

  test('that is wrong is refused with all that is wrong', async () => {
    const lab = await openAtHour()
    const { schedules } = lab.engine
    const wrong = { cron: ['x', '61 * * * *'], workflow: { type: '' }, overlap: 'never' as never }
    await expect(lab.settle(schedules.create('s', wrong))).rejects.toThrowError(
      /cron line "x".*cron line "61 \* \* \* \*".*workflow\.type.*overlap: never/s,
    )
    await lab.settle(schedules.create('s', hourly(0)))
    await expect(lab.settle(schedules.create('s', hourly(0)))).rejects.toMatchObject({ kind: 'already_exists' })
    await expect(lab.settle(schedules.pause('ghost'))).rejects.toThrowError('no schedule "ghost"')
    await expect(lab.settle(schedules.replace('s', wrong))).rejects.toMatchObject({ kind: 'invalid' })
  })

  test('goes on as a new run before its journal grows long, and keeps watch over what it started', async () => {
    const lab = await openAtHour()
    await lab.settle(lab.engine.schedules.create('s', hourly(0, { cron: '@every 1m', overlap: 'buffer_one' })))
    for (let minute = 0; minute < 200; minute++) {
      lab.clock.advance(60_000)
      await lab.idle()
    }
    expect(lab.executions).toHaveLength(200)
    expect(lab.engine.describe('schedule:s')?.run).toBeGreaterThan(1)
  })

  test.each([10_000, 0])(
    'survives a crash at every commit with %i programs in memory: a tick counts once',
    async (maxResident) => {
      const outcome = await crashAtEveryStep({ workflows: [job], functions: [report], maxResident }, async (lab) => {
        const endAtMs = 3 * hourMs + 1
        await lab
          .settle(lab.engine.schedules.create('s', hourly(1_000, { endAtMs: lab.clock.wallMs() + 100 * hourMs })))
          .catch((error: unknown) => {
            if (!isAppError(error, 'already_exists')) throw error
          })
        await lab.start('job', 0, { id: 'w', requestId: 'w', startDelayMs: endAtMs })
      })
      expect(outcome.commits).toBeGreaterThan(5)
      for (const { executions } of outcome.crashes) {
        const keys = executions.map(({ key }) => key)
        expect(keys.length - new Set(keys).size).toBeLessThanOrEqual(1)
      }
    },
  )
})

import { describe, expect, test } from 'vitest'
import { activity, workflow } from '@daruma/workflow'
import { crashAtEveryStep, type WorkflowLab } from '@daruma/workflow/testing'

const reserve = activity('reserve', (items: string[]) => ({ id: `r-${items.length}` }))
const charge = activity('charge', (amount: number) => ({ id: `c-${amount}` }))
const ship = activity('ship', () => 'shipped')
const child = workflow('child', async (ctx, n: number) => {
  await ctx.sleep('1h')
  return (await ctx.call(charge, n)).id
})
const everything = workflow('everything', async (ctx) => {
  const started = ctx.now()
  const tag = ctx.uuid()
  const [reservation, viaChild] = await Promise.all([ctx.call(reserve, ['a', 'b']), ctx.exec(child, 5)])
  const approved = await ctx.receive<boolean>('approval')
  await ctx.sleep('24h')
  const shipped = approved ? await ctx.call(ship, undefined) : 'kept'
  return {
    reservation,
    viaChild,
    shipped,
    isNextDay: ctx.now() - started >= 25 * 3_600_000,
    tagIsStable: tag === tag,
  }
})

const play = async (lab: WorkflowLab): Promise<void> => {
  await lab.start('everything', undefined, { id: 'w', requestId: 'start-w' })
  await lab.settle(lab.engine.send('w', 'approval', [true], { messageId: 'yes' })).catch((error: unknown) => {
    // Played again after the end: the workflow took it in its earlier life.
    if (!String(error).includes('has ended')) throw error
  })
}

describe.each([10_000, 0])('with %i programs kept in memory', (maxResident) => {
  test('a crash at any commit changes no outcome, and only what was in flight is executed again', async () => {
    const report = await crashAtEveryStep(
      { workflows: [child, everything], functions: [reserve, charge, ship], maxResident },
      play,
    )
    expect(report.undisturbed.value).toMatchObject({ viaChild: 'c-5', shipped: 'shipped', isNextDay: true })
    expect(report.commits).toBeGreaterThan(5)
    for (const { atCommit, how, outcome, executions } of report.crashes) {
      expect(outcome, `${how} commit ${atCommit}`).toEqual(report.undisturbed)
      const keys = executions.map(({ key }) => key)
      expect(new Set(keys).size, `${how} commit ${atCommit}: ${keys.join(' ')}`).toBe(3)
      expect(keys.length - 3, `${how} commit ${atCommit}: at most the one in flight`).toBeLessThanOrEqual(1)
    }
  })
})

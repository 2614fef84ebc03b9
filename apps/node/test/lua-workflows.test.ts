import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createLua } from '@daruma/lua'
import type { ProgramFactory } from '@daruma/protocol'
import { activity } from '@daruma/workflow'
import { crashAtEveryStep, WorkflowLab } from '@daruma/workflow/testing'

const lua = createLua()
const seed = (name: string, modules: string[]): ProgramFactory => {
  const file = new URL(`../../../examples/orders/src/workflows/${name}.lua`, import.meta.url)
  return lua.define({
    id: `app.workflows:${name}`,
    kind: 'workflow',
    source: readFileSync(file, 'utf8'),
    sourceName: `${name}.lua`,
    modules,
  })
}
const programs = {
  payment: seed('payment', ['funcs', 'time']),
  saga: seed('saga', ['funcs']),
  approval: seed('approval', ['funcs']),
  order_processor: seed('order_processor', ['funcs', 'time', 'uuid']),
}
const functions = [
  activity('app.api:charge_card', (payment: { id: string }) => ({ id: `ch_${payment.id}` })),
  activity('app.api:check_status', () => 'failed'),
  activity('app.api:refund', () => null),
  activity('app.inventory:reserve', () => ({ id: 'r' })),
  activity('app.inventory:release', () => null),
  activity('app.payments:charge', () => ({ id: 'p' })),
  activity('app.payments:refund', () => null),
  activity('app.shipping:create', (order: { country?: string }) =>
    order.country === 'atlantis' ? { error: 'no carrier' } : { id: 's' },
  ),
  activity('app.approvals:submit', () => null),
  activity('app.orders:fulfill', () => null),
  activity('app.notifications:send_rejection', () => null),
]

describe('the Lua of the seed as workflows', () => {
  const run = async (type: string, args: unknown[], messages: { topic: string; payload: unknown[] }[] = []) => {
    const lab = new WorkflowLab({ programs, functions })
    await lab.open()
    await lab.settle(lab.engine.start(type, args, { id: 'w' }))
    for (const { topic, payload } of messages) await lab.settle(lab.engine.send('w', topic, payload))
    const outcome = await lab.ended('w')
    return { outcome, calls: lab.executions.map(({ target }) => target) }
  }

  test('payment: charge, a day, check, refund', async () => {
    const { calls } = await run('payment', [{ id: '1' }])
    expect(calls).toEqual(['app.api:charge_card', 'app.api:check_status', 'app.api:refund'])
  })

  test('saga: everything in order', async () => {
    const { outcome } = await run('saga', [['a'], 10, { id: '1' }])
    expect(outcome.value).toEqual({ inventory: { id: 'r' }, payment: { id: 'p' }, shipping: { id: 's' } })
  })

  test('saga: a failed step undoes those before it, in reverse, and the error is the result', async () => {
    const { outcome, calls } = await run('saga', [['a'], 10, { id: '1', country: 'atlantis' }])
    expect(outcome.error?.message).toBe('no carrier')
    expect(calls.slice(-2)).toEqual(['app.payments:refund', 'app.inventory:release'])
  })

  test.each([
    [true, 'app.orders:fulfill'],
    [false, 'app.notifications:send_rejection'],
  ])('approval: approved = %s', async (approved, expected) => {
    const { calls } = await run('approval', [{ order_id: '1' }], [{ topic: 'decision', payload: [{ approved }] }])
    expect(calls.at(-1)).toBe(expected)
  })

  test('order_processor: a crash at any commit changes nothing, not even what was random', async () => {
    const report = await crashAtEveryStep({ programs, functions }, async (lab) => {
      await lab.settle(lab.engine.start('order_processor', [{ id: '1' }], { id: 'w', requestId: 'once' }))
      await lab
        .settle(lab.engine.send('w', 'update', [{ status: 'approved' }], { messageId: 'm' }))
        .catch((error: unknown) => {
          if (!String(error).includes('has ended')) throw error
        })
    })
    expect(report.undisturbed.value).toMatchObject({ status: 'approved', charge: 'ch_1', waited_hours: 1 })
    for (const { outcome, executions } of report.crashes) {
      expect(outcome.value).toMatchObject({ status: 'approved', charge: 'ch_1', waited_hours: 1 })
      expect(new Set(executions.map(({ key }) => key)).size).toBe(1)
    }
  })
})

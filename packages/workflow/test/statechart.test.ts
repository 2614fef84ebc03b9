import { assign, emit, sendTo, setup } from 'xstate'
import { describe, expect, test } from 'vitest'
import { AppError } from '@daruma/protocol'
import { activity, machineWorkflow, functionActor, workflow, workflowActor } from '@daruma/workflow'
import { crashAtEveryStep, WorkflowLab } from '@daruma/workflow/testing'

interface Order {
  readonly id: string
  readonly amount: number
}
const charge = activity('charge', ({ amount }: Order) => `c-${amount}`)
const refund = activity('refund', (chargeId: string) => `refunded ${chargeId}`)
const remind = activity('remind', () => null)
const shipping = workflow('shipping', async (ctx, order: Order) => {
  await ctx.sleep('2h')
  return `shipped ${order.id}`
})

const order = setup({
  types: {
    context: {} as { order: Order; chargeId: string; reminders: number; result: string },
    input: {} as Order,
    output: {} as { result: string; reminders: number },
    events: {} as { type: 'approve'; by: string } | { type: 'reject' },
  },
  actors: { charge: functionActor(charge), ship: workflowActor(shipping), refund: functionActor(refund) },
  actions: { remind: () => undefined },
}).createMachine({
  id: 'order',
  context: ({ input }) => ({ order: input, chargeId: '', reminders: 0, result: '' }),
  initial: 'charging',
  states: {
    charging: {
      invoke: {
        src: 'charge',
        input: ({ context }) => context.order,
        onDone: { target: 'waiting', actions: assign({ chargeId: ({ event }) => event.output }) },
        onError: { target: 'done', actions: assign({ result: 'not charged' }) },
      },
    },
    waiting: {
      on: {
        approve: { target: 'shipping', actions: assign({ result: ({ event }) => event.by }) },
        reject: 'refunding',
      },
      after: {
        86_400_000: {
          target: 'waiting',
          reenter: true,
          guard: ({ context }) => context.reminders < 2,
          actions: ['remind', assign({ reminders: ({ context }) => context.reminders + 1 })],
        },
        172_800_000: 'refunding',
      },
    },
    shipping: {
      invoke: {
        src: 'ship',
        input: ({ context }) => context.order,
        onDone: {
          target: 'done',
          actions: assign({ result: ({ context, event }) => `${event.output} for ${context.result}` }),
        },
      },
    },
    refunding: {
      invoke: {
        src: 'refund',
        input: ({ context }) => context.chargeId,
        onDone: { target: 'done', actions: assign({ result: ({ event }) => event.output }) },
      },
    },
    done: { type: 'final' },
  },
  output: ({ context: { result, reminders } }) => ({ result, reminders }),
})
const orderWorkflow = machineWorkflow(order, { actions: { remind } })
const options = { workflows: [orderWorkflow, shipping], functions: [charge, refund, remind] }

const approve = async (lab: WorkflowLab): Promise<void> => {
  await lab.start('order', { id: '7', amount: 5 }, { id: 'w', requestId: 'once' })
  await lab.settle(lab.engine.send('w', 'approve', [{ by: 'ada' }], { messageId: 'a' })).catch((error: unknown) => {
    if (!String(error).includes('has ended')) throw error
  })
}

describe('a statechart as a workflow', () => {
  test('calls its functions, takes messages as events, and runs workflows as its children', async () => {
    const lab = new WorkflowLab(options)
    await lab.open()
    await approve(lab)
    expect(await lab.result('w')).toEqual({ result: 'shipped 7 for ada', reminders: 0 })
    expect(lab.executions.map(({ target }) => target)).toEqual(['charge'])
  })

  test('its delays are durable timers, over crashes', async () => {
    const lab = new WorkflowLab(options)
    await lab.open()
    await lab.start('order', { id: '7', amount: 5 }, { id: 'w' })
    await lab.idle()
    lab.crash()
    lab.clock.advance(30 * 3_600_000)
    await lab.open()
    expect(await lab.result('w')).toEqual({ result: 'refunded c-5', reminders: 2 })
    expect(lab.executions.map(({ target }) => target)).toEqual(['charge', 'remind', 'remind', 'refund'])
  })

  test('shows where it is to a query', async () => {
    const lab = new WorkflowLab(options)
    await lab.open()
    await lab.start('order', { id: '7', amount: 5 }, { id: 'w' })
    await lab.idle()
    expect(await lab.settle(lab.engine.query('w', 'state'))).toMatchObject({
      value: { value: 'waiting', status: 'active', context: { chargeId: 'c-5' } },
    })
  })

  test.each([10_000, 0])('survives a crash at every commit with %i programs kept in memory', async (maxResident) => {
    const report = await crashAtEveryStep({ ...options, maxResident }, approve)
    expect(report.undisturbed.value).toEqual({ result: 'shipped 7 for ada', reminders: 0 })
    expect(report.commits).toBeGreaterThan(4)
    for (const { outcome, executions } of report.crashes) {
      expect(outcome).toEqual(report.undisturbed)
      expect(new Set(executions.map(({ key }) => key)).size).toBe(1)
    }
  })

  test('a failed function is an error event, and stops what a state invoked when it is left', async () => {
    const slow = activity('slow', ({ signal }: never) => signal)
    const machine = setup({
      actors: {
        slow: functionActor(
          activity(
            'slow',
            (_: undefined, { signal }) =>
              new Promise((_resolve, reject) => {
                signal.addEventListener('abort', () => reject(new AppError('canceled', 'stopped')))
              }),
          ),
        ),
      },
    }).createMachine({
      id: 'm',
      initial: 'busy',
      states: { busy: { invoke: { src: 'slow' }, on: { stop: 'out' } }, out: { type: 'final' } },
    })
    const aborted: string[] = []
    const lab = new WorkflowLab({
      workflows: [machineWorkflow(machine)],
      functions: [
        activity('slow', async (_: undefined, { signal }) => {
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
          aborted.push('aborted')
        }),
      ],
    })
    expect(slow.name).toBe('slow')
    await lab.open()
    const id = await lab.start('m')
    await lab.idle()
    await lab.settle(lab.engine.send(id, 'stop', []))
    expect((await lab.ended(id)).error).toBeUndefined()
    expect(aborted).toEqual(['aborted'])
  })

  test('a machine inside of a machine lives in the same journal', async () => {
    const inner = setup({
      types: { events: {} as { type: 'ping' }, output: {} as string },
    }).createMachine({
      id: 'inner',
      initial: 'waiting',
      states: { waiting: { on: { ping: 'pause' } }, pause: { after: { 1_000: 'out' } }, out: { type: 'final' } },
      output: 'inner output',
    })
    const outer = setup({
      types: { context: {} as { got: unknown }, events: {} as { type: 'poke' } },
      actors: { inner },
    }).createMachine({
      id: 'outer',
      context: { got: null },
      initial: 'on',
      states: {
        on: {
          invoke: {
            id: 'child',
            src: 'inner',
            onDone: { target: 'out', actions: assign({ got: ({ event }) => event.output }) },
          },
          on: { poke: { actions: [sendTo('child', { type: 'ping' }), emit({ type: 'poked' })] } },
        },
        out: { type: 'final' },
      },
      output: ({ context }) => context.got,
    })
    const emitted: string[] = []
    const definition = machineWorkflow(outer, { emitted: (_, { type }) => void emitted.push(type) })
    const lab = new WorkflowLab({ workflows: [definition], maxResident: 0 })
    await lab.open()
    const id = await lab.start('outer')
    await lab.settle(lab.engine.send(id, 'poke', []))
    expect(await lab.result(id)).toBe('inner output')
    expect(emitted).toContain('poked')
  })

  test('takes its cancellation as an event where it handles one, and is canceled where it does not', async () => {
    const tidy = setup({ actors: { refund: functionActor(refund) } }).createMachine({
      id: 'tidy',
      initial: 'busy',
      states: {
        busy: { on: { 'workflow.cancel': 'tidying' } },
        tidying: { invoke: { src: 'refund', input: 'c', onDone: 'out' } },
        out: { type: 'final' },
      },
      output: 'tidied',
    })
    const lab = new WorkflowLab({ ...options, workflows: [orderWorkflow, shipping, machineWorkflow(tidy)] })
    await lab.open()
    const careful = await lab.start('tidy')
    const plain = await lab.start('order', { id: '7', amount: 5 })
    await lab.idle()
    await lab.settle(lab.engine.cancel(careful))
    await lab.settle(lab.engine.cancel(plain))
    expect(await lab.result(careful)).toBe('tidied')
    expect((await lab.ended(plain)).error?.kind).toBe('canceled')
  })

  test('an action that would run at every replay is refused by its name', async () => {
    const lab = new WorkflowLab({ ...options, workflows: [machineWorkflow(order), shipping] })
    await lab.open()
    await expect(lab.result(await lab.start('order', { id: '7', amount: 5 }))).rejects.toThrowError(
      'action "remind" of machine order would run again at every replay',
    )
  })
})

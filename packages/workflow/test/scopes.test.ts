import { describe, expect, test } from 'vitest'
import { isAppError } from '@daruma/protocol'
import { activity, isCanceled, workflow } from '@daruma/workflow'
import { crashAtEveryStep, WorkflowLab } from '@daruma/workflow/testing'

const tidy = activity('tidy', () => 'tidied')

describe('a scope', () => {
  test('that is cancelled fails what waits in it and what is asked in it, and nothing beside it', async () => {
    const w = workflow('w', async (ctx) => {
      let stop: (reason?: string) => void = () => undefined
      const heard: string[] = []
      const inner = ctx.scope(async (scope) => {
        stop = scope.cancelScope
        scope.onCancel((error) => void heard.push(error.message))
        try {
          await scope.sleep('10h')
        } catch {
          return scope.call(tidy, undefined).catch((error: Error) => `late: ${error.message}`)
        }
      })
      const beside = ctx.sleep('1h')
      await ctx.sleep(1_000)
      stop('enough')
      return [await inner, await beside, heard]
    })
    const lab = new WorkflowLab({ workflows: [w], functions: [tidy] })
    await lab.open()
    expect(await lab.result(await lab.start('w'))).toEqual(['late: enough', null, ['enough']])
    expect(lab.executions).toEqual([])
  })

  test.each([
    ['in time', 500, 'done'],
    ['too late', 5_000, 'timeout: it took longer than 1s'],
  ])('with a time limit whose work is %s', async (_, workMs, expected) => {
    const w = workflow('w', async (ctx) => {
      try {
        return await ctx.withTimeout('1s', async (scope) => {
          await scope.sleep(workMs)
          return 'done'
        })
      } catch (error) {
        if (!isAppError(error)) throw error
        return `${error.kind}: ${error.message}`
      }
    })
    const g = workflow.gen('g', function* (ctx) {
      try {
        return yield* ctx.withTimeout('1s', function* (scope) {
          yield* scope.sleep(workMs)
          return 'done'
        })
      } catch (error) {
        if (!isAppError(error)) throw error
        return `${error.kind}: ${error.message}`
      }
    })
    const lab = new WorkflowLab({ workflows: [w, g] })
    await lab.open()
    expect(await lab.result(await lab.start('w'))).toBe(expected)
    expect(await lab.result(await lab.start('g'))).toBe(expected)
  })

  test('with a time limit survives a crash at every commit', async () => {
    const w = workflow('w', async (ctx) => {
      const answers: unknown[] = []
      for (const workMs of [500, 5_000]) {
        const work = ctx.withTimeout('1s', async (scope) => {
          await scope.sleep(workMs)
          return scope.call(tidy, undefined)
        })
        answers.push(await work.catch((error: Error) => error.message))
      }
      return answers
    })
    const report = await crashAtEveryStep({ workflows: [w], functions: [tidy], maxResident: 0 }, async (lab) => {
      await lab.start('w', undefined, { id: 'w', requestId: 'once' })
    })
    expect(report.undisturbed.value).toEqual(['tidied', 'it took longer than 1s'])
    for (const { outcome } of report.crashes) expect(outcome).toEqual(report.undisturbed)
  })

  test('inside of a shield can still be cancelled by itself', async () => {
    const w = workflow('w', async (ctx) =>
      ctx.shield(async (shield) =>
        shield
          .withTimeout('2h', (scope) => scope.sleep('5h'))
          .then(
            () => 'slept',
            (error: Error) => error.message,
          ),
      ),
    )
    const lab = new WorkflowLab({ workflows: [w] })
    await lab.open()
    const id = await lab.start('w')
    await lab.settle(lab.engine.cancel(id))
    expect(await lab.result(id)).toBe('it took longer than 2h')
  })
})

describe('cancelling a workflow', () => {
  const careful = workflow('w', async (ctx) => {
    try {
      await ctx.scope((scope) => scope.sleep('1000h'))
      return 'slept'
    } catch (error) {
      if (!isCanceled(error)) throw error
      return ctx.shield(async (shield) => {
        await shield.sleep('1h')
        return shield.call(tidy, undefined)
      })
    }
  })
  const carefulGenerator = workflow.gen('w', function* (ctx) {
    try {
      yield* ctx.scope((scope) => scope.sleep('1000h'))
      return 'slept'
    } catch (error) {
      if (!isCanceled(error)) throw error
      return yield* ctx.shield(function* (shield) {
        yield* shield.sleep('1h')
        return yield* shield.call(tidy, undefined)
      })
    }
  })

  test.each([
    ['async', careful],
    ['generator', carefulGenerator],
  ])('again does not break its shielded clean-up (%s)', async (_, definition) => {
    const lab = new WorkflowLab({ workflows: [definition], functions: [tidy] })
    await lab.open()
    const id = await lab.start('w')
    await lab.settle(lab.engine.cancel(id))
    await lab.idle()
    await lab.settle(lab.engine.cancel(id, 'once more'))
    expect(await lab.result(id)).toBe('tidied')
  })

  test.each([
    ['async', careful, 10_000],
    ['async', careful, 0],
    ['generator', carefulGenerator, 0],
  ])('survives a crash at every commit (%s form, %#)', async (_, definition, maxResident) => {
    const report = await crashAtEveryStep({ workflows: [definition], functions: [tidy], maxResident }, async (lab) => {
      await lab.start('w', undefined, { id: 'w', requestId: 'once' })
      await lab.settle(lab.engine.cancel('w')).catch((error: unknown) => {
        if (!isAppError(error, 'not_found')) throw error
      })
    })
    expect(report.undisturbed.value).toBe('tidied')
    for (const { outcome } of report.crashes) expect(outcome.value).toBe('tidied')
  })
})

describe('a cancelled call', () => {
  const run = async (
    cancellation: 'try' | 'wait' | 'abandon',
  ): Promise<{ result: unknown; elapsedMs: number; saw: string[] }> => {
    const saw: string[] = []
    const lab: WorkflowLab = new WorkflowLab({
      workflows: [
        workflow('w', async (ctx) => {
          try {
            return await ctx.call('slow', undefined, { cancellation })
          } catch (error) {
            return (error as Error).message
          }
        }),
      ],
      functions: [
        activity('slow', async (_: undefined, { signal }) => {
          // Takes three seconds to stop, once it is asked to.
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
          saw.push('asked to stop')
          await new Promise<void>((resolve) => lab.clock.after(3_000, resolve))
          return 'stopped in good order'
        }),
      ],
    })
    await lab.open()
    const id = await lab.start('w')
    await lab.idle()
    const beforeMs = lab.clock.wallMs()
    await lab.settle(lab.engine.cancel(id))
    const result = await lab.result(id)
    return { result, elapsedMs: lab.clock.wallMs() - beforeMs, saw }
  }

  test('is asked to stop and not waited for (try, the default)', async () => {
    expect(await run('try')).toEqual({ result: 'canceled', elapsedMs: 0, saw: ['asked to stop'] })
  })

  test('is asked to stop and answers by itself (wait)', async () => {
    expect(await run('wait')).toEqual({ result: 'stopped in good order', elapsedMs: 3_000, saw: ['asked to stop'] })
  })

  test('is left alone until its workflow ends (abandon)', async () => {
    const { result, elapsedMs } = await run('abandon')
    expect({ result, elapsedMs }).toEqual({ result: 'canceled', elapsedMs: 0 })
  })
})

describe('a cancelled exec', () => {
  const child = workflow('child', async (ctx) => {
    try {
      await ctx.sleep('1000h')
      return 'slept'
    } catch {
      await ctx.shield((shield) => shield.sleep('1h'))
      return 'child tidied'
    }
  })
  const parent = workflow('parent', async (ctx, cancellation: 'try' | 'wait' | 'abandon') => {
    let result: unknown
    try {
      result = await ctx.exec(child, undefined, { workflowId: 'c', cancellation, parentClose: 'abandon' })
    } catch (error) {
      result = (error as Error).message
    }
    await ctx.shield((shield) => shield.sleep('3h'))
    return result
  })

  test.each([
    ['try', 'canceled', 'completed'],
    ['wait', 'child tidied', 'completed'],
    ['abandon', 'canceled', 'running'],
  ] as const)('with %s gives %s, and its child is %s', async (cancellation, result, status) => {
    const lab = new WorkflowLab({ workflows: [child, parent], partitions: 3 })
    await lab.open()
    const id = await lab.start('parent', cancellation)
    await lab.idle()
    await lab.settle(lab.engine.cancel(id))
    lab.crash()
    await lab.open()
    expect(await lab.result(id)).toBe(result)
    expect(lab.engine.describe('c')?.status).toBe(status)
  })
})

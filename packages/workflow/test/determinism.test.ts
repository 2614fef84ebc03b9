import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AppError } from '@daruma/protocol'
import { activity, guardGlobals, workflow } from '@daruma/workflow'
import { WorkflowLab } from '@daruma/workflow/testing'

const here = /determinism\.test\.ts:\d+: /

describe('with guarded globals', () => {
  let release: () => void
  beforeAll(() => {
    release = guardGlobals()
  })
  afterAll(() => release())

  test.each<[string, () => unknown]>([
    ['Date.now()', () => Date.now()],
    ['new Date without arguments', () => new Date()],
    ['performance.now()', () => performance.now()],
    ['Math.random()', () => Math.random()],
    ['crypto.randomUUID()', () => crypto.randomUUID()],
    ['crypto.getRandomValues()', () => crypto.getRandomValues(new Uint8Array(4))],
    ['setTimeout()', () => globalThis['setTimeout'](() => undefined, 1)],
    ['setInterval()', () => globalThis['setInterval'](() => undefined, 1)],
    ['setImmediate()', () => setImmediate(() => undefined)],
    ['fetch()', () => fetch('http://127.0.0.1:1')],
  ])('%s in a workflow is reported with its line, at the start, after a wait and in a generator', async (what, use) => {
    const rightAway = workflow('rightAway', async () => use())
    const later = workflow('later', async (ctx) => {
      await ctx.sleep(10)
      await Promise.resolve()
      return use()
    })
    const swallowed = workflow('swallowed', async (ctx) => {
      await ctx.sleep(10)
      try {
        await use()
      } catch {
        return 'as if nothing had been'
      }
    })
    const generator = workflow.gen('generator', function* (ctx) {
      yield* ctx.sleep(10)
      return use()
    })
    const workflows = [rightAway, later, swallowed, generator]
    const lab = new WorkflowLab({ workflows })
    await lab.open()
    for (const { name } of workflows) {
      const error = (await lab.ended(await lab.start(name))).error
      expect(error?.message, name).toContain(`${what} in a workflow gives another answer`)
      expect(error?.message, name).toMatch(here)
    }
  })

  test('functions, the host and dates of given instants are left alone', async () => {
    const now = activity('now', () => Date.now() > 0 && Math.random() < 1 && new Date().getFullYear() > 2_000)
    const w = workflow('w', async (ctx) => {
      const date = new Date(ctx.now())
      ctx.log('logged')
      return [await ctx.call(now, undefined), date instanceof Date, date.constructor === Date, Date.UTC(2_000, 0)]
    })
    const lab = new WorkflowLab({
      workflows: [w],
      functions: [now],
      logger: { log: () => void Date.now(), isEnabled: () => true } as never,
    })
    await lab.open()
    expect(await lab.result(await lab.start('w'))).toEqual([true, true, true, Date.UTC(2_000, 0)])
  })

  test('awaiting what is not of the context names the last line at which the workflow asked', async () => {
    const w = workflow('w', async (ctx) => {
      await ctx.sleep(10)
      await new Promise(() => undefined)
    })
    const lab = new WorkflowLab({ workflows: [w] })
    await lab.open()
    const { error } = await lab.ended(await lab.start('w'))
    expect(error?.message).toMatch(here)
    expect(error?.message).toContain('this place (sleep) is the last at which it asked')
  })

  describe('a branch that fails and that nobody awaits', () => {
    let others: NodeJS.UnhandledRejectionListener[]
    beforeEach(() => {
      // The test runner's own listener would count it as a failure of the test.
      others = process.listeners('unhandledRejection').filter(({ name }) => name !== 'onRejection')
      for (const other of others) process.off('unhandledRejection', other)
    })
    afterEach(() => {
      for (const other of others) process.on('unhandledRejection', other)
    })

    test('fails its workflow and nothing else', async () => {
      const careless = workflow('careless', async (ctx) => {
        void (async () => {
          await ctx.sleep(1_000)
          throw new AppError('invalid', 'nobody looks')
        })()
        await ctx.sleep('10h')
      })
      const careful = workflow('careful', async (ctx) => ctx.sleep(2_000))
      const lab = new WorkflowLab({ workflows: [careless, careful] })
      await lab.open()
      const [broken, fine] = [await lab.start('careless'), await lab.start('careful')]
      const { error } = await settleWithTurns(lab, broken)
      expect(error?.message).toContain('a branch of the workflow failed and nobody awaited it: nobody looks')
      expect(error?.message).toMatch(here)
      expect((await lab.ended(fine)).error).toBeUndefined()
    })
  })

  test('taken back, the globals are those from before', () => {
    const guarded = Date.now
    const again = guardGlobals()
    again()
    expect(Date.now).toBe(guarded)
    release()
    expect(Date.now).not.toBe(guarded)
    release = guardGlobals()
  })
})

describe('without guarded globals', () => {
  test('code that goes on after a foreign wait fails its workflow at the line where it asks next', async () => {
    const w = workflow('w', async (ctx) => {
      await Promise.race([ctx.sleep('100h'), new Promise((resolve) => setImmediate(resolve))])
      return ctx.call('never')
    })
    const lab = new WorkflowLab({ workflows: [w] })
    await lab.open()
    const { error } = await settleWithTurns(lab, await lab.start('w'))
    expect(error?.message).toContain('call never was asked outside of a turn')
    expect(error?.message).toMatch(here)
  })

  test('code that ends after a foreign wait fails its workflow', async () => {
    const w = workflow('w', async (ctx) => {
      await Promise.race([ctx.sleep('100h'), new Promise((resolve) => setImmediate(resolve))])
      return 'raced'
    })
    const lab = new WorkflowLab({ workflows: [w] })
    await lab.open()
    const { error } = await settleWithTurns(lab, await lab.start('w'))
    expect(error?.message).toContain('awaits something that is not its context')
  })
})

/** The event loop has to turn for what these workflows wrongly wait for. */
async function settleWithTurns(lab: WorkflowLab, id: string): ReturnType<WorkflowLab['ended']> {
  const ended = lab.engine.ended(id)
  for (let turn = 0; turn < 5; turn++) {
    await lab.idle()
    await new Promise((resolve) => setImmediate(resolve))
    if (turn === 1) lab.clock.advance(1_500)
  }
  return lab.settle(ended)
}

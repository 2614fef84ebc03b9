import { describe, expect, test } from 'vitest'
import { AppError } from '@daruma/protocol'
import { activity, workflow, type GeneratorContext, type WorkflowContext } from '@daruma/workflow'
import { crashAtEveryStep, WorkflowLab } from '@daruma/workflow/testing'

const double = activity('double', (n: number) => n * 2)
const broken = activity('broken', () => {
  throw new AppError('invalid', 'no', undefined, { retryable: false })
})
const functions = [double, broken]
const childAsync = workflow('child', async (ctx, n: number) => {
  await ctx.sleep('1h')
  return ctx.call(double, n)
})
const childGen = workflow.gen('child', function* (ctx, n: number) {
  yield* ctx.sleep('1h')
  return yield* ctx.call(double, n)
})

const asAsync = workflow('w', async (ctx: WorkflowContext, n: number) => {
  const tag = ctx.uuid()
  const started = ctx.now()
  const [a, b] = await Promise.all([ctx.call(double, n), ctx.exec(childAsync, 5)])
  const branches = await Promise.all([
    (async () => {
      await ctx.sleep(2_000)
      return ctx.call(double, 1)
    })(),
    (async () => {
      await ctx.sleep(1_000)
      return ctx.call(double, 2)
    })(),
  ])
  const handle = ctx.spawn(childAsync, 7)
  const first = await Promise.race([ctx.receive<string>('go'), ctx.sleep('10h')])
  let failure = ''
  try {
    await ctx.call(broken, undefined)
  } catch (error) {
    failure = (error as Error).message
  }
  let ready = false
  const wait = ctx.condition(() => ready, '1h')
  await ctx.call(double, 0)
  ready = true
  const held = await wait
  const shielded = await ctx.shield((inner) => inner.call(double, 9))
  return {
    a,
    b,
    branches,
    first,
    failure,
    held,
    shielded,
    child: await handle.result(),
    random: ctx.random() < 1,
    tag: tag.length,
    elapsedMs: ctx.now() - started,
  }
})

const asGen = workflow.gen('w', function* (ctx: GeneratorContext, n: number) {
  const tag = ctx.uuid()
  const started = ctx.now()
  const [a, b] = yield* ctx.all([ctx.call(double, n), ctx.exec(childGen, 5)])
  const branches = yield* ctx.all([
    ctx.fork(function* () {
      yield* ctx.sleep(2_000)
      return yield* ctx.call(double, 1)
    }),
    ctx.fork(function* () {
      yield* ctx.sleep(1_000)
      return yield* ctx.call(double, 2)
    }),
  ])
  const handle = ctx.spawn(childGen, 7)
  const first = yield* ctx.race<unknown>([ctx.receive<string>('go'), ctx.sleep('10h')])
  let failure = ''
  try {
    yield* ctx.call(broken, undefined)
  } catch (error) {
    failure = (error as Error).message
  }
  let ready = false
  const wait = ctx.condition(() => ready, '1h')
  yield* ctx.call(double, 0)
  ready = true
  const held = yield* wait
  const shielded = yield* ctx.shield((inner) => inner.call(double, 9))
  return {
    a,
    b,
    branches,
    first,
    failure,
    held,
    shielded,
    child: yield* handle.result(),
    random: ctx.random() < 1,
    tag: tag.length,
    elapsedMs: ctx.now() - started,
  }
})

const play = async (lab: WorkflowLab): Promise<void> => {
  await lab.start('w', 3, { id: 'w', requestId: 'once' })
  await lab.settle(lab.engine.send('w', 'go', ['went'], { messageId: 'go' })).catch((error: unknown) => {
    if (!String(error).includes('has ended')) throw error
  })
}

describe('a workflow written as a generator', () => {
  test('has the same turns as the same workflow written as an async function', async () => {
    const journals = []
    for (const workflows of [
      [asAsync, childAsync],
      [asGen, childGen],
    ]) {
      const lab = new WorkflowLab({ workflows, functions })
      await lab.open()
      await play(lab)
      const result = await lab.result('w')
      const events = await lab.settle(lab.engine.history('w'))
      // Seeds differ from start to start; what they grow does, too.
      journals.push({
        result,
        events: events.filter(({ kind }) => kind === 'turn').map((event) => ({ ...event, atMs: 0 })),
      })
    }
    const text = (journal: unknown): string => JSON.stringify(journal).replace(/"(fireAtMs|nextAtMs)":\d+/g, '"$1":0')
    expect(text(journals[1])).toEqual(text(journals[0]))
    expect(journals[0]!.events.length).toBeGreaterThan(8)
  })

  test.each([10_000, 0])('survives a crash at every commit with %i programs kept in memory', async (maxResident) => {
    const report = await crashAtEveryStep({ workflows: [asGen, childGen], functions, maxResident }, play)
    expect(report.undisturbed.value).toMatchObject({
      a: 6,
      b: 10,
      branches: [2, 4],
      first: 'went',
      failure: 'no',
      held: true,
    })
    for (const { outcome } of report.crashes) {
      expect({ ...(outcome.value as object), elapsedMs: 0 }).toEqual({
        ...(report.undisturbed.value as object),
        elapsedMs: 0,
      })
    }
  })

  test('a journal that the async form wrote is gone on with by the generator', async () => {
    const lab = new WorkflowLab({ workflows: [asAsync, childAsync], functions })
    await lab.open()
    await lab.start('w', 3, { id: 'w' })
    await lab.idle()
    lab.crash()
    lab.define(asGen)
    lab.define(childGen)
    await lab.open()
    await lab.settle(lab.engine.send('w', 'go', ['went']))
    expect(await lab.result('w')).toMatchObject({ a: 6, child: 14 })
  })

  test('fails when a branch fails for which nobody waits', async () => {
    const w = workflow.gen('w', function* (ctx) {
      ctx.fork(function* () {
        yield* ctx.sleep(1_000)
        throw new AppError('invalid', 'nobody looks')
      })
      yield* ctx.sleep('10h')
    })
    const lab = new WorkflowLab({ workflows: [w] })
    await lab.open()
    await expect(lab.result(await lab.start('w'))).rejects.toThrowError('nobody looks')
  })

  test('that waits for what is no future is told so', async () => {
    const w = workflow.gen('w', function* () {
      yield Promise.resolve(1) as never
    })
    const lab = new WorkflowLab({ workflows: [w] })
    await lab.open()
    await expect(lab.result(await lab.start('w'))).rejects.toThrowError('waits by yield* on what its context gave out')
  })

  test('is stopped where it stands: clean-up does not run when its node gives it up', async () => {
    const lines: string[] = []
    const w = workflow.gen('w', function* (ctx) {
      try {
        yield* ctx.receive('never')
      } finally {
        lines.push('cleaned')
      }
    })
    const lab = new WorkflowLab({ workflows: [w] })
    await lab.open()
    const id = await lab.start('w')
    await lab.settle(lab.engine.terminate(id))
    expect(lines).toEqual([])
  })
})

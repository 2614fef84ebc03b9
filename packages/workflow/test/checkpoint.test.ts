import { describe, expect, test } from 'vitest'
import { Home, msgpackCodec, Pid, type NodeId } from '@daruma/protocol'
import { activity, workflow } from '@daruma/workflow'
import { decodeCommit, type Commit } from '@daruma/workflow/internal'
import { crashAtEveryStep, WorkflowLab, type LabOptions } from '@daruma/workflow/testing'

const double = activity('double', (n: number) => n * 2)
const short = workflow('short', async (ctx, n: number) => ctx.call(double, n))
const sleeper = workflow('sleeper', async (ctx, n: number) => {
  const doubled = await ctx.call(double, n)
  await ctx.sleep('30d')
  return [doubled, await ctx.call(double, doubled)]
})
const chain = workflow('chain', async (ctx, length: number) => {
  for (let n = 0; n < length; n++) await ctx.call(double, n)
})
const mailbox = workflow('mailbox', async (ctx, letters: number) => {
  const read: unknown[] = []
  while (read.length < letters) read.push(await ctx.receive('letter'))
  return read.length
})

const often = { everyCommits: 5, everyBytes: Infinity, growth: 0 } as const
const never = { everyCommits: Infinity, everyBytes: Infinity } as const
const everything: LabOptions = { workflows: [short, sleeper, chain, mailbox], functions: [double] }

async function commits(lab: WorkflowLab): Promise<Commit[]> {
  const found: Commit[] = []
  for await (const { seq, bytes } of lab.log.reopen().scan('lab.0', 0)) {
    found.push(decodeCommit(msgpackCodec(), bytes, { partition: 'lab.0', seq }))
  }
  return found
}

const recoveredEvents = (lab: WorkflowLab): number | undefined =>
  lab.notices.findLast((notice) => notice.kind === 'recovered')?.events

describe('a checkpoint', () => {
  test('keeps the log proportional to open work, whatever ran before', async () => {
    const lab = new WorkflowLab({ ...everything, checkpoint: often, retention: { maxClosed: 2 } })
    await lab.open()
    for (let n = 0; n < 5; n++) await lab.start('sleeper', n, { id: `sleeper-${n}` })
    for (let n = 0; n < 300; n++) await lab.result(await lab.start('short', n))
    await lab.settle(lab.engine.checkpoint())
    const entries = (await commits(lab)).flatMap((commit) => ('entries' in commit ? commit.entries : []))
    expect(entries.length).toBeLessThan(30)
    lab.crash()
    await lab.open()
    expect([...lab.engine.list()].map(({ workflowId }) => workflowId).sort()).toEqual(
      expect.arrayContaining([0, 1, 2, 3, 4].map((n) => `sleeper-${n}`)),
    )
    expect(await lab.result('sleeper-3')).toEqual([6, 12])
  })

  test('is where recovery begins, also when the server brings trimmed records back', async () => {
    const lab = new WorkflowLab({ ...everything, checkpoint: never, retention: { maxClosed: 0 } })
    await lab.open(({ name }) => (name === 'trim' ? { kind: 'fail' } : undefined))
    await lab.start('sleeper', 1, { id: 'sleeper' })
    for (let n = 0; n < 50; n++) await lab.result(await lab.start('short', n, { id: `short-${n}` }))
    await lab.idle()
    lab.clock.advance(1_000)
    await lab.idle()
    await lab.settle(lab.engine.checkpoint())
    expect((await commits(lab)).length).toBeGreaterThan(100)
    lab.crash()
    await lab.open()
    expect(recoveredEvents(lab)).toBe(0)
    expect([...lab.engine.list()].map(({ workflowId }) => workflowId)).toEqual(['sleeper'])
    await lab.idle()
    expect((await commits(lab)).length).toBeLessThan(5) // the new owner trims what came back
    expect(await lab.result('sleeper')).toEqual([2, 4])
  })

  test('that is not complete is not used: the one before it is', async () => {
    const lab = new WorkflowLab({ ...everything, checkpoint: never })
    await lab.open()
    for (let n = 0; n < 5; n++) await lab.start('sleeper', n, { id: `sleeper-${n}` })
    await lab.settle(lab.engine.checkpoint())
    await lab.start('sleeper', 5, { id: 'sleeper-5' })
    await lab.idle()
    lab.crash()
    let appends = 0
    await lab
      .open(({ name }) => {
        if (name === 'trim') throw new Error('an incomplete checkpoint trims nothing')
        if (name !== 'append' || ++appends < 3) return undefined
        queueMicrotask(() => lab.crash())
        return { kind: 'fail' }
      })
      .catch(() => undefined)
    const checkpoint = lab.engine.checkpoint()
    checkpoint.catch(() => undefined)
    await lab.idle()
    await lab.open()
    for (let n = 0; n < 6; n++) expect(await lab.result(`sleeper-${n}`)).toEqual([n * 2, n * 4])
  })

  test('carries unread mail, mail of stuck workflows and what their senders were told', async () => {
    const lab = new WorkflowLab({ ...everything, checkpoint: never })
    await lab.open()
    const id = await lab.start('mailbox', 6, { messages: [{ topic: 'letter', payload: [1] }] })
    await lab.settle(lab.engine.send(id, 'letter', [2], { messageId: 'm2' }))
    await lab.settle(lab.engine.checkpoint())
    lab.undefine('mailbox')
    lab.crash()
    await lab.open()
    await lab.settle(lab.engine.send(id, 'letter', [3], { messageId: 'm3' }))
    await lab.settle(lab.engine.checkpoint())
    lab.crash()
    lab.define(mailbox)
    await lab.open()
    await lab.settle(lab.engine.send(id, 'letter', [2], { messageId: 'm2' }))
    await lab.settle(lab.engine.send(id, 'letter', [3], { messageId: 'm3' }))
    await lab.idle()
    expect(lab.engine.describe(id)?.status).toBe('running')
    for (const n of [4, 5, 6]) await lab.settle(lab.engine.send(id, 'letter', [n], { messageId: `m${n}` }))
    expect(await lab.result(id)).toBe(6)
  })

  test('of a journal larger than a record is written in parts, while the workflow goes on', async () => {
    const lab = new WorkflowLab({ ...everything, checkpoint: never, maxRecordBytes: 16_384 })
    await lab.open()
    const id = await lab.start('mailbox', 60)
    for (let n = 0; n < 40; n++) await lab.settle(lab.engine.send(id, 'letter', ['x'.repeat(4_000)]))
    const checkpoint = lab.engine.checkpoint()
    const more = (async () => {
      for (let n = 0; n < 15; n++) await lab.engine.send(id, 'letter', [n])
    })()
    await lab.settle(Promise.all([checkpoint, more]))
    const history = await lab.settle(lab.engine.history(id))
    lab.crash()
    await lab.open()
    expect(await lab.settle(lab.engine.history(id))).toEqual(history)
    expect(history).toHaveLength(57)
    for (let n = 0; n < 5; n++) await lab.settle(lab.engine.send(id, 'letter', [n]))
    expect(await lab.result(id)).toBe(60)
  })

  test('goes on with traffic between its commits', async () => {
    const lab = new WorkflowLab({ ...everything, checkpoint: never })
    await lab.open(({ name }) => (name === 'append' ? { kind: 'delay_answer', durationMs: 1 } : undefined))
    const memo = { filler: 'y'.repeat(1_000) }
    await lab.settle(Promise.all(Array.from({ length: 400 }, (_, n) => lab.engine.start('sleeper', [n], { memo }))))
    const checkpoint = lab.engine.checkpoint()
    const traffic = lab.engine.start('chain', [100]).then((pid) => lab.engine.ended(String(pid.id)))
    await lab.settle(Promise.all([checkpoint, traffic]))
    const kinds = (await commits(lab)).map(({ kind }) => kind)
    const firstCarried = kinds.indexOf('carried')
    expect(kinds.lastIndexOf('carried') - firstCarried).toBeGreaterThan(5)
    expect(kinds.slice(firstCarried, kinds.lastIndexOf('carried'))).toContain('events')
  })

  test('begins by itself, and not before the log has grown as much as the last one wrote', async () => {
    const lab = new WorkflowLab({ ...everything, checkpoint: { everyCommits: 10 }, retention: { maxClosed: 2 } })
    await lab.open()
    for (let n = 0; n < 50; n++) await lab.start('sleeper', n)
    for (let n = 0; n < 200; n++) await lab.result(await lab.start('short', n))
    const made = lab.notices.filter(({ kind }) => kind === 'checkpointed').length
    expect(made).toBeGreaterThan(2)
    expect(made).toBeLessThan(20)
  })

  test('is put off while the log does not answer, and made later', async () => {
    const lab = new WorkflowLab({ ...everything, checkpoint: often })
    let failing = true
    await lab.open(({ name }) => (name === 'get' && failing ? { kind: 'fail' } : undefined))
    for (let n = 0; n < 10; n++) await lab.start('sleeper', n)
    await lab.idle()
    expect(lab.notices.some(({ kind }) => kind === 'checkpointed')).toBe(false)
    failing = false
    lab.clock.advance(20_000)
    await lab.idle()
    expect(lab.notices.some(({ kind }) => kind === 'checkpointed')).toBe(true)
  })
})

test('a journal that is scattered over more than eight commits is written together when it is read', async () => {
  const lab = new WorkflowLab({ ...everything, checkpoint: never, maxResident: 0 })
  let gets = 0
  await lab.open()
  const id = await lab.start('mailbox', 100)
  for (let n = 0; n < 60; n++) await lab.settle(lab.engine.send(id, 'letter', [n]))
  lab.crash()
  await lab.open(({ name }) => {
    if (name === 'get') gets++
    return undefined
  })
  await lab.settle(lab.engine.send(id, 'letter', ['once more']))
  expect(gets).toBeLessThan(40)
  expect(await lab.settle(lab.engine.history(id))).toHaveLength(63)
})

describe('retention', () => {
  const closedOnes = async (options: LabOptions): Promise<WorkflowLab> => {
    const lab = new WorkflowLab({ ...everything, checkpoint: never, ...options })
    await lab.open()
    for (let n = 0; n < 6; n++) {
      await lab.result(await lab.start('short', n, { id: `short-${n}` }))
      lab.clock.advance(3_600_000)
      await lab.idle()
    }
    return lab
  }
  const ids = (lab: WorkflowLab): string[] => [...lab.engine.list()].map(({ workflowId }) => workflowId).sort()

  test('by age: what ended longer ago is not listed, described or joined any more, and leaves with a checkpoint', async () => {
    const lab = await closedOnes({ retention: { ageMs: 3.5 * 3_600_000 } })
    expect(ids(lab)).toEqual(['short-3', 'short-4', 'short-5'])
    expect(lab.engine.describe('short-0')).toBeUndefined()
    await expect(lab.engine.ended('short-0')).rejects.toThrowError('no workflow short-0')
    await lab.settle(lab.engine.checkpoint())
    expect(lab.notices.findLast(({ kind }) => kind === 'checkpointed')).toMatchObject({ forgotten: 3, carried: 3 })
    lab.crash()
    await lab.open()
    expect(ids(lab)).toEqual(['short-3', 'short-4', 'short-5'])
    expect(await lab.result('short-4')).toBe(8)
  })

  test('by count: the longest ended go first', async () => {
    const lab = await closedOnes({ retention: { maxClosed: 2 } })
    await lab.settle(lab.engine.checkpoint())
    expect(ids(lab)).toEqual(['short-4', 'short-5'])
  })

  test('of journals by size: beyond it the ends stay and the histories go', async () => {
    const lab = await closedOnes({ retention: { journalBytes: 500 } })
    await lab.settle(lab.engine.checkpoint())
    lab.crash()
    await lab.open()
    expect(ids(lab)).toHaveLength(6)
    expect(await lab.result('short-0')).toBe(0)
    await expect(lab.settle(lab.engine.history('short-0'))).rejects.toThrowError('its journal is not kept any longer')
    expect(await lab.settle(lab.engine.history('short-5'))).toHaveLength(3)
  })

  test.each(['reject_duplicate', 'allow_duplicate_failed_only'] as const)(
    'makes the id free again under %s, with a run number that was never used',
    async (idReuse) => {
      for (const checkpointed of [false, true]) {
        const lab = await closedOnes({ retention: { ageMs: 3.5 * 3_600_000 } })
        await expect(lab.start('short', 1, { id: 'short-5', idReuse })).rejects.toThrowError('short-5')
        if (checkpointed) await lab.settle(lab.engine.checkpoint())
        lab.crash()
        await lab.open()
        expect(await lab.result(await lab.start('short', 50, { id: 'short-0', idReuse }))).toBe(100)
        expect(lab.engine.describe('short-0')?.run).toBe(2)
        expect(lab.executions.at(-1)?.key).toBe('short-0/2/1')
      }
    },
  )

  test('keeps a closed workflow that still owes news of its end, however old', async () => {
    const lab = new WorkflowLab({ ...everything, checkpoint: often, retention: { ageMs: 0, maxClosed: 0 } })
    await lab.open()
    // The host of its parent is not there, so that its end cannot be told.
    const parent = new Pid(new Home('workflows' as NodeId, 0, 'away'), 'parent')
    await lab.settle(
      lab.engine.submit({
        kind: 'start',
        workflowId: 'orphan',
        type: 'short',
        args: [1],
        conflict: 'fail',
        reuse: 'allow_duplicate',
        parent: { pid: parent, run: 1, id: 1, closePolicy: 'terminate' },
      }),
    )
    await lab.idle()
    lab.clock.advance(60_000)
    await lab.idle()
    await lab.settle(lab.engine.checkpoint())
    lab.crash()
    await lab.open()
    expect(lab.engine.describe('orphan')?.status).toBe('completed')
  })
})

describe.each([10_000, 0])(
  'with %i programs kept in memory and a checkpoint after every third commit',
  (maxResident) => {
    const child = workflow('child', async (ctx, n: number) => {
      await ctx.sleep('1h')
      return ctx.call(double, n)
    })
    const w = workflow('w', async (ctx) => {
      const [one, two] = await Promise.all([ctx.call(double, 1), ctx.exec(child, 2)])
      ctx.send(ctx.self, 'echo', 'hello')
      const echo = await ctx.receive('echo')
      const letter = await ctx.receive('letter')
      await ctx.sleep('24h')
      return [one, two, echo, letter, await ctx.call(double, 3)]
    })

    test('a crash at any commit, those of a checkpoint included, changes no outcome', async () => {
      const report = await crashAtEveryStep(
        {
          workflows: [child, w],
          functions: [double],
          maxResident,
          checkpoint: { everyCommits: 3, everyBytes: Infinity, growth: 0 },
        },
        async (lab) => {
          await lab.start('w', undefined, { id: 'w', requestId: 'start-w' })
          await lab.settle(lab.engine.send('w', 'letter', ['dear'], { messageId: 'dear' })).catch((error: unknown) => {
            if (!String(error).includes('has ended')) throw error
          })
        },
      )
      expect(report.undisturbed).toEqual({ value: [2, 4, 'hello', 'dear', 6] })
      expect(report.commits).toBeGreaterThan(15)
      for (const { atCommit, how, outcome, executions } of report.crashes) {
        expect(outcome, `${how} commit ${atCommit}`).toEqual(report.undisturbed)
        expect(new Set(executions.map(({ key }) => key)).size, `${how} commit ${atCommit}`).toBe(3)
      }
    })
  },
)

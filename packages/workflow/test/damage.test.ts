import { describe, expect, test } from 'vitest'
import { msgpackCodec, type LogLevel } from '@daruma/protocol'
import { activity, workflow } from '@daruma/workflow'
import { decodeCommit, encodeCommit, type Entry } from '@daruma/workflow/internal'
import { WorkflowLab, type LabOptions } from '@daruma/workflow/testing'
import { dump, partition, restore, type JournalFile } from './fixtures/journal-file.ts'

const codec = msgpackCodec()
const double = activity('double', (n: number) => n * 2)
const patient = workflow('patient', async (ctx, n: number) => {
  const doubled = await ctx.call(double, n)
  await ctx.sleep('1h')
  return ctx.call(double, doubled)
})
const options: LabOptions = { workflows: [patient], functions: [double] }

interface Line {
  readonly level: LogLevel
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** The log of three sleeping workflows, with one entry of the workflow `b` damaged: its number `at`. */
async function damaged(at: number): Promise<{ records: JournalFile['records']; seq: number }> {
  const lab = new WorkflowLab(options)
  await lab.open()
  for (const id of ['a', 'b', 'c']) await lab.start('patient', 1, { id })
  await lab.idle()
  lab.crash()
  let seen = 0
  let damagedSeq = 0
  const records = (await dump(lab.log.reopen())).map(([seq, base64]): [number, string] => {
    const commit = decodeCommit(codec, Buffer.from(base64, 'base64'), { partition, seq })
    if (commit.kind !== 'events') return [seq, base64]
    const entries = commit.entries.map((entry): Entry => {
      if (entry.workflow !== 'b' || seen++ !== at) return entry
      damagedSeq = seq
      return { ...entry, bytes: new Uint8Array([1, 0xc1]) }
    })
    return [seq, Buffer.from(encodeCommit(codec, { ...commit, entries })).toString('base64')]
  })
  return { records, seq: damagedSeq }
}

describe('an entry that cannot be read', () => {
  test.each([
    [0, 'its start'],
    [1, 'a turn'],
    [2, 'its last turn'],
  ])('number %i (%s) makes its workflow stuck, reported with its place, and no other', async (at) => {
    const { records, seq } = await damaged(at)
    const lines: Line[] = []
    const lab = new WorkflowLab({
      ...options,
      logger: { log: (level, message, fields = {}) => lines.push({ level, message, fields }) },
    })
    await restore(lab.log, records)
    await lab.open()
    expect(lab.engine.describe('b')).toMatchObject({ status: 'stuck' })
    expect(lab.engine.describe('b')?.stuck).toContain(`log ${partition}, sequence ${seq}, workflow b`)
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 'error', fields: expect.objectContaining({ partition, seq, workflow: 'b' }) }),
    )
    for (const id of ['a', 'c']) expect(await lab.result(id)).toBe(4)
    expect(lab.executions.filter(({ key }) => key.startsWith('b/'))).toEqual([])
  })

  test.each([0, 1, 2])('number %i is carried by checkpoints, not dropped', async (at) => {
    const { records } = await damaged(at)
    const lab = new WorkflowLab(options)
    await restore(lab.log, records)
    await lab.open()
    for (let round = 0; round < 2; round++) {
      await lab.settle(lab.engine.checkpoint())
      lab.crash()
      await lab.open()
      expect(lab.engine.describe('b')?.status).toBe('stuck')
    }
    lab.engine.retryStuck('b')
    await lab.idle()
    expect(lab.engine.describe('b')?.status).toBe('stuck')
    expect(await lab.result('a')).toBe(4)
  })

  test('does not keep its workflow from being terminated', async () => {
    const { records } = await damaged(1)
    const lab = new WorkflowLab(options)
    await restore(lab.log, records)
    await lab.open()
    await lab.settle(lab.engine.terminate('b', 'cannot be saved'))
    lab.crash()
    await lab.open()
    expect(lab.engine.describe('b')?.status).toBe('terminated')
  })
})

test('a whole commit that cannot be read keeps its partition closed, with the place in the error', async () => {
  const { records } = await damaged(-1)
  const broken = records.map(([seq, base64], at): [number, string] => [seq, at === 2 ? 'AcHB' : base64])
  const lab = new WorkflowLab(options)
  await restore(lab.log, broken)
  await expect(lab.open()).rejects.toThrowError(`log ${partition}, sequence ${broken[2]![0]}`)
})

test('a log that takes nothing more stops progress loudly; nothing is acknowledged, and all goes on when there is room', async () => {
  const lines: Line[] = []
  const lab = new WorkflowLab({
    ...options,
    logger: { log: (level, message, fields = {}) => lines.push({ level, message, fields }) },
  })
  let isFull = false
  await lab.open(({ name }) => (name === 'append' && isFull ? { kind: 'fail' } : undefined))
  await lab.start('patient', 1, { id: 'before' })
  await lab.idle()
  isFull = true
  let acknowledged = false
  const start = lab.engine.start('patient', [2], { id: 'during' }).then(() => (acknowledged = true))
  lab.clock.advance(2 * 3_600_000)
  for (let n = 0; n < 50; n++) {
    await lab.idle()
    lab.clock.advance(10_000)
  }
  expect(acknowledged).toBe(false)
  expect(lab.executions).toHaveLength(1)
  expect(lines.filter(({ message }) => message.includes('commit not acknowledged')).length).toBeGreaterThan(5)
  isFull = false
  await lab.settle(start)
  expect(await lab.result('before')).toBe(4)
  expect(await lab.result('during')).toBe(8)
})

import { expect, test } from 'vitest'
import { msgpackCodec, silentLogger, type Log } from '@daruma/protocol'
import { workflow } from '@daruma/workflow'
import { WorkflowLab } from '@daruma/workflow/testing'
import { recoverHeads } from '../src/recover.ts'

test('a log whose reading ends before the claim recovers nothing: what was not read would be started a second time', async () => {
  const lab = new WorkflowLab({ workflows: [workflow('w', async (ctx) => ctx.sleep('1h'))] })
  await lab.open()
  await lab.start('w', undefined, { id: 'w' })
  await lab.idle()
  const last = (await lab.log.last('lab.0'))!
  const short: Pick<Log, 'scan'> = {
    async *scan(partition, fromSeq) {
      for await (const record of lab.log.scan(partition, fromSeq)) if (record.seq < last.seq) yield record
    },
  }
  const range = { from: 0, until: last.seq }
  await expect(recoverHeads(short as Log, 'lab.0', range, msgpackCodec(), silentLogger)).rejects.toMatchObject({
    kind: 'unavailable',
  })
  expect((await recoverHeads(lab.log, 'lab.0', range, msgpackCodec(), silentLogger)).heads.has('w')).toBe(true)
})

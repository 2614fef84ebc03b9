import { msgpackCodec, type Log } from '@daruma/protocol'
import { decodeCommit, decodeEvent } from '@daruma/workflow/internal'
import type { ReadCommit } from './checker.ts'

/** Every commit of every partition of a task queue, in the order of each log. */
export async function* readHistory(log: Log, taskQueue: string, partitions: number): AsyncIterable<ReadCommit> {
  const codec = msgpackCodec()
  for (let index = 0; index < partitions; index++) {
    const partition = `${taskQueue}.${index}`
    for await (const { seq, bytes } of log.scan(partition, 0)) {
      const where = { partition, seq }
      const commit = decodeCommit(codec, bytes, where)
      const entries = commit.kind === 'events' ? commit.entries : []
      const events = entries.map((entry) => ({
        workflow: entry.workflow,
        run: entry.run,
        event: decodeEvent(codec, entry, where),
      }))
      yield { partition, seq, commit, events }
    }
  }
}

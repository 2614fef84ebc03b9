// A process of its own for the tests of ownership and death. Speaks in lines on stdout.
import { writeSync } from 'node:fs'
import { openLmdb } from '@daruma/lmdb'

const [, , task, folder] = process.argv
const say = (line) => writeSync(1, `${line}\n`)

try {
  const store = await openLmdb(folder)
  say(`open ${process.pid}`)
  if (task === 'append') {
    const chain = async (partition) => {
      for (let lastSeq = 0; ;) {
        const answer = await store.log.append(partition, lastSeq, Buffer.alloc(700, `${partition}:${lastSeq + 1};`))
        if (answer.kind === 'refused') throw new Error(`refused at ${answer.lastSeq}`)
        lastSeq = answer.seq
        say(`ack ${partition} ${lastSeq}`)
      }
    }
    await Promise.all(['p0', 'p1', 'p2', 'p3'].map(chain))
  }
  if (task === 'hold') setInterval(() => undefined, 60_000)
  if (task === 'try') await store.close()
} catch (error) {
  say(`error ${error.kind} ${error.message}`)
}

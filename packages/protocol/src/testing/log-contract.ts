import assert from 'node:assert/strict'
import type { AppendAnswer, Log, LogRecord } from '../log.ts'
import { assertRejects, awkwardNames, bytesOf, textOf, type ContractCase, type PortHarness } from './contract.ts'

export type LogHarness = PortHarness<Log>

async function appended(answer: Promise<AppendAnswer>): Promise<number> {
  const given = await answer
  assert.ok(given.kind === 'appended', `expected appended, found ${JSON.stringify(given)}`)
  return given.seq
}

/** Appends `count` records `<prefix>0`, `<prefix>1`, ... and returns their sequences. */
async function fill(log: Log, partition: string, count: number, prefix = ''): Promise<number[]> {
  const seqs: number[] = []
  let lastSeq = (await log.last(partition))?.seq ?? 0
  for (let index = 0; index < count; index++) {
    lastSeq = await appended(log.append(partition, lastSeq, bytesOf(`${prefix}${index}`)))
    seqs.push(lastSeq)
  }
  return seqs
}

async function collect(records: AsyncIterable<LogRecord>): Promise<LogRecord[]> {
  const all: LogRecord[] = []
  for await (const record of records) all.push(record)
  return all
}

const seqsOf = (records: readonly LogRecord[]): number[] => records.map(({ seq }) => seq)

export const logContract: readonly ContractCase<LogHarness>[] = [
  {
    title: 'a partition without records has no last record, none by sequence, and an empty scan',
    async run({ open }) {
      const log = await open()
      assert.equal(await log.last('empty'), undefined)
      assert.equal(await log.get('empty', 1), undefined)
      assert.deepEqual(await collect(log.scan('empty', 0)), [])
      await log.trim('empty', 100)
    },
  },
  {
    title: 'L1: the first append expects 0; a second one that expects 0 is refused and told the end',
    async run({ open }) {
      const log = await open()
      const seq = await appended(log.append('first', 0, bytesOf('one')))
      assert.ok(seq >= 1)
      assert.deepEqual(await log.append('first', 0, bytesOf('two')), { kind: 'refused', lastSeq: seq })
      assert.equal(textOf((await log.last('first'))?.bytes), 'one')
    },
  },
  {
    title: 'L1: an append that expects an earlier or a later end is refused and stores nothing',
    async run({ open }) {
      const log = await open()
      const seqs = await fill(log, 'stale', 3)
      const lastSeq = seqs[2]!
      for (const expectedSeq of [0, seqs[0]!, seqs[1]!, lastSeq + 1, lastSeq + 1_000]) {
        assert.deepEqual(await log.append('stale', expectedSeq, bytesOf('no')), { kind: 'refused', lastSeq })
      }
      assert.deepEqual(seqsOf(await collect(log.scan('stale', 0))), seqs)
    },
  },
  {
    title: 'L1: an empty partition refuses an append that expects a record',
    async run({ open }) {
      const log = await open()
      assert.deepEqual(await log.append('nothing-yet', 5, bytesOf('no')), { kind: 'refused', lastSeq: 0 })
    },
  },
  {
    title: 'L1: of many that extend the same end at once, through several handles, exactly one wins',
    async run({ open }) {
      const logs = await Promise.all([open(), open(), open()])
      let lastSeq = 0
      for (let round = 0; round < 40; round++) {
        const answers = await Promise.all(
          Array.from({ length: 6 }, (_, writer) => {
            return logs[writer % 3]!.append('race', lastSeq, bytesOf(`${round}/${writer}`))
          }),
        )
        const won = answers.flatMap((answer) => (answer.kind === 'appended' ? [answer.seq] : []))
        assert.equal(won.length, 1, `round ${round}: ${JSON.stringify(answers)}`)
        lastSeq = won[0]!
      }
      assert.equal((await collect(logs[0].scan('race', 0))).length, 40)
    },
  },
  {
    title: 'L2: sequences grow with each append, and `last` is the newest',
    async run({ open }) {
      const log = await open()
      const seqs = await fill(log, 'grow', 30)
      assert.deepEqual(
        [...new Set(seqs)].sort((a, b) => a - b),
        seqs,
      )
      assert.deepEqual(await log.last('grow').then((record) => [record?.seq, textOf(record?.bytes)]), [seqs[29], '29'])
    },
  },
  {
    title: 'partitions are independent, whatever their names are made of',
    async run({ open }) {
      const log = await open()
      const names = awkwardNames.map((name) => `names:${name}`)
      for (const name of names) await fill(log, name, 2, name)
      for (const name of names) {
        const texts = (await collect(log.scan(name, 0))).map(({ bytes }) => textOf(bytes))
        assert.deepEqual(texts, [`${name}0`, `${name}1`])
      }
    },
  },
  {
    title: 'appends to many partitions at once are each acknowledged',
    async run({ open }) {
      const log = await open()
      const chains = await Promise.all(Array.from({ length: 16 }, (_, at) => fill(log, `many-${at}`, 20)))
      for (const [at, seqs] of chains.entries()) {
        assert.deepEqual(seqsOf(await collect(log.scan(`many-${at}`, 0))), seqs)
      }
    },
  },
  {
    title: 'a scan gives the records from its start on, in order, wherever it starts',
    async run({ open }) {
      const log = await open()
      const seqs = await fill(log, 'scan', 12)
      assert.deepEqual(seqsOf(await collect(log.scan('scan', seqs[5]!))), seqs.slice(5))
      assert.deepEqual(seqsOf(await collect(log.scan('scan', seqs[4]! + 1))), seqs.slice(5))
      assert.deepEqual(seqsOf(await collect(log.scan('scan', seqs[11]!))), seqs.slice(11))
      assert.deepEqual(await collect(log.scan('scan', seqs[11]! + 1)), [])
      const texts = (await collect(log.scan('scan', 0))).map(({ bytes }) => textOf(bytes))
      assert.deepEqual(
        texts,
        seqs.map((_, index) => String(index)),
      )
    },
  },
  {
    title: 'a scan of thousands of records is complete',
    async run({ open }) {
      const log = await open()
      const seqs = await fill(log, 'long', 3_000)
      assert.deepEqual(seqsOf(await collect(log.scan('long', 0))), seqs)
    },
  },
  {
    title: 'a scan that is left half-way leaves the log usable',
    async run({ open }) {
      const log = await open()
      const seqs = await fill(log, 'left', 20)
      for await (const { seq } of log.scan('left', 0)) if (seq === seqs[3]) break
      assert.deepEqual(seqsOf(await collect(log.scan('left', seqs[10]!))), seqs.slice(10))
      await fill(log, 'left', 1)
    },
  },
  {
    title: 'records are found by their sequence, and only in their own partition',
    async run({ open }) {
      const log = await open()
      const seqs = await fill(log, 'by-seq', 5)
      const foreign = await fill(log, 'by-seq-other', 1)
      assert.deepEqual(await log.get('by-seq', seqs[3]!).then((record) => [record?.seq, textOf(record?.bytes)]), [
        seqs[3],
        '3',
      ])
      assert.equal(await log.get('by-seq', seqs[4]! + 1_000_000), undefined)
      assert.equal(await log.get('by-seq', 0), undefined)
      if (!seqs.includes(foreign[0]!)) assert.equal(await log.get('by-seq', foreign[0]!), undefined)
    },
  },
  {
    title: 'bytes go in and come out unchanged: none, all values, and as many as a record may hold',
    async run({ open }) {
      const log = await open()
      const largest = new Uint8Array(Math.min(log.maxRecordBytes, 4 << 20)).fill(7)
      let lastSeq = 0
      for (const bytes of [new Uint8Array(0), Uint8Array.from({ length: 256 }, (_, value) => value), largest]) {
        lastSeq = await appended(log.append('bytes', lastSeq, bytes))
        const record = await log.last('bytes')
        assert.deepEqual([record?.seq, Buffer.compare(record!.bytes, bytes)], [lastSeq, 0])
      }
      assert.deepEqual(
        (await collect(log.scan('bytes', 0))).map(({ bytes }) => bytes.length),
        [0, 256, largest.length],
      )
    },
  },
  {
    title: 'a record larger than maxRecordBytes is refused as invalid, and the partition goes on',
    async run({ open }) {
      const log = await open()
      await assertRejects(log.append('too-big', 0, new Uint8Array(log.maxRecordBytes + 1)), 'invalid')
      assert.equal(await log.last('too-big'), undefined)
      await appended(log.append('too-big', 0, bytesOf('fits')))
    },
  },
  {
    title: 'what was stored does not change when the given or a returned array is written to',
    async run({ open }) {
      const log = await open()
      const given = bytesOf('kept')
      await appended(log.append('copies', 0, given))
      given.fill(0)
      const first = await log.last('copies')
      assert.equal(textOf(first?.bytes), 'kept')
      first?.bytes.fill(0)
      assert.equal(textOf((await log.last('copies'))?.bytes), 'kept')
    },
  },
  {
    title: 'L5: trim drops up to the given sequence and nothing else',
    async run({ open }) {
      const log = await open()
      const seqs = await fill(log, 'trim', 10)
      const neighbours = await fill(log, 'trim-neighbour', 3)
      await log.trim('trim', seqs[3]!)
      assert.deepEqual(seqsOf(await collect(log.scan('trim', 0))), seqs.slice(4))
      assert.equal(await log.get('trim', seqs[3]!), undefined)
      assert.equal((await log.get('trim', seqs[4]!))?.seq, seqs[4])
      await log.trim('trim', seqs[3]!)
      await log.trim('trim', 0)
      assert.deepEqual(seqsOf(await collect(log.scan('trim', 0))), seqs.slice(4))
      assert.deepEqual(seqsOf(await collect(log.scan('trim-neighbour', 0))), neighbours)
    },
  },
  {
    title: 'L5: trim never drops the last record, so the chain and its sequences go on behind it',
    async run({ open }) {
      const log = await open()
      const seqs = await fill(log, 'trim-all', 5)
      await log.trim('trim-all', seqs[4]! + 1_000)
      assert.deepEqual(seqsOf(await collect(log.scan('trim-all', 0))), [seqs[4]])
      assert.deepEqual(await log.append('trim-all', 0, bytesOf('no')), { kind: 'refused', lastSeq: seqs[4] })
      assert.ok((await appended(log.append('trim-all', seqs[4]!, bytesOf('next')))) > seqs[4]!)
    },
  },
  {
    // Trimmed records may be back: a trim promises only that nobody needs them.
    title: 'L3: acknowledged records and the end of the chain survive a restart',
    async run({ open, restart }) {
      const before = await open()
      const seqs = await fill(before, 'restart', 20)
      await before.trim('restart', seqs[4]!)
      await restart()
      const log = await open()
      const found = seqsOf(await collect(log.scan('restart', 0)))
      assert.deepEqual(found.slice(-15), seqs.slice(5))
      assert.ok(found.every((seq) => seqs.includes(seq)))
      assert.deepEqual(seqsOf(await collect(log.scan('restart', seqs[5]!))), seqs.slice(5))
      assert.deepEqual(await log.append('restart', seqs[18]!, bytesOf('no')), { kind: 'refused', lastSeq: seqs[19] })
      assert.ok((await appended(log.append('restart', seqs[19]!, bytesOf('after')))) > seqs[19]!)
    },
  },
  {
    title: 'a closed log rejects as unavailable, and others on the same store do not notice',
    async run({ open }) {
      const log = await open()
      const other = await open()
      await log.close()
      await assertRejects(log.append('closed', 0, bytesOf('no')), 'unavailable')
      await assertRejects(log.last('closed'), 'unavailable')
      await appended(other.append('closed', 0, bytesOf('yes')))
    },
  },
]

import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { open } from 'lmdb'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openLmdb } from '@daruma/lmdb'
import { formatVersion, isAlive, thisProcess } from '@daruma/lmdb/internal'
import { bytesOf, textOf } from '@daruma/protocol/testing'
import { temporaryFolder } from '@daruma/lmdb/testing'

const inWorkspace = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** A child process and the lines it has said. */
class Child {
  readonly lines: string[] = []
  readonly process: ChildProcess
  #waiting: (() => void)[] = []

  constructor(task: string, folder: string) {
    this.process = spawn(process.execPath, [inWorkspace('child.mjs'), task, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    createInterface({ input: this.process.stdout! }).on('line', (line) => {
      this.lines.push(line)
      for (const wake of this.#waiting.splice(0)) wake()
    })
  }

  async line(index: number): Promise<string> {
    while (this.lines.length <= index) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return this.lines[index]!
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    const closed = once(this.process, 'close')
    this.process.kill(signal)
    await closed
  }
}

let folder: string
let remove: () => void
let children: Child[] = []

function child(task: string): Child {
  const started = new Child(task, folder)
  children.push(started)
  return started
}

// Children are plain node: they run what is built.
beforeAll(() => {
  const workspace = inWorkspace('../../../')
  const tsc = inWorkspace('../../../node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [tsc, '-b', 'packages/lmdb'], { cwd: workspace, stdio: 'inherit' })
}, 120_000)

beforeEach(() => {
  ;({ folder, remove } = temporaryFolder())
})

afterEach(async () => {
  for (const started of children.splice(0)) await started.kill('SIGKILL')
  remove()
})

describe('one folder, one owner', () => {
  test('a second process is told which process has the folder and what to do', async () => {
    const holder = child('hold')
    await holder.line(0)
    await expect(openLmdb(folder)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(new RegExp(`in use by process ${holder.process.pid}; stop that process, or`)),
      details: { pid: holder.process.pid, folder },
    })
    const third = child('try')
    expect(await third.line(0)).toContain(`error unavailable the data folder ${folder} is in use by process`)
  })

  test('the same process that opens a folder twice is told that it has it already', async () => {
    const store = await openLmdb(folder)
    await expect(openLmdb(folder)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('already open in this process'),
    })
    await store.close()
    await (await openLmdb(folder)).close()
  })

  test('a holder that was stopped by SIGSTOP still has the folder', async () => {
    const holder = child('hold')
    await holder.line(0)
    holder.process.kill('SIGSTOP')
    await expect(openLmdb(folder)).rejects.toMatchObject({ kind: 'unavailable' })
  })

  test('a holder that died by kill -9 does not block the next one', async () => {
    const holder = child('hold')
    await holder.line(0)
    await holder.kill('SIGKILL')
    await (await openLmdb(folder)).close()
  })

  test('of several processes that open a free folder at once, one gets it', async () => {
    const contenders = Array.from({ length: 4 }, () => child('hold'))
    const lines = await Promise.all(contenders.map((contender) => contender.line(0)))
    expect(lines.filter((line) => line.startsWith('open'))).toHaveLength(1)
    expect(lines.filter((line) => line.startsWith('error unavailable'))).toHaveLength(3)
  })

  test('V3: whose folder was taken over writes nothing any more and says so', async () => {
    const store = await openLmdb(folder)
    await store.log.append('p', 0, bytesOf('mine'))
    const usurper = open({ path: folder, overlappingSync: false, maxDbs: 16 })
    const meta = usurper.openDB<unknown, string>({ name: 'meta', encoding: 'json' })
    meta.putSync('holder', { ...(meta.get('holder') as object), token: 'another', pid: 4_242 })
    await expect(store.log.append('p', 1, bytesOf('late'))).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('taken over by process 4242'),
    })
    await expect(store.log.last('p')).rejects.toMatchObject({ kind: 'unavailable' })
    await store.close()
    await usurper.close()
  })

  test('a folder that a newer version wrote is refused with what was found and what to do', async () => {
    const newer = open({ path: folder, overlappingSync: false, maxDbs: 16 })
    newer.openDB<unknown, string>({ name: 'meta', encoding: 'json' }).putSync('format', formatVersion + 1)
    await newer.close()
    await expect(openLmdb(folder)).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringMatching(/written by a newer version \(format 2, this one reads up to 1\); upgrade/),
    })
  })

  test('a folder that cannot be made is unavailable, with the reason', async () => {
    await expect(openLmdb('/dev/null/no')).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('/dev/null/no'),
    })
  })
})

describe('who is alive', () => {
  const me = thisProcess('token')

  test.each([
    ['this process', me, true],
    ['a pid that nobody has', { ...me, pid: 4_194_000 }, false],
    ['this pid, but of a process that began at another time', { ...me, started: 'long ago' }, false],
    ['this pid in another container, boot or machine', { ...me, realm: 'elsewhere' }, false],
  ])('%s: %s', (_, holder, alive) => {
    expect(isAlive(holder)).toBe(alive)
  })
})

describe('kill -9 while appending', () => {
  test.each([1, 2, 3])('round %i: everything that was acknowledged is there, in unbroken chains', async () => {
    const writer = child('append')
    await writer.line(400)
    await writer.kill('SIGKILL')
    const acknowledged = new Map<string, number>()
    for (const line of writer.lines) {
      const [, partition, seq] = /^ack (p\d) (\d+)$/.exec(line) ?? []
      if (partition !== undefined) acknowledged.set(partition, Number(seq))
    }
    const store = await openLmdb(folder)
    for (const [partition, lastSeq] of acknowledged) {
      let seq = 0
      for await (const record of store.log.scan(partition, 0)) {
        seq += 1
        expect(record.seq).toBe(seq)
        expect(textOf(record.bytes)?.startsWith(`${partition}:${seq};`)).toBe(true)
      }
      expect(seq).toBeGreaterThanOrEqual(lastSeq)
      expect(await store.log.append(partition, seq, bytesOf('on'))).toEqual({ kind: 'appended', seq: seq + 1 })
    }
    await store.close()
  })
})

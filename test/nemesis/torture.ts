import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLmdb } from '@daruma/lmdb'
import { openNats } from '@daruma/nats'
import { startLossyProxy, startNatsServer } from '@daruma/nats/testing'
import { seededRng } from '@daruma/protocol'
import { Checker, unexpected, type ReadCommit, type Verdict, type Violation } from './checker.ts'
import { Driver, pause } from './driver.ts'
import { Nemesis, revive, type FaultKind, type Victim } from './faults.ts'
import { readHistory } from './history.ts'
import { rollJob } from './job.ts'
import { readLedger } from './ledger.ts'
import { NodeProcess } from './node-process.ts'
import type { Described, NodeConfig } from './wire.ts'

export interface TortureOptions {
  readonly seed: string
  readonly seconds: number
  readonly store: 'nats' | 'lmdb'
  readonly nodes: number
  /** The nodes form a cluster, so that one reaches workflows that another owns. */
  readonly cluster: boolean
  /** Checkpoints all the time; the checker has what they leave. */
  readonly checkpoint: boolean
  /** Programs are dropped from memory after each turn. */
  readonly evict: boolean
  /** Workflows started in a second. */
  readonly rate: number
  readonly tell: (line: string) => void
}

export interface TortureResult extends Verdict {
  readonly faults: ReadonlyMap<FaultKind, number>
  readonly acknowledged: number
  readonly resent: number
  /** Open when the faults were over and all nodes had been up for a while. Not a violation by itself. */
  readonly openAfterHealing: number
  /** Where everything is kept that explains a violation; undefined: nothing to explain. */
  readonly folder: string | undefined
}

const taskQueue = 'default'
const partitions = 4
const leaseMs = 1_000
const healMs = 20_000
const drainMs = 60_000

/** One life of a world: started, tortured, healed, drained, and held against its history. */
export async function torture(options: TortureOptions): Promise<TortureResult> {
  const { seed, seconds, store, tell } = options
  const folder = mkdtempSync(join(tmpdir(), 'daruma-nemesis-'))
  const ledgerFile = join(folder, 'ledger.jsonl')
  writeFileSync(ledgerFile, '')
  const server = store === 'nats' ? await startNatsServer() : undefined
  const victims: Victim[] = []
  try {
    for (let index = 0; index < (store === 'lmdb' ? 1 : options.nodes); index++) {
      const proxy = server && (await startLossyProxy(server.port))
      const config: NodeConfig = {
        name: `node-${index}`,
        store: proxy === undefined ? { kind: 'lmdb', folder: join(folder, 'lmdb') } : { kind: 'nats', url: proxy.url },
        ...(store === 'nats' && options.cluster ? { cluster: 'nemesis' } : {}),
        ledgerFile,
        partitions,
        leaseMs,
        ...(options.evict ? { maxResident: 0 } : {}),
        ...(options.checkpoint
          ? {
              checkpoint: { everyBytes: 64 << 10, everyCommits: 200, growth: 0.5 },
              retention: { journalBytes: 32 << 10 },
            }
          : { checkpoint: { everyBytes: Number.MAX_SAFE_INTEGER, everyCommits: Number.MAX_SAFE_INTEGER, growth: 1 } }),
      }
      const logFile = join(folder, `${config.name}.log`)
      victims.push({ node: new NodeProcess(config, logFile), twin: new NodeProcess(config, logFile), proxy })
    }
    await Promise.all(victims.map(({ node }) => revive(node)))

    const driver = new Driver(
      victims.map(({ node }) => node),
      seededRng(`${seed} driver`),
    )
    const nemesis = new Nemesis({ victims, server, leaseMs, rng: seededRng(`${seed} faults`), tell })
    const rage = nemesis.rage()
    const jobs = await work(driver, options)
    nemesis.stop()
    await rage
    tell(`${jobs} jobs given out, the faults are over`)
    const violations: Violation[] = []
    const openAfterHealing = await heal(victims, driver, tell)
    const described = await drain(victims, driver, tell, violations)
    for (const { node } of victims) {
      if (!(await node.close(10_000))) violations.push({ guarantee: 'G1', text: `${node.name} did not close in 10 s` })
    }

    tell('reading the history')
    const checker = new Checker()
    for await (const commit of readAll(server?.url, join(folder, 'lmdb'))) checker.take(commit)
    const verdict = checker.verdict(readLedger(ledgerFile), driver.notes)
    violations.push(...verdict.violations, ...compare(driver, described))
    if (violations.length > 0) {
      await keep(folder, {
        notes: driver.notes,
        described,
        violations,
        history: readAll(server?.url, join(folder, 'lmdb')),
      })
    } else {
      rmSync(folder, { recursive: true, force: true })
    }
    return {
      account: verdict.account,
      violations,
      faults: nemesis.counts,
      acknowledged: driver.notes.length,
      resent: driver.resent,
      openAfterHealing,
      folder: violations.length > 0 ? folder : undefined,
    }
  } finally {
    for (const { node, twin, proxy } of victims) {
      await node.kill()
      await twin?.kill()
      await proxy?.close()
      node.release()
      twin?.release()
    }
    await server?.stop()
  }

  /** Gives out jobs at the asked rate, not more than what is still being served allows. */
  async function work(driver: Driver, { rate }: TortureOptions): Promise<number> {
    const rng = seededRng(`${seed} jobs`)
    const endMs = Date.now() + seconds * 1_000
    let number = 0
    while (Date.now() < endMs) {
      if (driver.atWork < rate * 10) void driver.perform(rollJob(rng, ++number))
      await pause(1_000 / rate)
    }
    return number
  }
}

/** Everybody is well again: what can end by itself does. */
async function heal(victims: readonly Victim[], driver: Driver, tell: (line: string) => void): Promise<number> {
  await Promise.all(victims.map(({ node }) => revive(node)))
  const endMs = Date.now() + healMs
  for (;;) {
    const open = await countOpen(victims)
    if (driver.atWork === 0 && open === 0) return 0
    if (Date.now() > endMs) {
      tell(`${open} workflows and ${driver.atWork} clients are still waiting after ${healMs / 1_000} s of peace`)
      return open
    }
    await pause(250)
  }
}

/** The first node inherits everything; then nothing has a reason to be open. */
async function drain(
  victims: readonly Victim[],
  driver: Driver,
  tell: (line: string) => void,
  violations: Violation[],
): Promise<readonly Described[]> {
  const [first, ...others] = victims
  for (const { node } of others) {
    if (!(await node.close(10_000))) violations.push({ guarantee: 'G1', text: `${node.name} did not close in 10 s` })
  }
  const endMs = Date.now() + drainMs
  for (;;) {
    await revive(first!.node)
    const described = await first!.node.ask({ op: 'describe' }, 10_000).then(
      (all) => all as readonly Described[],
      () => undefined,
    )
    const open = described?.filter(({ status }) => status === 'running' || status === 'stuck')
    // It lists what it owns: until it owns everything, some are not in sight.
    const inSight = new Set(described?.map(({ workflow }) => workflow))
    const areAllInSight = driver.notes.every(({ workflow }) => inSight.has(workflow))
    if (described !== undefined && driver.atWork === 0 && open?.length === 0 && areAllInSight) return described
    if (Date.now() > endMs) {
      const missing = driver.notes.filter(({ workflow }) => !inSight.has(workflow)).length
      tell(
        `${open?.length ?? '?'} workflows never ended, ${driver.atWork} clients were never answered, ${missing} notes are about workflows that nobody lists`,
      )
      if (driver.atWork > 0) violations.push({ guarantee: 'G1', text: `${driver.atWork} clients were never answered` })
      driver.giveUp()
      return described ?? []
    }
    await pause(250)
  }
}

async function countOpen(victims: readonly Victim[]): Promise<number> {
  const counts = await Promise.all(
    victims.map(({ node }) => node.ask({ op: 'open' }, 2_000).then(Number, () => Number.POSITIVE_INFINITY)),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}

async function* readAll(url: string | undefined, folder: string): AsyncIterable<ReadCommit> {
  const store = url === undefined ? await openLmdb(folder) : await openNats({ servers: url })
  const log = typeof store.log === 'function' ? await store.log(taskQueue) : store.log
  try {
    yield* readHistory(log, taskQueue, partitions)
  } finally {
    await store.close()
  }
}

/** What the last owner says of the workflows is what their clients must have been promised. */
function compare(driver: Driver, described: readonly Described[]): Violation[] {
  const known = new Map(described.map((each) => [each.workflow, each]))
  return driver.notes.flatMap((note): Violation[] => {
    if (note.kind !== 'started') return []
    const found = known.get(note.workflow)
    const problem = found === undefined ? 'no node knows of it' : unexpected(found, note.expected)
    return problem === undefined ? [] : [{ guarantee: 'G1', text: `${note.workflow}, as it is described: ${problem}` }]
  })
}

/** One file of lines for each thing that may explain a violation. */
async function keep(folder: string, things: Record<string, Iterable<unknown> | AsyncIterable<unknown>>): Promise<void> {
  for (const [name, items] of Object.entries(things)) {
    const file = openSync(join(folder, `${name}.jsonl`), 'w')
    for await (const item of items) writeSync(file, `${JSON.stringify(item, withoutBytes)}\n`)
    closeSync(file)
  }
}

/** Entries stand decoded beside their bytes. */
function withoutBytes(key: string, value: unknown): unknown {
  return key === 'entries' ? undefined : value
}

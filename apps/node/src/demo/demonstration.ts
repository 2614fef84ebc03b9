import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { formatDurationMs, seededRng, systemClock, type Outcome } from '@daruma/protocol'
import { Account, bold, dim, green, red } from './account.ts'
import type { LedgerLine } from './messages.ts'
import { NodeUnderTest } from './node-under-test.ts'
import { stages, type Stage } from './stages.ts'

export interface DemonstrationOptions {
  readonly appFolder: string
  /** Undefined: the embedded journal. */
  readonly nats: string | undefined
  readonly timeScale: number
  /** Further kills at random moments, over all orders at once, after the stages. */
  readonly randomKills: number
  readonly seed: string
}

interface Verdict {
  readonly order: string
  readonly isRight: boolean
  readonly outcome: Outcome
}

/**
 * Starts orders, kills the node in the middle of each stage, starts it again, and compares every end with what it must
 * be. Resolves with whether all was right.
 */
export async function demonstrate(options: DemonstrationOptions): Promise<boolean> {
  const clock = systemClock()
  const work = mkdtempSync(join(tmpdir(), 'daruma-'))
  const ledger = join(work, 'ledger.jsonl')
  const account = new Account(() => clock.monotonicMs())
  const startMs = clock.monotonicMs()
  let events = 0
  let kills = 0
  const begin = async (): Promise<NodeUnderTest> => {
    const beginMs = clock.monotonicMs()
    const node = await NodeUnderTest.begin({
      ...options,
      dataFolder: join(work, 'node'),
      ledger,
      onNotice: (notice) => {
        if (notice.kind === 'recorded') events++
        account.notice(notice)
      },
    })
    account.back(
      clock.monotonicMs() - beginMs,
      `${node.where}, acknowledged = survives ${node.durability === 'disk' ? 'power loss' : 'kill -9'}`,
    )
    return node
  }

  account.plain(bold('Daruma: orders that get up each time they are knocked down'))
  account.plain(
    dim(
      `The time of workflows runs ${options.timeScale} times as fast as the clock (--set workflow.time_scale=${options.timeScale}): 24 hours pass in ${formatDurationMs(Math.round(86_400_000 / options.timeScale))}.`,
    ),
  )
  try {
    const verdicts: Verdict[] = []
    let node = await begin()
    for (const [at, stage] of stages.entries()) {
      account.title(`${at + 1}. ${stage.title}`)
      node.order({ kind: 'kill_at', order: stage.order, point: stage.kill })
      await node.start(stage.order, stage.type, stage.args)
      await node.exited
      kills++
      account.killed(stage.killWords)
      node = await begin()
      // A start that was never acknowledged is asked for again; one that was, meets itself.
      await node.start(stage.order, stage.type, stage.args)
      if (stage.signal !== undefined) node.order({ kind: 'signal', order: stage.order, ...stage.signal })
      const outcome = (await node.ended(stage.order)) ?? { error: { kind: 'internal', message: 'the node ended' } }
      const verdict = { order: stage.order, isRight: isRight(stage, outcome), outcome }
      account.ended(stage.order, outcome, verdict.isRight)
      verdicts.push(verdict)
    }
    if (options.randomKills > 0) {
      const random = await randomRound(options, account, node, begin)
      node = random.node
      kills += options.randomKills
      verdicts.push(...random.verdicts)
    }
    await node.stop()
    return summarize(verdicts, ledger, { kills, events, durationMs: clock.monotonicMs() - startMs })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** All orders at once, and the node killed whenever the dice say so. */
async function randomRound(
  { randomKills, seed }: DemonstrationOptions,
  account: Account,
  first: NodeUnderTest,
  begin: () => Promise<NodeUnderTest>,
): Promise<{ node: NodeUnderTest; verdicts: Verdict[] }> {
  const clock = systemClock()
  const rng = seededRng(seed)
  const round = stages.map((stage) => ({ ...stage, order: `${stage.order}-again` }))
  account.title(
    `${stages.length + 1}. All of them at once, killed ${randomKills} times at random moments (seed ${seed})`,
  )
  let node = first
  const startAll = async (): Promise<void> => {
    await Promise.all(round.map(({ order, type, args }) => node.start(order, type, args)))
    for (const { order, signal } of round) if (signal !== undefined) node.order({ kind: 'signal', order, ...signal })
  }
  for (let kill = 0; kill < randomKills; kill++) {
    const victim = node
    const delayMs = 50 + rng.next() * 1_500
    const died = new Promise<void>((resolve) => {
      clock.after(delayMs, () => void victim.kill().then(resolve))
    })
    await Promise.race([startAll(), died])
    await died
    account.killed(`at a random moment, ${Math.round(delayMs)} ms after the node was up`)
    node = await begin()
  }
  await startAll()
  const verdicts: Verdict[] = []
  for (const stage of round) {
    const outcome = (await node.ended(stage.order)) ?? {
      error: { kind: 'internal' as const, message: 'the node ended' },
    }
    const verdict = { order: stage.order, isRight: isRight(stage, outcome), outcome }
    account.ended(stage.order, outcome, verdict.isRight)
    verdicts.push(verdict)
  }
  return { node, verdicts }
}

function isRight(stage: Stage, outcome: Outcome): boolean {
  return 'error' in stage.expected
    ? outcome.error?.message === stage.expected.error
    : outcome.error === undefined && isDeepStrictEqual(outcome.value ?? null, stage.expected.result)
}

function summarize(
  verdicts: readonly Verdict[],
  ledger: string,
  totals: { kills: number; events: number; durationMs: number },
): boolean {
  const lines = existsSync(ledger)
    ? readFileSync(ledger, 'utf8')
        .trim()
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as LedgerLine)
    : []
  const byTarget = new Map<string, Map<string, number>>()
  for (const { target, key } of lines) {
    const keys = byTarget.get(target) ?? new Map<string, number>()
    keys.set(key, (keys.get(key) ?? 0) + 1)
    byTarget.set(target, keys)
  }
  process.stdout.write(`\n${bold('Summary')}\n`)
  process.stdout.write(`  ${'activity'.padEnd(32)} ${'calls'.padStart(6)} ${'executions'.padStart(11)}\n`)
  for (const [target, keys] of byTarget) {
    const executions = [...keys.values()].reduce((sum, count) => sum + count, 0)
    const again = executions - keys.size
    process.stdout.write(
      `  ${target.padEnd(32)} ${String(keys.size).padStart(6)} ${String(executions).padStart(11)}${again === 0 ? '' : dim(`   ${again} again, with the same key, after a kill`)}\n`,
    )
  }
  process.stdout.write('\n')
  for (const { order, isRight: right, outcome } of verdicts) {
    const text = outcome.error === undefined ? JSON.stringify(outcome.value ?? null) : `error: ${outcome.error.message}`
    process.stdout.write(`  ${right ? green('✓') : red('✗')} ${order.padEnd(20)} ${text}\n`)
  }
  const wrong = verdicts.filter((verdict) => !verdict.isRight).length
  const callsAreRight = callsMatch(verdicts, lines)
  process.stdout.write(
    `\n  ${verdicts.length} orders, ${totals.kills} kills, ${totals.events} journal events, ${(totals.durationMs / 1_000).toFixed(1)} s: ${
      wrong === 0 && callsAreRight
        ? green(bold('every order ended as it must'))
        : red(bold(`${wrong} ended wrongly${callsAreRight ? '' : ', and calls are missing or too many'}`))
    }\n`,
  )
  return wrong === 0 && callsAreRight
}

/** Every order made exactly its calls: each under one key, however often that key was executed. */
function callsMatch(verdicts: readonly Verdict[], lines: readonly LedgerLine[]): boolean {
  return verdicts.every(({ order }) => {
    const stage = stages.find((each) => order === each.order || order === `${each.order}-again`)!
    const keys = new Map<string, string>()
    for (const { workflow, key, target } of lines)
      if (workflow === order || workflow.startsWith(`${order}/`)) keys.set(key, target)
    return isDeepStrictEqual([...keys.values()].toSorted(), [...stage.calls].toSorted())
  })
}

import type { TestSystem } from '@daruma/actors/testing'
import type { ExitReason } from '@daruma/protocol'
import { exitKill, exitNormal, exitShutdown } from '@daruma/protocol'
import type { Strategy } from '../child-spec.ts'
import { whichChildren } from '../manage.ts'
import type { RestartType } from '../restart.ts'
import { startSupervisor } from '../supervisor.ts'
import { unstable } from './unstable.ts'

/** One cell: of a, b, c under `strategy`, b has restart type `type` and ends with `reason`. */
export interface GridRow {
  readonly strategy: Strategy
  readonly type: RestartType
  readonly reason: ExitReason | 'crash'
  readonly title: string
  /** Whose processes are new afterwards. */
  readonly restarted: readonly string[]
  /** Who is in the table afterwards; b without a process is `b?`. */
  readonly table: readonly string[]
}

const reasons: readonly (readonly [string, ExitReason | 'crash', isQuiet: boolean])[] = [
  ['normal', exitNormal, true],
  ['shutdown', exitShutdown, true],
  ['shutdown with a detail', { kind: 'shutdown', detail: 'done' }, true],
  ['an error', 'crash', false],
  ['a kill', exitKill, false],
  ['a reason of its own', { kind: 'custom', value: 'bored' }, false],
]
const together: Readonly<Record<Strategy, readonly string[]>> = {
  one_for_one: ['b'],
  one_for_all: ['a', 'b', 'c'],
  rest_for_one: ['b', 'c'],
}

/** Every strategy with every restart type and every kind of end (rules 50, 54). */
export const restartGrid: readonly GridRow[] = (['one_for_one', 'one_for_all', 'rest_for_one'] as const).flatMap(
  (strategy) =>
    (['permanent', 'transient', 'temporary'] as const).flatMap((type) =>
      reasons.map(([words, reason, quiet]) => {
        const restarts = type === 'permanent' || (type === 'transient' && !quiet)
        const table = restarts ? ['a', 'b', 'c'] : type === 'temporary' ? ['a', 'c'] : ['a', 'b?', 'c']
        const restarted = restarts ? together[strategy] : []
        const then = restarts ? `restarts ${restarted.join(', ')}` : `leaves ${table.join(', ')}`
        return {
          strategy,
          type,
          reason,
          restarted,
          table,
          title: `${strategy}: a ${type} child that ends with ${words} ${then}`,
        }
      }),
    ),
)

/** Plays one cell on a system and says what came of it, in the terms of the row. */
export async function runRestartGrid(
  test: TestSystem,
  { strategy, type, reason }: GridRow,
): Promise<Pick<GridRow, 'restarted' | 'table'>> {
  const { system } = test
  const children = ['a', 'b', 'c'].map((id) => ({
    id,
    start: unstable(id),
    restart: id === 'b' ? type : ('permanent' as const),
  }))
  const starting = startSupervisor(system, { strategy, children })
  await test.runUntilIdle()
  const top = await starting
  const before = await whichChildren(system, top)
  const victim = before.find(({ id }) => id === 'b')!.pid!
  if (reason === 'crash') system.send(victim, { kind: 'crash' })
  else if (reason.kind === 'kill') system.exit(victim, reason)
  else system.send(victim, { kind: 'exit', reason })
  await test.runUntilIdle()
  const after = await whichChildren(system, top)
  return {
    restarted: after
      .filter(({ pid }) => pid !== undefined && !before.some((old) => old.pid === pid))
      .map(({ id }) => id),
    table: after.map(({ id, pid }) => (pid === undefined ? `${id}?` : id)),
  }
}

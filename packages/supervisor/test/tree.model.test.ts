import { TestSystem } from '@daruma/actors/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { StartAct, StopAct } from '../src/testing.ts'
import type { Branch, Move, Node, Restart } from './forest.ts'
import { Forest } from './forest.ts'
import { checkAsyncProperty } from './property.ts'

const anyRestart = fc.constantFrom<Restart>('permanent', 'permanent', 'transient', 'temporary')
const stubborn = fc.constantFrom<StopAct>('obey', 'ignore', 'unlink', 40, { kind: 'custom', value: 'wrong' })

/** Where supervisors are killed, children have to end with them: one that ignores its parent's end is an orphan by will. */
function anyNode(depth: number, stop: fc.Arbitrary<StopAct>): fc.Arbitrary<Node> {
  const leaf: fc.Arbitrary<Node> = fc.record({
    kind: fc.constant('leaf' as const),
    restart: anyRestart,
    starts: fc
      .array(fc.constantFrom<StartAct>('ok', 'ok', 'throw', 30, 'ignore'), { maxLength: 4 })
      .map((rest) => ['ok' as const, ...rest]),
    stop,
    shutdownMs: fc.constantFrom<number | 'brutal_kill'>(20, 100, 'brutal_kill'),
    backoffMs: fc.constantFrom(undefined, undefined, 50, 500),
  })
  if (depth === 0) return leaf
  const pool: fc.Arbitrary<Node> = fc.record({ kind: fc.constant('pool' as const), restart: anyRestart })
  return fc.oneof(
    { weight: 3, arbitrary: leaf },
    { weight: 3, arbitrary: anyBranch(depth - 1, stop) },
    { weight: 1, arbitrary: pool },
  )
}

function anyBranch(depth: number, stop: fc.Arbitrary<StopAct>): fc.Arbitrary<Branch> {
  return fc.record({
    kind: fc.constant('branch' as const),
    strategy: fc.constantFrom('one_for_one', 'one_for_all', 'rest_for_one'),
    intensity: fc.nat(4),
    restart: anyRestart,
    children: fc.array(anyNode(depth, stop), { minLength: 1, maxLength: 4 }),
  })
}

const anyRun = fc.boolean().chain((killsSupervisors) =>
  fc.record({
    killsSupervisors: fc.constant(killsSupervisors),
    root: anyBranch(2, killsSupervisors ? fc.constant<StopAct>('obey') : stubborn),
    seed: fc.string({ maxLength: 8 }),
    moves: fc.array(
      fc.oneof(
        {
          weight: 5,
          arbitrary: fc.record({ kind: fc.constantFrom('crash', 'crash', 'exit', 'kill'), victim: fc.nat(1_000) }),
        },
        { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.constantFrom(0, 15, 60, 700, 7_000) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('add'), pool: fc.nat(100) }) },
      ) as fc.Arbitrary<Move>,
      { maxLength: 20 },
    ),
  }),
)

test('any tree under any crashes, kills and additions keeps its invariants, and stops in order and in time', async () => {
  await checkAsyncProperty(
    fc.asyncProperty(anyRun, async ({ root, seed, moves, killsSupervisors }) => {
      await using stage = new TestSystem({ seed })
      const forest = new Forest(stage)
      await forest.start(root)
      for (const move of moves) {
        await forest.play(move, killsSupervisors)
        expect(forest.problems(killsSupervisors)).toEqual([])
        if (!forest.isAlive) break
      }
      expect(await forest.stop()).toEqual([])
    }),
    200,
  )
})

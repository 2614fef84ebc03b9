import type { Behavior } from '@daruma/actors'
import { next } from '@daruma/actors'
import { TestSystem } from '@daruma/actors/testing'
import type { ExitReason, Pid } from '@daruma/protocol'
import { seededRng, systemRng } from '@daruma/protocol'
import { expect, test } from 'vitest'
import type { ChildSpec, SupervisorNode } from '../src/index.ts'
import { startSupervisor, supervisionTree, supervisor } from '../src/index.ts'

const minutes = 10
const strategies = ['one_for_one', 'one_for_all', 'rest_for_one'] as const
const worker: Behavior<'crash' | 'leave', undefined> = {
  name: 'worker',
  receive(_ctx, message) {
    if (message === 'crash') throw new Error('crash')
    return next.stop({ kind: 'normal' })
  },
}

/** Three levels: 10 supervisors of 10 supervisors of 10 workers. */
const tree = (): ChildSpec[] =>
  ten((high) => ({
    id: `${high}`,
    start: supervisor({
      intensity: 'unlimited',
      children: ten((low) => ({
        id: `${high}.${low}`,
        start: supervisor({
          strategy: strategies[low % 3]!,
          children: ten((leaf) => ({ id: `${high}.${low}.${leaf}`, start: worker })),
        }),
      })),
    }),
  }))
const ten = <T>(make: (at: number) => T): T[] => Array.from({ length: 10 }, (_, at) => make(at))

test('a tree of three levels with 1,000 children survives 10 minutes of random kills', async () => {
  const seed = process.env.DARUMA_SEED ?? String(Math.floor(systemRng().next() * 2 ** 31))
  console.log(`soak: DARUMA_SEED=${seed}`)
  await using stage = new TestSystem({ seed })
  const { system } = stage
  const rng = seededRng(seed)
  const starting = startSupervisor(system, { intensity: 'unlimited', children: tree() })
  await stage.runUntilIdle()
  const root = await starting
  let living = system.processes()
  for (let second = 0; second < minutes * 60; second++) {
    const victim = living[1 + Math.floor(rng.next() * (living.length - 1))]!
    const dice = rng.next()
    const reason: ExitReason = dice < 0.5 ? { kind: 'kill' } : { kind: 'custom', value: 'poke' }
    if (dice < 0.7) system.exit(victim, reason)
    else system.cast(victim, dice < 0.9 ? 'crash' : 'leave')
    await stage.advance(1_000)
    living = system.processes()
    if (second % 60 === 59) check(stage, root)
    stage.events.length = 0
    stage.logs.length = 0
  }
  check(stage, root)
})

function check({ system }: TestSystem, root: Pid): void {
  const ids: string[] = []
  const pids = new Set<string>()
  const collect = (node: SupervisorNode): void => {
    pids.add(String(node.pid))
    for (const child of node.children) {
      ids.push(child.id)
      expect(`${child.id} ${child.phase}`).toBe(`${child.id} running`)
      if (child.supervisor !== undefined) collect(child.supervisor)
      else pids.add(String(child.pid))
    }
  }
  collect(supervisionTree(system, root)!)
  expect(ids).toHaveLength(1_110)
  expect(new Set(ids).size).toBe(1_110)
  // No orphan, and nobody who is listed is dead.
  expect(new Set(system.processes().map(String))).toEqual(pids)
}

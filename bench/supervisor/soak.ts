import type { ActorSystem, Behavior } from '@daruma/actors'
import { createSystem, next } from '@daruma/actors'
import type { ExitReason, Pid } from '@daruma/protocol'
import { seededRng } from '@daruma/protocol'
import type { ChildSpec, SupervisorNode } from '@daruma/supervisor'
import { startSupervisor, supervisionTree, supervisor } from '@daruma/supervisor'
import { scaledMs, type Measurement } from '../harness.ts'

// Ten minutes: DARUMA_SOAK_MS=600000 node bench/run.mjs supervisor/soak --once
const soakMs = Number(process.env.DARUMA_SOAK_MS ?? scaledMs(3_000))
const seed = process.env.DARUMA_SEED ?? String(process.pid)
const strategies = ['one_for_one', 'one_for_all', 'rest_for_one'] as const

const worker: Behavior<'crash' | 'leave', undefined> = {
  receive(_ctx, message) {
    if (message === 'crash') throw new Error('crash')
    return next.stop({ kind: 'normal' })
  },
}

/** Three levels: 10 supervisors of 10 supervisors of 10 workers. */
function tree(): ChildSpec[] {
  return Array.from({ length: 10 }, (_, high) => ({
    id: `${high}`,
    start: supervisor({
      strategy: 'one_for_one',
      intensity: 'unlimited',
      children: Array.from({ length: 10 }, (_, low) => ({
        id: `${high}.${low}`,
        start: supervisor({
          strategy: strategies[low % 3]!,
          intensity: 50,
          periodMs: 1_000,
          children: Array.from({ length: 10 }, (_, leaf) => ({ id: `${high}.${low}.${leaf}`, start: worker })),
        }),
      })),
    }),
  }))
}

/** Everything below the root: how many of each id, and every pid that a supervisor knows. */
function collect(node: SupervisorNode, ids: string[], pids: Pid[]): void {
  pids.push(node.pid)
  for (const child of node.children) {
    ids.push(child.phase === 'running' ? child.id : `${child.id} ${child.phase}`)
    if (child.supervisor !== undefined) collect(child.supervisor, ids, pids)
    else if (child.pid !== undefined) pids.push(child.pid)
  }
}

function check(system: ActorSystem, root: Pid): void {
  const ids: string[] = []
  const pids: Pid[] = []
  collect(supervisionTree(system, root)!, ids, pids)
  const distinct = new Set(ids)
  const wrong = ids.filter((id) => id.includes(' '))
  if (ids.length !== 1_110 || distinct.size !== 1_110)
    throw new Error(`${ids.length} children, ${distinct.size} ids (seed ${seed})`)
  if (wrong.length > 0) throw new Error(`not running: ${wrong.join(', ')} (seed ${seed})`)
  const known = new Set(pids.map(String))
  const orphans = system.processes().filter((pid) => !known.has(String(pid)))
  if (orphans.length > 0) throw new Error(`orphans: ${orphans.join(', ')} (seed ${seed})`)
  if (pids.some((pid) => !system.isAlive(pid))) throw new Error(`a child that is listed is dead (seed ${seed})`)
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Kills at random for `soakMs`, then lets the tree settle and checks that it is whole. */
export async function run(): Promise<Measurement> {
  const system = createSystem()
  const rng = seededRng(seed)
  const root = await startSupervisor(system, { intensity: 'unlimited', children: tree() })
  const untilMs = performance.now() + soakMs
  let kills = 0
  while (performance.now() < untilMs) {
    const victims = system.processes().filter((pid) => pid !== root)
    for (let burst = 0; burst < 20; burst++) {
      const victim = victims[Math.floor(rng.next() * victims.length)]!
      const dice = rng.next()
      const reason: ExitReason = dice < 0.5 ? { kind: 'kill' } : { kind: 'custom', value: 'poke' }
      if (dice < 0.7) system.exit(victim, reason)
      else system.cast(victim, dice < 0.9 ? 'crash' : 'leave')
      kills++
    }
    await pause(5)
  }
  await pause(1_500)
  check(system, root)
  const ended = system.exited(root)
  system.exit(root, { kind: 'shutdown' })
  await ended
  if (system.processes().length > 0) throw new Error('not all ended')
  return {
    name: `kills survived in ${soakMs / 1_000} s, tree of 1,110`,
    unit: 'kills/s',
    value: (kills / soakMs) * 1_000,
  }
}

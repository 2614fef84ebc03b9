import { exitNormal, exitShutdown, isQuiet } from '@daruma/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RestartType } from '../src/restart.ts'
import type { Strategy } from '../src/child-spec.ts'
import type { Effect } from '../src/effects.ts'
import { checkProperty } from './property.ts'
import type { StartPlan, StopPlan } from './world.ts'
import { crash, World } from './world.ts'

interface ModelChild {
  readonly restart: RestartType
  readonly shutdownMs: number | 'brutal_kill'
  readonly backoffMs: number | undefined
  readonly stop: StopPlan
  /** How its first, second, ... start goes; then `ok`. The first always goes well. */
  readonly starts: readonly StartPlan[]
}

type Move =
  | { readonly kind: 'crash'; readonly child: number; readonly quietly: boolean }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'terminate_child' | 'restart_child' | 'delete_child'; readonly child: number }
  | { readonly kind: 'start_child'; readonly child: number }

const anyChild: fc.Arbitrary<ModelChild> = fc.record({
  restart: fc.constantFrom('permanent', 'transient', 'temporary'),
  shutdownMs: fc.constantFrom<number | 'brutal_kill'>(0, 50, 500, 'brutal_kill'),
  backoffMs: fc.constantFrom(undefined, undefined, 30, 300),
  stop: fc.constantFrom<StopPlan>('obey', 'obey', 'ignore', 'late', 'normal', 'crash'),
  starts: fc.array(fc.constantFrom<StartPlan>('ok', 'ok', 'late', 'fail', 'late_fail', 'ignore'), { maxLength: 6 }),
})

const anyMove: fc.Arbitrary<Move> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('crash'), child: fc.nat(5), quietly: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.constantFrom(0, 1, 45, 350, 2_000, 7_000) }) },
  fc.record({
    kind: fc.constantFrom('terminate_child', 'restart_child', 'delete_child', 'start_child'),
    child: fc.nat(5),
  }),
)

const anyTree = fc.record({
  strategy: fc.constantFrom<Strategy>('one_for_one', 'one_for_all', 'rest_for_one'),
  intensity: fc.nat(4),
  children: fc.array(anyChild, { minLength: 1, maxLength: 6 }),
})

test('any children, crashes, failing starts and requests keep every invariant of a supervisor', () => {
  checkProperty(
    fc.property(anyTree, fc.array(anyMove, { maxLength: 40 }), (tree, moves) => {
      const names = tree.children.map((_, at) => `c${at}`)
      const childOf = (id: string): ModelChild => tree.children[names.indexOf(id)]!
      const specs = tree.children.map(({ restart, shutdownMs, backoffMs }, at) => ({
        id: names[at]!,
        restart,
        shutdownMs,
        ...(backoffMs === undefined ? {} : { backoff: { initialMs: backoffMs, stableMs: 1_000 } }),
      }))
      const world = new World(
        { strategy: tree.strategy, intensity: tree.intensity, children: specs },
        {
          start: (id, times) => (times === 1 ? 'ok' : (childOf(id).starts[times - 2] ?? 'ok')),
          stop: (id) => childOf(id).stop,
        },
      )
      const invariants = watch(world, tree.intensity)
      world.open()
      expect(world.opened).toBe(true)
      expect(world.log).toEqual(names.map((name) => `start ${name}`))
      for (const move of moves) {
        play(world, move, names, specs)
        invariants()
        if (world.exit !== undefined) break
      }
      close(world, tree.children)
      invariants()
    }),
    600,
  )
})

function play(world: World, move: Move, names: readonly string[], specs: readonly { readonly id: string }[]): void {
  if (move.kind === 'wait') return world.clock.advance(move.ms)
  const id = names[move.child % names.length]!
  if (move.kind === 'crash') world.crash(id, move.quietly ? exitNormal : crash)
  else if (move.kind === 'start_child') {
    world.request({ kind: 'start_child', spec: world.spec(specs[move.child % specs.length]!) })
  } else world.request({ kind: move.kind, id })
}

/** Stops the supervisor and checks that it ends in time, in order, and alone. */
function close(world: World, children: readonly ModelChild[]): void {
  const order = [...world.state.children.keys()]
  const wasBusy = world.state.activity?.current?.id
  const fromLog = world.log.length
  world.tell({ kind: 'close', reason: exitShutdown })
  const boundMs = children.reduce((sum, { shutdownMs }) => sum + (shutdownMs === 'brutal_kill' ? 0 : shutdownMs), 0)
  world.clock.advance(boundMs)
  expect(world.exit).toEqual(exitShutdown)
  expect(world.living).toEqual([])
  if (world.log.length === fromLog) return
  const stops = world.log
    .slice(fromLog)
    .filter((line) => line.startsWith('stop '))
    .map((line) => line.slice(5))
  const expected = order.filter((id) => stops.includes(id) && id !== wasBusy).reverse()
  expect(stops.filter((id) => id !== wasBusy)).toEqual(expected)
}

/** Checks before every effect; what comes back checks the whole. */
function watch(world: World, intensity: number): () => void {
  const { state } = world
  const orders = (): string[] => [...state.children.keys()]
  const counted: number[] = []
  let exits = 0
  world.watch = (effect: Effect) => {
    if (effect.kind === 'start') {
      // No child runs twice, and where all of a group start, none that comes later runs before.
      expect(world.running(effect.child.id)).toBeUndefined()
      expect(effect.child.phase).toBe('starting')
      const purpose = state.activity?.purpose.kind
      const later = orders().slice(orders().indexOf(effect.child.id) + 1)
      if ((purpose === 'restart' && state.strategy !== 'one_for_one') || purpose === 'open') {
        expect(later.filter((id) => world.running(id) !== undefined)).toEqual([])
      }
    }
    if (effect.kind === 'report' && effect.report.kind === 'crash') {
      expect(effect.report.reason).toBeDefined()
      if (effect.report.nextDelayMs !== undefined) counted.push(Math.floor(world.clock.monotonicMs() / 1_000))
    }
    if (effect.kind === 'exit') exits++
  }
  return () => {
    const running = [...state.children.values()].filter(({ phase }) => phase === 'running')
    const known = [...state.children.values()].filter(({ pid }) => pid !== undefined).map(({ id }) => id)
    // No orphan: whatever lives is in the table.
    for (const id of world.living) expect(known).toContain(id)
    expect(new Set(world.living).size).toBe(world.living.length)
    // S3, and every running child has a process or an end that waits to be judged.
    if (state.activity === undefined) expect(state.deferred.length).toBe(0)
    for (const child of running) expect(world.running(child.id) !== undefined || child.ended !== undefined).toBe(true)
    // Waits for something, always: a child that is to be restarted has a delay, or a pivot that has one.
    const waits = [...state.children.values()].some(({ retry }) => retry !== undefined)
    const restarting = [...state.children.values()].some(({ phase }) => phase === 'restarting')
    if (restarting && world.exit === undefined) expect(waits || state.activity !== undefined).toBe(true)
    for (const at of counted) {
      expect(counted.filter((other) => other <= at && other >= at - 5).length).toBeLessThanOrEqual(intensity)
    }
    expect(exits).toBe(world.exit === undefined ? 0 : 1)
    for (const { kind, reason, child } of world.reports) {
      if (kind === 'crash')
        expect(isQuiet(reason!) && world.state.children.get(child!)?.spec.restart === 'transient').toBe(false)
    }
  }
}

import { exitNormal, exitShutdown } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { crash, World } from './world.ts'

const abc = [{ id: 'a' }, { id: 'b' }, { id: 'c' }]
const open = (spec: ConstructorParameters<typeof World>[0], plan?: ConstructorParameters<typeof World>[1]): World =>
  new World(spec, plan).open()
const kinds = (world: World): string[] => world.reports.map(({ kind, child }) => `${kind} ${child}`)

describe('who moves when b of a, b, c crashes (rule 54)', () => {
  test.each([
    ['one_for_one', ['end b', 'start b']],
    ['one_for_all', ['end b', 'stop c', 'end c', 'stop a', 'end a', 'start a', 'start b', 'start c']],
    ['rest_for_one', ['end b', 'stop c', 'end c', 'start b', 'start c']],
  ] as const)('%s', (strategy, log) => {
    const world = open({ strategy, children: abc }).clear()
    world.crash('b')
    expect(world.log).toEqual(log)
    expect(world.state.window.count).toBe(1)
  })

  test.each(['one_for_one', 'one_for_all', 'rest_for_one'] as const)(
    '%s: a transient child that ends quietly and a temporary one that crashes move nobody',
    (strategy) => {
      const children = [
        { id: 'a' },
        { id: 'b', restart: 'transient' },
        { id: 'c', restart: 'temporary' },
        { id: 'd' },
      ] as const
      const world = open({ strategy, children }).clear()
      world.crash('b', exitNormal)
      world.crash('c')
      expect(world.log).toEqual(['end b', 'end c'])
      expect(world.phases()).toEqual({ a: 'running', b: 'stopped', d: 'running' })
      expect(world.state.window.count).toBe(0)
    },
  )

  test.each([
    ['one_for_all', { a: 'running', b: 'running', d: 'running' }],
    ['rest_for_one', { a: 'running', b: 'running', d: 'running' }],
  ] as const)(
    '%s: temporary siblings are stopped and not started, others that were stopped are started',
    (strategy, phases) => {
      const children = [
        { id: 'a' },
        { id: 'b' },
        { id: 'c', restart: 'temporary' },
        { id: 'd', restart: 'transient' },
      ] as const
      const world = open({ strategy, children })
      world.crash('d', exitNormal)
      world.clear().crash('b')
      expect(world.log).not.toContain('start c')
      expect(world.log).toContain('stop c')
      expect(world.phases()).toEqual(phases)
    },
  )
})

describe('a start that fails during a restart (rules 53, 55)', () => {
  test('counts when it is tried again, through the mailbox, and children answer for themselves meanwhile', () => {
    const world = open(
      { intensity: 3, children: abc },
      { start: (id, times) => (id === 'b' && times === 2 ? 'fail' : 'ok') },
    )
    world.crash('b')
    expect(world.phases().b).toBe('restarting')
    expect(world.state.window.count).toBe(1)
    world.clock.advance(0)
    expect(world.phases().b).toBe('running')
    expect(world.state.window.count).toBe(2)
  })

  test('one_for_all: those restarted so far are stopped again, and the whole is retried', () => {
    const plan = {
      start: (id: string, times: number) => (id === 'c' && times === 2 ? ('fail' as const) : ('ok' as const)),
    }
    const world = open({ strategy: 'one_for_all', intensity: 3, children: abc }, plan).clear()
    world.crash('a')
    expect(world.log.slice(-7)).toEqual(['start a', 'start b', 'start c', 'stop b', 'end b', 'stop a', 'end a'])
    world.clear().clock.advance(0)
    expect(world.log).toEqual(['start a', 'start b', 'start c'])
    expect(world.state.window.count).toBe(2)
  })

  test('rest_for_one: those before the one that failed stay, it and the rest are retried', () => {
    const plan = {
      start: (id: string, times: number) => (id === 'b' && times === 2 ? ('fail' as const) : ('ok' as const)),
    }
    const world = open({ strategy: 'rest_for_one', intensity: 3, children: abc }, plan).clear()
    world.crash('a')
    expect(world.phases()).toEqual({ a: 'running', b: 'restarting', c: 'restarting' })
    world.clear().clock.advance(0)
    expect(world.log).toEqual(['start b', 'start c'])
  })

  test('that never succeeds uses up the intensity', () => {
    const world = open(
      { intensity: 5, children: abc },
      { start: (id, times) => (id === 'b' && times > 1 ? 'fail' : 'ok') },
    )
    world.crash('b')
    while (world.clock.advanceToNext());
    expect(world.exit).toEqual(exitShutdown)
    expect(world.log.filter((line) => line === 'start b')).toHaveLength(6)
  })

  test('terminate_child ends the retries; the spec stays', () => {
    const world = open(
      { intensity: 3, children: abc },
      { start: (id, times) => (id === 'b' && times > 1 ? 'fail' : 'ok') },
    )
    world.crash('b')
    expect(world.ask({ kind: 'restart_child', id: 'b' })).toEqual({ kind: 'restarting' })
    expect(world.ask({ kind: 'delete_child', id: 'b' })).toEqual({ kind: 'restarting' })
    expect(world.ask({ kind: 'terminate_child', id: 'b' })).toEqual({ kind: 'ok' })
    expect(world.clock.pending).toBe(0)
    expect(world.phases().b).toBe('stopped')
  })

  test('a group whose failing child is terminated goes on without it', () => {
    const plan = {
      start: (id: string, times: number) => (id === 'b' && times === 2 ? ('fail' as const) : ('ok' as const)),
    }
    const world = open({ strategy: 'one_for_all', intensity: 3, children: [...abc] }, plan)
    world.crash('a')
    world.ask({ kind: 'terminate_child', id: 'b' })
    world.clock.advance(0)
    expect(world.phases()).toMatchObject({ a: 'running', c: 'running' })
  })
})

test('S5: a retry that arrives after its child was started another way starts nobody', () => {
  const world = open(
    { intensity: 9, children: abc },
    { start: (id, times) => (id === 'b' && times === 2 ? 'fail' : 'ok') },
  )
  world.crash('b')
  const child = world.state.children.get('b')!
  const retry = child.retry!
  world.ask({ kind: 'terminate_child', id: 'b' })
  world.ask({ kind: 'restart_child', id: 'b' })
  world.clear().tell({ kind: 'retry', child, retry })
  expect(world.log).toEqual([])
  expect(world.state.window.count).toBe(1)
})

describe('giving up (rule 52)', () => {
  test('stops all children in reverse and exits with shutdown', () => {
    const world = open({ intensity: 0, children: abc }).clear()
    world.crash('b')
    expect(world.log).toEqual(['end b', 'stop c', 'end c', 'stop a', 'end a', 'exit shutdown'])
    expect(world.exit).toEqual(exitShutdown)
    expect(kinds(world)).toEqual(['crash b', 'escalation b'])
    expect(world.reports[1]).toMatchObject({ restartsInWindow: 1, reason: crash })
  })
})

describe('backoff (ours)', () => {
  const backoff = { initialMs: 100, factor: 2, jitter: 0, stableMs: 1_000 }
  const children = [{ id: 'a' }, { id: 'b', backoff }, { id: 'c' }]

  test('delays grow with each restart in a row, and the supervisor works meanwhile', () => {
    const world = open({ intensity: 10, children })
    for (const delayMs of [100, 200, 400]) {
      world.crash('b')
      expect(world.reports.at(-1)).toMatchObject({ kind: 'crash', nextDelayMs: delayMs })
      world.clock.advance(delayMs - 1)
      expect(world.phases().b).toBe('restarting')
      expect(world.ask({ kind: 'terminate_child', id: 'nobody' })).toEqual({ kind: 'not_found' })
      world.clock.advance(1)
      expect(world.phases().b).toBe('running')
    }
  })

  test('a run of stableMs begins again at the initial delay', () => {
    const world = open({ intensity: 10, children })
    world.crash('b')
    world.clock.advance(100)
    world.crash('b')
    expect(world.reports.at(-1)?.nextDelayMs).toBe(200)
    world.clock.advance(200 + 1_000)
    world.crash('b')
    expect(world.reports.at(-1)?.nextDelayMs).toBe(100)
  })

  test('one_for_all: the others stop at once and all start after the delay', () => {
    const world = open({ strategy: 'one_for_all', intensity: 10, children }).clear()
    world.crash('b')
    expect(world.log).toEqual(['end b', 'stop c', 'end c', 'stop a', 'end a'])
    world.clear().clock.advance(100)
    expect(world.log).toEqual(['start a', 'start b', 'start c'])
    expect(world.state.window.count).toBe(1)
  })

  test('a stop does not wait for a delay', () => {
    const world = open({ intensity: 10, children }).clear()
    world.crash('b')
    world.tell({ kind: 'close', reason: exitShutdown })
    expect(world.exit).toEqual(exitShutdown)
    expect(world.clock.pending).toBe(0)
  })

  test('after maxAttempts in a row the child is left without a process and reported', () => {
    const limited = { id: 'b', backoff: { ...backoff, maxAttempts: 2 } }
    const world = open({ intensity: 'unlimited', children: [limited] })
    for (let attempt = 1; attempt <= 3; attempt++) {
      world.crash('b')
      world.clock.advance(1_000 * 0.9)
    }
    expect(world.phases().b).toBe('stopped')
    expect(kinds(world).at(-1)).toBe('exhausted b')
    expect(world.exit).toBeUndefined()
    expect(world.ask({ kind: 'restart_child', id: 'b' })).toMatchObject({ kind: 'started' })
  })

  test('a terminal reason ends the restarts of even a permanent child', () => {
    const world = open({ children: [{ id: 'b', isTerminal: (reason) => reason.kind === 'error' }] })
    world.crash('b', exitNormal)
    expect(world.phases().b).toBe('running')
    world.crash('b')
    expect(world.phases().b).toBe('stopped')
    expect(kinds(world).at(-1)).toBe('exhausted b')
  })
})

describe('while one child is slow to start or to stop', () => {
  test('crashes and requests wait, in order, and nothing is lost', () => {
    const plan = {
      start: (id: string, times: number) => (id === 'b' && times === 2 ? ('late' as const) : ('ok' as const)),
    }
    const world = open({ intensity: 5, children: abc }, plan).clear()
    world.crash('b')
    world.crash('c')
    const to = world.request({ kind: 'terminate_child', id: 'a' })
    expect(world.log).toEqual(['end b', 'start b', 'end c'])
    expect(world.replies.has(to)).toBe(false)
    world.clock.advance(40)
    expect(world.log).toEqual(['end b', 'start b', 'end c', 'start c', 'stop a', 'end a'])
    expect(world.replies.get(to)).toEqual({ kind: 'ok' })
  })

  test('a close cuts in: the half-started child is killed, the rest stops in reverse', () => {
    const plan = {
      start: (id: string, times: number) => (id === 'b' && times === 2 ? ('late' as const) : ('ok' as const)),
    }
    const world = open({ children: abc }, plan).clear()
    world.crash('b')
    world.tell({ kind: 'close', reason: exitShutdown })
    expect(world.log).toEqual(['end b', 'start b', 'stop c', 'end c', 'stop a', 'end a', 'exit shutdown'])
    expect(world.living).toEqual([])
  })

  test('a child that ends before its start is acknowledged counts as started, then crashed', () => {
    const plan = {
      start: (id: string, times: number) => (id === 'b' && times === 2 ? ('late' as const) : ('ok' as const)),
    }
    const world = open({ intensity: 5, children: abc }, plan).clear()
    world.crash('b')
    const early = world.running('b')!
    world.tell({ kind: 'ended', pid: early.pid, reason: crash })
    world.clock.advance(40)
    expect(kinds(world)).toEqual(['crash b', 'restart b', 'crash b', 'restart b'])
  })
})

describe('change of specs while running', () => {
  test('running children keep running, new ones wait, none is removed, and limits hold from now on', () => {
    const world = open({ intensity: 0, children: abc }).clear()
    const children = [world.spec({ id: 'd' }), world.spec({ id: 'b', restart: 'temporary' })]
    expect(world.ask({ kind: 'change_spec', flags: { intensity: 1 }, children })).toEqual({ kind: 'ok' })
    expect(world.log).toEqual([])
    expect(world.phases()).toEqual({ d: 'stopped', b: 'running', a: 'running', c: 'running' })
    world.crash('a')
    expect(world.exit).toBeUndefined()
    world.crash('b')
    expect(world.phases()).toEqual({ d: 'stopped', a: 'running', c: 'running' })
  })
})

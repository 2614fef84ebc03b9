import { AppError, silentLogger } from '@daruma/protocol'
import { SimClock } from '@daruma/protocol/testing'
import { describe, expect, test } from 'vitest'
import {
  createNodeLife,
  decideNode,
  initialNode,
  type NodeEffect,
  type NodeEvent,
  type NodeLife,
  type NodeState,
} from '../src/lifecycle.ts'

const broken = new AppError('internal', 'broken')
const booted: NodeEvent = { type: 'booted' }
const started: NodeEvent = { type: 'started' }
const stop: NodeEvent = { type: 'stop' }
const force: NodeEvent = { type: 'force' }
const drained: NodeEvent = { type: 'drained' }
const failed: NodeEvent = { type: 'failed', error: broken }

describe('what each event makes of a node', () => {
  const drain: NodeEffect[] = [
    { kind: 'arm', delayMs: 35_000 },
    { kind: 'drain', deadlineMs: 30_000 },
  ]
  const disarm: NodeEffect = { kind: 'disarm' }
  const endAtOnce: NodeEffect = { kind: 'end_at_once' }
  const grid: readonly [string, NodeEvent[], NodeState, 0 | 1, NodeEffect[]][] = [
    ['it boots first', [], 'booting', 0, [{ kind: 'boot' }]],
    ['booted, it starts its services', [booted], 'starting', 0, [{ kind: 'start' }]],
    ['started, it is ready', [booted, started], 'ready', 0, []],
    ['a boot that fails ends it, with nothing to drain', [failed], 'stopped', 1, []],
    ['a stop during the boot waits for the boot', [stop], 'booting', 0, []],
    ['and drains then', [stop, booted], 'draining', 0, drain],
    ['force during the boot does not wait', [stop, force], 'stopped', 1, [endAtOnce]],
    ['a start that fails drains', [booted, failed], 'draining', 1, drain],
    ['a stop during the start drains', [booted, stop], 'draining', 0, drain],
    ['what the start still says is then not heard', [booted, stop, started], 'draining', 0, []],
    ['and its failure does not cut the drain short', [booted, stop, failed], 'draining', 1, []],
    ['a stop drains', [booted, started, stop], 'draining', 0, drain],
    ['what fails while it is ready drains', [booted, started, failed], 'draining', 1, drain],
    ['drained, it has stopped', [booted, started, stop, drained], 'stopped', 0, [disarm]],
    ['a second stop changes nothing', [booted, started, stop, stop], 'draining', 0, []],
    [
      'force ends the services at once and goes on draining',
      [booted, started, stop, force],
      'draining',
      1,
      [endAtOnce],
    ],
    ['forced, it has not ended well', [booted, started, stop, force, drained], 'stopped', 1, [disarm]],
    [
      'a drain that does not end is given up',
      [booted, started, stop, { type: 'drain_timeout' }],
      'stopped',
      1,
      [disarm, endAtOnce],
    ],
    [
      'a drain that fails is over',
      [booted, started, stop, { type: 'drain_failed', error: broken }],
      'stopped',
      1,
      [disarm],
    ],
  ]
  test.each(grid)('%s', (_title, events, state, exitCode, effects) => {
    let [snapshot, asked] = initialNode()
    for (const event of events) [snapshot, asked] = decideNode(snapshot, event)
    expect(snapshot.value).toBe(state)
    expect(snapshot.context.exitCode).toBe(exitCode)
    expect(asked).toEqual(effects)
  })
})

class Lab {
  readonly clock = new SimClock()
  readonly done: string[] = []
  readonly #open = new Map<string, { readonly resolve: () => void; readonly reject: (error: unknown) => void }>()
  readonly life: NodeLife = createNodeLife({
    work: {
      boot: () => this.#work('boot'),
      start: () => this.#work('start'),
      drain: (deadlineMs) => this.#work('drain', `drain within ${deadlineMs}`),
      endAtOnce: () => void this.done.push('end at once'),
    },
    clock: this.clock,
    logger: silentLogger,
    drainMs: 10_000,
    graceMs: 2_000,
  })

  #work(name: string, line = name): Promise<void> {
    this.done.push(line)
    return new Promise((resolve, reject) => this.#open.set(name, { resolve, reject }))
  }

  async through(...names: string[]): Promise<this> {
    for (const name of names) {
      await this.settle()
      this.#open.get(name)!.resolve()
    }
    await this.settle()
    return this
  }

  async fails(name: string): Promise<void> {
    await this.settle()
    this.#open.get(name)!.reject(broken)
    await this.settle()
  }

  settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }
}

describe('a node', () => {
  test('boots, starts, is ready, drains, and has stopped with 0', async () => {
    const lab = await new Lab().through('boot', 'start')
    expect(await lab.life.ready).toBe(true)
    expect(lab.life.state).toBe('ready')
    lab.life.stop()
    lab.life.stop()
    expect(lab.done).toEqual(['boot', 'start', 'drain within 10000'])
    await lab.through('drain')
    expect(await lab.life.ended).toEqual({ exitCode: 0, failure: undefined })
    expect(lab.clock.pending).toBe(0)
  })

  test('whose boot fails was never ready, and says why', async () => {
    const lab = new Lab()
    await lab.fails('boot')
    expect(await lab.life.ready).toBe(false)
    expect(await lab.life.ended).toEqual({ exitCode: 1, failure: broken })
    expect(lab.done).toEqual(['boot'])
  })

  test('that fails while it drains tells the first failure', async () => {
    const lab = await new Lab().through('boot', 'start')
    lab.life.fail(broken)
    await lab.settle()
    lab.life.fail(new AppError('internal', 'another'))
    await lab.through('drain')
    expect(await lab.life.ended).toEqual({ exitCode: 1, failure: broken })
  })

  test('that is forced drains without waiting for politeness', async () => {
    const lab = await new Lab().through('boot', 'start')
    lab.life.force()
    expect(lab.done).toEqual(['boot', 'start', 'drain within 10000', 'end at once'])
    await lab.through('drain')
    expect(await lab.life.ended).toEqual({ exitCode: 1, failure: undefined })
  })

  test('that cannot close has stopped when its grace is over', async () => {
    const lab = await new Lab().through('boot', 'start')
    lab.life.stop()
    lab.clock.advance(11_999)
    expect(lab.life.state).toBe('draining')
    lab.clock.advance(1)
    expect(lab.done.at(-1)).toBe('end at once')
    expect((await lab.life.ended).exitCode).toBe(1)
  })

  test('that is forced in the turn of its birth does not even boot', async () => {
    const lab = new Lab()
    lab.life.force()
    await lab.settle()
    expect(lab.done).toEqual(['end at once'])
    expect(await lab.life.ready).toBe(false)
  })

  test('that is stopped during its boot drains what was booted', async () => {
    const lab = new Lab()
    lab.life.stop()
    await lab.through('boot', 'drain')
    expect(lab.done).toEqual(['boot', 'drain within 10000'])
    expect((await lab.life.ended).exitCode).toBe(0)
  })
})

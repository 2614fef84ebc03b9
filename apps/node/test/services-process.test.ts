import { next, type Behavior } from '@daruma/actors'
import { TestSystem } from '@daruma/actors/testing'
import { AppError, exitKill, exitNormal, seededRng, silentLogger, type Pid, type SpawnOptions } from '@daruma/protocol'
import { viewOf } from '@daruma/registry'
import { entry } from '@daruma/registry/testing'
import { describe, expect, test } from 'vitest'
import { errorOfExit, failureOf } from '../src/services/failure.ts'
import { processService } from '../src/services/process-service.ts'
import { resourceService, standingService } from '../src/services/resource-service.ts'
import { createServices, type Services } from '../src/services/services.ts'

/** Ends as its message says; to a cancel it stops, or with `deaf` does not listen. */
const worker = (deaf = false): Behavior<string, undefined> => ({
  init: () => undefined,
  receive: (_ctx, message) => {
    if (message === 'return') return next.stop(exitNormal)
    throw new AppError('internal', message, undefined, message === 'never' ? { retryable: false } : {})
  },
  ...(deaf ? { notice: () => next.same } : {}),
})

class Lab {
  readonly bench = new TestSystem()
  readonly spawned: Pid[] = []
  readonly asked: { target: string; host: string; args: readonly unknown[]; options: SpawnOptions }[] = []
  readonly services: Services

  constructor(options: { readonly deaf?: boolean; readonly late?: boolean; readonly refuse?: Error } = {}) {
    const { system, clock } = this.bench
    const one = entry('app:worker', 'process.service', {
      process: 'code',
      host: 'processes',
      input: [1, 'two'],
      lifecycle: { auto_start: true, stop_timeout: '3s', restart: { jitter: 0 } },
    })
    const spawner = {
      spawn: (target: string, host: string, args: readonly unknown[], spawnOptions: SpawnOptions) => {
        if (options.refuse !== undefined) throw options.refuse
        this.asked.push({ target, host, args, options: spawnOptions })
        const pid = system.spawn(worker(options.deaf))
        this.spawned.push(pid)
        return options.late === true ? Promise.resolve(pid) : pid
      },
    }
    this.services = createServices({
      entries: [one],
      make: (found) =>
        processService(found.id, viewOf(found, 'process.service'), { spawner, system, context: { actor: 'service' } }),
      clock,
      rng: seededRng('lab'),
      logger: silentLogger,
    })
  }

  get status() {
    return this.services.status()[0]!
  }

  async start(): Promise<this> {
    void this.services.startAll()
    await this.bench.runUntilIdle()
    return this
  }

  async tell(message: string): Promise<void> {
    this.bench.system.send(this.spawned.at(-1)!, message)
    await this.bench.runUntilIdle()
  }
}

describe('a process that is kept up', () => {
  test('is spawned on its host with its input and context, and its pid is in the status', async () => {
    const { asked, spawned, status } = await new Lab().start()
    expect(asked).toEqual([
      { target: 'app:code', host: 'app:processes', args: [1, 'two'], options: { context: { actor: 'service' } } },
    ])
    expect(status).toMatchObject({ state: 'running', pid: String(spawned[0]) })
  })

  test('is spawned anew after a crash', async () => {
    const lab = await new Lab().start()
    await lab.tell('boom')
    expect(lab.status).toMatchObject({ state: 'failed', lastReason: 'internal: boom', restarts: 1 })
    expect(lab.status.pid).toBeUndefined()
    await lab.bench.advance(1_000)
    expect(lab.spawned).toHaveLength(2)
    expect(lab.status).toMatchObject({ state: 'running', pid: String(lab.spawned[1]) })
  })

  test.each([
    ['returned', 'finished', true, undefined],
    ['failed with an error marked not retryable', 'never', undefined, 'internal: never'],
  ])('is not spawned again when it %s', async (_title, message, finished, reason) => {
    const lab = await new Lab().start()
    await lab.tell(message === 'finished' ? 'return' : message)
    await lab.bench.advance(60_000)
    expect(lab.status.state).toBe('exited')
    expect([lab.status.finished, lab.status.lastReason]).toEqual([finished, reason])
    expect(lab.spawned).toHaveLength(1)
  })

  test('is not spawned again when somebody killed it', async () => {
    const lab = await new Lab().start()
    lab.bench.system.exit(lab.spawned[0]!, exitKill)
    await lab.bench.advance(60_000)
    expect(lab.status).toMatchObject({ state: 'exited', lastReason: 'canceled: process was killed' })
  })

  test('stops when it is cancelled', async () => {
    const lab = await new Lab().start()
    const report = lab.services.stopAll(30_000)
    await lab.bench.runUntilIdle()
    expect(await report).toMatchObject({ ok: true, tookMs: 0 })
    expect(lab.bench.system.isAlive(lab.spawned[0]!)).toBe(false)
  })

  test('is killed after its stop_timeout when it does not listen', async () => {
    const lab = await new Lab({ deaf: true }).start()
    const report = lab.services.stopAll(30_000)
    await lab.bench.advance(2_999)
    expect(lab.bench.system.isAlive(lab.spawned[0]!)).toBe(true)
    await lab.bench.advance(1)
    expect(lab.bench.system.isAlive(lab.spawned[0]!)).toBe(false)
    expect((await report).problems).toEqual(['app:worker was killed: not stopped within 3s'])
  })

  test('may be spawned later by a host that takes its time', async () => {
    const lab = await new Lab({ late: true }).start()
    expect(lab.status.state).toBe('running')
    await lab.tell('boom')
    expect(lab.status.state).toBe('failed')
  })

  test('that no host takes is a start that failed', async () => {
    const refuse = new AppError('not_found', 'no host app:processes', undefined, { retryable: false })
    const lab = await new Lab({ refuse }).start()
    expect(lab.status).toMatchObject({ state: 'exited', lastReason: 'not_found: no host app:processes' })
  })
})

test.each([
  ['normal is a good end', { kind: 'normal' }, undefined],
  ['shutdown is a good end', { kind: 'shutdown', detail: 'moved' }, undefined],
  ['a kill is final', { kind: 'killed' }, true],
  ['an error marked not retryable is final', wire(false), true],
  ['an error marked retryable is not', wire(true), false],
  ['an error that nobody decided on is not', wire(undefined), false],
  ['a process that was lost is tried again', { kind: 'noproc' }, false],
  ['a reason of its own is tried again', { kind: 'custom', value: 'tired' }, false],
] as const)('%s', (_title, reason, isFinal) => {
  const error = errorOfExit(reason)
  expect(error === undefined ? undefined : failureOf(error).isFinal).toBe(isFinal)
})

describe('other services', () => {
  const open = new AbortController().signal

  test('a resource is opened, closed, and killed by being closed without time, unless it knows better', async () => {
    const done: string[] = []
    const resource = {
      open: () => 'door',
      close: (what: string, deadlineMs: number) => void done.push(`close ${what} ${deadlineMs}`),
    }
    const run = await resourceService('app:x', resource).start(open)
    await run.stop(500)
    expect(run.kill).toBeUndefined()
    const better = await resourceService('app:x', {
      ...resource,
      kill: (what) => void done.push(`kill ${what}`),
    }).start(open)
    better.kill!()
    expect(done).toEqual(['close door 500', 'kill door'])
  })

  test('what merely stands there is up at once and ends when told', async () => {
    const run = await standingService('app:host').start(open)
    expect(run.ended).toBeUndefined()
    await run.stop(0)
  })
})

function wire(retryable: boolean | undefined) {
  const error = { kind: 'internal' as const, message: 'boom' }
  return { kind: 'error' as const, error: retryable === undefined ? error : { ...error, retryable } }
}

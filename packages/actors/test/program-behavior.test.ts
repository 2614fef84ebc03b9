import {
  AppError,
  exitKill,
  exitShutdown,
  Home,
  Pid,
  type Answer,
  type Command,
  type MessageEvent,
  type NodeId,
  type Program,
  type ProgramEvent,
  type ProgramFactory,
  type ProgramHost,
  type Step,
} from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { createSystem, programBehavior, programMessage, type Actor, type ProgramHandlers } from '../src/index.ts'
import type { TestSystem } from '../src/testing.ts'
import { withSystem } from './rule.ts'

type Run = Generator<'idle' | 'slice' | Step, unknown, ProgramEvent>

/** A program written as a generator: yields `idle` to wait for the next event, `slice` to be preempted. */
type Script = (host: ProgramHost, args: readonly unknown[]) => Run

/** A program that never waits. */
function atOnce(code: (host: ProgramHost, args: readonly unknown[]) => unknown): Script {
  return function* (host, args) {
    yield* []
    return code(host, args)
  }
}

function scripted(script: Script, unread: MessageEvent[] = []): ProgramFactory & { stopped: number } {
  const factory = (): Program => {
    let run: Run
    const step = (advance: () => IteratorResult<'idle' | 'slice' | Step, unknown>): Step => {
      try {
        const { done, value } = advance()
        if (done === true) return { kind: 'returned', value }
        if (value === 'slice') return { kind: 'preempted' }
        return value === 'idle' ? { kind: 'idle' } : (value as Step)
      } catch (thrown) {
        const error = thrown as AppError
        return { kind: 'failed', error: { kind: error.kind ?? 'internal', message: error.message } }
      }
    }
    return {
      start: (host, args) =>
        step(() => {
          run = script(host, args)
          return run.next()
        }),
      resume: (event) => step(() => run.next(event)),
      stop: () => void factory.stopped++,
      unread: () => unread,
    }
  }
  factory.stopped = 0
  return factory
}

function run(
  t: TestSystem,
  script: Script,
  handlers: ProgramHandlers = {},
  options: { args?: readonly unknown[]; entry?: string } = {},
): Actor<MessageEvent> {
  const entry = options.entry ?? 'app:test'
  return t.system.spawn(programBehavior({ entry, args: options.args ?? [], create: scripted(script), handlers }))
}

const done = (value: unknown): Answer => ({ kind: 'done', value })

describe('a program in a process', () => {
  test(
    'program: what it returns is the value of its normal exit',
    withSystem(async (t) => {
      const pid = run(
        t,
        atOnce((_host, [a, b]) => {
          return (a as number) + (b as number)
        }),
        {},
        { args: [2, 3] },
      )
      expect(await t.exitOf(pid)).toEqual({ kind: 'normal', value: 5 })
    }),
  )
  test(
    'program: what it fails with is the error of its exit',
    withSystem(async (t) => {
      const pid = run(
        t,
        atOnce(() => {
          throw new AppError('conflict', 'no')
        }),
      )
      expect(await t.exitOf(pid)).toMatchObject({ kind: 'error', error: { kind: 'conflict', message: 'no' } })
    }),
  )
  test(
    'program: a call that the handler answers at once is done, later is pending and completes by its id',
    withSystem(async (t) => {
      const answers: unknown[] = []
      const pid = run(
        t,
        function* (host) {
          answers.push(host.issue({ kind: 'call', target: 'app:now', args: [1] }))
          answers.push(host.issue({ kind: 'call', target: 'app:later', args: [2] }))
          answers.push(host.issue({ kind: 'call', target: 'app:fails', args: [] }))
          return [yield 'idle', yield 'idle']
        },
        {
          call: (target, args) => {
            if (target === 'app:now') return args[0]
            if (target === 'app:later') return Promise.resolve(args[0])
            return Promise.reject(new AppError('not_found', 'gone'))
          },
        },
      )
      const exit = await t.exitOf(pid)
      expect(answers).toEqual([done(1), { kind: 'pending', id: 1 }, { kind: 'pending', id: 2 }])
      expect(exit).toMatchObject({
        value: [
          { kind: 'completed', id: 1, value: 2 },
          { kind: 'failed', id: 2, error: { kind: 'not_found', message: 'gone' } },
        ],
      })
    }),
  )
  test(
    'program: a handler that throws at once refuses; what is absent or for workflows only is refused as invalid',
    withSystem(async (t) => {
      const pid = run(
        t,
        atOnce((host) => {
          const commands: Command[] = [
            { kind: 'request', handler: 'x', input: 1 },
            { kind: 'call', target: 'app:x', args: [] },
            { kind: 'version', change: 'c', min: 1, max: 2 },
            { kind: 'attributes' },
          ]
          return commands.map((command) => host.issue(command))
        }),
        {
          request: () => {
            throw new AppError('permission_denied', 'not you')
          },
        },
      )
      expect(await t.exitOf(pid)).toMatchObject({
        value: [
          { kind: 'refused', error: { kind: 'permission_denied' } },
          { kind: 'refused', error: { kind: 'invalid' } },
          { kind: 'refused', error: { kind: 'invalid' } },
          { kind: 'refused', error: { kind: 'invalid' } },
        ],
      })
    }),
  )
  test(
    'program: send reaches a pid or a name as a message event; unknown ones are refused not_found',
    withSystem(async (t) => {
      const probe = await t.probe('post')
      const dead = t.system.spawn(() => undefined)
      await t.runUntilIdle()
      const pid = run(
        t,
        atOnce((host) => {
          const send = (to: Pid | string): Answer => host.issue({ kind: 'send', to, topic: 'hi', payload: [1, 2] })
          return [send(probe.pid), send('post'), send(String(probe.pid)), send(dead), send('nobody')]
        }),
      )
      const exit = await t.exitOf(pid)
      expect(probe.received).toEqual([1, 2, 3].map(() => programMessage('hi', [1, 2], pid)))
      expect(exit).toMatchObject({
        value: [
          done(null),
          done(null),
          done(null),
          { kind: 'refused', error: { kind: 'not_found', message: `process not found: ${dead}` } },
          { kind: 'refused', error: { kind: 'not_found', retryable: false } },
        ],
      })
    }),
  )
  test(
    'program: messages arrive as events, one at a time, in order',
    withSystem(async (t) => {
      const pid = run(t, function* () {
        return [yield 'idle', yield 'idle']
      })
      t.system.send(pid, programMessage('a', [1]))
      t.system.send(pid, programMessage('b', []))
      expect(await t.exitOf(pid)).toMatchObject({ value: [programMessage('a', [1]), programMessage('b', [])] })
    }),
  )
  test(
    'program: sleep completes not before its time, and abandon ends it with canceled',
    withSystem(async (t) => {
      const pid = run(t, function* (host) {
        host.issue({ kind: 'sleep', durationMs: 50 })
        host.issue({ kind: 'sleep', durationMs: 500 })
        host.issue({ kind: 'abandon', id: 2 })
        const [first, second] = [yield 'idle', yield 'idle']
        return [first, second, host.nowMs()]
      })
      const startMs = t.clock.wallMs()
      await t.advance(50)
      expect(await t.exitOf(pid)).toMatchObject({
        value: [
          { kind: 'failed', id: 2, error: { kind: 'canceled' } },
          { kind: 'completed', id: 1, value: null },
          startMs + 50,
        ],
      })
      expect(t.clock.pending).toBe(0)
    }),
  )
  test(
    'program: abandon aborts the signal of the handler, and what it still brings is dropped',
    withSystem(async (t) => {
      let aborted = false
      const pid = run(
        t,
        function* (host) {
          host.issue({ kind: 'call', target: 'app:slow', args: [] })
          host.issue({ kind: 'abandon', id: 1 })
          const first = yield 'idle'
          return [first, yield 'idle']
        },
        {
          call: (_target, _args, _options, scope) =>
            new Promise((resolve) => {
              scope.signal.addEventListener('abort', () => {
                aborted = true
                t.clock.after(10, () => resolve('too late'))
              })
            }),
        },
      )
      await t.advance(20)
      t.system.send(pid, programMessage('end', []))
      expect(await t.exitOf(pid)).toMatchObject({
        value: [
          { kind: 'failed', id: 1 },
          { kind: 'message', topic: 'end' },
        ],
      })
      expect(aborted).toBe(true)
    }),
  )
  test(
    'program: a monitored process that ends is an exit event with its value or error',
    withSystem(async (t) => {
      const child = (script: Script) => run(t, script)
      const pid = run(
        t,
        function* (host) {
          host.issue({ kind: 'spawn', target: 'good', host: 'h', args: [], options: { monitor: true } })
          host.issue({ kind: 'spawn', target: 'bad', host: 'h', args: [], options: { monitor: true } })
          return [yield 'idle', yield 'idle']
        },
        {
          spawn: (target) =>
            child(
              atOnce(() => {
                if (target === 'bad') throw new AppError('timeout', 'slow')
                return 'fine'
              }),
            ),
        },
      )
      expect(await t.exitOf(pid)).toMatchObject({
        value: [
          { kind: 'exit', result: { value: 'fine' } },
          { kind: 'exit', result: { error: { kind: 'timeout', message: 'slow' } } },
        ],
      })
    }),
  )
  test(
    'program: a linked process that fails is a link_down event with trap_links; its normal end is nothing',
    withSystem(async (t) => {
      const pid = run(
        t,
        function* (host) {
          host.issue({ kind: 'trap_links', on: true })
          host.issue({ kind: 'spawn', target: 'good', host: 'h', args: [], options: { link: true } })
          host.issue({ kind: 'spawn', target: 'bad', host: 'h', args: [], options: { link: true } })
          return [yield 'idle']
        },
        {
          spawn: (target) =>
            run(
              t,
              atOnce(() => {
                if (target === 'bad') throw new AppError('internal', 'broken')
              }),
            ),
        },
      )
      expect(await t.exitOf(pid)).toMatchObject({
        value: [{ kind: 'link_down', result: { error: { message: 'broken' } } }],
      })
    }),
  )
  test(
    'program: without trap_links the failure of a linked process fails this one with the same reason',
    withSystem(async (t) => {
      const pid = run(
        t,
        function* (host) {
          host.issue({ kind: 'spawn', target: 'bad', host: 'h', args: [], options: { link: true } })
          yield 'idle'
        },
        {
          spawn: () =>
            run(
              t,
              atOnce(() => {
                throw new AppError('internal', 'broken')
              }),
            ),
        },
      )
      expect(await t.exitOf(pid)).toMatchObject({ kind: 'error', error: { message: 'broken' } })
    }),
  )
  test(
    'program: unmonitor and unlink stop what monitor and link began',
    withSystem(async (t) => {
      const probe = await t.probe()
      const pid = run(t, function* (host) {
        for (const kind of ['monitor', 'link', 'unmonitor', 'unlink'] as const) host.issue({ kind, to: probe.pid })
        return (yield 'idle').kind
      })
      await t.runUntilIdle()
      t.system.exit(probe.pid, exitKill)
      await t.runUntilIdle()
      t.system.send(pid, programMessage('only this', []))
      expect(await t.exitOf(pid)).toEqual({ kind: 'normal', value: 'message' })
    }),
  )
  test(
    'program: cancel is an event; terminate is the end, and monitors see an error of kind canceled',
    withSystem(async (t) => {
      const probe = await t.probe()
      const victim = run(t, function* () {
        const event = yield 'idle'
        yield 'idle'
        return event
      })
      probe.ctx.monitor(victim)
      run(
        t,
        atOnce((host) => {
          host.issue({ kind: 'exit', to: victim, mode: 'cancel', reason: 'tea time' })
        }),
      )
      await t.runUntilIdle()
      expect(t.system.processInfo(victim)).toMatchObject({ status: 'waiting', reductions: expect.any(Number) })
      run(
        t,
        atOnce((host) => {
          host.issue({ kind: 'exit', to: victim, mode: 'terminate' })
        }),
      )
      await t.runUntilIdle()
      expect(probe.received).toMatchObject([{ kind: 'down', reason: { kind: 'error', error: { kind: 'canceled' } } }])
    }),
  )
  test(
    'program: a cancel event tells who and why',
    withSystem(async (t) => {
      const victim = run(t, function* () {
        return yield 'idle'
      })
      const canceller = run(
        t,
        atOnce((host) => {
          return host.issue({ kind: 'exit', to: victim, mode: 'cancel', reason: 'tea' })
        }),
      )
      expect(await t.exitOf(victim)).toMatchObject({ value: { kind: 'cancel', from: canceller, reason: 'tea' } })
    }),
  )
  test(
    'program: one that terminates itself runs no further than its turn',
    withSystem(async (t) => {
      const pid = run(t, function* (host) {
        host.issue({ kind: 'exit', to: host.self, mode: 'terminate' })
        yield 'idle'
      })
      expect(await t.exitOf(pid)).toMatchObject({ kind: 'error', error: { kind: 'canceled' } })
    }),
  )
  test(
    'program: exec waits for the process and gives its value or its error',
    withSystem(async (t) => {
      const pid = run(
        t,
        function* (host) {
          host.issue({ kind: 'exec', target: 'x', host: 'h', args: [4] })
          host.issue({ kind: 'exec', target: 'x', host: 'h', args: [-1] })
          return [yield 'idle', yield 'idle']
        },
        {
          spawn: (_target, _host, args) =>
            run(
              t,
              atOnce(() => {
                if ((args[0] as number) < 0) throw new AppError('invalid', 'negative')
                return (args[0] as number) ** 2
              }),
            ),
        },
      )
      expect(await t.exitOf(pid)).toMatchObject({
        value: [
          { kind: 'completed', id: 1, value: 16 },
          { kind: 'failed', id: 2, error: { kind: 'invalid' } },
        ],
      })
    }),
  )
  test('program: exec of a process that ends in its first turn gives its value, too', async () => {
    await using system = createSystem()
    const processOf = (script: Script, handlers: ProgramHandlers = {}): Actor<MessageEvent> =>
      system.spawn(programBehavior({ entry: 'app:test', args: [], create: scripted(script), handlers }))
    const quick = (): Actor<MessageEvent> => processOf(atOnce(() => 16))
    const asker = processOf(
      function* (host) {
        host.issue({ kind: 'exec', target: 'x', host: 'h', args: [] })
        return yield 'idle'
      },
      { spawn: quick },
    )
    expect(await system.exited(asker)).toEqual({ kind: 'normal', value: { kind: 'completed', id: 1, value: 16 } })
  })
  test(
    'program: one that used up its slice goes on after the others had their turn, before its next message',
    withSystem(async (t) => {
      const order: string[] = []
      const busy = (name: string): Script =>
        function* () {
          for (let at = 0; at < 3; at++) {
            order.push(`${name}${at}`)
            if (at < 2) yield 'slice'
          }
          order.push(`${name}:${(yield 'idle').kind}`)
        }
      const a = run(t, busy('a'))
      run(t, busy('b'))
      t.system.send(a, programMessage('m', []))
      await t.runUntilIdle()
      expect(order).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'b2', 'a:message'])
    }),
  )
  test(
    'program: become goes on as other code with pid, links, monitors and unread messages kept',
    withSystem(async (t) => {
      const probe = await t.probe()
      const early = programMessage('early', [1])
      const old = scripted(
        function* () {
          yield { kind: 'become', target: 'app:two', args: ['x'] }
        },
        [early],
      )
      const two = scripted(function* (host, args) {
        const first = yield 'idle'
        const second = yield 'idle'
        return [host.entry, args, first, second]
      })
      const pid = t.system.spawn(
        programBehavior({ entry: 'app:one', args: [], create: old, handlers: { upgrade: () => two } }),
      )
      probe.ctx.monitor(pid)
      t.system.send(pid, programMessage('late', []))
      expect(await t.exitOf(pid)).toMatchObject({ value: ['app:two', ['x'], early, { topic: 'late' }] })
      expect(await probe.next()).toMatchObject({ kind: 'down', from: pid })
      expect([old.stopped, two.stopped]).toEqual([1, 1])
    }),
  )
  test(
    'program: a pid that is no process here goes through route',
    withSystem(async (t) => {
      const workflow = new Pid(new Home('client' as NodeId, 0, 'worker'), 'order-1')
      const routed: unknown[] = []
      const pid = run(
        t,
        function* (host) {
          return [
            host.issue({ kind: 'send', to: workflow, topic: 'pay', payload: [] }),
            host.issue({ kind: 'monitor', to: workflow }),
            yield 'idle',
          ]
        },
        {
          route: (to, command) => {
            routed.push([to, command.kind])
            return command.kind === 'monitor' ? Promise.resolve(null) : null
          },
        },
      )
      expect(await t.exitOf(pid)).toMatchObject({
        value: [done(null), { kind: 'pending', id: 1 }, { kind: 'completed' }],
      })
      expect(routed).toEqual([
        [workflow, 'send'],
        [workflow, 'monitor'],
      ])
    }),
  )
  test(
    'program: an explicit exit signal ends it whether links are trapped or not, and the program is stopped',
    withSystem(async (t) => {
      for (const on of [true, false]) {
        const create = scripted(function* (host) {
          host.issue({ kind: 'trap_links', on })
          yield 'idle'
        })
        const pid = t.system.spawn(programBehavior({ entry: 'app:x', args: [], create, handlers: {} }))
        await t.runUntilIdle()
        t.system.exit(pid, exitShutdown)
        await t.expectExit(pid, 'shutdown')
        expect(create.stopped).toBe(1)
      }
    }),
  )
  test(
    'program: messages that nobody in it took count as waiting in process info',
    withSystem(async (t) => {
      const create = scripted(
        function* () {
          for (;;) yield 'idle'
        },
        [programMessage('a', []), programMessage('b', [])],
      )
      const pid = t.system.spawn(programBehavior({ entry: 'app:x', args: [], create, handlers: {} }))
      await t.runUntilIdle()
      expect(t.system.processInfo(pid)).toMatchObject({ behavior: 'app:x', mailboxLength: 2 })
    }),
  )
  test(
    'program: a program whose steps are promises is driven the same way',
    withSystem(async (t) => {
      const create: ProgramFactory = () => ({
        start: async () => ({ kind: 'idle' }),
        resume: async (event) => ({ kind: 'returned', value: event.kind }),
        stop: () => undefined,
      })
      const pid = t.system.spawn(programBehavior({ entry: 'app:x', args: [], create, handlers: {} }))
      t.system.send(pid, programMessage('a', []))
      expect(await t.exitOf(pid)).toEqual({ kind: 'normal', value: 'message' })
    }),
  )
})

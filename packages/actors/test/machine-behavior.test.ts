import { AppError, exitKill, exitShutdown } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { assign, emit, fromCallback, fromPromise, raise, sendParent, sendTo, setup } from 'xstate'
import { fromMachine, readSnapshot, type Context } from '../src/index.ts'
import { withSystem } from './rule.ts'

const light = setup({
  types: { events: {} as { type: 'NEXT' } | { type: 'STOP' }, context: {} as { changes: number } },
}).createMachine({
  id: 'light',
  initial: 'green',
  context: { changes: 0 },
  on: { STOP: '.off' },
  states: {
    green: { after: { 1_000: 'red' }, on: { NEXT: 'red' } },
    red: { entry: assign({ changes: ({ context }) => context.changes + 1 }), after: { 2_000: 'green' } },
    off: { type: 'final' },
  },
  output: ({ context }) => context.changes,
})

describe('a machine as an actor', () => {
  test(
    'machine: takes its events from the mailbox and shows its snapshot on request',
    withSystem(async (t) => {
      const pid = t.system.spawn(fromMachine(light))
      t.system.send(pid, { type: 'NEXT' })
      const snapshot = await t.system.call(pid, readSnapshot)
      expect(snapshot.value).toBe('red')
      expect(snapshot.context).toEqual({ changes: 1 })
      expect(t.system.processInfo(pid)).toMatchObject({ behavior: 'light', state: 'red' })
    }),
  )
  test(
    'machine: its after runs on the system’s clock, and is cancelled when the state is left',
    withSystem(async (t) => {
      const pid = t.system.spawn(fromMachine(light))
      await t.advance(999)
      expect((await t.system.call(pid, readSnapshot)).value).toBe('green')
      t.system.send(pid, { type: 'NEXT' })
      await t.advance(1_999)
      expect((await t.system.call(pid, readSnapshot)).value).toBe('red')
      await t.advance(1)
      expect((await t.system.call(pid, readSnapshot)).value).toBe('green')
    }),
  )
  test(
    'machine: a final state is a normal exit with the output, and no timer is left',
    withSystem(async (t) => {
      const pid = t.system.spawn(fromMachine(light))
      t.system.send(pid, { type: 'NEXT' })
      t.system.send(pid, { type: 'STOP' })
      expect(await t.exitOf(pid)).toEqual({ kind: 'normal', value: 1 })
      expect(t.clock.pending).toBe(0)
    }),
  )
  test(
    'machine: an action that throws is an exit with its error',
    withSystem(async (t) => {
      const machine = setup({ types: { events: {} as { type: 'GO' } } }).createMachine({
        id: 'throws',
        on: {
          GO: {
            actions: () => {
              throw new AppError('conflict', 'no way')
            },
          },
        },
      })
      const pid = t.system.spawn(fromMachine(machine))
      t.system.send(pid, { type: 'GO' })
      expect(await t.exitOf(pid)).toMatchObject({ kind: 'error', error: { kind: 'conflict' } })
    }),
  )
  test(
    'machine: an invoked promise is a linked process; its value and its error are events of the machine',
    withSystem(async (t) => {
      const machine = setup({
        types: { context: {} as { seen: unknown }, input: {} as { fails: boolean } },
        actors: {
          work: fromPromise<string, { fails: boolean }>(async ({ input }) => {
            await new Promise<void>((resolve) => t.clock.after(50, resolve))
            if (input.fails) throw new AppError('unavailable', 'broken')
            return 'made'
          }),
        },
      }).createMachine({
        id: 'maker',
        context: ({ input }) => ({ seen: input }),
        initial: 'working',
        states: {
          working: {
            invoke: {
              id: 'w',
              src: 'work',
              input: ({ context }) => context.seen as { fails: boolean },
              onDone: { target: 'end', actions: assign({ seen: ({ event }) => event.output }) },
              onError: { target: 'end', actions: assign({ seen: ({ event }) => (event.error as Error).message }) },
            },
          },
          end: { type: 'final' },
        },
        output: ({ context }) => context.seen,
      })
      const spawn = (fails: boolean) =>
        t.system.spawn(fromMachine(machine, { input: (_ctx, args: boolean) => ({ fails: args }) }), { args: fails })
      const [good, bad] = [spawn(false), spawn(true)]
      await t.runUntilIdle()
      const [child] = t.system.processInfo(good)!.links
      expect(t.system.processInfo(child!)).toMatchObject({ behavior: 'maker/w', parent: good })
      await t.advance(50)
      expect(await t.exitOf(good)).toEqual({ kind: 'normal', value: 'made' })
      expect(await t.exitOf(bad)).toEqual({ kind: 'normal', value: 'broken' })
      expect(t.system.size).toBe(0)
    }),
  )
  test(
    'machine: leaving the state ends what it invoked; killing the machine ends it, too',
    withSystem(async (t) => {
      let cleaned = 0
      const machine = setup({
        types: { events: {} as { type: 'LEAVE' } },
        actors: { listen: fromCallback(() => () => void cleaned++) },
      }).createMachine({
        id: 'ears',
        initial: 'listening',
        states: { listening: { invoke: { src: 'listen' }, on: { LEAVE: 'deaf' } }, deaf: {} },
      })
      const [a, b] = [t.system.spawn(fromMachine(machine)), t.system.spawn(fromMachine(machine))]
      await t.runUntilIdle()
      t.system.send(a, { type: 'LEAVE' })
      await t.runUntilIdle()
      expect(cleaned).toBe(1)
      t.system.exit(b, exitKill)
      await t.runUntilIdle()
      expect(cleaned).toBe(2)
      expect(t.system.processes()).toEqual([a])
    }),
  )
  test(
    'machine: sendTo reaches the child process, and what the child sends to its parent is an event',
    withSystem(async (t) => {
      const child = setup({ types: { events: {} as { type: 'PING' } } }).createMachine({
        id: 'child',
        on: { PING: { actions: sendParent({ type: 'PONG' }, { delay: 10 }) } },
      })
      const machine = setup({
        types: { events: {} as { type: 'PONG' } | { type: 'START' } },
        actors: { child },
      }).createMachine({
        id: 'parent',
        initial: 'a',
        invoke: { id: 'kid', src: 'child' },
        states: {
          a: { on: { START: { actions: sendTo('kid', { type: 'PING' }) }, PONG: 'b' } },
          b: { type: 'final' },
        },
      })
      const pid = t.system.spawn(fromMachine(machine))
      t.system.send(pid, { type: 'START' })
      await t.advance(9)
      expect(t.system.isAlive(pid)).toBe(true)
      await t.advance(1)
      expect((await t.system.call(pid, readSnapshot).catch((error: AppError) => error.kind)) as unknown).toBe(
        'not_found',
      )
    }),
  )
  test(
    'machine: delayed raises, emits and input with ctx work as XState says',
    withSystem(async (t) => {
      const probe = await t.probe()
      const emitted: unknown[] = []
      const machine = setup({
        types: {
          events: {} as { type: 'TICK' },
          emitted: {} as { type: 'ticked' },
          context: {} as { ctx: Context<never> },
          input: {} as { ctx: Context<never> },
        },
      }).createMachine({
        id: 'emitter',
        context: ({ input }) => ({ ctx: input.ctx }),
        entry: raise({ type: 'TICK' }, { delay: 30 }),
        on: {
          TICK: {
            actions: [emit({ type: 'ticked' }), ({ context }) => void context.ctx.send(probe.pid, 'from action')],
          },
        },
      })
      t.system.spawn(
        fromMachine(machine, {
          input: (ctx) => ({ ctx: ctx as unknown as Context<never> }),
          emitted: (_ctx, event) => void emitted.push(event),
        }),
      )
      await t.advance(30)
      expect(emitted).toEqual([{ type: 'ticked' }])
      expect(probe.received).toEqual(['from action'])
    }),
  )
  test(
    'machine: a linked process that fails ends it; its parent’s exit stops it',
    withSystem(async (t) => {
      const probe = await t.probe()
      const [a, b] = [probe.ctx.spawn(fromMachine(light)), t.system.spawn(fromMachine(light))]
      await t.runUntilIdle()
      probe.ctx.link(b)
      probe.ctx.exit(a, exitShutdown)
      await t.expectExit(a, 'shutdown')
      t.system.exit(probe.pid, exitKill)
      await t.expectExit(b, 'killed')
    }),
  )
})

import type { Pid } from '@daruma/protocol'
import { describe, expectTypeOf, test } from 'vitest'
import { setup } from 'xstate'
import {
  createSystem,
  fromMachine,
  next,
  readSnapshot,
  type Actor,
  type Behavior,
  type BodyContext,
  type From,
  type MailboxFull,
  type Notice,
  type Request,
} from '../src/index.ts'

type Counter =
  | { readonly kind: 'add'; readonly by: number }
  | Request<{ readonly kind: 'get' }, number>
  | Request<{ readonly kind: 'name'; readonly upper: boolean }, string>

declare const counter: Behavior<Counter, number, { readonly start: number }>
declare const plain: Behavior<'ping', null>

// Checked by the compiler, run by nobody.
const never = (_check: () => unknown): void => undefined
const system = createSystem()

describe('types', () => {
  test('spawn needs args exactly where init does, and gives a pid of the right protocol', () => {
    never(() => {
      expectTypeOf(system.spawn(counter, { args: { start: 1 } })).toEqualTypeOf<Actor<Counter>>()
      expectTypeOf(system.spawn(plain)).toEqualTypeOf<Actor<'ping'>>()
      // @ts-expect-error - args are missing
      system.spawn(counter)
      // @ts-expect-error - args are wrong
      system.spawn(counter, { args: { start: 'one' } })
    })
  })
  test('send takes the messages of the protocol and nothing else', () => {
    never(() => {
      const pid = system.spawn(counter, { args: { start: 1 } })
      expectTypeOf(system.send(pid, { kind: 'add', by: 1 })).toEqualTypeOf<MailboxFull | undefined>()
      // @ts-expect-error - no such kind
      system.send(pid, { kind: 'subtract', by: 1 })
      // @ts-expect-error - wrong field
      system.send(pid, { kind: 'add', by: '1' })
    })
  })
  test('the type of a reply follows from the request', () => {
    never(async () => {
      const pid = system.spawn(counter, { args: { start: 1 } })
      expectTypeOf(await system.call(pid, { kind: 'get' })).toEqualTypeOf<number>()
      expectTypeOf(await system.call(pid, { kind: 'name', upper: true })).toEqualTypeOf<string>()
      // @ts-expect-error - not a request
      await system.call(pid, { kind: 'add', by: 1 })
      // @ts-expect-error - no such request
      await system.call(pid, { kind: 'nothing' })
    })
  })
  test('a plain pid is the untyped way in', () => {
    never(async () => {
      const pid = {} as Pid
      system.send(pid, { anything: true })
      expectTypeOf(await system.call(pid, 'anything')).toEqualTypeOf<unknown>()
      const typed: Actor<Counter> = pid
      expectTypeOf(await system.call(typed, { kind: 'get' })).toEqualTypeOf<number>()
    })
  })
  test('an actor that understands more stands where one that understands less is wanted, not the other way', () => {
    never(() => {
      const wide = {} as Actor<'a' | 'b'>
      const narrow: Actor<'a'> = wide
      // @ts-expect-error - it does not understand b
      const wider: Actor<'a' | 'b'> = narrow
      return wider
    })
  })
  test('a handler’s replies are checked against the request in hand', () => {
    never(() => {
      const typed: Behavior<Counter, number> = {
        receive(ctx, message, sum) {
          expectTypeOf(ctx.self).toEqualTypeOf<Actor<Counter>>()
          if (message.kind === 'add') return next.state(sum + message.by)
          if (message.kind === 'get') {
            ctx.reply(message, sum)
            expectTypeOf(ctx.replyTo(message)).toEqualTypeOf<From<number>>()
            // @ts-expect-error - the reply is a number
            ctx.reply(message, 'one')
            return next.same
          }
          ctx.reply(message, 'counter')
          return next.same
        },
      }
      return typed
    })
  })
  test('the state that a handler returns is the state that it gets', () => {
    never(() => {
      const wrong: Behavior<'x', number> = {
        // @ts-expect-error - the state is a number
        receive: () => next.state('text'),
      }
      return wrong
    })
  })
  test('what hibernate keeps is a state of the same type', () => {
    never(() => {
      const wrong: Behavior<'x', { readonly cache: number[] | undefined }> = {
        receive: () => next.hibernate({ cache: [] }),
        hibernate: () => ({ cache: undefined }),
        // @ts-expect-error - the cache is of numbers
        wake: async () => ({ cache: ['one'] }),
      }
      const refused: Behavior<'x', number> = {
        // @ts-expect-error - the state is a number
        receive: () => next.hibernate('text'),
      }
      return [wrong, refused]
    })
  })
  test('straight-line code gets typed messages, and undefined only with a timeout', () => {
    never(() =>
      system.spawn(async (ctx: BodyContext<Counter>) => {
        expectTypeOf(await ctx.receive()).toEqualTypeOf<Counter | Notice>()
        expectTypeOf(await ctx.receive({ timeoutMs: 5 })).toEqualTypeOf<Counter | Notice | undefined>()
        const isAdd = (message: Counter | Notice): message is { readonly kind: 'add'; readonly by: number } =>
          message.kind === 'add'
        expectTypeOf(await ctx.receive(isAdd)).toEqualTypeOf<{ readonly kind: 'add'; readonly by: number }>()
      }),
    )
  })
  test('a machine’s events are its protocol, and its snapshot is typed', () => {
    never(async () => {
      const machine = setup({ types: { events: {} as { type: 'GO' }, context: {} as { n: number } } }).createMachine({
        context: { n: 1 },
      })
      const pid = system.spawn(fromMachine(machine))
      system.send(pid, { type: 'GO' })
      // @ts-expect-error - no such event
      system.send(pid, { type: 'STOP' })
      expectTypeOf((await system.call(pid, readSnapshot)).context).toEqualTypeOf<{ n: number }>()
    })
  })
})

import type { Behavior } from '@daruma/actors'
import { next } from '@daruma/actors'
import { expect, expectTypeOf, test } from 'vitest'
import type { DynamicSupervisor, StartChildReply, Supervisor } from '../src/index.ts'
import { dynamicSupervisor, startChild, startDynamicChild, startDynamicSupervisor, supervisor } from '../src/index.ts'
import { Stage } from './stage.ts'

const counter: Behavior<'add', number, { readonly from: number }> = {
  init: (_ctx, { from }) => from,
  receive: (_ctx, _message, total) => next.state(total + 1),
}
const plain: Behavior<'hello', undefined> = { receive: () => next.same }

test('the arguments of each child are checked against what its start wants', () => {
  supervisor({
    strategy: 'one_for_one',
    intensity: 3,
    periodMs: 5_000,
    children: [
      { id: 'counter', start: counter, args: { from: 1 }, restart: 'permanent', backoff: { initialMs: 100 } },
      { id: 'plain', start: plain },
    ],
  })
  // @ts-expect-error -- args of the wrong type
  supervisor({ children: [{ id: 'counter', start: counter, args: { from: 'one' } }] })
  // @ts-expect-error -- no such strategy
  expect(() => supervisor({ strategy: 'one_for_two', children: [] })).toThrow(/strategy/)
  // @ts-expect-error -- no such restart type
  expect(() => supervisor({ children: [{ id: 'plain', start: plain, restart: 'always' }] })).toThrow(/restart/)
})

test('so are the arguments of children on demand', async () => {
  await using stage = new Stage()
  const top = await stage.run(startDynamicSupervisor(stage.system, { child: { start: counter } }))
  expectTypeOf(top).toEqualTypeOf<DynamicSupervisor<{ readonly from: number }>>()
  const reply = startDynamicChild(stage.system, top, { from: 3 })
  expectTypeOf(reply).toEqualTypeOf<Promise<StartChildReply>>()
  // @ts-expect-error -- args of the wrong type
  void startDynamicChild(stage.system, top, { from: 'three' })
  // @ts-expect-error -- args are missing
  const missing = (): unknown => startDynamicChild(stage.system, top)
  expect(typeof missing).toBe('function')
  expect(dynamicSupervisor({ child: { start: plain } }).name).toBe('dynamic supervisor')
})

test('a supervisor is known by what it understands', async () => {
  await using stage = new Stage()
  const top = await stage.top({ children: [] })
  expectTypeOf(top).toEqualTypeOf<Supervisor>()
  expect(await stage.run(startChild(stage.system, top, { id: 'c', start: counter, args: { from: 2 } }))).toMatchObject({
    kind: 'started',
  })
  // @ts-expect-error -- args of the wrong type
  await stage.run(startChild(stage.system, top, { id: 'd', start: counter, args: 2 }))
})

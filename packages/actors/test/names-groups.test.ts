import { exitKill, isAppError, type Pid } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { next, type Behavior } from '../src/index.ts'
import { withSystem } from './rule.ts'

const sleeper: Behavior = { name: 'sleeper', receive: () => next.same }

describe('names', () => {
  test(
    '24: a taken name, a dead pid and a second name are errors, and so is unregistering an unknown one',
    withSystem(async (t) => {
      const a = t.system.spawn(sleeper, { name: 'a' })
      const b = t.system.spawn(sleeper)
      expect(() => t.system.register('a', b)).toThrow(
        expect.objectContaining({ kind: 'already_exists', details: { name: 'a', pid: a } }),
      )
      expect(() => t.system.register('z', a)).toThrow(/it is "a" already/)
      expect(() => t.system.unregister('z')).toThrow(expect.objectContaining({ kind: 'not_found' }))
      t.system.exit(b, exitKill)
      expect(() => t.system.register('b', b)).toThrow(/not a living process/)
    }),
  )
  test(
    '24: death unregisters',
    withSystem(async (t) => {
      const a = t.system.spawn(sleeper, { name: 'a' })
      expect(t.system.whereis('a')).toBe(a)
      t.system.exit(a, exitKill)
      expect(t.system.whereis('a')).toBeUndefined()
    }),
  )
  test(
    '24: an alias is a further name on request, released like the first',
    withSystem(async (t) => {
      const a = t.system.spawn(sleeper, { name: 'a' })
      t.system.register('also a', a, { alias: true })
      expect(t.system.whereis('also a')).toBe(a)
      t.system.exit(a, exitKill)
      expect(t.system.whereis('also a')).toBeUndefined()
    }),
  )
  test(
    '25: a name is free the moment its holder has ended: nobody finds a dead holder',
    withSystem(async (t) => {
      const a = t.system.spawn(sleeper, { name: 'a' })
      t.system.exit(a, exitKill)
      const b = t.system.spawn(sleeper, { name: 'a' })
      expect(t.system.whereis('a')).toBe(b)
    }),
  )
  test(
    '26: a start under a taken name says already_started and who',
    withSystem(async (t) => {
      const a = t.system.spawn(sleeper, { name: 'a' })
      expect(await t.system.tryStart(sleeper, { name: 'a' })).toEqual({ kind: 'already_started', pid: a })
      await expect(t.system.start(sleeper, { name: 'a' })).rejects.toSatisfy((e) => isAppError(e, 'already_exists'))
      expect(() => t.system.spawn(sleeper, { name: 'a' })).toThrow(/taken/)
      expect(t.system.size).toBe(1)
    }),
  )
  test(
    '26: a failed init has released its name before the starter hears of it',
    withSystem(async (t) => {
      const failing: Behavior<unknown, null> = {
        init: () => {
          throw new Error('no')
        },
        receive: () => next.same,
      }
      const outcome = await t.system.tryStart(failing, { name: 'a' })
      expect(outcome.kind).toBe('failed')
      expect(t.system.whereis('a')).toBeUndefined()
    }),
  )
})

describe('groups and topics', () => {
  test(
    'group: members are in order of joining, joining twice is once, death leaves',
    withSystem(async (t) => {
      const [a, b] = [await t.probe(), await t.probe()]
      t.system.groups.join('choir', b.pid)
      t.system.groups.join('choir', a.pid)
      t.system.groups.join('choir', b.pid)
      expect(t.system.groups.members('choir')).toEqual([b.pid, a.pid])
      expect(t.system.groups.broadcast('choir', 'la')).toBe(2)
      expect([await a.next(), await b.next()]).toEqual(['la', 'la'])
      t.system.exit(b.pid, exitKill)
      expect(t.system.groups.members('choir')).toEqual([a.pid])
      expect(t.system.groups.leave('choir', a.pid)).toBe(true)
      expect(t.system.groups.names()).toEqual([])
    }),
  )
  test(
    'group: a monitor of a group gets its members, then every join and leave',
    withSystem(async (t) => {
      const [watcher, a] = [await t.probe(), await t.probe()]
      t.system.groups.join('choir', a.pid)
      const { ref, members } = t.system.groups.monitor('choir', watcher.pid)
      expect(members).toEqual([a.pid])
      const b: Pid = t.system.spawn(sleeper)
      t.system.groups.join('choir', b)
      t.system.exit(b, exitKill)
      expect(await watcher.next()).toMatchObject({ kind: 'group', ref, change: 'joined', pid: b })
      expect(await watcher.next()).toMatchObject({ kind: 'group', ref, change: 'left', pid: b })
      t.system.groups.demonitor(ref)
      t.system.groups.leave('choir', a.pid)
      await t.runUntilIdle()
      expect(watcher.received).toEqual([])
    }),
  )
  test(
    'topic: publish reaches the subscribers of exactly that topic, and none is no error',
    withSystem(async (t) => {
      const a = await t.probe()
      t.system.topics.subscribe('news', a.pid)
      expect(t.system.topics.publish('news', 1)).toBe(1)
      expect(t.system.topics.publish('olds', 2)).toBe(0)
      t.system.topics.unsubscribe('news', a.pid)
      expect(t.system.topics.publish('news', 3)).toBe(0)
      await t.runUntilIdle()
      expect(a.received).toEqual([1])
    }),
  )
})

import { EventEmitter } from 'node:events'
import { AppError, silentLogger } from '@daruma/protocol'
import { describe, expect, test } from 'vitest'
import { stopOnSignals } from '../src/services/signals.ts'

function lab(options: { readonly stop?: () => Promise<unknown>; readonly force?: () => unknown } = {}) {
  const source = new EventEmitter()
  const done: string[] = []
  let stopped!: () => void
  const stopping = new Promise<void>((resolve) => (stopped = resolve))
  const messages: string[] = []
  const code = stopOnSignals({
    source,
    stop: () => {
      done.push('stop')
      return options.stop?.() ?? stopping
    },
    force: () => {
      done.push('force')
      return options.force?.()
    },
    logger: { log: (_level, message) => void messages.push(message) },
  })
  const listeners = (): number => source.listenerCount('SIGTERM') + source.listenerCount('SIGINT')
  return { source, done, stopped, code, messages, listeners }
}

describe('signals', () => {
  test.each(['SIGTERM', 'SIGINT'])('%s stops gracefully, and the exit code is 0', async (signal) => {
    const { source, done, stopped, code, listeners } = lab()
    source.emit(signal)
    expect(done).toEqual(['stop'])
    stopped()
    expect(await code).toBe(0)
    expect(listeners()).toBe(0)
  })

  test.each([
    ['SIGINT', 'SIGINT'],
    ['SIGTERM', 'SIGINT'],
    ['SIGINT', 'SIGTERM'],
  ])('%s and then %s forces, and the exit code is 1 without waiting', async (first, second) => {
    const { source, done, code } = lab()
    source.emit(first)
    source.emit(second)
    expect(done).toEqual(['stop', 'force'])
    expect(await code).toBe(1)
  })

  test('a third signal does what it did before: nothing of ours is in its way', () => {
    const { source, done, listeners } = lab()
    for (let signal = 0; signal < 3; signal++) source.emit('SIGINT')
    expect(done).toEqual(['stop', 'force'])
    expect(listeners()).toBe(0)
  })

  test('a stop that fails, at once or later, is logged and ends with 1', async () => {
    const later = lab({ stop: () => Promise.reject(new AppError('internal', 'stuck')) })
    later.source.emit('SIGTERM')
    expect(await later.code).toBe(1)
    expect(later.messages).toContain('the stop failed: stuck')
    const atOnce = lab({
      stop: () => {
        throw new AppError('internal', 'broken')
      },
    })
    atOnce.source.emit('SIGTERM')
    expect(await atOnce.code).toBe(1)
  })

  test('a force that fails still ends with 1', async () => {
    const { source, code } = lab({
      force: () => {
        throw new AppError('internal', 'broken')
      },
    })
    source.emit('SIGTERM')
    source.emit('SIGTERM')
    expect(await code).toBe(1)
  })

  test('a signal after the end of the stop is none of ours', async () => {
    const { source, done, stopped, code } = lab()
    source.emit('SIGTERM')
    stopped()
    await code
    source.emit('SIGTERM')
    expect(done).toEqual(['stop'])
  })

  test('by default the signals are those of this process', () => {
    const before = process.listenerCount('SIGTERM')
    const earlier = new Set(process.listeners('SIGTERM'))
    void stopOnSignals({ stop: () => Promise.resolve(), force: () => undefined, logger: silentLogger })
    expect(process.listenerCount('SIGTERM')).toBe(before + 1)
    const ours = process.listeners('SIGTERM').find((listener) => !earlier.has(listener))!
    ours('SIGTERM')
  })
})

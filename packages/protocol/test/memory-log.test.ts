import { describe, expect, test } from 'vitest'
import { MemoryInbox, MemoryLog, SimClock, bytesOf, textOf } from '@daruma/protocol/testing'

const newest = async (log: MemoryLog): Promise<string | undefined> => textOf((await log.last('p'))?.bytes)

describe('faults of a MemoryLog', () => {
  test('fail: rejected as unavailable, nothing stored', async () => {
    const log = new MemoryLog()
    log.failNext({ kind: 'fail' })
    await expect(log.append('p', 0, bytesOf('x'))).rejects.toMatchObject({ kind: 'unavailable' })
    expect(await log.last('p')).toBeUndefined()
  })

  test('lose_ack: rejected as timeout, yet stored', async () => {
    const log = new MemoryLog()
    log.failNext({ kind: 'lose_ack' }, 'append')
    await expect(log.append('p', 0, bytesOf('x'))).rejects.toMatchObject({ kind: 'timeout' })
    expect(await newest(log)).toBe('x')
  })

  test('refuse: refused with the true end, nothing stored', async () => {
    const log = new MemoryLog()
    log.failNext({ kind: 'refuse' })
    expect(await log.append('p', 0, bytesOf('x'))).toEqual({ kind: 'refused', lastSeq: 0 })
  })

  test('refuse_stored: refused, and the end is the very record that was refused', async () => {
    const log = new MemoryLog()
    log.failNext({ kind: 'refuse_stored' })
    const answer = await log.append('p', 0, bytesOf('x'))
    expect(answer).toEqual({ kind: 'refused', lastSeq: (await log.last('p'))?.seq })
    expect(await newest(log)).toBe('x')
  })

  test('intrude: another record gets in first, so that the append is refused', async () => {
    const log = new MemoryLog()
    log.failNext({ kind: 'intrude', bytes: bytesOf('theirs') })
    expect(await log.append('p', 0, bytesOf('mine'))).toMatchObject({ kind: 'refused' })
    expect(await newest(log)).toBe('theirs')
  })

  test('delay_request: stored only when the time has passed; delay_answer: stored at once', async () => {
    const clock = new SimClock()
    const log = new MemoryLog({ clock })
    log.failNext({ kind: 'delay_request', durationMs: 10 })
    const late = log.append('p', 0, bytesOf('late'))
    expect(await log.last('p')).toBeUndefined()
    clock.advance(10)
    expect(await late).toMatchObject({ kind: 'appended' })
    log.failNext({ kind: 'delay_answer', durationMs: 10 })
    const slow = log.append('q', 0, bytesOf('slow'))
    expect(textOf((await log.last('q'))?.bytes)).toBe('slow')
    clock.advance(10)
    expect(await slow).toMatchObject({ kind: 'appended' })
  })

  test('H1: a crash loses delayed appends, keeps the rest, and ends the handle', async () => {
    const clock = new SimClock()
    const log = new MemoryLog({ clock })
    await log.append('p', 0, bytesOf('kept'))
    log.failNext({ kind: 'delay_request', durationMs: 10 })
    const lost = log.append('q', 0, bytesOf('lost'))
    log.crash()
    await expect(lost).rejects.toMatchObject({ kind: 'unavailable' })
    await expect(log.last('p')).rejects.toMatchObject({ kind: 'unavailable' })
    const again = log.reopen()
    expect([await newest(again), await again.last('q'), clock.pending]).toEqual(['kept', undefined, 0])
  })

  test('a plan sees every operation with its count, and queued faults come first', async () => {
    const seen: string[] = []
    const log = new MemoryLog({
      faults: ({ name, on, count }) => {
        seen.push(`${count} ${name} ${on}`)
        return undefined
      },
    })
    log.failNext({ kind: 'fail' }, 'append')
    await log.last('p')
    await expect(log.append('p', 0, bytesOf('x'))).rejects.toThrow('injected')
    await log.append('p', 0, bytesOf('x'))
    expect(seen).toEqual(['1 last p', '3 append p'])
  })
})

test('a MemoryInbox forgets message ids when their time is over', async () => {
  const clock = new SimClock()
  const inbox = new MemoryInbox({ clock, rememberMs: 1_000 })
  await inbox.deliver('p', 'id', bytesOf('1'))
  clock.advance(999)
  await inbox.deliver('p', 'id', bytesOf('2'))
  expect(inbox.depth('p')).toBe(1)
  clock.advance(1)
  await inbox.deliver('p', 'id', bytesOf('3'))
  expect(inbox.depth('p')).toBe(2)
})

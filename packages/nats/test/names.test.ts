import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { escapeToken, namesOf, unescapeToken } from '@daruma/nats/internal'

describe('names on the server', () => {
  test.each([
    ['orders', 'orders'],
    ['Orders-2_b', 'Orders-2_b'],
    ['', '='],
    ['a.b', 'a=2Eb'],
    ['a=b', 'a=3Db'],
    ['*', '=2A'],
    ['>', '=3E'],
    ['app:main', 'app=3Amain'],
    ['ä', '=C3=A4'],
    ['a b/c\\d', 'a=20b=2Fc=5Cd'],
  ])('"%s" is written %s and read back', (text, token) => {
    expect(escapeToken(text)).toBe(token)
    expect(unescapeToken(token)).toBe(text)
  })

  test('any text becomes one token that every kind of name accepts, and comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const token = escapeToken(text)
        expect(token).toMatch(/^[A-Za-z0-9_=-]+$/)
        expect(unescapeToken(token)).toBe(text)
      }),
    )
  })

  test('streams and subjects of a queue', () => {
    const names = namesOf('daruma')
    expect([
      names.logStream('orders'),
      names.logSubject('orders', '3'),
      names.logSubjects('orders'),
      names.inboxStream('a.b'),
      names.inboxSubject('a.b', '3'),
      names.inboxConsumerPrefix('p 1'),
      names.leaseBucket,
      names.leaseSubject('orders/3'),
      names.snapshotStream,
      names.snapshotSubject('w:1'),
      names.snapshotPartSubject('w:1', 'g', 0),
    ]).toEqual([
      'DARUMA_LOG_orders',
      'daruma.log.orders.3',
      'daruma.log.orders.*',
      'DARUMA_INBOX_a=2Eb',
      'daruma.inbox.a=2Eb.3',
      'p=201=g',
      'DARUMA_LEASES',
      '$KV.DARUMA_LEASES.orders=2F3',
      'DARUMA_SNAPSHOTS',
      'daruma.snapshot.w=3A1',
      'daruma.snapshot.w=3A1.g.0',
    ])
  })

  test.each(['', 'a.b', 'a b', '*', 'x'.repeat(41)])('prefix "%s" is refused as invalid', (prefix) => {
    expect(() => namesOf(prefix)).toThrow(expect.objectContaining({ kind: 'invalid' }))
  })

  test('a queue whose name would not fit on the server is refused as invalid', () => {
    expect(() => namesOf('daruma').logStream('日'.repeat(50))).toThrow(expect.objectContaining({ kind: 'invalid' }))
  })
})

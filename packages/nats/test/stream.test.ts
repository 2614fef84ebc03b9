import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { NodeId, Peer } from '@daruma/protocol'
import { eachMessage, FrameWriter, Incoming, Outgoing, parseFrame } from '@daruma/nats/internal'

const self: Peer = { node: 'äöü' as NodeId, incarnation: 1_893_456_000_000_123 }
const writer = new FrameWriter(self)

interface Sent {
  readonly seq: number
  readonly body: Uint8Array
}

/** A sender and a receiver with a wire between them that the test carries. */
function stream(bounds: { windowBytes?: number; waitingBytes?: number } = {}) {
  const wire: Sent[] = []
  const acks: { nextSeq: number; isMissing: boolean }[] = []
  const received: string[] = []
  const outgoing = new Outgoing({
    frameBytes: 64,
    windowBytes: bounds.windowBytes ?? 256,
    waitingBytes: bounds.waitingBytes ?? 1_000_000,
    publish: (seq, body) => wire.push({ seq, body }) > 0,
  })
  const incoming = new Incoming({
    ackBytes: 128,
    ackFrames: 4,
    ack: (nextSeq, isMissing) => void acks.push({ nextSeq, isMissing }),
  })
  return {
    wire,
    received,
    outgoing,
    incoming,
    carry(losesFrame: () => boolean, losesAck: () => boolean): void {
      for (const { seq, body } of wire.splice(0)) {
        if (losesFrame() || incoming.arrived(seq) !== 'next') continue
        eachMessage(body, 0, (message) => void received.push(Buffer.from(message).toString()))
        incoming.delivered(body.length)
      }
      for (const { nextSeq, isMissing } of acks.splice(0)) if (!losesAck()) outgoing.acknowledged(nextSeq, isMissing)
    },
  }
}

const never = (): boolean => false

describe('the stream to one peer', () => {
  test('whatever the wire loses, everything arrives once and in order, and the window is never passed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 200 }),
        fc.infiniteStream(fc.boolean()),
        fc.integer({ min: 1, max: 7 }),
        (sizes, coin, every) => {
          const { wire, received, outgoing, incoming, carry } = stream()
          const sent = sizes.map((size, at) => `${at} ${'x'.repeat(size)}`)
          const isUnlucky = (): boolean => coin.next().value === true && coin.next().value === true
          for (const [at, text] of sent.entries()) {
            expect(outgoing.add(Buffer.from(text), false)).toBe(true)
            if (at % every !== 0) continue
            outgoing.flush()
            expect(wire.reduce((sum, { body }) => sum + body.length, 0)).toBeLessThan(3 * 256)
            carry(isUnlucky, isUnlucky)
          }
          for (let round = 0; round < 2_000 && outgoing.pendingBytes > 0; round++) {
            incoming.tick()
            outgoing.tick()
            carry(isUnlucky, isUnlucky)
          }
          expect(received).toEqual(sent)
          expect(outgoing.pendingBytes).toBe(0)
        },
      ),
      { numRuns: 100, verbose: 1 },
    )
  })

  test('a peer that takes nothing fills the bounds; messages are refused, signals get in, until it counts as overrun', () => {
    const { outgoing, incoming, wire, carry } = stream({ windowBytes: 100, waitingBytes: 200 })
    const message = Buffer.alloc(46)
    let taken = 0
    while (outgoing.add(message, false)) taken++
    expect(taken).toBe(6)
    outgoing.flush()
    expect(wire.length).toBe(2)
    expect(outgoing.isOverrun).toBe(false)
    let signals = 0
    while (!outgoing.isOverrun) signals += outgoing.add(message, true) ? 1 : 0
    expect(signals).toBe(19)
    for (let round = 0; round < 30; round++) {
      carry(never, never)
      incoming.tick()
      outgoing.flush()
    }
    expect(outgoing.pendingBytes).toBeLessThan(200)
    expect(outgoing.add(message, false)).toBe(true)
  })

  test('a frame that is lost at the very end is sent again after three ticks', () => {
    const { outgoing, received, carry, incoming } = stream()
    outgoing.add(Buffer.from('last'), false)
    outgoing.flush()
    carry(() => true, never)
    for (let ticks = 0; ticks < 3; ticks++) outgoing.tick()
    carry(never, never)
    incoming.tick()
    carry(never, never)
    expect([received, outgoing.pendingBytes]).toEqual([['last'], 0])
  })
})

describe('frames', () => {
  test('each kind comes back as it was written', () => {
    const body = Buffer.from([1, 0, 0, 0, 97, 0, 0, 0, 0])
    expect(parseFrame(writer.heartbeat())).toEqual({ kind: 'heartbeat', from: self })
    expect(parseFrame(writer.hello(7, 8))).toEqual({ kind: 'hello', from: self, senderSession: 7, receiverSession: 8 })
    expect(parseFrame(writer.goodbye(7, 8))).toMatchObject({ kind: 'goodbye', senderSession: 7 })
    expect(parseFrame(writer.ack(7, 8, 2 ** 40, true))).toMatchObject({
      kind: 'ack',
      nextSeq: 2 ** 40,
      isMissing: true,
    })
    const data = parseFrame(writer.data(7, 8, 3, body))
    if (typeof data === 'string' || data.kind !== 'data') throw new Error('expected data')
    const messages: string[] = []
    eachMessage(data.bytes, data.bodyAt, (message) => void messages.push(Buffer.from(message).toString()))
    expect([data.seq, messages]).toEqual([3, ['a', '']])
  })

  test('no bytes make the parser throw, and no cut or flipped frame is believed beyond its length', () => {
    const frames = [writer.hello(7, 8), writer.ack(1, 2, 3, false), writer.data(7, 8, 3, Buffer.from([1, 0, 0, 0, 97]))]
    fc.assert(
      fc.property(fc.constantFrom(...frames), fc.nat(), fc.nat(255), fc.uint8Array(), (frame, at, byte, noise) => {
        for (const bytes of [
          noise,
          frame.subarray(0, at % frame.length),
          Buffer.from(frame).fill(byte, at % frame.length),
        ]) {
          const parsed = parseFrame(bytes)
          if (typeof parsed === 'string' || parsed.kind !== 'data') continue
          let end = parsed.bodyAt
          eachMessage(parsed.bytes, parsed.bodyAt, (message) => void (end += 4 + message.length))
          expect(end).toBe(bytes.length)
        }
      }),
      { numRuns: 500, verbose: 1 },
    )
  })
})

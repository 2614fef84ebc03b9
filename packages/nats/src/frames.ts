import type { NodeId, Peer } from '@daruma/protocol'

/**
 * What nodes say to each other, as bytes. Everything little-endian.
 *
 * Head: u8 format, u8 kind, u8 length of the sender's name, the name in UTF-8, f64 its incarnation.
 * All but heartbeats: u32 the sender's session number, u32 the receiver's.
 * data: f64 sequence, then u32 length and bytes of each message. ack: f64 the next sequence that is expected, u8 missing.
 */
export type Frame =
  | { readonly kind: 'heartbeat'; readonly from: Peer }
  | ({ readonly kind: 'hello' | 'goodbye' } & Addressed)
  | ({
      readonly kind: 'data'
      readonly seq: number
      readonly bytes: Uint8Array
      /** Where its first message begins in `bytes`. */
      readonly bodyAt: number
    } & Addressed)
  /** `isMissing`: a later frame came, so this one is lost: send it again. */
  | ({ readonly kind: 'ack'; readonly nextSeq: number; readonly isMissing: boolean } & Addressed)

interface Addressed {
  readonly from: Peer
  readonly senderSession: number
  readonly receiverSession: number
}

const format = 1
const kinds = ['heartbeat', 'hello', 'goodbye', 'data', 'ack'] as const

/** No frame's head is longer. */
export const maxHeadBytes = 3 + 255 + 8 + 4 + 4 + 8

export const lengthBytes = 4

/** Writes the frames of one node. */
export class FrameWriter {
  readonly #name: Buffer
  readonly #incarnation: number

  /** A name of at most 255 bytes. */
  constructor(self: Peer) {
    this.#name = Buffer.from(self.node)
    this.#incarnation = self.incarnation
  }

  heartbeat(): Buffer {
    return this.#head(0, 0)
  }

  hello(senderSession: number, receiverSession: number): Buffer {
    return this.#addressed(1, senderSession, receiverSession, 0)
  }

  goodbye(senderSession: number, receiverSession: number): Buffer {
    return this.#addressed(2, senderSession, receiverSession, 0)
  }

  /** `body`: u32 length and bytes of each message. */
  data(senderSession: number, receiverSession: number, seq: number, body: Uint8Array): Buffer {
    const frame = this.#addressed(3, senderSession, receiverSession, 8 + body.length)
    const at = frame.length - body.length
    frame.writeDoubleLE(seq, at - 8)
    frame.set(body, at)
    return frame
  }

  ack(senderSession: number, receiverSession: number, nextSeq: number, isMissing: boolean): Buffer {
    const frame = this.#addressed(4, senderSession, receiverSession, 9)
    frame.writeDoubleLE(nextSeq, frame.length - 9)
    frame[frame.length - 1] = isMissing ? 1 : 0
    return frame
  }

  #addressed(kind: number, senderSession: number, receiverSession: number, restBytes: number): Buffer {
    const frame = this.#head(kind, 8 + restBytes)
    const at = frame.length - 8 - restBytes
    frame.writeUInt32LE(senderSession, at)
    frame.writeUInt32LE(receiverSession, at + 4)
    return frame
  }

  #head(kind: number, restBytes: number): Buffer {
    const name = this.#name
    const frame = Buffer.allocUnsafe(3 + name.length + 8 + restBytes)
    frame[0] = format
    frame[1] = kind
    frame[2] = name.length
    frame.set(name, 3)
    frame.writeDoubleLE(this.#incarnation, 3 + name.length)
    return frame
  }
}

/** The frame, every length in it checked; or, as text, what is wrong with it. Never throws. */
export function parseFrame(bytes: Uint8Array): Frame | string {
  if (bytes.length < 3) return 'too short'
  if (bytes[0] !== format) return `format ${bytes[0]}, this version reads format ${format}`
  const kind = kinds[bytes[1]!]
  if (kind === undefined) return `kind ${bytes[1]} is not known`
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const nameEnd = 3 + frame[2]!
  let at = nameEnd + 8
  if (frame[2] === 0 || frame.length < at) return 'no sender'
  const incarnation = frame.readDoubleLE(nameEnd)
  if (!isCount(incarnation)) return 'an incarnation that is no number'
  const from: Peer = { node: frame.toString('utf8', 3, nameEnd) as NodeId, incarnation }
  if (kind === 'heartbeat') return frame.length === at ? { kind, from } : 'a heartbeat with something behind it'
  if (frame.length < at + 8) return 'no session numbers'
  const addressed = { from, senderSession: frame.readUInt32LE(at), receiverSession: frame.readUInt32LE(at + 4) }
  at += 8
  switch (kind) {
    case 'hello':
    case 'goodbye':
      return frame.length === at ? { kind, ...addressed } : `a ${kind} with something behind it`
    case 'ack': {
      if (frame.length !== at + 9) return 'an ack of a wrong length'
      const nextSeq = frame.readDoubleLE(at)
      if (!isCount(nextSeq)) return 'an ack of no number'
      return { kind, ...addressed, nextSeq, isMissing: frame[at + 8] === 1 }
    }
    case 'data': {
      if (frame.length < at + 8) return 'data without a sequence'
      const seq = frame.readDoubleLE(at)
      if (!isCount(seq)) return 'data with a sequence that is no number'
      const bodyAt = at + 8
      for (at = bodyAt; at < frame.length;) {
        if (frame.length < at + lengthBytes) return 'a message without a length'
        at += lengthBytes + frame.readUInt32LE(at)
      }
      if (at !== frame.length) return 'a message longer than its frame'
      return { kind, ...addressed, seq, bytes, bodyAt }
    }
  }
}

/** Calls `take` with each message of a data frame that was parsed. */
export function eachMessage(bytes: Uint8Array, bodyAt: number, take: (message: Uint8Array) => void): void {
  for (let at = bodyAt; at < bytes.length;) {
    const length = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
    at += lengthBytes
    take(bytes.subarray(at, at + length))
    at += length
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

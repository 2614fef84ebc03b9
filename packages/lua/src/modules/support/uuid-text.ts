import { invalid } from './args.ts'

const pattern = /^(?:urn:uuid:)?\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$/i

/** @throws AppError invalid - not the text of a UUID */
export function parseUuid(text: string): Buffer {
  const match = pattern.exec(text)
  if (match === null) throw invalid(`not a UUID: "${text}"`)
  return Buffer.from(match.slice(1).join(''), 'hex')
}

export const isUuid = (text: string): boolean => pattern.test(text)

export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The sixteen bytes with version and RFC 4122 variant set. */
export function stamped(bytes: Uint8Array, version: number): Buffer {
  const out = Buffer.from(bytes.subarray(0, 16))
  out[6] = (out[6]! & 0x0f) | (version << 4)
  out[8] = (out[8]! & 0x3f) | 0x80
  return out
}

export const versionOf = (bytes: Uint8Array): number => bytes[6]! >>> 4

export function variantOf(bytes: Uint8Array): string {
  const lead = bytes[8]!
  if ((lead & 0x80) === 0) return 'NCS'
  if ((lead & 0xc0) === 0x80) return 'RFC4122'
  return (lead & 0xe0) === 0xc0 ? 'Microsoft' : 'Future'
}

/** 100 ns steps between 1582-10-15, where version 1 counts from, and the Unix epoch. */
const gregorianOffset = 122_192_928_000_000_000n

export function version1(unixNanoseconds: bigint, random: Uint8Array): Buffer {
  const ticks = unixNanoseconds / 100n + gregorianOffset
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32BE(Number(ticks & 0xffffffffn), 0)
  bytes.writeUInt16BE(Number((ticks >> 32n) & 0xffffn), 4)
  bytes.writeUInt16BE(Number((ticks >> 48n) & 0x0fffn), 6)
  Buffer.from(random).copy(bytes, 8, 0, 8)
  // The multicast bit says that the node id is no network card's.
  bytes[10] = bytes[10]! | 0x01
  return stamped(bytes, 1)
}

export function version7(unixMs: bigint, random: Uint8Array): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUIntBE(Number(unixMs), 0, 6)
  Buffer.from(random).copy(bytes, 6, 0, 10)
  return stamped(bytes, 7)
}

/** Unix seconds that a version 1 or 7 UUID was made at; undefined for others. */
export function unixSecondsOf(bytes: Buffer): number | undefined {
  switch (versionOf(bytes)) {
    case 1: {
      const low = BigInt(bytes.readUInt32BE(0))
      const middle = BigInt(bytes.readUInt16BE(4))
      const high = BigInt(bytes.readUInt16BE(6) & 0x0fff)
      return Number((((high << 48n) | (middle << 32n) | low) - gregorianOffset) / 10_000_000n)
    }
    case 7:
      return Math.floor(bytes.readUIntBE(0, 6) / 1_000)
    default:
      return undefined
  }
}

import { Pid, type Codec, type WireError } from '@daruma/protocol'

/**
 * What one event may bring into a workflow: half of what an entry may have, so that there is room for what the program
 * does with it, for instance hand it on.
 */
export function maxPayloadBytes(maxEntryBytes: number): number {
  return Math.max(Math.floor((maxEntryBytes - 4_096) / 2), Math.floor(maxEntryBytes / 4))
}

/** The error for a value that is larger than `maxBytes` when it is encoded (trap 29). `what`: "the result of app:report". */
export function tooLarge(codec: Codec, value: unknown, what: string, maxBytes: number): WireError | undefined {
  if (atMostBytes(value, maxBytes) <= maxBytes) return undefined
  const { length } = codec.encode(value)
  if (length <= maxBytes) return undefined
  return {
    kind: 'invalid',
    message: `${what} has ${length} bytes, the journal takes ${maxBytes}; pass large data by reference`,
    retryable: false,
  }
}

/** An upper bound, without encoding. Stops counting soon after `enough`. */
function atMostBytes(value: unknown, enough: number): number {
  switch (typeof value) {
    case 'string':
      return value.length * 3 + 5
    case 'object': {
      if (value === null) return 1
      if (value instanceof Uint8Array) return value.length + 16
      // A local pid leads to its process, and from there to everything; encoded it is its text.
      if (value instanceof Pid) return String(value).length * 3 + 64
      if (value instanceof Map) return Infinity
      let bytes = 16
      if (Array.isArray(value)) {
        for (const item of value) {
          bytes += atMostBytes(item, enough)
          if (bytes > enough) return bytes
        }
        return bytes
      }
      for (const key in value) {
        bytes += key.length * 3 + 5 + atMostBytes((value as Record<string, unknown>)[key], enough)
        if (bytes > enough) return bytes
      }
      // An instance of a class may be encoded by an extension.
      return Object.getPrototypeOf(value) === Object.prototype ? bytes : bytes + 256
    }
    default:
      return 10
  }
}

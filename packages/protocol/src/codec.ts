import { Packr, addExtension } from 'msgpackr'
import { AppError, fromWire, toWire, type WireError } from './errors.ts'
import { Home, Pid, Ref, type NodeId } from './ids.ts'

/**
 * Values to bytes and back. What cannot travel is refused with the path to it, never silently dropped.
 * Plain data arrives as it was; an instance of a class and a Map arrive as plain objects (a Map's keys as text).
 */
export interface Codec {
  /** @throws AppError invalid - a function, symbol, cycle or weak collection; the text has the path. */
  encode(value: unknown): Uint8Array
  /** @throws AppError invalid - not written by this codec, or by a newer version of it. */
  decode(bytes: Uint8Array): unknown
}

/** A value whose type only its owner knows (a Lua Time, a Payload): a name and plain data. */
export class Tagged {
  readonly tag: string
  readonly value: unknown

  constructor(tag: string, value: unknown) {
    this.tag = tag
    this.value = value
  }
}

/** First byte of everything encoded. Grows when old readers could not read the new form. */
export const codecVersion = 1

// Extension numbers are part of the format: add, never reuse.
addExtension({
  Class: Pid,
  type: 0x10,
  write: (pid: Pid) => [pid.home.node, pid.home.incarnation, pid.home.host, pid.id],
  read: ([node, incarnation, host, id]: [NodeId, number, string, number | string]) =>
    new Pid(new Home(node, incarnation, host), id),
})
addExtension({
  Class: Ref,
  type: 0x11,
  write: (ref: Ref) => [ref.node, ref.incarnation, ref.serial],
  read: ([node, incarnation, serial]: [NodeId, number, number]) => new Ref(node, incarnation, serial),
})
addExtension({
  Class: AppError,
  type: 0x12,
  write: (error: AppError) => toWire(error),
  read: (wire: WireError) => fromWire(wire),
})
addExtension({
  Class: Tagged,
  type: 0x13,
  write: (tagged: Tagged) => [tagged.tag, tagged.value],
  read: ([tag, value]: [string, unknown]) => new Tagged(tag, value),
})

/** The msgpack form: no shared record structures, so that each message stands alone for ever. */
export function msgpackCodec(): Codec {
  const packr = new Packr({ useRecords: false, moreTypes: true })
  Object.assign(packr, {
    writeFunction() {
      throw new TypeError('function')
    },
  })
  return {
    encode(value) {
      try {
        const body = packr.pack(value)
        const bytes = new Uint8Array(body.length + 1)
        bytes[0] = codecVersion
        bytes.set(body, 1)
        return bytes
      } catch (error) {
        throw new AppError('invalid', findUnsendable(value) ?? 'this value cannot be sent', undefined, { cause: error })
      }
    },
    decode(bytes) {
      if (bytes[0] !== codecVersion) {
        throw new AppError(
          'invalid',
          bytes[0] === undefined
            ? 'empty message'
            : `message of format ${bytes[0]}, this version reads format ${codecVersion}; upgrade this node`,
        )
      }
      try {
        return packr.unpack(bytes.subarray(1))
      } catch (error) {
        throw new AppError('invalid', 'message is damaged: not msgpack', undefined, { cause: error })
      }
    },
  }
}

/** Refuses what cannot travel. @throws AppError invalid - with the path to the offending field. */
export function assertSendable(value: unknown): void {
  const problem = findUnsendable(value)
  if (problem !== undefined) throw new AppError('invalid', problem)
}

/** The first thing in `value` that cannot travel, as a sentence with its path; undefined if all can. */
export function findUnsendable(value: unknown, path = 'value', ancestors: readonly object[] = []): string | undefined {
  switch (typeof value) {
    case 'function':
      return `${path} is a function${value.name === '' ? '' : ` (${value.name})`}; functions cannot be sent`
    case 'symbol':
      return `${path} is a symbol; symbols cannot be sent`
    case 'object': {
      if (value === null || value instanceof Pid || value instanceof Ref || value instanceof Uint8Array)
        return undefined
      if (ancestors.includes(value)) return `${path} refers back to one of its own containers; cycles cannot be sent`
      if (ancestors.length > 200) return `${path} lies more than 200 levels deep`
      if (
        value instanceof WeakMap ||
        value instanceof WeakSet ||
        value instanceof WeakRef ||
        value instanceof Promise
      ) {
        return `${path} is a ${value.constructor.name}; it cannot be sent`
      }
      const within = [...ancestors, value]
      if (value instanceof Map) {
        for (const [key, item] of value) {
          const problem =
            findUnsendable(key, `${path} key`, within) ?? findUnsendable(item, `${path}.get(${String(key)})`, within)
          if (problem !== undefined) return problem
        }
        return undefined
      }
      const isArray = Array.isArray(value)
      for (const [key, item] of Object.entries(value)) {
        const problem = findUnsendable(item, isArray ? `${path}[${key}]` : `${path}.${key}`, within)
        if (problem !== undefined) return problem
      }
      return undefined
    }
    default:
      return undefined
  }
}

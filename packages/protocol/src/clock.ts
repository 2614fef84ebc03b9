import { randomBytes } from 'node:crypto'

/** Stops a timer. Returns the milliseconds that were left, or false when it had fired or was stopped before. */
export type CancelTimer = () => number | false

/** The only source of time. Wall time may step; monotonic time never goes back. Both in milliseconds. */
export interface Clock {
  wallMs(): number
  monotonicMs(): number
  /** Calls `fire` once, not before `delayMs` of monotonic time have passed. Any finite delay is kept, however long. */
  after(delayMs: number, fire: () => void): CancelTimer
}

/** The only source of chance. */
export interface Rng {
  /** Uniform in [0, 1). */
  next(): number
  bytes(count: number): Uint8Array
}

/** setTimeout fires at once beyond 2^31-1 ms, so that longer delays are walked in chunks of this many. */
const maxTimeoutMs = 2_000_000_000

/** The machine's clock. Its timers keep the event loop alive only when `keepAlive` (default true). */
export function systemClock(options: { readonly keepAlive?: boolean } = {}): Clock {
  const keepAlive = options.keepAlive ?? true
  return {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    after(delayMs, fire) {
      const dueMs = performance.now() + delayMs
      let done = false
      let handle: NodeJS.Timeout
      const arm = (): void => {
        const leftMs = dueMs - performance.now()
        // Node rounds a timeout down; one that wakes early walks the rest, so that "not before" holds.
        handle = setTimeout(
          () => {
            if (performance.now() < dueMs) return arm()
            done = true
            fire()
          },
          Math.min(Math.max(Math.ceil(leftMs), 0), maxTimeoutMs),
        )
        if (!keepAlive) handle.unref()
      }
      arm()
      return () => {
        if (done) return false
        done = true
        clearTimeout(handle)
        return Math.max(dueMs - performance.now(), 0)
      }
    },
  }
}

export function systemRng(): Rng {
  return { next: () => Math.random(), bytes: (count) => new Uint8Array(randomBytes(count)) }
}

/**
 * A generator that gives the same numbers for the same seed, on every machine and version for ever: journals rely on it.
 * Four 32-bit words from the seed by FNV-1a and a finalizer, then sfc32.
 */
export function seededRng(seed: string): Rng {
  const words = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 0x2545f491].map((salt) => hash32(seed, salt))
  let [a, b, c, d] = words as [number, number, number, number]
  const next32 = (): number => {
    const sum = (a + b + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    c |= 0
    return sum >>> 0
  }
  for (let warmUp = 0; warmUp < 12; warmUp++) next32()
  return {
    next: () => (next32() >>> 5) * 2 ** -27 + (next32() >>> 6) * 2 ** -53,
    bytes(count) {
      const bytes = new Uint8Array(count)
      for (let at = 0; at < count; at += 4) {
        const word = next32()
        for (let lane = 0; lane < 4 && at + lane < count; lane++) bytes[at + lane] = word >>> (8 * lane)
      }
      return bytes
    },
  }
}

/** FNV-1a over UTF-16 code units with a finalizer. Stable for ever: partitions and seeds hang on it. */
export function hash32(text: string, salt = 0): number {
  let hash = 0x811c9dc5 ^ salt
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** A version 4 UUID from the given generator. */
export function uuidFrom(rng: Rng): string {
  const bytes = rng.bytes(16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

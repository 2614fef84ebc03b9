/** Bytes put together piece by piece, in one array that doubles. */
export class ByteBuilder {
  #bytes = new Uint8Array(256)
  #length = 0
  readonly #limit: number
  readonly #refuse: (bytes: number) => never

  /** `refuse` is called when the whole exceeds `limitBytes`. */
  constructor(limitBytes: number, refuse: (bytes: number) => never) {
    this.#limit = limitBytes
    this.#refuse = refuse
  }

  add(piece: Uint8Array): void {
    const needed = this.#length + piece.length
    if (needed > this.#limit) this.#refuse(needed)
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    this.#bytes.set(piece, this.#length)
    this.#length = needed
  }

  /** A copy of exactly the bytes so far. */
  done(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }
}

/** One array of `chunks`, which hold `total` bytes together. */
export function joinBytes(chunks: readonly Uint8Array[], total: number): Uint8Array {
  const joined = new Uint8Array(total)
  let at = 0
  for (const chunk of chunks) {
    joined.set(chunk, at)
    at += chunk.length
  }
  return joined
}

/** First place of `needle` from `from` on, or -1. An empty needle is found at `from`. */
export function findBytes(haystack: Uint8Array, needle: Uint8Array, from: number): number {
  if (needle.length === 0) return from
  return Buffer.from(haystack.buffer, haystack.byteOffset, haystack.length).indexOf(needle, from)
}

import type { Readable } from 'node:stream'

const newline = 10

/** Bytes and lines of a stream, asked for when they are wanted. Askers are served in turn. */
export class InputReader {
  readonly #stream: Readable
  #chunks: AsyncIterator<Uint8Array | string> | undefined = undefined
  #rest: Buffer = Buffer.alloc(0)
  #hasEnded = false
  #last: Promise<unknown> = Promise.resolve()

  /** Nothing is read, and the stream is left alone, until somebody asks. */
  constructor(stream: Readable) {
    this.#stream = stream
  }

  /** At least one byte and at most `maxBytes`; none at the end. */
  read(maxBytes: number): Promise<Uint8Array> {
    return this.#inTurn(async () => {
      if (this.#rest.length === 0) await this.#more()
      return this.#take(Math.min(maxBytes, this.#rest.length))
    })
  }

  /** Without its line end; null at the end of input. A last line needs none. */
  readLine(): Promise<string | null> {
    return this.#inTurn(async () => {
      let searched = 0
      for (;;) {
        const at = this.#rest.indexOf(newline, searched)
        if (at >= 0)
          return this.#take(at + 1)
            .toString('utf8')
            .replace(/\r?\n$/, '')
        searched = this.#rest.length
        if (!(await this.#more())) break
      }
      return this.#rest.length === 0 ? null : this.#take(this.#rest.length).toString('utf8')
    })
  }

  #take(count: number): Buffer {
    const taken = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(count)
    return taken
  }

  async #more(): Promise<boolean> {
    if (this.#hasEnded) return false
    this.#chunks ??= this.#stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array | string>
    const { value, done } = await this.#chunks.next()
    if (done === true) {
      this.#hasEnded = true
      return false
    }
    const chunk = typeof value === 'string' ? Buffer.from(value) : value
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk])
    return true
  }

  #inTurn<T>(read: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(read)
    this.#last = turn.catch(() => undefined)
    return turn
  }
}

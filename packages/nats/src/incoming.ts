export type Arrival =
  /** The next in order: to be delivered. */
  | 'next'
  /** It was delivered before. */
  | 'duplicate'
  /** One before it is lost; it will come again behind that one. */
  | 'early'

export interface IncomingOptions {
  /** An acknowledgement after so many bytes, or after so many frames, else with the next tick. */
  readonly ackBytes: number
  readonly ackFrames: number
  readonly ack: (nextSeq: number, isMissing: boolean) => void
}

/** What comes from one peer over one connection: each frame once and in order, whatever the wire lost or repeated. */
export class Incoming {
  readonly #options: IncomingOptions
  #nextSeq = 1
  #frames = 0
  #bytes = 0
  #askedFor = 0

  constructor(options: IncomingOptions) {
    this.#options = options
  }

  arrived(seq: number): Arrival {
    if (seq === this.#nextSeq) {
      this.#nextSeq++
      return 'next'
    }
    if (seq < this.#nextSeq) {
      // Its acknowledgement was lost.
      this.#frames++
      return 'duplicate'
    }
    // Once for each gap; the next tick asks again.
    if (this.#askedFor !== this.#nextSeq) {
      this.#askedFor = this.#nextSeq
      this.#options.ack(this.#nextSeq, true)
    }
    return 'early'
  }

  /** The frame's messages were handed on. */
  delivered(bytes: number): void {
    this.#frames++
    this.#bytes += bytes
    if (this.#bytes >= this.#options.ackBytes || this.#frames >= this.#options.ackFrames) this.acknowledge()
  }

  acknowledge(): void {
    this.#frames = this.#bytes = 0
    this.#options.ack(this.#nextSeq, false)
  }

  tick(): void {
    this.#askedFor = 0
    if (this.#frames > 0) this.acknowledge()
  }
}

import { lengthBytes } from './frames.ts'

export interface OutgoingOptions {
  /** Messages are gathered up to this many bytes; a larger one has a frame of its own. */
  readonly frameBytes: number
  /** On the wire and not acknowledged. */
  readonly windowBytes: number
  /** Beyond the window, messages wait here up to this. */
  readonly waitingBytes: number
  /** Publishes a body as the frame of that sequence. False: not now, it will be asked again. */
  readonly publish: (seq: number, body: Uint8Array) => boolean
}

interface Sealed {
  readonly seq: number
  readonly body: Uint8Array
}

/**
 * What goes to one peer over one connection: gathered into frames, sent within a window, kept until acknowledged.
 *
 * - O1 Frames go out in order of their sequence, from 1; after a loss from the lost one on.
 * - O2 At most `windowBytes` are unacknowledged (one frame may pass it alone), at most `waitingBytes` wait behind them;
 *   signals get in beyond, up to four times both, which is when the peer counts as overrun.
 */
export class Outgoing {
  readonly #options: OutgoingOptions
  #gathering: Buffer
  #gathered = 0
  /** Sealed and not sent, oldest first. */
  #waiting: Sealed[] = []
  #unacked: Sealed[] = []
  #unackedBytes = 0
  #queuedBytes = 0
  #lastSeq = 0
  /** Ticks since anything was acknowledged while something should have been. */
  #idleTicks = 0

  constructor(options: OutgoingOptions) {
    this.#options = options
    this.#gathering = Buffer.allocUnsafe(Math.min(4_096, options.frameBytes))
  }

  /** Bytes that were taken and are not acknowledged. */
  get pendingBytes(): number {
    return this.#unackedBytes + this.#queuedBytes
  }

  get unsentBytes(): number {
    return this.#queuedBytes
  }

  get isOverrun(): boolean {
    const { windowBytes, waitingBytes } = this.#options
    return this.pendingBytes > 4 * (windowBytes + waitingBytes)
  }

  /** False: there is no room for a message, and nothing of it was taken. */
  add(message: Uint8Array, isSignal: boolean): boolean {
    const { frameBytes, windowBytes, waitingBytes } = this.#options
    const size = lengthBytes + message.length
    if (!isSignal && this.pendingBytes + size > windowBytes + waitingBytes) return false
    this.#queuedBytes += size
    if (this.#gathered + size > frameBytes) this.#seal()
    if (this.#gathered + size > this.#gathering.length) this.#grow(size)
    const buffer = this.#gathering
    let at = this.#gathered
    const { length } = message
    buffer[at] = length
    buffer[at + 1] = length >>> 8
    buffer[at + 2] = length >>> 16
    buffer[at + 3] = length >>> 24
    at += lengthBytes
    // A call into native code costs more than these few bytes.
    if (length <= 64) for (let index = 0; index < length; index++) buffer[at + index] = message[index]!
    else buffer.set(message, at)
    this.#gathered = at + length
    return true
  }

  /** Sends what the window allows. What it does not allow yet goes on being gathered: few large frames, not many small ones. */
  flush(): void {
    while (this.#sendWaiting() && this.#gathered > 0) this.#seal()
  }

  /** True: all that was sealed is sent, and there is room for more. */
  #sendWaiting(): boolean {
    const { windowBytes, publish } = this.#options
    let sent = 0
    let hasRoom = this.#unackedBytes < windowBytes
    for (const sealed of this.#waiting) {
      hasRoom = this.#unackedBytes === 0 || this.#unackedBytes + sealed.body.length <= windowBytes
      if (!hasRoom || !publish(sealed.seq, sealed.body)) break
      sent++
      this.#unacked.push(sealed)
      this.#unackedBytes += sealed.body.length
      this.#queuedBytes -= sealed.body.length
    }
    const isAllSent = sent === this.#waiting.length
    if (sent > 0) this.#waiting = this.#waiting.slice(sent)
    return isAllSent && hasRoom
  }

  /** All before `nextSeq` has arrived. `isMissing`: what follows has not. Numbers never sent are ignored. */
  acknowledged(nextSeq: number, isMissing: boolean): void {
    if (nextSeq > this.#lastSeq + 1) return
    let done = 0
    for (const { seq, body } of this.#unacked) {
      if (seq >= nextSeq) break
      done++
      this.#unackedBytes -= body.length
    }
    if (done > 0) {
      this.#unacked = this.#unacked.slice(done)
      this.#idleTicks = 0
    }
    if (isMissing) this.resend()
    this.flush()
  }

  /** Three ticks without progress: the end may have been lost, where no later frame would show it. */
  tick(): void {
    if (this.#unacked.length === 0) this.#idleTicks = 0
    else if (++this.#idleTicks >= 3) {
      this.#idleTicks = 0
      this.resend()
    }
    this.flush()
  }

  /** Sends again what is not acknowledged, at most a quarter of the window: the answer tells how to go on. */
  resend(): void {
    let bytes = 0
    for (const { seq, body } of this.#unacked) {
      if (bytes > 0 && bytes + body.length > this.#options.windowBytes / 4) return
      if (!this.#options.publish(seq, body)) return
      bytes += body.length
    }
  }

  #seal(): void {
    if (this.#gathered === 0) return
    this.#waiting.push({ seq: ++this.#lastSeq, body: Buffer.from(this.#gathering.subarray(0, this.#gathered)) })
    this.#gathered = 0
    if (this.#gathering.length > this.#options.frameBytes) {
      this.#gathering = Buffer.allocUnsafe(this.#options.frameBytes)
    }
  }

  #grow(size: number): void {
    const buffer = Buffer.allocUnsafe(Math.max(this.#gathered + size, this.#gathering.length * 2))
    buffer.set(this.#gathering.subarray(0, this.#gathered))
    this.#gathering = buffer
  }
}

import { AppError, systemRng, uuidFrom, type Rng, type Snapshots } from '@daruma/protocol'
import { apiError, callApi } from './api.ts'
import { headerReserveBytes, publishStored, readMessage } from './publisher.ts'
import type { Requester } from './requester.ts'
import type { Names } from './subjects.ts'

/** First byte of a head: what follows it. */
const inline = 0
const inParts = 1

interface PartList {
  readonly size: number
  /** Sequences in the stream, in order. */
  readonly parts: readonly number[]
}

const maxReadAttempts = 5

/**
 * Snapshots on a stream that keeps the newest message of each subject. One that does not fit into a message is written in parts
 * first, then the head that lists them; the head's replacement is what makes it the current one.
 *
 * One writer per key at a time (the partition's owner). A writer that dies between parts and head leaves parts that nobody reads.
 */
export class NatsSnapshots implements Snapshots {
  readonly #requester: Requester
  readonly #names: Names
  readonly #isSingle: boolean
  readonly #rng: Rng

  constructor(requester: Requester, names: Names, isSingle: boolean, rng: Rng = systemRng()) {
    this.#requester = requester
    this.#names = names
    this.#isSingle = isSingle
    this.#rng = rng
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    for (let attempt = 0; attempt < maxReadAttempts; attempt++) {
      const head = await this.#head(key)
      if (head === undefined) return undefined
      if (head.bytes[0] === inline) return head.bytes.subarray(1)
      const { size, parts } = partsOf(head.bytes)
      const found = await Promise.all(parts.map((seq) => this.#read({ seq })))
      // A part that is gone: the snapshot was replaced meanwhile.
      if (found.some((part) => part === undefined)) continue
      const whole = new Uint8Array(size)
      let at = 0
      for (const part of found) {
        whole.set(part!.bytes, at)
        at += part!.bytes.length
      }
      return whole
    }
    throw new AppError(
      'unavailable',
      `snapshot ${key} was replaced ${maxReadAttempts} times while it was read; try again`,
    )
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const former = await this.#head(key)
    const maxBytes = this.#requester.connection.info.max_payload - headerReserveBytes
    const head = bytes.length < maxBytes ? inlineHead(bytes) : await this.#putParts(key, bytes, maxBytes)
    await this.#publish(this.#names.snapshotSubject(key), head)
    await this.#dropParts(former?.bytes)
  }

  async delete(key: string): Promise<void> {
    const former = await this.#head(key)
    if (former === undefined) return
    await this.#drop(former.seq)
    await this.#dropParts(former.bytes)
  }

  async #putParts(key: string, bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
    const generation = uuidFrom(this.#rng)
    const parts: number[] = []
    for (let at = 0; at < bytes.length; at += maxBytes) {
      const subject = this.#names.snapshotPartSubject(key, generation, parts.length)
      parts.push(await this.#publish(subject, bytes.subarray(at, at + maxBytes)))
    }
    const list: PartList = { size: bytes.length, parts }
    return Buffer.concat([Uint8Array.of(inParts), Buffer.from(JSON.stringify(list))])
  }

  #head(key: string): ReturnType<typeof readMessage> {
    return this.#read({ last_by_subj: this.#names.snapshotSubject(key) })
  }

  #read(query: { last_by_subj: string } | { seq: number }): ReturnType<typeof readMessage> {
    return readMessage(this.#requester, this.#names.snapshotStream, query, this.#isSingle)
  }

  async #publish(subject: string, bytes: Uint8Array): Promise<number> {
    const answer = await publishStored(this.#requester, subject, bytes, undefined, true)
    if (answer.kind === 'stored') return answer.seq
    throw new AppError('internal', `${subject}: a conflict although nothing was compared`)
  }

  async #dropParts(head: Uint8Array | undefined): Promise<void> {
    if (head === undefined || head[0] !== inParts) return
    await Promise.all(partsOf(head).parts.map((seq) => this.#drop(seq)))
  }

  async #drop(seq: number): Promise<void> {
    const { snapshotStream } = this.#names
    const input = { seq, no_erase: true }
    const answer = await callApi<object>(this.#requester, `STREAM.MSG.DELETE.${snapshotStream}`, input, {
      repeatable: true,
    })
    // Gone already: by an earlier try whose answer was lost.
    if (answer.error !== undefined && !/not found|no message|deleted/i.test(answer.error.description ?? '')) {
      throw apiError(`stream ${snapshotStream}`, answer.error)
    }
  }
}

function inlineHead(bytes: Uint8Array): Uint8Array {
  const head = new Uint8Array(bytes.length + 1)
  head[0] = inline
  head.set(bytes, 1)
  return head
}

const partsOf = (head: Uint8Array): PartList => JSON.parse(Buffer.from(head.subarray(1)).toString()) as PartList

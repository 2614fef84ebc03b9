import type { Codec } from '@daruma/protocol'
import type { CommitChain } from './chain.ts'
import type { CarriedEntry } from './commit.ts'
import type { Head } from './head.ts'
import { imageOf } from './image.ts'
import type { JournalReader, RawEntry } from './journal.ts'

/** A commit of carried entries has about this size: it delays the turns behind it, and is what a reader reads. */
const batchBytes = 64 * 1_024

/**
 * Writes workflows forward into the log: the entries of their journals, then their heads.
 *
 * - K1 A head is written as it stands when it is added to the chain: events added later come behind it in the log.
 * - K2 Events may come between a journal and its head; the head counts them (`tail`). So a workflow runs on meanwhile.
 */
export class Carrier {
  readonly #chain: CommitChain
  readonly #reader: JournalReader
  readonly #codec: Codec
  #unflushed = 0
  /** One at a time for each workflow: the parts of two would mix. */
  readonly #underWay = new Map<Head, Promise<void>>()

  constructor(chain: CommitChain, reader: JournalReader, codec: Codec) {
    this.#chain = chain
    this.#reader = reader
    this.#codec = codec
  }

  /**
   * Resolves when all that was read is added to the chain; `settled` waits for it to be stored.
   *
   * @param after a sequence that was acknowledged before: nothing of the workflow that counts stands up to it any longer.
   * @throws as JournalReader.raw
   */
  async carry(head: Head, after: number, keepJournal: boolean): Promise<void> {
    for (let before = this.#underWay.get(head); before !== undefined; before = this.#underWay.get(head)) await before
    await this.#exclusively(head, () => this.#carry(head, after, keepJournal))
  }

  /** Writes a journal together that has just been read, unless that is under way. */
  gather(head: Head, run: number, entries: readonly RawEntry[], after: number): void {
    if (this.#underWay.has(head) || head.run !== run || !head.isOpen) return
    void this.#exclusively(head, () => this.#write(head, run, entries, after, true))
    this.#chain.flush()
  }

  isCarrying(head: Head): boolean {
    return this.#underWay.has(head)
  }

  /**
   * Writes a run that begins with the given entries, which stand nowhere else. Resolves when it is stored. Not while the
   * workflow is carried.
   */
  async begin(head: Head, entries: readonly Uint8Array[], after: number): Promise<void> {
    const raw = entries.map((bytes) => ({ bytes, seq: 0, carried: true }))
    await this.#exclusively(head, () => this.#write(head, head.run, raw, after, true))
    await this.settled()
  }

  async #exclusively(head: Head, act: () => Promise<void>): Promise<void> {
    const done = act()
    const quiet = done.catch(() => undefined).finally(() => this.#underWay.delete(head))
    this.#underWay.set(head, quiet)
    await done
  }

  async #carry(head: Head, after: number, keepJournal: boolean): Promise<void> {
    const { run } = head
    const keeps = head.isOpen || (keepJournal && !head.journalGone)
    const entries = keeps ? await this.#reader.raw(head.workflow, run, () => (head.run === run ? head.seqs : [])) : []
    await this.#write(head, run, entries, after, keeps)
  }

  async #write(head: Head, run: number, entries: readonly RawEntry[], after: number, keeps: boolean): Promise<void> {
    const seqs: number[] = []
    let covered = 0
    if (entries.length > 0 && head.run === run) {
      covered = entries.length
      const journal = this.#codec.encode(entries.map(({ bytes }) => bytes))
      for (const part of this.#parts(head.workflow, run, 'journal', journal, { covered: 0, tail: 0, after: 0 })) {
        this.#add(part, (seq) => seqs.push(seq))
        if (this.#unflushed >= batchBytes) await this.settled()
      }
    }
    const isSameRun = head.run === run
    if (isSameRun && !keeps) head.journalGone = true
    if (!isSameRun) covered = 0
    const tail = head.journalGone ? 0 : head.events - covered // K2
    const image = this.#codec.encode(imageOf(head)) // K1
    const imageRun = head.run
    for (const part of this.#parts(head.workflow, imageRun, 'head', image, { covered, tail, after })) {
      this.#add(part, (seq) => {
        seqs.push(seq)
        if (part.part < part.parts - 1 || head.run !== imageRun) return
        const known = head.seqs.filter((each) => each > after)
        head.seqs = [...new Set([...known, ...seqs])].sort((a, b) => a - b)
      })
    }
    if (this.#unflushed >= batchBytes) await this.settled()
  }

  /** Resolves when everything that was carried is stored. */
  async settled(): Promise<void> {
    this.#unflushed = 0
    await this.#chain.barrier()
  }

  #add(entry: CarriedEntry, onStored: (seq: number) => void): void {
    this.#unflushed += entry.bytes.length
    this.#chain.add(entry, onStored)
  }

  *#parts(
    workflow: string,
    run: number,
    carried: CarriedEntry['carried'],
    bytes: Uint8Array,
    rest: Pick<CarriedEntry, 'covered' | 'tail' | 'after'>,
  ): IterableIterator<CarriedEntry> {
    const size = Math.min(batchBytes, this.#chain.maxEntryBytes)
    const parts = Math.max(Math.ceil(bytes.length / size), 1)
    for (let part = 0; part < parts; part++) {
      yield { workflow, run, carried, part, parts, ...rest, bytes: bytes.subarray(part * size, (part + 1) * size) }
    }
  }
}

import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { open, type Database, type RootDatabase } from 'lmdb'
import { AppError, isAppError, systemRng, uuidFrom } from '@daruma/protocol'
import { isAlive, thisProcess, type Holder } from './holder.ts'

/** Of what lies in the folder. Grows when older code could not read it any more. */
export const formatVersion = 1

export type Key = string | number | (string | number)[]
export type Bytes = Database<Buffer, Key>

interface Change {
  readonly apply: () => unknown
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

/** How much of a backlog goes into one transaction: enough to hide the fsync, not enough to stall the event loop. */
const maxChangesPerTransaction = 2_000

/**
 * One LMDB folder, opened by one owner, and the only way to write to it.
 *
 * - V1 A write resolves after its transaction is on disk (data flushed, then the meta page written through).
 * - V2 Nobody reads what is not on disk yet: a commit becomes visible by the meta page.
 * - V3 Every transaction looks whether this opening still owns the folder; one that does not changes nothing.
 * - V4 Writes are applied in the order in which they were asked for.
 */
export class Environment {
  readonly folder: string
  readonly #root: RootDatabase
  readonly #meta: Database<unknown, string>
  readonly #holder: Holder
  readonly #onAbort = new Set<() => void>()
  #waiting: Change[] = []
  #running: Promise<void> | undefined
  #ended: AppError | undefined

  /** @throws AppError unavailable - the folder cannot be used, or another process has it; invalid - a newer format */
  constructor(folder: string) {
    this.folder = resolve(folder)
    try {
      mkdirSync(this.folder, { recursive: true })
      // Without overlappingSync a commit is LMDB's own: fdatasync, then the meta page through an O_DSYNC descriptor (V1, V2).
      this.#root = open({ path: this.folder, overlappingSync: false, maxDbs: 16, encoding: 'binary' })
      this.#meta = this.#root.openDB({ name: 'meta', encoding: 'json' })
    } catch (error) {
      throw new AppError(
        'unavailable',
        `cannot open the data folder ${this.folder}: ${(error as Error).message}`,
        undefined,
        {
          cause: error,
        },
      )
    }
    this.#holder = thisProcess(uuidFrom(systemRng()))
    try {
      // LMDB's write lock decides between processes that come at once; it is freed when its holder dies.
      this.#root.transactionSync(() => this.#claim())
    } catch (error) {
      void this.#root.close()
      throw isAppError(error)
        ? error
        : new AppError('unavailable', `cannot write to ${this.folder}`, undefined, { cause: error })
    }
  }

  openBytes(name: string): Bytes {
    return this.#root.openDB<Buffer, Key>({ name, encoding: 'binary' })
  }

  openJson<V>(name: string): Database<V, Key> {
    return this.#root.openDB<V, Key>({ name, encoding: 'json' })
  }

  /**
   * Applies `change` within a transaction and resolves with what it returned (V1). Changes asked for meanwhile share the next one.
   * `change` runs synchronously and once; if it throws, it must not have written anything.
   */
  write<T>(change: () => T): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ apply: change, resolve: resolve as (result: unknown) => void, reject })
      this.#running ??= this.#run()
    })
  }

  /** Called when a transaction failed, so that what was remembered of it is forgotten. */
  onAbort(forget: () => void): void {
    this.#onAbort.add(forget)
  }

  /** @throws AppError unavailable - closed, or taken over */
  assertOpen(): void {
    if (this.#ended !== undefined) throw this.#ended
  }

  /** Finishes the writes asked for and gives the folder free. */
  async close(): Promise<void> {
    if (this.#ended === undefined) {
      const released = this.write(() => this.#meta.removeSync('holder'))
      this.#ended = new AppError('unavailable', `the data folder ${this.folder} was closed`)
      await released.catch(() => undefined)
    }
    await this.#running
    await this.#root.close()
  }

  #claim(): void {
    const version = (this.#meta.get('format') as number | undefined) ?? formatVersion
    if (version > formatVersion) {
      throw new AppError(
        'invalid',
        `the data folder ${this.folder} was written by a newer version (format ${version}, this one reads up to ${formatVersion}); upgrade this node, or give it another folder`,
      )
    }
    const holder = this.#meta.get('holder') as Holder | undefined
    if (holder !== undefined && isAlive(holder)) {
      throw new AppError(
        'unavailable',
        holder.pid === process.pid
          ? `the data folder ${this.folder} is already open in this process (pid ${holder.pid}); close it first, or share the open one`
          : `the data folder ${this.folder} is in use by process ${holder.pid}; stop that process, or give this one another folder`,
        { pid: holder.pid, folder: this.folder },
      )
    }
    this.#meta.putSync('format', formatVersion)
    this.#meta.putSync('holder', this.#holder)
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      let taken: Change[] = []
      try {
        const settle = await this.#root.transaction(() => {
          // Taken here, when the transaction is open, and not before: all that came in while it was waited for shares it.
          taken = this.#waiting.splice(0, maxChangesPerTransaction)
          this.#assertOwner() // V3
          return taken.map(apply)
        })
        for (const done of settle) done()
      } catch (error) {
        const failed = isAppError(error) ? error : this.#failure(error)
        for (const forget of this.#onAbort) forget()
        for (const { reject } of taken.length > 0 ? taken : this.#waiting.splice(0)) reject(failed)
      }
    }
    this.#running = undefined
  }

  #failure(error: unknown): AppError {
    const message = `writing to ${this.folder} failed: ${(error as Error).message}`
    return new AppError('unavailable', message, undefined, { cause: error })
  }

  #assertOwner(): void {
    const holder = this.#meta.get('holder') as Holder | undefined
    if (holder?.token === this.#holder.token) return
    this.#ended = new AppError(
      'unavailable',
      `the data folder ${this.folder} was taken over by process ${holder?.pid ?? 'unknown'}; nothing more is written here`,
    )
    throw this.#ended
  }
}

/** Runs one change; gives back how its caller hears of it once the transaction is on disk. */
function apply({ apply, resolve, reject }: Change): () => void {
  try {
    const result = apply()
    return () => resolve(result)
  } catch (error) {
    return () => reject(error)
  }
}

/** LMDB keys end at 1,978 bytes; a pair of names must fit. */
const maxNameBytes = 800

/** @throws AppError invalid - `name` does not fit into a key */
export function assertName(what: string, name: string): void {
  const size = Buffer.byteLength(name)
  if (size > maxNameBytes) {
    throw new AppError('invalid', `${what} of ${size} bytes; at most ${maxNameBytes} fit: "${name.slice(0, 60)}..."`)
  }
}

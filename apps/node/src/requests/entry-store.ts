import { AppError } from '@daruma/protocol'
import type { StoreEntry } from '@daruma/lua'

export interface PutOptions {
  /** Absent or 0: for ever. */
  readonly ttlMs?: number
  readonly onlyIfAbsent?: boolean
  readonly ifVersion?: string
}

export interface ListOptions {
  readonly prefix?: string
  readonly after?: string
  readonly limit: number
}

export interface Listing {
  readonly items: readonly StoreEntry[]
  /** Last key of `items`: the next page's `after`. */
  readonly cursor: string
  readonly hasMore: boolean
}

type MaybePromise<T> = T | Promise<T>

/** What programs can do with a store entry, whatever stands behind it. A version is given once, also after a deletion. */
export interface EntryStore {
  readonly id: string
  get(key: string): MaybePromise<StoreEntry | undefined>
  put(key: string, value: unknown, options?: PutOptions): MaybePromise<StoreEntry>
  delete(key: string): MaybePromise<boolean>
  list(options: ListOptions): MaybePromise<Listing>
}

/** @throws AppError already_exists, conflict - the conditions of `options` do not hold; `found`: the current version */
export function refusePut(store: string, key: string, found: string | undefined, options: PutOptions): void {
  if (options.onlyIfAbsent === true && found !== undefined) {
    throw new AppError('already_exists', `${store} has "${key}" already`, undefined, { retryable: false })
  }
  if (options.ifVersion === undefined || options.ifVersion === found) return
  const now = found === undefined ? 'is not there (any more)' : `is of version ${found}`
  throw new AppError(
    'conflict',
    `${store}: "${key}" ${now}, asked for ${options.ifVersion}; read it again`,
    undefined,
    {
      retryable: true,
    },
  )
}

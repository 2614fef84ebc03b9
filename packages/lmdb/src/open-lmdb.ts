import { systemClock, type Clock, type Inbox, type Leases, type Log, type Snapshots } from '@daruma/protocol'
import { Environment } from './environment.ts'
import { LmdbInbox, Messages } from './inbox.ts'
import { LeaseTable, LmdbLeases } from './lease.ts'
import { Chains, LmdbLog } from './log.ts'
import { LmdbSnapshots } from './snapshots.ts'
import { Stores, type KeyValueStore } from './store.ts'

export interface LmdbOptions {
  readonly clock?: Clock
  /** Default 16 MiB. */
  readonly maxRecordBytes?: number
  /** How long a message id is remembered after its message was stored. Default 120_000. */
  readonly rememberMessageIdsMs?: number
}

export interface LmdbStore {
  readonly log: Log
  readonly inbox: Inbox
  readonly leases: Leases
  readonly snapshots: Snapshots
  /** The key-value store of that name. */
  store(name: string): KeyValueStore
  /** Finishes what was asked for, then gives the folder free for others. */
  close(): Promise<void>
}

/**
 * Opens `folder` (made if missing) for this process alone. What resolves is on disk: durability `disk`.
 *
 * A holder that died, by `kill -9` too, does not block: the next one takes over at once.
 *
 * @throws AppError unavailable - another living process has the folder (the message names its pid), or it cannot be read or written
 * @throws AppError invalid - written by a newer version
 */
export async function openLmdb(folder: string, options: LmdbOptions = {}): Promise<LmdbStore> {
  const clock = options.clock ?? systemClock()
  const environment = new Environment(folder)
  const log = new LmdbLog(new Chains(environment), options.maxRecordBytes ?? 16 << 20)
  const inbox = new LmdbInbox(new Messages(environment, clock, options.rememberMessageIdsMs ?? 120_000))
  const leases = new LmdbLeases(new LeaseTable(environment, clock))
  const stores = new Stores(environment, clock)
  return {
    log,
    inbox,
    leases,
    snapshots: new LmdbSnapshots(environment),
    store: (name) => stores.open(name),
    async close() {
      await Promise.all([inbox.close(), leases.close()])
      await environment.close()
      await log.close()
    },
  }
}

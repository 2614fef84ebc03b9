import { join } from 'node:path'
import type { Durability } from '@daruma/protocol'
import { openLmdb, type KeyValueStore, type LmdbStore } from '@daruma/lmdb'
import { openNats, type NatsOptions, type NatsStore } from '@daruma/nats'
import type { WorkflowStorage } from '@daruma/workflow'

/** Where a client entry keeps its workflows. */
export type StorageTarget = { readonly kind: 'embedded' } | { readonly kind: 'nats'; readonly options: NatsOptions }

export interface StorageDescription {
  readonly kind: 'embedded' | 'nats'
  readonly where: string
  readonly durability: Durability
}

/** Everything that a node keeps, opened when it is first needed and closed together. */
export interface Stores {
  workflows(
    taskQueue: string,
    target: StorageTarget,
  ): Promise<WorkflowStorage & { readonly description: StorageDescription }>
  /** The embedded key-value store of that name. */
  keyValue(name: string): Promise<KeyValueStore>
  close(): Promise<void>
}

/** @param folder the node's data folder; only made when something embedded is asked for */
export function createStores(folder: string): Stores {
  let embedded: Promise<LmdbStore> | undefined
  const servers = new Map<string, Promise<NatsStore>>()
  const lmdb = (): Promise<LmdbStore> => (embedded ??= openLmdb(join(folder, 'data')))
  const nats = (options: NatsOptions): Promise<NatsStore> => {
    const key = JSON.stringify(options)
    const known = servers.get(key)
    if (known !== undefined) return known
    const opened = openNats(options)
    servers.set(key, opened)
    return opened
  }
  return {
    async workflows(taskQueue, target) {
      if (target.kind === 'embedded') {
        const { log, inbox, snapshots } = await lmdb()
        // No leases: the folder has one owner.
        return {
          log,
          inbox,
          snapshots,
          description: { kind: 'embedded', where: join(folder, 'data'), durability: log.durability },
        }
      }
      const store = await nats(target.options)
      const [log, inbox] = await Promise.all([store.log(taskQueue), store.inbox(taskQueue)])
      const where = `NATS ${String(target.options.servers ?? '')} (server ${store.info.version})`
      return {
        log,
        inbox,
        leases: store.leases,
        snapshots: store.snapshots,
        description: { kind: 'nats', where, durability: log.durability },
      }
    },
    keyValue: async (name) => (await lmdb()).store(name),
    async close() {
      const open = [...(embedded === undefined ? [] : [embedded]), ...servers.values()]
      const settled = await Promise.allSettled(open)
      await Promise.all(settled.flatMap((store) => (store.status === 'fulfilled' ? [store.value.close()] : [])))
    },
  }
}

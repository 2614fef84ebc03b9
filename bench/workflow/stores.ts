import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLmdb } from '@daruma/lmdb'
import { openNats } from '@daruma/nats'
import { startNatsServer } from '@daruma/nats/testing'
import type { WorkflowStorage } from '@daruma/workflow'

export interface Store {
  readonly name: string
  readonly storage: WorkflowStorage
  close(): Promise<void>
}

/** The two journals that a node can have, each fresh. */
export async function openStores(): Promise<Store[]> {
  return [await lmdb(), await jetStream()]
}

async function lmdb(): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), 'daruma-bench-'))
  const { log, inbox, snapshots, close } = await openLmdb(folder)
  return {
    name: 'LMDB',
    storage: { log, inbox, snapshots },
    close: async () => {
      await close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function jetStream(): Promise<Store> {
  const server = await startNatsServer()
  const store = await openNats({ servers: server.url })
  const [log, inbox] = await Promise.all([store.log('bench'), store.inbox('bench')])
  return {
    name: 'JetStream',
    storage: { log, inbox, snapshots: store.snapshots },
    close: async () => {
      await store.close()
      await server.stop()
    },
  }
}

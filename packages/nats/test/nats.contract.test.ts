import { setTimeout as realDelay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, test } from 'vitest'
import {
  inboxContract,
  leasesContract,
  logContract,
  snapshotsContract,
  type ContractCase,
  type PortHarness,
} from '@daruma/protocol/testing'
import { openNats, type NatsStore } from '@daruma/nats'
import { startNatsServer, type NatsServer } from '@daruma/nats/testing'

let server: NatsServer
const stores: NatsStore[] = []

beforeAll(async () => {
  server = await startNatsServer()
})

afterAll(async () => {
  await closeStores()
  await server.stop()
})

async function closeStores(): Promise<void> {
  await Promise.all(stores.splice(0).map((store) => store.close()))
}

/** Each handle has a connection of its own, as on different nodes; a restart kills the server with all connections standing. */
function harnessOf<Port>(port: (store: NatsStore) => Port | Promise<Port>): PortHarness<Port> {
  return {
    async open() {
      const store = await openNats({ servers: server.url })
      stores.push(store)
      return port(store)
    },
    async restart() {
      await server.kill()
      await server.start()
      await closeStores()
    },
  }
}

function suite<Harness>(title: string, cases: readonly ContractCase<Harness>[], harness: Harness): void {
  describe(title, () => {
    for (const { title, run } of cases) {
      test(title, async () => {
        await run(harness)
        await closeStores()
      })
    }
  })
}

suite(
  'NatsLog keeps the contract of Log',
  logContract,
  harnessOf((store) => store.log('contract')),
)
suite(
  'NatsInbox keeps the contract of Inbox',
  inboxContract,
  harnessOf((store) => store.inbox('contract')),
)
suite(
  'NatsSnapshots keep the contract of Snapshots',
  snapshotsContract,
  harnessOf((store) => store.snapshots),
)
suite('NatsLeases keep the contract of Leases', leasesContract, {
  ...harnessOf((store) => store.leases),
  // The clock is the server's: only waiting moves it.
  pass: async (durationMs: number) => realDelay(durationMs),
})

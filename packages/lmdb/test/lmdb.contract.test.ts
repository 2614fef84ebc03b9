import { afterAll, describe, test } from 'vitest'
import { SimClock, inboxContract, leasesContract, logContract, snapshotsContract } from '@daruma/protocol/testing'
import { temporaryFolder } from '@daruma/lmdb/testing'
import { Environment } from '../src/environment.ts'
import { LmdbInbox, Messages } from '../src/inbox.ts'
import { LeaseTable, LmdbLeases } from '../src/lease.ts'
import { Chains, LmdbLog } from '../src/log.ts'
import { LmdbSnapshots } from '../src/snapshots.ts'

/** Handles on one folder, which a restart closes and opens again. */
function harnessOf<Shared, Port>(share: (environment: Environment) => Shared, open: (shared: Shared) => Port) {
  const { folder, remove } = temporaryFolder()
  let environment = new Environment(folder)
  let shared = share(environment)
  afterAll(async () => {
    await environment.close()
    remove()
  })
  return {
    open: async () => open(shared),
    async restart() {
      await environment.close()
      environment = new Environment(folder)
      shared = share(environment)
    },
  }
}

const clock = new SimClock()

describe('LmdbLog keeps the contract of Log', () => {
  const harness = harnessOf(
    (environment) => new Chains(environment),
    (chains) => new LmdbLog(chains, 3 << 20),
  )
  for (const { title, run } of logContract) test(title, () => run(harness))
})

describe('LmdbInbox keeps the contract of Inbox', () => {
  const harness = harnessOf(
    (environment) => new Messages(environment, clock, 120_000),
    (messages) => new LmdbInbox(messages),
  )
  for (const { title, run } of inboxContract) test(title, () => run(harness))
})

describe('LmdbSnapshots keep the contract of Snapshots', () => {
  const harness = harnessOf(
    (environment) => environment,
    (environment) => new LmdbSnapshots(environment),
  )
  for (const { title, run } of snapshotsContract) test(title, () => run(harness))
})

describe('LmdbLeases keep the contract of Leases', () => {
  const harness = {
    ...harnessOf(
      (environment) => new LeaseTable(environment, clock),
      (table) => new LmdbLeases(table),
    ),
    pass: async (durationMs: number) => clock.advance(durationMs),
  }
  for (const { title, run } of leasesContract) test(title, () => run(harness))
})

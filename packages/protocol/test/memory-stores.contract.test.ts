import { describe, test } from 'vitest'
import {
  MemoryInbox,
  MemoryLeases,
  MemoryLog,
  MemorySnapshots,
  SimClock,
  inboxContract,
  leasesContract,
  logContract,
  snapshotsContract,
} from '@daruma/protocol/testing'

/** Handles on the content of `first`; a restart crashes them all. */
function harnessOf<Port extends { reopen(): Port; crash(): void }>(first: Port) {
  const handles: Port[] = []
  return {
    open: async () => {
      const handle = first.reopen()
      handles.push(handle)
      return handle
    },
    restart: async () => {
      for (const handle of handles.splice(0)) handle.crash()
    },
  }
}

describe('MemoryLog keeps the contract of Log', () => {
  const harness = harnessOf<MemoryLog>(new MemoryLog())
  for (const { title, run } of logContract) test(title, () => run(harness))
})

describe('MemoryInbox keeps the contract of Inbox', () => {
  const harness = harnessOf<MemoryInbox>(new MemoryInbox())
  for (const { title, run } of inboxContract) test(title, () => run(harness))
})

describe('MemorySnapshots keep the contract of Snapshots', () => {
  const harness = harnessOf<MemorySnapshots>(new MemorySnapshots())
  for (const { title, run } of snapshotsContract) test(title, () => run(harness))
})

describe('MemoryLeases keep the contract of Leases', () => {
  const clock = new SimClock()
  const harness = {
    ...harnessOf<MemoryLeases>(new MemoryLeases({ clock })),
    pass: async (durationMs: number) => clock.advance(durationMs),
  }
  for (const { title, run } of leasesContract) test(title, () => run(harness))
})

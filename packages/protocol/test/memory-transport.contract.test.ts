import { describe, test } from 'vitest'
import type { Transport } from '@daruma/protocol'
import {
  MemoryNetwork,
  SimClock,
  transportContract,
  type MemoryTransport,
  type TransportHarness,
} from '@daruma/protocol/testing'

function harnessOf(delayMs: number): TransportHarness {
  const clock = new SimClock()
  const network = new MemoryNetwork({ clock, delayMs })
  const names = new Set<string>()
  const others = (transport: Transport): string[] => [...names].filter((name) => name !== transport.self.node)
  return {
    async make(node, incarnation) {
      names.add(node)
      return network.transport(node, incarnation)
    },
    crash: async (transport) => network.crash(transport as MemoryTransport),
    async isolate(transport) {
      for (const other of others(transport)) network.partition(transport.self.node, other)
    },
    async heal(transport) {
      for (const other of others(transport)) network.heal(transport.self.node, other)
    },
    async until(what, condition) {
      for (let round = 0; round < 10_000; round++) {
        if (condition()) return
        await Promise.resolve()
        clock.advance(1)
      }
      throw new Error(`never: ${what}`)
    },
  }
}

describe.each([0, 5])('MemoryTransport with a delay of %i ms keeps the contract of Transport', (delayMs) => {
  for (const { title, run } of transportContract) test(title, () => run(harnessOf(delayMs)))
})

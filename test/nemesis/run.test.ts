import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { systemRng, uuidFrom } from '@daruma/protocol'
import { expect, test } from 'vitest'

// The build's: nodes are processes, which run what ships. `npm test` builds before it tests.
const program = fileURLToPath(new URL('../dist/nemesis/run.js', import.meta.url))

test.each([
  ['nats', 15],
  ['lmdb', 8],
])(
  'processes that are killed, paused and cut off keep every guarantee on %s',
  async (store, seconds) => {
    const seed = uuidFrom(systemRng()).slice(0, 8)
    console.log(`nemesis: --seed ${seed} --store ${store} --seconds ${seconds}`)
    const child = spawn(process.execPath, [
      program,
      '--seed',
      seed,
      '--store',
      store,
      '--seconds',
      String(seconds),
      '--cluster',
    ])
    const said: string[] = []
    child.stdout.on('data', (bytes: Buffer) => said.push(bytes.toString('utf8')))
    child.stderr.on('data', (bytes: Buffer) => said.push(bytes.toString('utf8')))
    const [code] = (await once(child, 'close')) as [number | null]
    expect(code, said.join('')).toBe(0)
  },
  150_000,
)

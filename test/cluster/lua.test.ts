import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { startNatsServer } from '@daruma/nats/testing'

const daruma = fileURLToPath(new URL('../../apps/node/dist/main.js', import.meta.url))
const app = fileURLToPath(new URL('app', import.meta.url))

test('Lua processes spawn, send, monitor, receive and terminate across nodes as on one', async () => {
  const server = await startNatsServer({ jetStream: false })
  const data = mkdtempSync(join(tmpdir(), 'daruma-cluster-'))
  const begin = (node: string, ...more: string[]): ChildProcess =>
    spawn(
      process.execPath,
      [
        daruma,
        'run',
        app,
        ...['--nats', server.url, '--cluster', 'lua', '--node', node],
        ...['--data', join(data, node)],
        ...more,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
  const second = begin('n2')
  try {
    let said = ''
    await new Promise<void>((resolve, reject) => {
      second.on('exit', () => reject(new Error(`n2 ended: ${said}`)))
      second.stderr!.on('data', (chunk: Buffer) => {
        said += chunk.toString()
        if (said.includes('node n2 is up')) resolve()
      })
    })
    const first = begin('n1', '--exec', 'app:asker', '--host', 'app:processes', 'n2')
    let out = ''
    let problems = ''
    first.stdout!.on('data', (chunk: Buffer) => (out += chunk.toString()))
    first.stderr!.on('data', (chunk: Buffer) => (problems += chunk.toString()))
    const [code] = (await once(first, 'close')) as [number]
    expect([code, problems]).toEqual([0, ''])
    expect(out.trim().split('\n')).toEqual([
      'seen 22',
      'value 42',
      expect.stringContaining('told to fail'),
      'exec true',
      expect.stringMatching(/^terminated process was terminated by \{n1@app:processes\|/),
      expect.stringMatching(/^on \{n2@app:processes\|/),
    ])
  } finally {
    const closed = once(second, 'close')
    second.kill('SIGTERM')
    await closed
    await server.stop()
    rmSync(data, { recursive: true, force: true })
  }
}, 30_000)

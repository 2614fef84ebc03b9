import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommandFailure } from '../failures.ts'

/** A nats-server of the demonstration's own, on loopback, with its own store. */
export async function startNatsServer(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const port = await freePort()
  const store = mkdtempSync(join(tmpdir(), 'daruma-nats-'))
  const program = process.env['NATS_SERVER'] ?? 'nats-server'
  const server = spawn(program, ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', store], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  await new Promise<void>((ready, failed) => {
    server.once('error', () =>
      failed(
        new CommandFailure(
          'no nats-server here: install one (Debian: apt-get install nats-server), or give the URL of one: --nats URL',
          1,
        ),
      ),
    )
    server.once('exit', (code) => failed(new CommandFailure(`nats-server ended with code ${code}`, 1)))
    server.stderr.on('data', (chunk: Buffer) => {
      if (chunk.includes('Server is ready')) ready()
    })
  })
  return {
    url: `nats://127.0.0.1:${port}`,
    stop: () =>
      new Promise((done) => {
        server.removeAllListeners('exit')
        server.once('exit', () => {
          rmSync(store, { recursive: true, force: true })
          done()
        })
        server.kill('SIGTERM')
      }),
  }
}

function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const probe = createServer()
    probe.once('error', failed)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => found(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

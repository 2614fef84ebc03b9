import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerProcess, findNatsServer, freePort } from './server.ts'

/** Three servers on loopback that replicate to each other. */
export interface NatsCluster {
  /** By server: in the order of `names`. */
  readonly urls: readonly string[]
  readonly names: readonly string[]
  kill(index: number): Promise<void>
  start(index: number): Promise<void>
  /** Stops all and removes their stores. */
  stop(): Promise<void>
}

const size = 3

/** Resolves when the processes run; they elect their leader a moment later. */
export async function startNatsCluster(options: { readonly binary?: string } = {}): Promise<NatsCluster> {
  const binary = options.binary ?? findNatsServer()
  const folder = mkdtempSync(join(tmpdir(), 'daruma-nats-cluster-'))
  const members = await Promise.all(
    Array.from({ length: size }, async (_, index) => ({
      name: `s${index}`,
      port: await freePort(),
      routePort: await freePort(),
    })),
  )
  const routes = members.map(({ routePort }) => `nats://127.0.0.1:${routePort}`).join(', ')
  const servers = members.map(({ name, port, routePort }) => {
    const configFile = join(folder, `${name}.conf`)
    writeFileSync(
      configFile,
      [
        `server_name: ${name}`,
        `listen: 127.0.0.1:${port}`,
        `jetstream { store_dir: "${join(folder, name)}" }`,
        `cluster { name: daruma, listen: 127.0.0.1:${routePort}, routes: [${routes}] }`,
      ].join('\n'),
    )
    return new ServerProcess(binary, configFile)
  })
  await Promise.all(servers.map((server) => server.start()))
  return {
    urls: members.map(({ port }) => `nats://127.0.0.1:${port}`),
    names: members.map(({ name }) => name),
    kill: async (index) => servers[index]!.end('SIGKILL'),
    start: async (index) => servers[index]!.start(),
    async stop() {
      // A cluster that shuts down in order waits for its leaders to move; nothing here is worth that.
      await Promise.all(servers.map((server) => server.end('SIGKILL')))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { AppError } from '@daruma/protocol'

export interface NatsServerOptions {
  /** Which binary. Default: `NATS_SERVER` of the environment, else `nats-server` on the path. */
  readonly binary?: string
  /** Default true. */
  readonly jetStream?: boolean
  /** More lines of its configuration file. */
  readonly config?: string
  /** Lines within its `jetstream` block, such as `sync_interval: always`. */
  readonly jetStreamConfig?: string
}

/** A real server on loopback with a store of its own. */
export interface NatsServer {
  readonly url: string
  readonly monitorUrl: string
  readonly port: number
  /** Of the process that runs now. */
  readonly pid: number
  /** Stops it in order and starts it again: same ports, same store. */
  restart(): Promise<void>
  /** `kill -9`. `start` brings it back. */
  kill(): Promise<void>
  start(): Promise<void>
  /** Stops it and removes its store. */
  stop(): Promise<void>
}

const sbin = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** @throws AppError not_found - with the line that says how to get one */
export function findNatsServer(): string {
  const named = process.env['NATS_SERVER']
  const candidates =
    named === undefined
      ? [...(process.env['PATH'] ?? '').split(delimiter), ...sbin].map((folder) => join(folder, 'nats-server'))
      : [named]
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK)
      return candidate
    } catch {
      continue
    }
  }
  throw new AppError(
    'not_found',
    `no nats-server at ${named ?? 'any folder of PATH'}; get one by "apt-get install nats-server", or set NATS_SERVER to its path`,
  )
}

/** One server's process, which may die and start again on the same configuration and store. */
export class ServerProcess {
  readonly #binary: string
  readonly #configFile: string
  #child: ChildProcess | undefined
  // A test run that dies takes its servers along.
  readonly #onExit = (): void => void this.#child?.kill('SIGKILL')

  constructor(binary: string, configFile: string) {
    this.#binary = binary
    this.#configFile = configFile
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  async start(): Promise<void> {
    if (this.#child !== undefined) return
    this.#child = await launch(this.#binary, this.#configFile)
    process.on('exit', this.#onExit)
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    const ended = once(child, 'close')
    child.kill(signal)
    await ended
    process.off('exit', this.#onExit)
    this.#child = undefined
  }
}

/** Starts a server with JetStream on free ports and resolves when it is ready. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const folder = mkdtempSync(join(tmpdir(), 'daruma-nats-'))
  const [port, monitorPort] = [await freePort(), await freePort()]
  const configFile = join(folder, 'server.conf')
  writeFileSync(
    configFile,
    [
      `listen: 127.0.0.1:${port}`,
      `http: 127.0.0.1:${monitorPort}`,
      options.jetStream === false
        ? ''
        : `jetstream { store_dir: "${join(folder, 'store')}"\n${options.jetStreamConfig ?? ''} }`,
      options.config ?? '',
    ].join('\n'),
  )
  const server = new ServerProcess(options.binary ?? findNatsServer(), configFile)
  await server.start()
  return {
    url: `nats://127.0.0.1:${port}`,
    monitorUrl: `http://127.0.0.1:${monitorPort}`,
    port,
    get pid() {
      return server.pid
    },
    start: () => server.start(),
    kill: () => server.end('SIGKILL'),
    async restart() {
      await server.end('SIGTERM')
      await server.start()
    },
    async stop() {
      await server.end('SIGTERM')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function launch(binary: string, configFile: string): Promise<ChildProcess> {
  const child = spawn(binary, ['-c', configFile], { stdio: ['ignore', 'ignore', 'pipe'] })
  const said: string[] = []
  const lines = createInterface({ input: child.stderr! })
  await new Promise<void>((resolve, reject) => {
    const fail = (reason: string): void =>
      reject(new AppError('unavailable', `${binary} did not start (${reason}): ${said.slice(-5).join(' | ')}`))
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code) => fail(`exit ${code}`))
    lines.on('line', (line) => {
      said.push(line)
      if (line.includes('Server is ready')) resolve()
    })
  })
  lines.removeAllListeners('line')
  return child
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

import { AppError, silentLogger, type Logger } from '@daruma/protocol'
import {
  Events,
  connect,
  credsAuthenticator,
  nkeyAuthenticator,
  type ConnectionOptions,
  type NatsConnection,
  type ServerInfo,
} from 'nats'
import { readFileSync } from 'node:fs'

export interface NatsConnectionOptions {
  /** `nats://host:port`, or several of one cluster. Default `nats://127.0.0.1:4222`. */
  readonly servers?: string | readonly string[]
  /** How the server's own tools show this connection. */
  readonly name?: string
  readonly user?: string
  readonly password?: string
  readonly token?: string
  readonly nkeySeed?: string
  /** Path of a `.creds` file. */
  readonly credsFile?: string
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string }
  /** For each server, at the first connection. Default 5_000. */
  readonly connectTimeoutMs?: number
  readonly logger?: Logger
}

/** One connection, which the client re-makes for ever once it stood, and who wants to know of its ups and downs. */
export class Connection {
  readonly client: NatsConnection
  readonly servers: readonly string[]
  readonly #listeners = new Set<{ readonly onUp: () => void; readonly onDown: () => void }>()
  #isUp = true

  constructor(client: NatsConnection, servers: readonly string[], logger: Logger) {
    this.client = client
    this.servers = servers
    void this.#follow(logger)
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** @throws AppError unavailable - not connected at this moment */
  get info(): ServerInfo {
    if (this.client.info === undefined) throw new AppError('unavailable', `no connection to ${this.servers.join(', ')}`)
    return this.client.info
  }

  listen(listener: { readonly onUp: () => void; readonly onDown: () => void }): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    await this.client.close()
  }

  async #follow(logger: Logger): Promise<void> {
    for await (const { type, data } of this.client.status()) {
      if (type === Events.Disconnect) this.#set(false, logger)
      else if (type === Events.Reconnect) this.#set(true, logger)
      else if (type === Events.Error)
        logger.log('warn', 'the NATS server reports an error', {
          error: typeof data === 'string' ? data : JSON.stringify(data),
        })
    }
    this.#set(false, logger)
  }

  #set(isUp: boolean, logger: Logger): void {
    if (this.#isUp === isUp) return
    this.#isUp = isUp
    if (!this.client.isClosed()) {
      logger.log('warn', isUp ? 'connected to NATS again' : 'connection to NATS lost; reconnecting', {
        servers: this.servers,
      })
    }
    for (const { onUp, onDown } of [...this.#listeners])
      if (isUp) onUp()
      else onDown()
  }
}

/**
 * Connects, or says within `connectTimeoutMs` for each server why not. Once connected, a lost connection is re-made for ever.
 *
 * @throws AppError unavailable - no server answers; permission_denied - they answer, but not with these credentials
 */
export async function connectNats(options: NatsConnectionOptions): Promise<Connection> {
  const given = options.servers ?? 'nats://127.0.0.1:4222'
  const servers = typeof given === 'string' ? given.split(',').map((server) => server.trim()) : [...given]
  try {
    return new Connection(await connect(clientOptions(options, servers)), servers, options.logger ?? silentLogger)
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string }
    if (error instanceof AppError) throw error
    if (code !== undefined && /AUTH|CREDS|NKEY|PERMISSIONS/.test(code)) {
      throw new AppError(
        'permission_denied',
        `the NATS server at ${servers.join(', ')} refuses these credentials (${message}); check user, token, nkey or creds`,
        { servers },
        { cause: error },
      )
    }
    throw new AppError(
      'unavailable',
      `no NATS server at ${servers.join(', ')} (${message}); start one with "nats-server -js", or correct the address`,
      { servers },
      { cause: error },
    )
  }
}

function clientOptions(options: NatsConnectionOptions, servers: string[]): ConnectionOptions {
  const { name, user, password, token, tls, nkeySeed, credsFile } = options
  return {
    servers,
    ...(name === undefined ? {} : { name }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: password }),
    ...(token === undefined ? {} : { token }),
    ...(tls === undefined ? {} : { tls }),
    ...(nkeySeed === undefined ? {} : { authenticator: nkeyAuthenticator(new TextEncoder().encode(nkeySeed)) }),
    ...(credsFile === undefined ? {} : { authenticator: credsAuthenticator(readCreds(credsFile)) }),
    timeout: options.connectTimeoutMs ?? 5_000,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    reconnectJitter: 50,
    // A peer that went silent without closing is given up after two of these.
    pingInterval: 5_000,
    maxPingOut: 2,
    noAsyncTraces: true,
  }
}

function readCreds(file: string): Uint8Array {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new AppError('invalid', `cannot read the credentials file ${file}: ${(error as Error).message}`, undefined, {
      cause: error,
    })
  }
}

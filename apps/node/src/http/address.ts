import { AppError, type EntryId } from '@daruma/protocol'

export interface ListenAddress {
  /** Undefined: all addresses of the machine. */
  readonly host: string | undefined
  /** 0: any free one. */
  readonly port: number
}

/** Reads `:8080`, `127.0.0.1:8080`, `[::1]:8080`. @throws AppError invalid - no port, or one above 65535 */
export function parseAddress(entry: EntryId, addr: string): ListenAddress {
  const at = addr.lastIndexOf(':')
  const port = Number(addr.slice(at + 1))
  if (at < 0 || !Number.isInteger(port) || port > 65_535) {
    throw new AppError(
      'invalid',
      `${entry}: addr "${addr}" is no address like ":8080" or "127.0.0.1:8080"`,
      undefined,
      {
        retryable: false,
      },
    )
  }
  const host = addr.slice(0, at).replace(/^\[(.*)\]$/, '$1')
  return { host: host === '' ? undefined : host, port }
}

/** Why a server cannot listen, with what to do about it. */
export function listenFailure(entry: EntryId, addr: string, port: number, error: NodeJS.ErrnoException): AppError {
  const said: Readonly<Record<string, readonly [string, boolean]>> = {
    EADDRINUSE: [
      `another program listens on port ${port}; stop it, or choose another address: -o ${entry}:addr=127.0.0.1:${port === 65_535 ? 8_080 : port + 1}`,
      true,
    ],
    EACCES: [`port ${port} is not for this user; choose one above 1023: -o ${entry}:addr=:8080`, false],
    EADDRNOTAVAIL: ['this machine does not have that address', true],
    ENOTFOUND: ['no such host is known', true],
  }
  const [why, retryable] = said[error.code ?? ''] ?? [error.message, true]
  return new AppError(
    'unavailable',
    `${entry} cannot listen on ${addr}: ${why}`,
    { port, code: error.code },
    {
      retryable,
      cause: error,
    },
  )
}

import { AppError, type Durability } from '@daruma/protocol'

/** What a connected server says of itself, as far as durability hangs on it. */
export interface ServerFacts {
  readonly version: string
  readonly serverId: string
  readonly jetStream: boolean
}

/** What one server's monitoring page says of it. */
export interface SyncEvidence {
  readonly url: string
  readonly serverId: string
  readonly syncAlways: boolean
}

/** The least versions that keep what a durability promises; docs/durability.md has the measurements. */
const leastVersion: Readonly<Record<Durability, readonly [number, number]>> = {
  process: [2, 9],
  disk: [2, 10],
  replica: [2, 11],
}

/**
 * Why the server cannot hold `asked`, as a sentence with what was asked, found and can be done; undefined: it can.
 *
 * A server does not tell its clients how it syncs, and older ones ignore settings that they do not know. So `disk` asks for
 * evidence: the monitoring pages of the servers, of which one must be the server that we are connected to.
 */
export function whyNot(asked: Durability, server: ServerFacts, evidence: readonly SyncEvidence[]): string | undefined {
  if (!server.jetStream) {
    return `asked for durability "${asked}", found a server without JetStream; start it with "nats-server -js"`
  }
  const [major, minor] = leastVersion[asked]
  if (!isAtLeast(server.version, major, minor)) {
    const reason = {
      process: 'it lacks what the log needs',
      disk: 'it cannot sync before it acknowledges',
      replica: 'its compare-and-set does not fence on replicated streams',
    }[asked]
    const hint = asked === 'process' ? '' : ', or ask for durability "process"'
    return `asked for durability "${asked}", found nats-server ${server.version}: ${reason}; use ${major}.${minor} or later${hint}`
  }
  if (asked !== 'disk') return undefined
  if (evidence.length === 0) {
    return (
      'asked for durability "disk", found nothing that shows how the server syncs; set "sync_interval: always" in its jetstream block, ' +
      'let it monitor ("http: 127.0.0.1:8222") and name that address in monitorUrls'
    )
  }
  const lax = evidence.filter(({ syncAlways }) => !syncAlways)
  if (lax.length > 0) {
    const urls = lax.map(({ url }) => url).join(', ')
    return `asked for durability "disk", found that ${urls} does not sync always; set "sync_interval: always" in its jetstream block`
  }
  if (!evidence.some(({ serverId }) => serverId === server.serverId)) {
    const urls = evidence.map(({ url }) => url).join(', ')
    return `asked for durability "disk", found that ${urls} is not the server that answers here; name the address of every server in monitorUrls`
  }
  return undefined
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [foundMajor = 0, foundMinor = 0] = version.split('.').map((part) => parseInt(part, 10))
  return foundMajor > major || (foundMajor === major && foundMinor >= minor)
}

interface Varz {
  readonly server_id?: string
  readonly jetstream?: { readonly config?: { readonly sync_always?: boolean } }
}

/**
 * Reads a server's monitoring page.
 *
 * @throws AppError unavailable - nothing answers there within `timeoutMs`, or it is not a NATS server
 */
export async function readEvidence(url: string, timeoutMs: number): Promise<SyncEvidence> {
  try {
    const response = await fetch(new URL('/varz', url), { signal: AbortSignal.timeout(timeoutMs) })
    const varz = (await response.json()) as Varz
    if (varz.server_id === undefined) throw new Error('no server_id in the answer')
    return { url, serverId: varz.server_id, syncAlways: varz.jetstream?.config?.sync_always === true }
  } catch (error) {
    throw new AppError(
      'unavailable',
      `no monitoring page of a NATS server at ${url} (${(error as Error).message}); start the server with "http: <address>", or correct monitorUrls`,
      undefined,
      { cause: error },
    )
  }
}

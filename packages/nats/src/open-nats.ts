import {
  AppError,
  systemClock,
  type Clock,
  type Durability,
  type Inbox,
  type Leases,
  type Log,
  type Snapshots,
} from '@daruma/protocol'
import { connectNats, type Connection, type NatsConnectionOptions } from './connection.ts'
import { readEvidence, whyNot } from './durability.ts'
import { NatsInbox } from './inbox.ts'
import { NatsLeases } from './leases.ts'
import { NatsLog } from './log.ts'
import { Requester } from './requester.ts'
import { NatsSnapshots } from './snapshots.ts'
import { ensureStream, inboxStream, leaseStream, logStream, snapshotStream } from './streams.ts'
import { namesOf } from './subjects.ts'

export interface NatsOptions extends NatsConnectionOptions {
  /** In front of every subject, stream and bucket. Default `daruma`. */
  readonly prefix?: string
  /** What an acknowledgement must survive. Default `process`. */
  readonly durability?: Durability
  /** For durability `disk`: monitoring addresses of the servers, such as `http://127.0.0.1:8222`. */
  readonly monitorUrls?: readonly string[]
  /** After which a request counts as ambiguous. Default 5_000. */
  readonly requestTimeoutMs?: number
  readonly clock?: Clock
}

export interface NatsServerInfo {
  readonly version: string
  readonly serverId: string
  readonly serverName: string
  readonly maxPayloadBytes: number
  readonly durability: Durability
}

export interface NatsStore {
  /** The log of a task queue; its stream is made if missing. */
  log(queue: string): Promise<Log>
  inbox(queue: string): Promise<Inbox>
  readonly leases: Leases
  readonly snapshots: Snapshots
  readonly info: NatsServerInfo
  close(): Promise<void>
}

/**
 * Connects to NATS JetStream and makes sure that it can hold the durability that was asked for.
 *
 * @throws AppError unavailable - no server answers in time
 * @throws AppError invalid - the server cannot hold the durability, or a stream is there in another shape: asked, found, what to do
 * @throws AppError permission_denied - wrong credentials
 */
export async function openNats(options: NatsOptions = {}): Promise<NatsStore> {
  const names = namesOf(options.prefix ?? 'daruma')
  const connection = await connectNats(options)
  const requester = new Requester(connection, options.clock ?? systemClock(), options.requestTimeoutMs ?? 5_000)
  const durability = options.durability ?? 'process'
  const replicas = durability === 'replica' ? 3 : 1
  const close = async (): Promise<void> => {
    requester.close()
    await connection.close()
  }
  try {
    const info = await assertDurability(connection, durability, options)
    await ensureStream(requester, leaseStream(names, replicas))
    await ensureStream(requester, snapshotStream(names, replicas))
    const leases = new NatsLeases(requester, names, replicas === 1)
    const inboxes = new Set<Inbox>()
    return {
      async log(queue) {
        await ensureStream(requester, logStream(names, queue, replicas))
        return new NatsLog(requester, names, queue, durability)
      },
      async inbox(queue) {
        await ensureStream(requester, inboxStream(names, queue, replicas))
        const inbox = new NatsInbox(requester, names, queue)
        inboxes.add(inbox)
        return inbox
      },
      leases,
      snapshots: new NatsSnapshots(requester, names, replicas === 1),
      info,
      async close() {
        await Promise.all([leases.close(), ...[...inboxes].map((inbox) => inbox.close())])
        await close()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function assertDurability(
  connection: Connection,
  asked: Durability,
  options: NatsOptions,
): Promise<NatsServerInfo> {
  const { version, server_id, server_name, jetstream = false, max_payload } = connection.info
  const urls = asked === 'disk' ? (options.monitorUrls ?? []) : []
  const facts = { version, serverId: server_id, jetStream: jetstream }
  // Without evidence first: a version that is too old needs no monitoring page to be refused.
  const problem =
    whyNot(
      asked,
      facts,
      urls.map((url) => ({ url, serverId: server_id, syncAlways: true })),
    ) ??
    whyNot(asked, facts, await Promise.all(urls.map((url) => readEvidence(url, options.connectTimeoutMs ?? 5_000))))
  if (problem !== undefined) throw new AppError('invalid', problem, { durability: asked, ...facts })
  return { version, serverId: server_id, serverName: server_name, maxPayloadBytes: max_payload, durability: asked }
}

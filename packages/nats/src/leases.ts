import { AppError, type HeldLease, type LeaseAnswer, type Leases } from '@daruma/protocol'
import type { Msg } from 'nats'
import { apiError, callApi } from './api.ts'
import { plainHeaders } from './headers.ts'
import { publishStored, readMessage, type StoredMessage } from './publisher.ts'
import { PullLoop } from './pull-loop.ts'
import type { Requester } from './requester.ts'
import { escapeToken, type Names } from './subjects.ts'

/** What stands in the bucket. Without `fence` it is the entry of an acquisition: its own revision is the fence. */
interface LeaseValue {
  readonly holder: string
  readonly ttlMs: number
  readonly fence?: number
}

interface Found {
  readonly value: LeaseValue | undefined
  readonly revision: number
  readonly storedAtMs: number
}

type Watcher = (holder: string | undefined) => void

const maxConflicts = 8

/**
 * Leases in a key-value bucket, by compare-and-set on the key's revision.
 *
 * - A lease runs from the instant at which the server stored its last renewal, by the server's clock (E1); nodes' clocks do not matter.
 * - The fence is the bucket's revision at which the lease was acquired. It grows over all keys, also over restarts (E2).
 */
export class NatsLeases implements Leases {
  readonly #requester: Requester
  readonly #names: Names
  readonly #stream: string
  readonly #isSingle: boolean
  readonly #watchers = new Map<string, Set<Watcher>>()
  /** By key and fence: the revision of the last renewal made here, so that the next one needs no read. */
  readonly #revisions = new Map<string, number>()
  #watching: Promise<PullLoop> | undefined
  #closed = false

  constructor(requester: Requester, names: Names, isSingle: boolean) {
    this.#requester = requester
    this.#names = names
    this.#stream = `KV_${names.leaseBucket}`
    this.#isSingle = isSingle
  }

  async acquire(key: string, holder: string, ttlMs: number): Promise<LeaseAnswer> {
    this.#assertOpen()
    for (let conflicts = 0; conflicts < maxConflicts; conflicts++) {
      const found = await this.#read(key)
      if (found.value !== undefined && found.value.holder !== holder) {
        const leftMs = found.storedAtMs + found.value.ttlMs - (await this.#serverNowMs())
        if (leftMs > 0) return { kind: 'taken', holder: found.value.holder, leftMs }
      }
      const fence = await this.#write(key, { holder, ttlMs }, found.revision)
      if (fence !== undefined) {
        this.#revisions.set(`${fence} ${key}`, fence)
        return { kind: 'held', lease: { key, holder, fence, ttlMs } }
      }
    }
    throw new AppError(
      'conflict',
      `lease ${key}: others changed it ${maxConflicts} times in a row; try again`,
      undefined,
      {
        retryable: true,
      },
    )
  }

  async renew(lease: HeldLease): Promise<boolean> {
    this.#assertOpen()
    const value: LeaseValue = { holder: lease.holder, ttlMs: lease.ttlMs, fence: lease.fence }
    let revision = this.#revisions.get(`${lease.fence} ${lease.key}`)
    for (let conflicts = 0; conflicts < maxConflicts; conflicts++) {
      if (revision === undefined) {
        const found = await this.#read(lease.key)
        if (!isOf(lease, found)) return this.#forget(lease)
        revision = found.revision
      }
      const renewed = await this.#write(lease.key, value, revision)
      if (renewed !== undefined) {
        this.#revisions.set(`${lease.fence} ${lease.key}`, renewed)
        return true
      }
      // Either lost, or an earlier renewal was stored although its answer got lost: only the bucket knows.
      revision = undefined
    }
    return this.#forget(lease)
  }

  async release(lease: HeldLease): Promise<void> {
    this.#assertOpen()
    const found = await this.#read(lease.key)
    this.#forget(lease)
    if (!isOf(lease, found)) return
    const headers = plainHeaders({ 'KV-Operation': 'DEL', 'Nats-Expected-Last-Subject-Sequence': found.revision })
    await publishStored(this.#requester, this.#names.leaseSubject(lease.key), nothing, headers, false)
  }

  async watch(key: string, onChange: Watcher): Promise<() => void> {
    this.#assertOpen()
    const token = escapeToken(key)
    let lastHolder = (await this.#read(key)).value?.holder
    const watcher: Watcher = (holder) => {
      if (holder === lastHolder) return
      lastHolder = holder
      onChange(holder)
    }
    const watchers = this.#watchers.get(token) ?? new Set()
    this.#watchers.set(token, watchers.add(watcher))
    // One consumer for all keys that this process watches.
    this.#watching ??= this.#follow()
    await this.#watching
    return () => void watchers.delete(watcher)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#watchers.clear()
    const watching = await this.#watching?.catch(() => undefined)
    watching?.stop()
  }

  /** The consumer begins with what stands in the bucket; watchers drop what they know already. */
  async #follow(): Promise<PullLoop> {
    const input = {
      stream_name: this.#stream,
      config: {
        deliver_policy: 'last_per_subject',
        filter_subject: this.#names.leaseSubjects,
        ack_policy: 'none',
        replay_policy: 'instant',
        inactive_threshold: 60_000_000_000,
        mem_storage: true,
        num_replicas: 1,
      },
    }
    const call = `CONSUMER.CREATE.${this.#stream}`
    const made = await callApi<{ readonly name: string }>(this.#requester, call, input, { repeatable: true })
    if (made.error !== undefined) throw apiError(`watching bucket ${this.#names.leaseBucket}`, made.error)
    return new PullLoop(this.#requester, this.#stream, made.name, {
      onMessage: (message) => this.#tell(message),
      // It lives in the server's memory: a restarted one does not know it.
      onGone: () => void this.#followAnew(),
    })
  }

  async #followAnew(): Promise<void> {
    while (!this.#closed) {
      try {
        this.#watching = this.#follow()
        await this.#watching
        return
      } catch {
        await new Promise<void>((resolve) => this.#requester.retry(resolve))
      }
    }
  }

  #tell(message: Msg): void {
    const token = message.subject.slice(message.subject.lastIndexOf('.') + 1)
    const isDeletion = message.headers?.has('KV-Operation') === true
    const holder = isDeletion ? undefined : parse(message.data)?.holder
    for (const watcher of [...(this.#watchers.get(token) ?? [])]) watcher(holder)
  }

  async #read(key: string): Promise<Found> {
    const query = { last_by_subj: this.#names.leaseSubject(key) }
    return foundIn(await readMessage(this.#requester, this.#stream, query, this.#isSingle))
  }

  /** The new revision; undefined: somebody else changed the key. */
  async #write(key: string, value: LeaseValue, expectedRevision: number): Promise<number | undefined> {
    const headers = plainHeaders({ 'Nats-Expected-Last-Subject-Sequence': expectedRevision })
    const bytes = Buffer.from(JSON.stringify(value))
    const answer = await publishStored(this.#requester, this.#names.leaseSubject(key), bytes, headers, false)
    return answer.kind === 'stored' ? answer.seq : undefined
  }

  /** Old servers tell their time only as the timestamp of something stored. */
  async #serverNowMs(): Promise<number> {
    const subject = this.#names.leaseClockSubject
    await publishStored(this.#requester, subject, nothing, undefined, true)
    const mark = await readMessage(this.#requester, this.#stream, { last_by_subj: subject }, this.#isSingle)
    if (mark === undefined)
      throw new AppError('unavailable', `bucket ${this.#names.leaseBucket} lost a record just written`)
    return mark.storedAtMs
  }

  #forget(lease: HeldLease): false {
    this.#revisions.delete(`${lease.fence} ${lease.key}`)
    return false
  }

  #assertOpen(): void {
    if (this.#closed) throw new AppError('unavailable', 'these leases were closed')
  }
}

const nothing = new Uint8Array(0)

function isOf(lease: HeldLease, { value, revision }: Found): boolean {
  return value?.holder === lease.holder && (value.fence ?? revision) === lease.fence
}

function foundIn(message: StoredMessage | undefined): Found {
  if (message === undefined) return { value: undefined, revision: 0, storedAtMs: 0 }
  const value = message.isDeletion ? undefined : parse(message.bytes)
  return { value, revision: message.seq, storedAtMs: message.storedAtMs }
}

/** Undefined for what nobody of us wrote: somebody's hand in the bucket does not stop a cluster. */
function parse(bytes: Uint8Array): LeaseValue | undefined {
  try {
    const value = JSON.parse(Buffer.from(bytes).toString()) as LeaseValue
    return typeof value.holder === 'string' && typeof value.ttlMs === 'number' ? value : undefined
  } catch {
    return undefined
  }
}

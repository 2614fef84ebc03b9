import type { Pid } from '@daruma/protocol'
import type { HostResult } from '../engine.ts'
import type { Session } from '../session.ts'

/** An entry as programs see it. */
export interface EntryRecord {
  readonly id: string
  readonly kind: string
  readonly meta: Readonly<Record<string, unknown>>
  readonly data: Readonly<Record<string, unknown>>
}

export interface EntryOp {
  readonly kind: 'entry.create' | 'entry.update' | 'entry.delete'
  /** Only the id counts in a deletion. */
  readonly entry: EntryRecord
}

/** A stored state of the registry. Ids only grow; 0 is the state at boot. */
export interface VersionRecord {
  readonly id: number
  readonly text: string
}

/** 0 local, 1 eventual, 2 consistent, 3 strong. */
export type NameScope = 0 | 1 | 2 | 3

export interface BusEvent {
  readonly system: string
  readonly kind: string
  readonly path: string
  readonly data?: unknown
}

export interface StoreEntry {
  readonly key: string
  readonly value: unknown
  readonly version: string
}

export interface HttpAnswer {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string>>
  readonly cookies: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  /** After redirects. */
  readonly url: string
}

export interface HttpQuestion {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  readonly timeoutMs?: number
  readonly maxResponseBytes?: number
}

/** The execution that an activity is: under the context key `@activity`. */
export interface ActivityExecution {
  /** The same for every attempt: `<workflow id>/<run>/<command index>`. */
  readonly idempotencyKey: string
  /** 1 on the first. */
  readonly attempt: number
  readonly workflowId: string
  /** What the attempt before reported last; undefined if it did not. */
  readonly heartbeat?: unknown
}

/** The request that a program serves: under the context key `@http`. Header names in lower case. */
export interface HttpServed {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, readonly string[]>>
  readonly headers: Readonly<Record<string, string>>
  readonly params: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  readonly remoteAddress: string
}

/** One step of an answer, in order. Status and headers count until the first `write` or `flush`. */
export type HttpPart =
  | { readonly kind: 'status'; readonly code: number }
  | { readonly kind: 'header'; readonly name: string; readonly value: string }
  | { readonly kind: 'transfer'; readonly mode: 'chunked' | 'sse' }
  | { readonly kind: 'write'; readonly data: string | Uint8Array }
  | { readonly kind: 'flush' }

export interface MetricRecord {
  readonly kind: 'counter' | 'gauge_set' | 'gauge_add' | 'histogram'
  readonly name: string
  readonly value: number
  readonly labels: Readonly<Record<string, string>>
}

export interface ContractMethod {
  readonly name: string
  readonly description?: string
  readonly inputSchemas?: readonly unknown[]
  readonly outputSchemas?: readonly unknown[]
}

export interface ContractRecord {
  readonly id: string
  readonly methods: readonly ContractMethod[]
}

/** Which function answers which method. */
export interface BindingRecord {
  readonly id: string
  readonly contracts: readonly string[]
  readonly methods: Readonly<Record<string, string>>
}

/** What a consumer's function was called for: under the context key `@queue`. */
export interface QueueDelivery {
  readonly id: string
  readonly headers: Readonly<Record<string, unknown>>
}

/**
 * Everything that Lua modules ask of the app by `{ kind: 'request', handler, input }`, with what a handler answers.
 * A handler may answer at once or later; a failure is an error of the kind named here, or of any other kind.
 * The node implements these; what it does not implement it refuses with `unavailable`.
 */
export interface Requests {
  /** Names. already_exists: the name is another process's. Idempotent for the same pid. `pid` absent: the asker. */
  'names.register': { input: { name: string; pid?: Pid; scope: NameScope }; output: null }
  /** not_found: nobody has the name. */
  'names.lookup': { input: { name: string }; output: Pid }
  /** False: it was not registered, or belongs to another process. */
  'names.unregister': { input: { name: string; scope: NameScope }; output: boolean }

  /** The event bus. Events of a subscription arrive as messages of `topic`, one BusEvent each. */
  'events.subscribe': { input: { system: string; kind?: string; topic: string }; output: null }
  'events.unsubscribe': { input: { topic: string }; output: null }
  'events.send': { input: BusEvent; output: null }

  /** Key-value stores. not_found: no such store (any), no such key (get, entry). */
  'store.open': { input: { store: string }; output: null }
  'store.get': { input: { store: string; key: string }; output: unknown }
  'store.entry': { input: { store: string; key: string }; output: StoreEntry }
  /** `ttlMs` absent or 0: for ever. */
  'store.set': { input: { store: string; key: string; value: unknown; ttlMs?: number }; output: null }
  /** already_exists: `onlyIfAbsent` and it is there. conflict: `ifVersion` is not the current one. */
  'store.put': {
    input: { store: string; key: string; value: unknown; ttlMs?: number; onlyIfAbsent?: boolean; ifVersion?: string }
    output: StoreEntry
  }
  'store.has': { input: { store: string; key: string }; output: boolean }
  'store.delete': { input: { store: string; key: string }; output: boolean }
  /** In the order of keys, those greater than `after`. */
  'store.list': {
    input: { store: string; prefix?: string; after?: string; limit?: number }
    output: { items: readonly StoreEntry[]; cursor: string; hasMore: boolean }
  }

  /** Entries. `version` absent: the current state. not_found: no such entry or version. */
  'registry.get': { input: { id: string; version?: number }; output: EntryRecord }
  'registry.entries': { input: { version?: number }; output: readonly EntryRecord[] }
  'registry.version': { input: null; output: VersionRecord }
  /** Sorted by id, 0 included. */
  'registry.versions': { input: null; output: readonly VersionRecord[] }
  /** All or nothing; answered when new code answers. conflict, invalid or internal: nothing was applied. */
  'registry.apply': { input: { base: number; ops: readonly EntryOp[] }; output: VersionRecord }
  'registry.apply_version': { input: { version: number }; output: null }

  /** Variables. not_found: not set or not defined. */
  'env.get': { input: { key: string }; output: string }
  'env.set': { input: { key: string; value: string }; output: null }
  'env.all': { input: null; output: Readonly<Record<string, string>> }

  /** The terminal of a CLI command. unavailable: this process has none. */
  'io.write': { input: { stream: 'stdout' | 'stderr'; data: string | Uint8Array }; output: null }
  'io.flush': { input: null; output: null }
  /** Up to `maxBytes`; empty at the end of input. */
  'io.read': { input: { maxBytes: number }; output: string | Uint8Array }
  /** Without its newline; null at the end of input. */
  'io.readline': { input: null; output: string | null }
  'io.args': { input: null; output: readonly string[] }

  /** Policies: the entry's data; the policies of a group. not_found: no such policy or group. */
  'security.policy': { input: { id: string }; output: { id: string; data: unknown } }
  'security.group': { input: { id: string }; output: readonly { id: string; data: unknown }[] }

  /** An activity reports that it is alive, and how far it got. canceled: it should stop. */
  'activity.heartbeat': { input: { details?: unknown }; output: null }

  /** A program of its own, in a state of its own. invalid: does not compile; else what it failed with. */
  'eval.run': {
    input: {
      source: string
      method?: string
      args: readonly unknown[]
      modules: readonly string[]
      imports: Readonly<Record<string, string>>
      context: Readonly<Record<string, unknown>>
    }
    output: unknown
  }

  /** Queues. not_found: no such queue. `queue.ack` and `queue.nack` settle a delivery early. */
  'queue.publish': {
    input: { queue: string; payload: unknown; headers: Readonly<Record<string, unknown>> }
    output: null
  }
  'queue.info': { input: { queue: string }; output: Readonly<Record<string, number>> }
  'queue.ack': { input: { message: string }; output: null }
  'queue.nack': { input: { message: string }; output: null }

  /** Process groups of a `pg.scope` entry. not_found: no such scope. */
  'pg.open': { input: { scope: string }; output: null }
  'pg.join': { input: { scope: string; groups: readonly string[] }; output: null }
  /** invalid: the asker is in none of them. */
  'pg.leave': { input: { scope: string; groups: readonly string[] }; output: null }
  'pg.members': { input: { scope: string; group: string; local: boolean }; output: readonly Pid[] }
  'pg.groups': { input: { scope: string; local: boolean }; output: readonly string[] }
  'pg.broadcast': {
    input: { scope: string; group: string; topic: string; payload: readonly unknown[]; local: boolean }
    output: null
  }
  /**
   * Answers the members now, by group (`group` absent: of all). Changes then arrive as messages of `topic`:
   * `{system: 'pg', kind: 'member.joined' | 'member.left', path: group, data: {Group, PIDs}}`.
   */
  'pg.monitor': {
    input: { scope: string; group?: string; topic: string }
    output: Readonly<Record<string, readonly Pid[]>>
  }
  'pg.demonitor': { input: { scope: string; topic: string }; output: null }

  /** The node. */
  'system.node': { input: null; output: { id: string; address?: string } }
  'system.memory': { input: null; output: { heapUsedBytes: number; heapTotalBytes: number; rssBytes: number } }
  'system.members': {
    input: null
    output: readonly { id: string; isLocal: boolean; address?: string; meta?: Readonly<Record<string, string>> }[]
  }
  /** already_exists: somebody holds it. Released when the holder ends. */
  'system.lock': { input: { name: string }; output: null }
  /** False: not held by the asker. */
  'system.unlock': { input: { name: string }; output: boolean }
  'system.exit': { input: { code: number }; output: null }

  /** unavailable, timeout (both retryable), permission_denied, invalid. */
  'http.request': { input: HttpQuestion; output: HttpAnswer }
  /** The answer to the request that this program serves (context key `@http`). invalid: the head was sent. */
  'http.respond': { input: HttpPart; output: null }

  'metrics.record': { input: MetricRecord; output: null }

  /** Files below the folder of a directory entry. not_found; permission_denied outside of it. */
  'fs.open': { input: { fs: string }; output: null }
  'fs.read': { input: { fs: string; path: string }; output: string | Uint8Array }
  'fs.write': { input: { fs: string; path: string; data: string | Uint8Array; append: boolean }; output: null }
  'fs.stat': {
    input: { fs: string; path: string }
    output: { name: string; sizeBytes: number; isDirectory: boolean; modifiedMs: number }
  }
  'fs.list': { input: { fs: string; path: string }; output: readonly { name: string; isDirectory: boolean }[] }
  'fs.mkdir': { input: { fs: string; path: string }; output: null }
  'fs.remove': { input: { fs: string; path: string }; output: null }

  /** Contracts. not_found: no such definition or binding. */
  'contract.get': { input: { id: string }; output: ContractRecord }
  'contract.implementations': { input: { contract: string }; output: readonly string[] }
  /** `binding` absent: the default one of `contract`. */
  'contract.open': { input: { contract?: string; binding?: string }; output: BindingRecord }
}

export type RequestName = keyof Requests

/** `session.request` with the types of the table above. */
export function ask<K extends RequestName>(
  session: Session,
  handler: K,
  input: Requests[K]['input'],
  then?: (output: Requests[K]['output']) => HostResult,
): HostResult {
  return session.request(handler, input, then as ((value: unknown) => HostResult) | undefined)
}

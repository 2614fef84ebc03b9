import type { WireError } from '@daruma/protocol'

/** What a node process is told when it is started. */
export interface NodeConfig {
  readonly name: string
  readonly store: { readonly kind: 'nats'; readonly url: string } | { readonly kind: 'lmdb'; readonly folder: string }
  /** Nodes of one cluster reach each other's workflows. */
  readonly cluster?: string
  readonly ledgerFile: string
  readonly partitions: number
  readonly leaseMs: number
  readonly maxResident?: number
  readonly checkpoint?: { readonly everyBytes: number; readonly everyCommits: number; readonly growth: number }
  readonly retention?: { readonly journalBytes: number }
}

export type Ask =
  | {
      readonly op: 'start'
      readonly workflow: string
      readonly type: string
      readonly input: unknown
      readonly requestId: string
    }
  | {
      readonly op: 'send'
      readonly workflow: string
      readonly topic: string
      readonly payload: unknown
      readonly messageId: string
    }
  | { readonly op: 'cancel' | 'terminate'; readonly workflow: string }
  | { readonly op: 'describe' | 'open' | 'close' }

export type Request = Ask & { readonly number: number }

export interface Answer {
  /** Of the request; 0: the node is up. */
  readonly number: number
  readonly value?: unknown
  readonly error?: WireError
}

/** A workflow as the node that owns it describes it. */
export interface Described {
  readonly workflow: string
  readonly status: string
  readonly result?: unknown
  readonly error?: string
  readonly waitingFor: readonly string[]
}

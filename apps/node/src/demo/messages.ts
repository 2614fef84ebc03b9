import type { Outcome } from '@daruma/protocol'
import type { Notice } from '@daruma/workflow'
import type { KillPoint } from './stages.ts'

/** From the demonstration to the node that it kills. */
export type Order =
  | { readonly kind: 'kill_at'; readonly order: string; readonly point: KillPoint }
  | { readonly kind: 'start'; readonly order: string; readonly type: string; readonly args: readonly unknown[] }
  | { readonly kind: 'signal'; readonly order: string; readonly topic: string; readonly payload: readonly unknown[] }
  | { readonly kind: 'await'; readonly order: string }
  | { readonly kind: 'stop' }

/** From the node. */
export type Report =
  | { readonly kind: 'up'; readonly where: string; readonly durability: string }
  | { readonly kind: 'started'; readonly order: string }
  | { readonly kind: 'notice'; readonly notice: Notice }
  | { readonly kind: 'ended'; readonly order: string; readonly outcome: Outcome }
  /** `order`: only what was asked of it failed; without one, the node did. */
  | { readonly kind: 'failed'; readonly order: string | undefined; readonly message: string }

/** One line of the ledger: what a function did to the world outside, written by the node before it does it. */
export interface LedgerLine {
  readonly key: string
  readonly target: string
  readonly workflow: string
}

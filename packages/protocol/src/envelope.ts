import type { ExitReason } from './exit-reason.ts'
import type { Pid, Ref } from './ids.ts'

/**
 * What travels to a pid on another node. Signals between one pair keep their order, all kinds together (rule 11).
 * `user`, trapped `exit`, `down` and `reply` queue in the mailbox; the rest act on receipt.
 */
export type Envelope =
  | { readonly kind: 'user'; readonly message: unknown }
  /** `link`: the end of a linked peer, whose reason is passed on as it is; else an explicit exit signal. */
  | { readonly kind: 'exit'; readonly from: Pid; readonly reason: ExitReason; readonly link: boolean }
  | { readonly kind: 'down'; readonly from: Pid; readonly ref: Ref; readonly reason: ExitReason }
  | { readonly kind: 'link'; readonly from: Pid }
  | { readonly kind: 'unlink'; readonly from: Pid }
  | { readonly kind: 'monitor'; readonly from: Pid; readonly ref: Ref }
  | { readonly kind: 'demonitor'; readonly from: Pid; readonly ref: Ref }
  | { readonly kind: 'call'; readonly from: Pid; readonly ref: Ref; readonly request: unknown }
  | { readonly kind: 'reply'; readonly ref: Ref; readonly value: unknown }

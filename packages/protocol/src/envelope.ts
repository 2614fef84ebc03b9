import type { WireError } from './errors.ts'
import type { ExitReason } from './exit-reason.ts'
import type { Pid } from './ids.ts'

/**
 * What travels from one node to another. Signals between one pair keep their order, all kinds together (rule 11).
 * `to` is the serial of a process of the receiving node's present life: the connection says which life that is.
 * `ref` is the serial of a reference of the node that asked; what answers it names it again.
 */
export type Envelope =
  | { readonly kind: 'user'; readonly to: number; readonly message: unknown }
  /** `link`: the end of a linked peer, whose reason is passed on as it is; else an explicit exit signal. */
  | {
      readonly kind: 'exit'
      readonly to: number
      readonly from: Pid
      readonly reason: ExitReason
      readonly link: boolean
    }
  | { readonly kind: 'link'; readonly to: number; readonly from: Pid }
  | { readonly kind: 'unlink'; readonly to: number; readonly from: Pid }
  /** Answered by one `down`, unless `forget` comes first. */
  | { readonly kind: 'monitor'; readonly to: number; readonly ref: number }
  /** Answered by `reply`, `failed`, or by `down` when the callee is gone. */
  | { readonly kind: 'call'; readonly to: number; readonly ref: number; readonly request: unknown }
  /** Asks the node itself. Answered by `reply` or `failed`. */
  | { readonly kind: 'ask'; readonly ref: number; readonly service: string; readonly input: unknown }
  /** Who set that monitor, or made that call, no longer waits. */
  | { readonly kind: 'forget'; readonly ref: number }
  | { readonly kind: 'down'; readonly ref: number; readonly reason: ExitReason }
  | { readonly kind: 'reply'; readonly ref: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly ref: number; readonly error: WireError }
  /** A polite request to end. */
  | {
      readonly kind: 'cancel'
      readonly to: number
      readonly from: Pid | undefined
      readonly reason: string | undefined
    }
  /** The end, whatever the process traps. */
  | { readonly kind: 'terminate'; readonly to: number; readonly reason: ExitReason }

import type { NodeId, Pid } from '@daruma/protocol'

declare const accepts: unique symbol
declare const replies: unique symbol

/**
 * A pid that says which messages its process understands. At run time it is the pid and nothing more.
 * A plain `Pid` may stand wherever an `Actor` is wanted: it is the untyped way in. STABLE.
 */
export type Actor<M = unknown> = Pid & { readonly [accepts]?: (message: M) => void }

/** A message of shape `Q` that is answered with an `R` when it is sent by `call`. At run time it is the plain `Q`. STABLE. */
export type Request<Q, R> = Q & { readonly [replies]?: R }

/** The messages of protocol `M` that have a reply. */
export type RequestOf<M> = unknown extends M
  ? unknown
  : M extends unknown
    ? typeof replies extends keyof M
      ? M
      : never
    : never

/** What the protocol `M` replies to the request `Q`. */
export type ReplyOf<M, Q> = unknown extends M
  ? unknown
  : M extends unknown
    ? typeof replies extends keyof M
      ? Q extends M
        ? ReplyTo<M>
        : never
      : never
    : never

/** The reply that a request's type names; `unknown` for a message that is no request. */
export type ReplyTo<Q> = Q extends { readonly [replies]?: infer R } ? R : unknown

/** Where a message may go: a process, or whoever holds a name when it arrives. */
export type Destination<M = unknown> = Actor<M> | string

/** A bounded mailbox that rejects gives the message back. A value, never an exception (rule of ours). */
export interface MailboxFull {
  readonly kind: 'mailbox_full'
  readonly to: Pid
  readonly message: unknown
  readonly limit: number
  /** Of another node: it takes too little, and `limit` is how many bytes may wait for it. */
  readonly node?: NodeId
}

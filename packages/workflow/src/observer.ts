import type { WireError } from '@daruma/protocol'
import type { JournalEvent } from './events.ts'
import type { JournalMismatch } from './mismatch.ts'

/** What happens in a partition, told as it happens: for live accounts, metrics and tests. Must not throw. */
export type Notice =
  | { readonly kind: 'claimed'; readonly partition: string; readonly epoch: number }
  /** The log was read: what is open goes on from here. */
  | {
      readonly kind: 'recovered'
      readonly partition: string
      readonly open: number
      readonly closed: number
      readonly events: number
    }
  /** Everything that counts stands behind `from` now; what was forgotten had ended and is beyond its retention. */
  | {
      readonly kind: 'checkpointed'
      readonly partition: string
      readonly from: number
      readonly carried: number
      readonly forgotten: number
      readonly bytes: number
    }
  /** Acknowledged by the log. */
  | { readonly kind: 'recorded'; readonly workflow: string; readonly run: number; readonly event: JournalEvent }
  | { readonly kind: 'replayed'; readonly workflow: string; readonly run: number; readonly turns: number }
  | {
      readonly kind: 'attempt'
      readonly workflow: string
      readonly target: string
      readonly idempotencyKey: string
      readonly attempt: number
      /** Asked for by an earlier life of the owner, which may have performed it. */
      readonly again: boolean
    }
  /** The function answered; nothing of it is recorded yet. */
  | {
      readonly kind: 'attempt_ended'
      readonly workflow: string
      readonly target: string
      readonly idempotencyKey: string
      readonly error?: WireError
    }
  | { readonly kind: 'stuck'; readonly workflow: string; readonly reason: string; readonly mismatch?: JournalMismatch }
  | { readonly kind: 'fenced'; readonly partition: string; readonly reason: string }

export type Observer = (notice: Notice) => void

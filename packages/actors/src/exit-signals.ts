import { exitKilled, type ExitReason } from '@daruma/protocol'

/** What an exit signal does to the process that it reaches. */
export type ExitVerdict =
  | { readonly kind: 'ignore' }
  /** It becomes an `exit` notice in the mailbox. */
  | { readonly kind: 'deliver' }
  | { readonly kind: 'end'; readonly reason: ExitReason }

export interface ExitSignal {
  readonly reason: ExitReason
  /** From the end of a linked peer; otherwise somebody sent it explicitly. */
  readonly link: boolean
  /** The process sent it to itself. */
  readonly own: boolean
}

const ignore: ExitVerdict = { kind: 'ignore' }
const deliver: ExitVerdict = { kind: 'deliver' }

/**
 * The whole table of rules 2-6: only an explicit `kill` gets past a trap, and becomes `killed`; an explicit `normal`
 * harms nobody but its own sender; a reason that comes along a link is passed on as it is, `kill` included.
 */
export function decideExit(trapsExits: boolean, signal: ExitSignal): ExitVerdict {
  const { reason, link, own } = signal
  if (reason.kind === 'kill' && !link) return { kind: 'end', reason: exitKilled }
  if (trapsExits) return deliver
  if (reason.kind === 'normal' && !(own && !link)) return ignore
  return { kind: 'end', reason }
}

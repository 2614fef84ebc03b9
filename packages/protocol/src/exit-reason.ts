import type { WireError } from './errors.ts'
import type { NodeId } from './ids.ts'

/**
 * Why a process ended, as data. `kill` is the order (never trapped when sent explicitly), `killed` what links and
 * monitors then see; a peer that itself ended with `kill` passes it on unchanged (rules 4, 5).
 */
export type ExitReason =
  /** `value`: what a program returned, for those who monitor it. */
  | { readonly kind: 'normal'; readonly value?: unknown }
  | { readonly kind: 'shutdown'; readonly detail?: unknown }
  | { readonly kind: 'kill' }
  | { readonly kind: 'killed' }
  | { readonly kind: 'noproc' }
  | { readonly kind: 'noconnection'; readonly node: NodeId }
  | { readonly kind: 'error'; readonly error: WireError }
  /** `exit(R)` with a reason of the program's own. */
  | { readonly kind: 'custom'; readonly value: unknown }

export const exitNormal: ExitReason = Object.freeze({ kind: 'normal' })
export const exitShutdown: ExitReason = Object.freeze({ kind: 'shutdown' })
export const exitKill: ExitReason = Object.freeze({ kind: 'kill' })
export const exitKilled: ExitReason = Object.freeze({ kind: 'killed' })
export const exitNoproc: ExitReason = Object.freeze({ kind: 'noproc' })

/** `normal`, `shutdown` and `shutdown(detail)` end quietly; everything else is a crash with a report (rule 10). */
export function isQuiet(reason: ExitReason): boolean {
  return reason.kind === 'normal' || reason.kind === 'shutdown'
}

/** One line for people. */
export function describeReason(reason: ExitReason): string {
  switch (reason.kind) {
    case 'normal':
    case 'kill':
    case 'killed':
    case 'noproc':
      return reason.kind
    case 'shutdown':
      return reason.detail === undefined ? 'shutdown' : `shutdown: ${show(reason.detail)}`
    case 'noconnection':
      return `no connection to ${reason.node}`
    case 'error':
      return `${reason.error.kind}: ${reason.error.message}`
    case 'custom':
      return show(reason.value)
    default:
      return unreachable(reason)
  }
}

/** The compiler's proof that a union was exhausted. */
export function unreachable(value: never): never {
  throw new TypeError(`unreachable: ${show(value)}`)
}

function show(value: unknown): string {
  if (typeof value === 'string') return value
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}

import type { IdConflictPolicy, IdReusePolicy } from '@daruma/protocol'
import type { Status } from './head.ts'

export interface KnownRun {
  readonly run: number
  readonly status: Status
  readonly requestId: string | undefined
}

export type StartDecision =
  | { readonly kind: 'create'; readonly run: number }
  /** The running one answers; startup messages are still delivered, unless this very start did that before. */
  | { readonly kind: 'use_existing'; readonly isRepeat: boolean }
  | { readonly kind: 'replace'; readonly run: number }
  | { readonly kind: 'refuse'; readonly reason: string }

/**
 * Pure: what a start under an id means, given what the partition knows under that id (WORKFLOWS.md 7).
 * `conflict` is about a running workflow, `reuse` about a closed one; a request that comes again meets itself.
 *
 * @param firstRun of an id that nobody knows: no run number comes twice under one id, also when the engine has forgotten
 * the id, because idempotency keys and the ids of children hang on it.
 */
export function decideStart(
  known: KnownRun | undefined,
  request: {
    readonly requestId?: string | undefined
    readonly conflict: IdConflictPolicy
    readonly reuse: IdReusePolicy
  },
  firstRun = 1,
): StartDecision {
  if (known === undefined) return { kind: 'create', run: firstRun }
  if (request.requestId !== undefined && request.requestId === known.requestId)
    return { kind: 'use_existing', isRepeat: true }
  if (known.status === 'running') {
    switch (request.conflict) {
      case 'use_existing':
        return { kind: 'use_existing', isRepeat: false }
      case 'fail':
        return { kind: 'refuse', reason: 'is already running' }
      case 'terminate_existing':
        return { kind: 'replace', run: known.run + 1 }
    }
  }
  switch (request.reuse) {
    case 'allow_duplicate':
      return { kind: 'create', run: known.run + 1 }
    case 'allow_duplicate_failed_only':
      return known.status === 'completed'
        ? { kind: 'refuse', reason: 'completed before, and only failed ones may be started again' }
        : { kind: 'create', run: known.run + 1 }
    case 'reject_duplicate':
      return { kind: 'refuse', reason: 'ran before, and its id may not be used again' }
  }
}

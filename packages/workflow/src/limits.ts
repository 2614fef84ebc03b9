import type { WireError } from '@daruma/protocol'
import type { Head } from './head.ts'

/** How long one run may become. Events are what `info()` counts: journal entries and the commands in them. */
export interface HistoryLimits {
  /** From here on `info()` suggests continue-as-new. Programs may branch on it, so change it only with their code. */
  readonly suggestEvents: number
  readonly suggestBytes: number
  /** Here the run fails. */
  readonly maxEvents: number
  readonly maxBytes: number
}

export const historyLimitDefaults: HistoryLimits = {
  suggestEvents: 10_000,
  suggestBytes: 10_000_000,
  maxEvents: 51_200,
  maxBytes: 50_000_000,
}

/** The failure of a run that has become too long (trap 30). */
export function tooLong(head: Head, { maxEvents, maxBytes }: HistoryLimits): WireError | undefined {
  if (head.length < maxEvents && head.bytes < maxBytes) return undefined
  const which = head.length < maxEvents ? `${head.bytes} bytes of ${maxBytes}` : `${head.length} events of ${maxEvents}`
  return {
    kind: 'invalid',
    message: `the history of this run is full: ${which}; continue as new before that (info() suggests when)`,
    retryable: false,
  }
}

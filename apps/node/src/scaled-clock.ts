import type { Clock } from '@daruma/protocol'

/**
 * A clock that runs `factor` times as fast since `originMs`: an hour of a workflow passes in 3600/factor seconds.
 * The same origin gives the same time after a restart, so that recorded instants keep their meaning.
 */
export function scaledClock(base: Clock, factor: number, originMs: number): Clock {
  return {
    wallMs: () => originMs + (base.wallMs() - originMs) * factor,
    monotonicMs: () => base.monotonicMs() * factor,
    after(delayMs, fire) {
      const cancel = base.after(delayMs / factor, fire)
      return () => {
        const leftMs = cancel()
        return leftMs === false ? false : leftMs * factor
      }
    },
  }
}

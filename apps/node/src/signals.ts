import type { CancelTimer, Clock, Logger } from '@daruma/protocol'

/** The part of Node's `process` through which an operator asks a program to end. */
export interface SignalSource {
  on(signal: StopSignal, listener: () => void): unknown
  off(signal: StopSignal, listener: () => void): unknown
  exit(code: number): unknown
}

export type StopSignal = (typeof stopSignals)[number]

const stopSignals = ['SIGTERM', 'SIGINT'] as const

export interface StopHandlers {
  /** Once, on the first signal: ends the node in its order. */
  stop(why: string): void
  /** Once, on the second: ends everything at once. */
  force(why: string): void
}

/** How long what was forced has to write its last lines. */
const lastLinesMs = 1_000

/**
 * The first SIGTERM or SIGINT stops gracefully. The second, whichever of the two, forces, and the program ends with code 1
 * at the latest a second later, even if something hangs; a third ends it at once. Returns the way out, after which the
 * program answers to signals as it did before.
 */
export function listenForStop(
  source: SignalSource,
  handlers: StopHandlers,
  options: { readonly clock: Clock; readonly logger: Logger },
): () => void {
  const { clock, logger } = options
  let received = 0
  let cancel: CancelTimer | undefined
  const receive = (signal: StopSignal): void => {
    received += 1
    if (received === 1) {
      logger.log('info', `${signal}: stopping; once more forces`, { signal })
      return handlers.stop(signal)
    }
    if (received > 2) return void source.exit(1)
    logger.log('warn', `${signal}: stopping by force`, { signal })
    cancel = clock.after(lastLinesMs, () => source.exit(1))
    handlers.force(signal)
  }
  const listeners = stopSignals.map((signal) => [signal, (): void => receive(signal)] as const)
  for (const [signal, listener] of listeners) source.on(signal, listener)
  return () => {
    cancel?.()
    for (const [signal, listener] of listeners) source.off(signal, listener)
  }
}

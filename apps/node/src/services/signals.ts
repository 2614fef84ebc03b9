import { toWire, type Logger } from '@daruma/protocol'

export type StopSignal = (typeof stopSignals)[number]

const stopSignals = ['SIGTERM', 'SIGINT'] as const

/** The part of Node's `process` through which an operator asks a program to end. */
export interface SignalSource {
  on(signal: StopSignal, listener: () => void): unknown
  off(signal: StopSignal, listener: () => void): unknown
}

export interface StopOptions {
  /** Called once, on the first signal. Resolves when everything has ended in its order. */
  readonly stop: () => Promise<unknown>
  /** Called once, on the second signal, if `stop` still goes on: ends everything at once. What it throws is logged. */
  readonly force: () => unknown
  readonly logger: Logger
  /** Default: this process. */
  readonly source?: SignalSource
}

/**
 * Waits for SIGTERM or SIGINT, stops gracefully, and resolves with the exit code: 0 when stopped, 1 when the stop failed.
 * A second signal, whichever of the two, forces: 1, without waiting any longer. Afterwards signals do what they did
 * before, so that a third one ends a process in which something hangs. Never rejects.
 */
export function stopOnSignals({ stop, force, logger, source = process }: StopOptions): Promise<0 | 1> {
  return new Promise((resolve) => {
    const end = (code: 0 | 1): void => {
      for (const [signal, listener] of listeners) source.off(signal, listener)
      resolve(code)
    }
    let isStopping = false
    const onSignal = (signal: StopSignal): void => {
      if (isStopping) {
        logger.log('warn', `${signal}: ending by force`, { signal })
        attempt(async () => force()).catch(logFailure)
        return end(1)
      }
      isStopping = true
      logger.log('info', `${signal}: stopping; a second signal forces`, { signal })
      attempt(stop).then(
        () => end(0),
        (error: unknown) => {
          logFailure(error)
          end(1)
        },
      )
    }
    const logFailure = (error: unknown): void => {
      logger.log('error', `the stop failed: ${toWire(error).message}`, { kind: toWire(error).kind })
    }
    const listeners = stopSignals.map((signal) => [signal, (): void => onSignal(signal)] as const)
    for (const [signal, listener] of listeners) source.on(signal, listener)
  })
}

/** What `work` comes to, also if it throws at once. */
function attempt(work: () => Promise<unknown>): Promise<unknown> {
  return new Promise((resolve) => resolve(work()))
}

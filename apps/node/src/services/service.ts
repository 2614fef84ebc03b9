import type { Pid } from '@daruma/protocol'

/**
 * Something of an app that is started, kept up and stopped: a process, a worker of workflows, a server, a consumer.
 * It says how one run of it begins and ends; when that happens is the affair of `createServices`.
 */
export interface Service {
  /** Of its entry. */
  readonly id: string
  /**
   * Resolves when it is up. Called again for each restart, never while a run of it is up.
   *
   * `signal` aborts when the start took too long or is no longer wanted. A start that goes on regardless is let go: if it
   * comes up after all, its run is killed at once.
   */
  start(signal: AbortSignal): Promise<Run>
}

/** One run of a service, from up to over. */
export interface Run {
  /** Its process, where it is one. */
  readonly pid?: Pid
  /** Settles when the run is over: resolves if it ended well, rejects if it failed. Absent: it ends only when stopped. */
  readonly ended?: Promise<void>
  /** Asks it to end and resolves when it has. Called once. After `deadlineMs` it is killed. */
  stop(deadlineMs: number): Promise<void>
  /**
   * Ends it at once, whether it was asked to stop before or not; over when this returns. Must not throw. Absent: `stop(0)`,
   * unless it was asked before; nothing then waits for its end but `stopAll`, a second longer.
   */
  kill?(): void
}

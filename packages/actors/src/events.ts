import type { ExitReason, Pid } from '@daruma/protocol'

/** A process crashed: ended by an error of its own, not by somebody's signal. */
export interface CrashReport {
  readonly pid: Pid
  readonly name: string | undefined
  readonly behavior: string
  readonly reason: ExitReason
  /** Parent first. Stops at one that has ended. */
  readonly ancestors: readonly Pid[]
  /** Kind of the message that it was handling, if any. */
  readonly messageKind: string | undefined
  readonly mailboxLength: number
}

/** What a console can watch. STABLE; other packages add kinds of their own under `report`. */
export type SystemEvent =
  | { readonly kind: 'spawned'; readonly pid: Pid; readonly parent: Pid; readonly behavior: string }
  | { readonly kind: 'exited'; readonly pid: Pid; readonly reason: ExitReason }
  | { readonly kind: 'crashed'; readonly report: CrashReport }
  /** `why`: no such process, no such name, the mailbox dropped it, the behavior does not know it. */
  | {
      readonly kind: 'dead_letter'
      readonly to: Pid | string
      readonly message: unknown
      readonly why: 'no_process' | 'no_name' | 'mailbox_full' | 'unhandled' | 'no_connection'
    }
  /**
   * From supervisors and other siblings. Topic `supervisor`: `data` is a supervisor's report of one child, with a `kind`
   * (restart, crash, start_error, escalation, ...), the child's id and its pid.
   */
  | { readonly kind: 'report'; readonly topic: string; readonly data: unknown }

/** Costs nothing while nobody listens. A listener that throws is dropped. */
export class Events {
  readonly #listeners = new Set<(event: SystemEvent) => void>()
  active = false

  /** Returns the way out. */
  subscribe(listener: (event: SystemEvent) => void): () => void {
    this.#listeners.add(listener)
    this.active = true
    return () => {
      this.#listeners.delete(listener)
      this.active = this.#listeners.size > 0
    }
  }

  emit(event: SystemEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch {
        this.#listeners.delete(listener)
        this.active = this.#listeners.size > 0
      }
    }
  }

  /** The events from now on, until the loop is left. At most `limit` (default 10_000) wait; the oldest go first. */
  async *[Symbol.asyncIterator](limit = 10_000): AsyncGenerator<SystemEvent, void, undefined> {
    const waiting: SystemEvent[] = []
    let wake: (() => void) | undefined
    const leave = this.subscribe((event) => {
      waiting.push(event)
      if (waiting.length > limit * 2) waiting.splice(0, waiting.length - limit)
      wake?.()
    })
    try {
      for (;;) {
        const batch = waiting.splice(0)
        yield* batch
        if (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      leave()
    }
  }
}

import { AppError, type Logger, type Pid, type ProgramFactory, type WireError } from '@daruma/protocol'
import type { Head } from './head.ts'
import type { HistoryLimits } from './limits.ts'
import type { Lifetime } from './lifetime.ts'
import { describeMismatch, type JournalMismatch } from './mismatch.ts'
import type { Observer } from './observer.ts'
import { Resident, type ResidentContext } from './resident.ts'
import { seenIds, startOf, type RunReader } from './run-reader.ts'
import type { Slot } from './slot.ts'

export interface LoaderOptions {
  readonly life: Lifetime
  readonly runs: RunReader
  readonly programs: (type: string) => ProgramFactory | undefined
  readonly context: ContextOptions
  readonly observe: Observer
  /** Its program stands where its journal ends. Called at once for a workflow that has only just been started. */
  readonly onLoaded: (slot: Slot, resident: Resident) => void
  readonly onStuck: (slot: Slot, reason: string, mismatch?: JournalMismatch) => void
  /** The log does not answer now; nothing of the workflow is lost. */
  readonly onUnavailable: (slot: Slot) => void
  readonly onFault: (head: Head, error: WireError) => void
}

/** Builds the programs of workflows that are to run from their journals. */
export class Loader {
  readonly #options: LoaderOptions
  #underWay = 0

  constructor(options: LoaderOptions) {
    this.#options = options
  }

  get isBusy(): boolean {
    return this.#underWay > 0
  }

  load(slot: Slot): void {
    slot.state = 'loading'
    this.#underWay++
    void this.#load(slot).finally(() => this.#underWay--)
  }

  async #load(slot: Slot): Promise<void> {
    const { head } = slot
    const { life, runs, programs, context, observe, onStuck, onFault } = this.#options
    try {
      const journal = isFresh(head) ? [] : await runs.toRun(slot)
      const started = startOf(head, journal)
      slot.seen = seenIds(started, journal)
      const create = programs(head.started.type)
      if (create === undefined) return onStuck(slot, noCode(head))
      const resident = new Resident(started, create(), {
        ...contextOf(head, context),
        onFault: (error) => onFault(head, error),
      })
      if (journal.length > 0) {
        await resident.replay(journal)
        const { mismatch } = resident
        if (mismatch !== undefined) return onStuck(slot, describeMismatch(mismatch), mismatch)
        observe({ kind: 'replayed', workflow: head.workflow, run: head.run, turns: head.turns })
      }
      for (const event of slot.missed) if (event.kind !== 'turn' && event.kind !== 'started') resident.note(event)
      if (life.isOver || !head.isOpen || slot.state !== 'loading') return resident.stop()
      this.#options.onLoaded(slot, resident)
    } catch (error) {
      if (life.isOver) return
      if (error instanceof AppError && (error.kind === 'unavailable' || error.kind === 'timeout')) {
        return this.#options.onUnavailable(slot)
      }
      onStuck(slot, `its journal cannot be read: ${(error as Error).message}`)
    }
  }
}

export interface ContextOptions {
  readonly selfPid: (workflowId: string) => Pid
  readonly taskQueue: string
  readonly logger: Logger
  readonly pidOf: (host: string, workflowId: string) => Pid
  readonly limits: HistoryLimits
}

/** What the program of a workflow is told of the place where it runs. */
export function contextOf(head: Head, { selfPid, taskQueue, logger, pidOf, limits }: ContextOptions): ResidentContext {
  return { self: selfPid(head.workflow), taskQueue, logger, pidOf, limits }
}

export function noCode(head: Head): string {
  return `no code for workflow type ${head.started.type} on this node`
}

/** It has only just been started, here: there is nothing to read back. */
function isFresh(head: Head): boolean {
  return head.events === 1 && head.queued.length === (head.started.messages?.length ?? 0)
}

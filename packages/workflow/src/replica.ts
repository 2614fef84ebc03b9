import { AppError, type Program } from '@daruma/protocol'
import type { Started } from './events.ts'
import { describeMismatch } from './mismatch.ts'
import { Resident, type ResidentContext, type SizedEvent } from './resident.ts'

export interface Question {
  readonly name: string
  readonly args: readonly unknown[]
}

/**
 * Asks a fresh replica of a workflow, rebuilt from what is stored: no condition wakes, nothing is written (trap 27).
 *
 * @throws AppError conflict - the program does not do what the journal says
 */
export async function askReplica(
  started: Started,
  journal: readonly SizedEvent[],
  program: Program,
  context: ResidentContext,
  { name, args }: Question,
): Promise<unknown> {
  const replica = new Resident(started, program, context)
  try {
    await replica.replay(journal)
    if (replica.mismatch !== undefined) throw new AppError('conflict', describeMismatch(replica.mismatch))
    return replica.query(name, args)
  } finally {
    replica.stop()
  }
}

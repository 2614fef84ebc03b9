import { isAppError, type Outcome } from '@daruma/protocol'
import type { FaultPlan } from '@daruma/protocol/testing'
import { WorkflowLab, type Execution, type LabOptions } from './lab.ts'

export interface CrashReport {
  /** The life that nothing disturbed. */
  readonly undisturbed: Outcome
  readonly commits: number
  /** One per way to crash. */
  readonly crashes: readonly {
    readonly atCommit: number
    readonly how: CrashKind
    readonly outcome: Outcome
    readonly executions: readonly Execution[]
  }[]
}

/**
 * `before`: the commit is not stored (an activity whose result it held was executed, and nobody knows).
 * `after`: it is stored, and its acknowledgement lost.
 */
export type CrashKind = 'before' | 'after'

/**
 * Runs a workflow once undisturbed, then again for each of its commits and each way to die there, recovering every
 * time on the same log. The caller compares outcomes and counts executions.
 *
 * @param play what the outside does: starts `w` and sends what is to be sent, with ids, so that it may be played again.
 */
export async function crashAtEveryStep(
  options: LabOptions,
  play: (lab: WorkflowLab) => Promise<void>,
): Promise<CrashReport> {
  const calm = new WorkflowLab(options)
  let commits = 0
  await calm.open(({ name }) => {
    if (name === 'append') commits++
    return undefined
  })
  await play(calm)
  const undisturbed = await calm.ended('w')
  const crashes: { atCommit: number; how: CrashKind; outcome: Outcome; executions: Execution[] }[] = []
  // The first append is the claim of the partition: a node that dies there never lived.
  for (let atCommit = 2; atCommit <= commits; atCommit++) {
    for (const how of ['before', 'after'] as const) {
      const lab = new WorkflowLab(options)
      await lab.open(dyingAt(lab, atCommit, how))
      try {
        await play(lab)
        await lab.ended('w')
      } catch (error) {
        if (!isAppError(error, 'unavailable') && !isAppError(error, 'timeout')) throw error
      }
      lab.crash()
      await lab.open()
      await play(lab)
      crashes.push({ atCommit, how, outcome: await lab.ended('w'), executions: lab.executions })
    }
  }
  return { undisturbed, commits, crashes }
}

/** The node dies with its n-th append. */
function dyingAt(lab: WorkflowLab, commit: number, how: CrashKind): FaultPlan {
  let appends = 0
  return ({ name }) => {
    if (name !== 'append' || ++appends !== commit) return undefined
    queueMicrotask(() => lab.crash())
    return how === 'before' ? { kind: 'fail' } : { kind: 'lose_ack' }
  }
}

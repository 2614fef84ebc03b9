import { refused, type Answer } from './answers.ts'
import type { CommitChain } from './chain.ts'
import type { Turn } from './events.ts'
import type { Head } from './head.ts'
import type { UpdateRequest } from './requests.ts'
import type { Slot } from './slot.ts'

/** Of an update that the workflow took: now, or when it completes, as the request wants it. */
export function answerUpdate(slot: Slot, request: UpdateRequest, answer: Answer, chain: CommitChain): void {
  const { updateId, waitFor } = request
  const result = slot.head.updates.get(updateId)
  if (result !== undefined) void chain.barrier().then(() => answer({ kind: 'updated', result }))
  else if (waitFor === 'accepted') answer({ kind: 'updated' })
  else if (!slot.head.isOpen) answer(refused('not_found', unfinishedUpdate(slot.head, updateId)))
  else slot.updateWaiters.push({ updateId, answer })
}

/** The turn is stored: who waits for an update that it completed learns the result. */
export function tellUpdates(slot: Slot, turn: Turn): void {
  for (const { command } of turn.commands) {
    if (command.kind !== 'reply') continue
    const { updateId, result } = command
    const told = slot.updateWaiters.filter((waiter) => waiter.updateId === updateId)
    slot.updateWaiters = slot.updateWaiters.filter((waiter) => waiter.updateId !== updateId)
    for (const { answer } of told) answer({ kind: 'updated', result })
  }
  if (turn.end !== undefined) refuseUpdates(slot)
}

/** The run is over: what it did not complete will not be. */
export function refuseUpdates(slot: Slot): void {
  for (const { updateId, answer } of slot.updateWaiters.splice(0))
    answer(refused('not_found', unfinishedUpdate(slot.head, updateId)))
}

function unfinishedUpdate(head: Head, updateId: string): string {
  return `workflow ${head.workflow}: its run ended before update ${updateId} completed`
}

import { fromWire, type WireError } from '@daruma/protocol'
import type { Head } from './head.ts'
import type { PartitionAnswer } from './requests.ts'

export type Answer = (answer: PartitionAnswer) => void

export const taken: PartitionAnswer = { kind: 'taken' }

export function refused(kind: WireError['kind'], message: string, retryable = false): PartitionAnswer {
  return { kind: 'refused', error: { kind, message, retryable } }
}

export function refusedClosed(head: Head): PartitionAnswer {
  return refused('not_found', `workflow ${head.workflow} has ended (${head.status})`)
}

/** A refusal, as the error that it is: with the kind and the word on retrying that it was born with. */
export function raiseRefusal(answer: PartitionAnswer): void {
  if (answer.kind === 'refused') throw fromWire(answer.error)
}

import type { WireError } from '@daruma/protocol'
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

import type { Destination, Outcome, Pid } from '@daruma/protocol'
import type { MessageWake, ParentLink } from './events.ts'
import type { PartitionAnswer, StartRequest } from './requests.ts'

/**
 * Everything beyond one partition that its workflows speak to. Each call may come again after a crash, with the same
 * ids; those that are workflows recognise the repeat, a plain process may see a message twice.
 *
 * A rejection of kind unavailable or timeout is tried again until it is answered; any other ends the matter.
 */
export interface Outside {
  /** Resolves when the receiver has it: for a workflow, when its partition recorded it. */
  send(to: Destination, message: MessageWake): Promise<void>
  exit(to: Destination, mode: 'terminate' | 'cancel', from: Pid, reason: string | undefined): Promise<void>
  startChild(child: Pid, request: StartRequest): Promise<PartitionAnswer>
  childEnded(parent: ParentLink, child: Pid, result: Outcome): Promise<void>
}

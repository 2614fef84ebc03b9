import type { Actor, Request } from '@daruma/actors'
import type { Pid } from '@daruma/protocol'
import type { ChildSpec, FullChildSpec, SupervisorSpec } from './child-spec.ts'
import type {
  ChangeSpecReply,
  DeleteChildReply,
  RestartChildReply,
  StartChildReply,
  TerminateChildReply,
} from './effects.ts'
import type { ChildCounts, ChildInfo } from './table.ts'

/** What every supervisor answers, whatever it is busy with. */
export type Questions =
  | Request<{ readonly kind: 'which_children' }, readonly ChildInfo[]>
  | Request<{ readonly kind: 'count_children' }, ChildCounts>

/** What a supervisor of listed children understands. Sent by the functions of manage.ts. */
export type SupervisorMessage =
  | Questions
  | Request<{ readonly kind: 'child_spec'; readonly id: string }, FullChildSpec | undefined>
  | Request<{ readonly kind: 'start_child'; readonly spec: ChildSpec }, StartChildReply>
  | Request<{ readonly kind: 'terminate_child'; readonly id: string }, TerminateChildReply>
  | Request<{ readonly kind: 'restart_child'; readonly id: string }, RestartChildReply>
  | Request<{ readonly kind: 'delete_child'; readonly id: string }, DeleteChildReply>
  | Request<{ readonly kind: 'change_spec'; readonly spec: SupervisorSpec }, ChangeSpecReply>

/** What a supervisor of children on demand understands. */
export type DynamicSupervisorMessage<A = unknown> =
  | Questions
  | Request<{ readonly kind: 'start_child'; readonly args: A }, StartChildReply>
  | Request<{ readonly kind: 'terminate_child'; readonly pid: Pid }, TerminateChildReply>

export type Supervisor = Actor<SupervisorMessage>
export type DynamicSupervisor<A = unknown> = Actor<DynamicSupervisorMessage<A>>

import type { CallOptions, Destination } from '@daruma/actors'
import type { Pid } from '@daruma/protocol'
import type { ChildSpec, FullChildSpec, SupervisorSpec } from './child-spec.ts'
import type {
  ChangeSpecReply,
  DeleteChildReply,
  RestartChildReply,
  StartChildReply,
  TerminateChildReply,
} from './effects.ts'
import type { DynamicSupervisorMessage, Questions, SupervisorMessage } from './messages.ts'
import type { ChildCounts, ChildInfo } from './table.ts'

/** Who asks: a system, from outside; or the context of a process. */
export interface Caller {
  call(to: Destination, request: unknown, options?: CallOptions): Promise<unknown>
}

type To = Destination<SupervisorMessage>

/** Adds a child at the end of the start order and starts it. A start that fails leaves nothing behind. */
export function startChild<A>(caller: Caller, to: To, spec: ChildSpec<A>): Promise<StartChildReply> {
  return ask(caller, to, { kind: 'start_child', spec })
}

/**
 * Stops a child as its spec says; the spec stays, but a temporary child's goes. Counts no restart and triggers no
 * auto-shutdown; `ok` for one that has no process, too. Ends the retries of one that is being restarted (rule 57).
 */
export function terminateChild(caller: Caller, to: To, id: string): Promise<TerminateChildReply> {
  return ask(caller, to, { kind: 'terminate_child', id })
}

/** Starts a child that has a spec and no process. */
export function restartChild(caller: Caller, to: To, id: string): Promise<RestartChildReply> {
  return ask(caller, to, { kind: 'restart_child', id })
}

/** Removes the spec of a child that has no process. */
export function deleteChild(caller: Caller, to: To, id: string): Promise<DeleteChildReply> {
  return ask(caller, to, { kind: 'delete_child', id })
}

/** The children in start order. Answered from what is known, during restarts, too. */
export function whichChildren(caller: Caller, to: Destination<Questions>): Promise<readonly ChildInfo[]> {
  return ask(caller, to, { kind: 'which_children' })
}

export function countChildren(caller: Caller, to: Destination<Questions>): Promise<ChildCounts> {
  return ask(caller, to, { kind: 'count_children' })
}

/** The spec of a child with all defaults filled in; undefined for an unknown id. */
export function getChildSpec(caller: Caller, to: To, id: string): Promise<FullChildSpec | undefined> {
  return ask(caller, to, { kind: 'child_spec', id })
}

/**
 * Gives a running supervisor another spec. Limits and strategy hold at once. Children are told apart by id: one that runs
 * keeps running and takes its new spec at its next start; a new one waits to be started by `restartChild` or with its
 * group; one that is no longer listed stays, at the end, until it is terminated and deleted.
 */
export function changeSpec(caller: Caller, to: To, spec: SupervisorSpec): Promise<ChangeSpecReply> {
  return ask(caller, to, { kind: 'change_spec', spec })
}

/** Starts a child of a dynamic supervisor with these arguments. */
export function startDynamicChild<A>(
  caller: Caller,
  to: Destination<DynamicSupervisorMessage<A>>,
  ...args: undefined extends A ? [args?: NoInfer<A>] : [args: NoInfer<A>]
): Promise<StartChildReply> {
  return ask(caller, to, { kind: 'start_child', args: args[0] })
}

/** Stops a child of a dynamic supervisor. */
export function terminateDynamicChild<A>(
  caller: Caller,
  to: Destination<DynamicSupervisorMessage<A>>,
  pid: Pid,
): Promise<TerminateChildReply> {
  return ask(caller, to, { kind: 'terminate_child', pid })
}

/** The time that a start or a stop takes is limited by the child's own spec, not by who asks. */
function ask<R>(
  caller: Caller,
  to: Destination<never>,
  request: { readonly kind: string; readonly [field: string]: unknown },
): Promise<R> {
  return caller.call(to as Destination, request, { timeoutMs: Infinity }) as Promise<R>
}

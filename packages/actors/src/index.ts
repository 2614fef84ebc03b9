export type { Actor, Destination, MailboxFull, ReplyOf, ReplyTo, Request, RequestOf } from './actor.ts'
export { behavior, next, type Behavior, type Body, type Next, type Spawnable } from './behavior.ts'
export type { From } from './call.ts'
export type { BodyContext, Context, ReceiveOptions } from './context.ts'
export type { CrashReport, Events, SystemEvent } from './events.ts'
export type { ProcessInfo, ProcessTree } from './inspect.ts'
export type { MemoryEstimate } from './memory.ts'
export type { TraceEvent } from './kernel.ts'
export {
  isNotice,
  CancelNotice,
  DownNotice,
  ExitNotice,
  GroupNotice,
  IdleNotice,
  NodeNotice,
  TimeoutNotice,
  type Notice,
} from './notice.ts'
export type {
  CallOptions,
  MailboxOptions,
  ProcessOptions,
  SpawnOptions,
  StartOptions,
  StartOutcome,
} from './options.ts'
export { ActorSystem, createSystem, type SystemOptions } from './system.ts'
export type { Timer } from './timer.ts'
export { joinCluster, type Cluster, type NodeEvent } from './cluster.ts'
export type { NodeService } from './remote.ts'
export type { Groups, Topics } from './groups.ts'
export {
  outcomeOf,
  programBehavior,
  programMessage,
  terminated,
  type PidCommand,
  type ProgramBehaviorOptions,
  type ProgramHandlers,
  type ProgramRun,
  type ProgramScope,
} from './program-behavior.ts'
export {
  fromMachine,
  readSnapshot,
  type MachineMessage,
  type MachineOptions,
  type MachineRun,
} from './machine-behavior.ts'

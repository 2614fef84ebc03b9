export type { ActivityExecutor, ActivityTask } from './activity.ts'
export { isCanceled } from './async-program.ts'
export {
  activity,
  workflow,
  type Authoring,
  type ChildHandle,
  type ChildOptions,
  type FunctionContext,
  type FunctionDefinition,
  type GeneratorContext,
  type ScopeControl,
  type WorkflowContext,
  type WorkflowDefinition,
} from './define.ts'
export { WorkflowDirectory, type ProcessSide, type WorkflowHost } from './directory.ts'
export { WorkflowEngine, type StartOptions, type WorkflowEngineOptions, type WorkflowStorage } from './engine.ts'
export type { JournalEvent, MessageWake, Wake } from './events.ts'
export { forwardOver, serveWorkflows } from './cluster-forward.ts'
export type { Forward, ForwardedRequest } from './forward.ts'
export type { Future, Steps } from './future.ts'
export { exportJournal, importJournal, replayJournal, type ExportedJournal, type Journal } from './exported-journal.ts'
export { matchesFilter, type ListFilter } from './filter.ts'
export { FunctionExecutor } from './functions.ts'
export { guardGlobals } from './guard.ts'
export type { Description, Status } from './head.ts'
export { describeMismatch, describeCommand, type JournalMismatch } from './mismatch.ts'
export type { Notice, Observer } from './observer.ts'
export type { PartitionAnswer, PartitionRequest, StartRequest } from './requests.ts'
export {
  ownProgram,
  scheduleType,
  type MissedPolicy,
  type OverlapPolicy,
  type ScheduleDescription,
  type ScheduledWorkflow,
  type ScheduleSpec,
} from './schedule.ts'
export { Schedules } from './schedules.ts'
export {
  cancelEvent,
  machineWorkflow,
  functionActor,
  workflowActor,
  type MachineWorkflowOptions,
} from './statechart.ts'
export type { UpdateOptions } from './session.ts'
export { decideRetry, type RetryDecision } from './retry.ts'

export type { ActivityExecutor, ActivityTask } from './activity.ts'
export { isCanceled } from './async-program.ts'
export {
  activity,
  workflow,
  type ChildHandle,
  type FunctionContext,
  type FunctionDefinition,
  type WorkflowContext,
  type WorkflowDefinition,
} from './define.ts'
export { WorkflowDirectory, type ProcessSide, type WorkflowHost } from './directory.ts'
export { WorkflowEngine, type StartOptions, type WorkflowEngineOptions, type WorkflowStorage } from './engine.ts'
export type { JournalEvent, MessageWake, Wake } from './events.ts'
export { FunctionExecutor } from './functions.ts'
export type { Description, Status } from './head.ts'
export { describeMismatch, describeCommand, type JournalMismatch } from './mismatch.ts'
export type { Notice, Observer } from './observer.ts'
export type { PartitionAnswer, PartitionRequest, StartRequest } from './requests.ts'

export * from '@daruma/actors'
export * from '@daruma/supervisor'
export * from '@daruma/workflow'
// Two packages use these words; the bare ones are the actors'.
export type { Notice, StartOptions } from '@daruma/actors'
export type { Notice as WorkflowNotice, StartOptions as WorkflowStartOptions } from '@daruma/workflow'
export {
  AppError,
  describeReason,
  formatPid,
  isAppError,
  isQuiet,
  type Clock,
  type ErrorKind,
  type ExitReason,
  type Logger,
  type Pid,
  type Ref,
} from '@daruma/protocol'
export { createNode, type DarumaNode, type NodeOptions } from './node.ts'
export type { WorkflowHandle } from './handle.ts'

export {
  startWith,
  type AutoShutdown,
  type ChildSpawnOptions,
  type ChildSpec,
  type ChildStart,
  type ChildTemplate,
  type ChildType,
  type FullChildSpec,
  type ShutdownMs,
  type StartRecipe,
  type StartWith,
  type Strategy,
  type SupervisorFlags,
  type SupervisorSpec,
} from './child-spec.ts'
export { dynamicSupervisor, startDynamicSupervisor, type DynamicSupervisorSpec } from './dynamic-supervisor.ts'
export type {
  ChangeSpecReply,
  DeleteChildReply,
  RestartChildReply,
  StartChildReply,
  TerminateChildReply,
} from './effects.ts'
export {
  changeSpec,
  countChildren,
  deleteChild,
  getChildSpec,
  restartChild,
  startChild,
  startDynamicChild,
  terminateChild,
  terminateDynamicChild,
  whichChildren,
  type Caller,
} from './manage.ts'
export type { DynamicSupervisor, DynamicSupervisorMessage, Supervisor, SupervisorMessage } from './messages.ts'
export {
  describeReport,
  onReport,
  reportLevel,
  type ChildReport,
  type ReportKind,
  type SupervisorReport,
} from './report.ts'
export {
  backoffDefaults,
  backoffDelayMs,
  RestartWindow,
  shouldRestart,
  type Backoff,
  type BackoffSpec,
  type Intensity,
  type RestartType,
  type RestartVerdict,
} from './restart.ts'
export { startSupervisor, supervisor } from './supervisor.ts'
export type { ChildCounts, ChildInfo, ChildPhase, Mode } from './table.ts'
export { formatTree, supervisionTree, type ChildNode, type SupervisorNode, type SupervisorSnapshot } from './tree.ts'
export { validateChildSpec, validateDynamicSpec, validateSpec, type SpecProblem } from './validate-spec.ts'
export {
  Applications,
  startApplications,
  startLevels,
  startOrder,
  type Application,
  type ApplicationSpec,
  type StartApplicationsOptions,
} from './application.ts'
export {
  partitionName,
  partitionOf,
  partitionSupervisor,
  type PartitionSupervisorSpec,
} from './partition-supervisor.ts'
export {
  awaitTask,
  startTask,
  streamTasks,
  taskSupervisor,
  type StreamOptions,
  type Task,
  type TaskJob,
  type TaskOptions,
  type TaskOutcome,
  type TaskSupervisor,
} from './task-supervisor.ts'

export { formatProblem, sortProblems, type Problem } from './problem.ts'
export {
  checkEntryId,
  isRecord,
  parseId,
  resolveId,
  sourceOf,
  type CodeSource,
  type Entry,
  type EntryInput,
  type Origin,
  type SourceOrigin,
} from './entry.ts'
export { isKind, kindHint, kindNames, matchesKind, viewOf, type Kind, type KindView } from './kinds.ts'
export type { Lifecycle, RestartPolicy, SecurityBlock } from './lifecycle.ts'
export {
  callableKinds,
  codeKinds,
  isBuiltInModule,
  isWorkflowModule,
  processHostKinds,
  workerKinds,
  type Binding,
  type Code,
  type FunctionLua,
  type LibraryLua,
  type Pool,
  type ProcessLua,
  type WorkflowLua,
} from './kinds/code.ts'
export type { BoundContract, ContractBinding, ContractDefinition, ContractMethod } from './kinds/contract.ts'
export type { EnvStorage, EnvVariable } from './kinds/env.ts'
export type { HttpEndpoint, HttpRouter, HttpService, HttpStatic } from './kinds/http.ts'
export type { PlainEntry, Template, TemplateSet } from './kinds/plain.ts'
export type { PgScope, ProcessHost, ProcessService, TerminalHost } from './kinds/process.ts'
export type { Condition, SecurityPolicy, TokenStore } from './kinds/security.ts'
export type { FsDirectory, Queue, QueueConsumer, QueueDriver, StoreKv, StoreMemory } from './kinds/store.ts'
export { clientKinds, type WorkflowClient, type WorkflowWorker } from './kinds/workflow.ts'
export { nearHint, nearNames } from './near.ts'
export { referencesOf, type Reference } from './references.ts'
export { importsOf } from './check.ts'
export { dependenciesOf, formatCycle, startOrder, type StartOrder } from './graph.ts'
export type { AppConfig } from './config.ts'
export { loadApp, type LoadedApp, type LoadOptions } from './load.ts'
export type { Filter, Found } from './find.ts'
export type { Operation } from './changes.ts'
export {
  createRegistry,
  type Changes,
  type History,
  type Registry,
  type RegistryChange,
  type RegistryOptions,
  type Snapshot,
  type Version,
} from './registry.ts'

import type { ActorSystem, ProgramScope } from '@daruma/actors'
import type { Clock, Logger, Pid, RetryPolicy, Rng, SpawnOptions } from '@daruma/protocol'
import type { LuaRuntime } from '@daruma/lua'
import type { Registry } from '@daruma/registry'
import type { WorkflowDirectory, WorkflowEngine } from '@daruma/workflow'
import type { Programs } from './programs.ts'
import type { Stores } from './storage.ts'

/** Calls functions as processes of their own; see hosts/function-host.ts. */
export interface Functions {
  /**
   * Runs a function entry, or a process entry with a default host, to its end: its result, or its error as AppError.
   *
   * @throws AppError not_found - no such entry; invalid - not an entry that can be called; timeout, canceled; or its own error
   */
  call(target: string, args: readonly unknown[], options: FunctionCall): Promise<unknown>
}

export interface FunctionCall {
  readonly context: Readonly<Record<string, unknown>>
  /** Over all attempts. Default: that of the entry's `meta.options`, else none. */
  readonly timeoutMs?: number
  /** Default: that of the entry's `meta.options`, else one attempt. `never`: the caller retries by rules of its own. */
  readonly retry?: RetryPolicy | 'never'
  readonly signal?: AbortSignal
}

/** Spawns on any host: a process host of this node, or a workflow worker. */
export interface Spawner {
  /** @throws AppError not_found - no such entry or host, with the nearest known one; invalid - that host cannot run it */
  spawn(
    target: string,
    host: string,
    args: readonly unknown[],
    options: SpawnOptions,
    from: Pid | undefined,
  ): Pid | Promise<Pid>
}

/** Everything that the rooms of one node share. Built once, by compose.ts. */
export interface NodeParts {
  readonly name: string
  readonly system: ActorSystem
  readonly registry: Registry
  readonly lua: LuaRuntime
  readonly programs: Programs
  readonly stores: Stores
  readonly workflows: WorkflowDirectory
  /** By the id of the worker entry. */
  readonly engines: ReadonlyMap<string, WorkflowEngine>
  readonly functions: Functions
  readonly spawner: Spawner
  readonly clock: Clock
  readonly rng: Rng
  readonly logger: Logger
}

export type RequestScope = ProgramScope

import type {
  AppError,
  CallOptions,
  Destination,
  MessageEvent,
  Pid,
  ProgramFactory,
  SpawnOptions,
  WorkflowInfo,
} from '@daruma/protocol'
import { AsyncProgram } from './async-program.ts'

/** What a function learns of the attempt that it is. */
export interface FunctionContext {
  /** The same for every attempt of one call: give it to the outside world, so that it can recognise a repeat. */
  readonly idempotencyKey: string
  /** From 1. */
  readonly attempt: number
  readonly workflowId: string
  readonly signal: AbortSignal
  heartbeat(details?: unknown): void
  readonly lastHeartbeat: unknown
}

/** A function that workflows may call: executed at least once, recorded exactly once. */
export interface FunctionDefinition<I, O> {
  readonly name: string
  readonly options: CallOptions | undefined
  readonly run: (input: I, context: FunctionContext) => O | Promise<O>
}

/** A durable program: `run` is replayed against its journal after each crash, so it may use nothing but its context. */
export interface WorkflowDefinition<I, O> {
  readonly name: string
  readonly run: (context: WorkflowContext, input: I) => Promise<O>
  readonly create: ProgramFactory
}

export interface ChildHandle<R> {
  readonly pid: Pid
  /** Rejects with the child's error. Given again and again, the same. */
  result(): Promise<R>
}

/**
 * The world of a workflow. Everything here is recorded, or follows from what is recorded; promises may be combined by
 * `Promise.all`, `race` and `allSettled`. Durations are text ("24h") or milliseconds.
 */
export interface WorkflowContext {
  readonly self: Pid
  readonly info: WorkflowInfo
  /** Runs a function. Rejects with its error when it failed for good, after its retries. */
  call<I, O>(fn: FunctionDefinition<I, O>, input: I, options?: CallOptions): Promise<Awaited<O>>
  call<O = unknown>(fn: string, input?: unknown, options?: CallOptions): Promise<O>
  /** Resolves not before the time has passed, also when the node was down in between. */
  sleep(duration: string | number): Promise<void>
  /** Milliseconds since the epoch; the same throughout one turn. */
  now(): number
  random(): number
  uuid(): string
  /** The first value of the next message of `topic` (of any, without one). Messages that came before wait for it. */
  receive<T = unknown>(topic?: string): Promise<T>
  receiveMessage(topic?: string): Promise<MessageEvent>
  /** True when `holds` does; false when `timeout` passed first. `holds` is looked at after each event. */
  condition(holds: () => boolean, timeout?: string | number): Promise<boolean>
  /** Starts a child and waits for its result. */
  exec<I, O>(child: WorkflowDefinition<I, O>, input: I, options?: SpawnOptions & { host?: string }): Promise<O>
  exec<O = unknown>(child: string, input?: unknown, options?: SpawnOptions & { host?: string }): Promise<O>
  spawn<I, O>(child: WorkflowDefinition<I, O>, input: I, options?: SpawnOptions & { host?: string }): ChildHandle<O>
  spawn<O = unknown>(child: string, input?: unknown, options?: SpawnOptions & { host?: string }): ChildHandle<O>
  /** Leaves after the turn is recorded. Workflows receive it once; a plain process may receive it twice after a crash. */
  send(to: Destination, topic: string, ...payload: unknown[]): void
  cancel(to: Destination, reason?: string): void
  /** Answers a query by a pure read of the workflow's own variables. */
  onQuery(name: string, handler: (...args: never[]) => unknown): void
  /** Which way this run goes at `change`: fixed at first use; `min` for runs that passed the place before it existed. */
  version(change: string, min: number, max: number): number
  patched(change: string): boolean
  setAttributes(search: Readonly<Record<string, unknown>>, memo?: Readonly<Record<string, unknown>>): void
  /** Ends this run and goes on as a new one with a fresh journal; unread messages come along. */
  continueAsNew(...args: unknown[]): never
  /** Waits inside of `body` are not cancelled with the workflow: for clean-up that must be done. */
  shield<T>(body: (context: WorkflowContext) => Promise<T>): Promise<T>
  onCancel(listener: (error: AppError) => void): void
  /** Not while replaying. */
  log(message: string, fields?: Readonly<Record<string, unknown>>): void
}

/**
 * Defines a workflow.
 *
 * @example see examples/durable-order
 */
export function workflow<I, O>(
  name: string,
  run: (context: WorkflowContext, input: I) => Promise<O>,
): WorkflowDefinition<I, O> {
  const definition: WorkflowDefinition<I, O> = { name, run, create: () => new AsyncProgram(definition) }
  return definition
}

/** Defines a function that workflows call by `ctx.call(definition, input)`. `options` are its defaults. */
export function activity<I, O>(
  name: string,
  run: (input: I, context: FunctionContext) => O | Promise<O>,
  options?: CallOptions,
): FunctionDefinition<I, O> {
  return { name, run, options }
}

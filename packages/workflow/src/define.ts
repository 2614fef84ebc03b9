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
import type { Future, Steps } from './future.ts'
import { GeneratorProgram } from './generator-program.ts'
import type { UpdateOptions } from './session.ts'

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

/** A durable program: its code is replayed against its journal after each crash, so it may use nothing but its context. */
export interface WorkflowDefinition<I, O> {
  readonly name: string
  readonly create: ProgramFactory
  /** Input and output, for the compiler. Never set. */
  readonly signature?: (input: I) => O
}

/** The form of a workflow's code: an async function that awaits promises, or a generator that does `yield*` of futures. */
export type Authoring = 'async' | 'generator'
/** What a wait is in a form. */
export type Waited<F extends Authoring, T> = F extends 'async' ? Promise<T> : Future<T>
/** What a piece of code answers in a form. */
export type Branch<F extends Authoring, T> = F extends 'async' ? Promise<T> : Steps<T> | Future<T>
export type SelfOf<F extends Authoring> = F extends 'async' ? WorkflowContext : GeneratorContext
export type ScopeContextOf<F extends Authoring> = SelfOf<F> & ScopeControl

export interface ScopeControl {
  /** Cancels what waits in this scope, and fails what is asked in it afterwards. Callable from outside of it. */
  cancelScope(reason?: string): void
}

/** `host`: where the child runs; default: where its parent does. */
export type ChildOptions = SpawnOptions & { readonly host?: string }

export interface ChildHandle<R, F extends Authoring = 'async'> {
  readonly pid: Pid
  /** Rejects with the child's error. Given again and again, the same. */
  result(): Waited<F, R>
}

/**
 * The world of a workflow. Everything here is recorded, or follows from what is recorded; promises may be combined by
 * `Promise.all`, `race` and `allSettled`. Durations are text ("24h") or milliseconds.
 */
export interface ContextOf<F extends Authoring> {
  readonly self: Pid
  readonly info: WorkflowInfo
  /** Runs a function. Rejects with its error when it failed for good, after its retries. */
  call<I, O>(fn: FunctionDefinition<I, O>, input: I, options?: CallOptions): Waited<F, Awaited<O>>
  call<O = unknown>(fn: string, input?: unknown, options?: CallOptions): Waited<F, Awaited<O>>
  /** Resolves not before the time has passed, also when the node was down in between. */
  sleep(duration: string | number): Waited<F, void>
  /** Milliseconds since the epoch; the same throughout one turn. */
  now(): number
  random(): number
  uuid(): string
  /** The first value of the next message of `topic` (of any, without one). Messages that came before wait for it. */
  receive<T = unknown>(topic?: string): Waited<F, T>
  receiveMessage(topic?: string): Waited<F, MessageEvent>
  /** True when `holds` does; false when `timeout` passed first. `holds` is looked at after each event. */
  condition(holds: () => boolean, timeout?: string | number): Waited<F, boolean>
  /** Starts a child and waits for its result. Cancelled, it cancels the child, as `cancellation` says. */
  exec<I, O>(child: WorkflowDefinition<I, O>, input: I, options?: ChildOptions): Waited<F, O>
  exec<O = unknown>(child: string, input?: unknown, options?: ChildOptions): Waited<F, O>
  /** Starts a child that lives beside its parent, until the parent ends. */
  spawn<I, O>(child: WorkflowDefinition<I, O>, input: I, options?: ChildOptions): ChildHandle<O, F>
  spawn<O = unknown>(child: string, input?: unknown, options?: ChildOptions): ChildHandle<O, F>
  /** Leaves after the turn is recorded. Workflows receive it once; a plain process may receive it twice after a crash. */
  send(to: Destination, topic: string, ...payload: unknown[]): void
  cancel(to: Destination, reason?: string): void
  /** Answers a query by a pure read of the workflow's own variables. */
  onQuery(name: string, handler: (...args: never[]) => unknown): void
  /**
   * Takes updates of that name: `validate` may refuse one before it is recorded; `handler` may wait for whatever a
   * workflow may wait for, and its value or error is the update's result. Updates that still run when the workflow
   * ends are refused to their callers.
   */
  onUpdate(name: string, handler: (...args: never[]) => unknown, options?: UpdateOptions): void
  /** Which way this run goes at `change`: fixed at first use; `min` for runs that passed the place before it existed. */
  version(change: string, min: number, max: number): number
  patched(change: string): boolean
  setAttributes(search: Readonly<Record<string, unknown>>, memo?: Readonly<Record<string, unknown>>): void
  /** Ends this run and goes on as a new one with a fresh journal; unread messages come along. */
  continueAsNew(...args: unknown[]): never
  /** A part that can be cancelled by itself, by the `cancelScope` of its context. Ends as `body` does. */
  scope<T>(body: (context: ScopeContextOf<F>) => Branch<F, T>): Waited<F, T>
  /** Waits inside of `body` are not cancelled with the workflow: for clean-up that must be done. */
  shield<T>(body: (context: ScopeContextOf<F>) => Branch<F, T>): Waited<F, T>
  /** A scope that is cancelled when `duration` has passed: what waits in it fails with kind timeout. */
  withTimeout<T>(duration: string | number, body: (context: ScopeContextOf<F>) => Branch<F, T>): Waited<F, T>
  /** Called when this scope is cancelled, after its waits have failed. */
  onCancel(listener: (error: AppError) => void): void
  /** Not while replaying. */
  log(message: string, fields?: Readonly<Record<string, unknown>>): void
}

export type WorkflowContext = ContextOf<'async'>

/** The context of a generator: it waits by `yield*`, and these combine what it waits for. */
export interface GeneratorContext extends ContextOf<'generator'> {
  /** The values of all, in their order; the first failure, as soon as there is one. */
  all<T extends readonly Future<unknown>[]>(
    futures: readonly [...T],
  ): Future<{ -readonly [K in keyof T]: Settled<T[K]> }>
  /** Whichever settles first; the others go on. */
  race<T>(futures: readonly Future<T>[]): Future<T>
  /** Runs a piece beside this one. A failure that nobody waits for is the workflow's. */
  fork<T>(body: () => Steps<T>): Future<T>
}

type Settled<F> = F extends Future<infer T> ? T : never

/**
 * Defines a workflow by an async function. `workflow.gen` defines one by a generator: the same journal, and turns that
 * take no trip through the promise queue.
 *
 * @example see examples/durable-order
 */
export function workflow<I, O>(
  name: string,
  run: (context: WorkflowContext, input: I) => Promise<O>,
): WorkflowDefinition<I, O> {
  return { name, create: () => new AsyncProgram(run as (context: WorkflowContext, input: never) => Promise<unknown>) }
}

workflow.gen = function gen<I, O>(
  name: string,
  run: (context: GeneratorContext, input: I) => Steps<O>,
): WorkflowDefinition<I, O> {
  return {
    name,
    create: () => new GeneratorProgram(run as (context: GeneratorContext, input: never) => Steps<unknown>),
  }
}

/** Defines a function that workflows call by `ctx.call(definition, input)`. `options` are its defaults. */
export function activity<I, O>(
  name: string,
  run: (input: I, context: FunctionContext) => O | Promise<O>,
  options?: CallOptions,
): FunctionDefinition<I, O> {
  return { name, run, options }
}

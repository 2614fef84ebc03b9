import {
  AppError,
  parseDurationMs,
  uuidFrom,
  type CallOptions,
  type Destination,
  type MessageEvent,
  type Pid,
  type ProgramHost,
  type SpawnOptions,
} from '@daruma/protocol'
import type {
  Authoring,
  Branch,
  ChildHandle,
  ChildOptions,
  ContextOf,
  FunctionDefinition,
  ScopeContextOf,
  Waited,
  WorkflowDefinition,
} from './define.ts'
import { outsideTurn } from './guard.ts'
import { Scope } from './scope.ts'
import { ContinueAsNew, type Session, type Settle } from './session.ts'

/** How one form of code waits, and how a piece of it runs. */
export interface FormOf<F extends Authoring> {
  wait<T>(begin: (settle: Settle<T>) => void): Waited<F, T>
  /** Runs `body` at once up to its first wait; `onEnd` once, however it ends. */
  run<T>(body: () => Branch<F, T>, onEnd: () => void): Waited<F, T>
  /** What this form's context has beyond the common one. */
  readonly extras: object
}

/** What an author sees of a session, in one form. */
export function createContext<F extends Authoring>(session: Session, form: FormOf<F>): ScopeContextOf<F> {
  return contextIn(session.root)

  function contextIn(scope: Scope): ScopeContextOf<F> {
    const { host } = session
    const context: ContextOf<F> & { cancelScope(reason?: string): void } = {
      self: host.self,
      get info() {
        return host.workflow!
      },
      call: <I, O>(fn: FunctionDefinition<I, O> | string, input?: I, options?: CallOptions) =>
        form.wait<Awaited<O>>((settle) =>
          session.ask(
            {
              kind: 'call',
              target: typeof fn === 'string' ? fn : fn.name,
              args: input === undefined ? [] : [input],
              ...optional(merged(typeof fn === 'string' ? undefined : fn.options, options)),
            },
            scope,
            settle as Settle<unknown>,
          ),
        ),
      sleep: (duration) =>
        form.wait<void>((settle) =>
          session.ask({ kind: 'sleep', durationMs: parseDurationMs(duration) }, scope, settle as Settle<unknown>),
        ),
      now: () => host.nowMs(),
      random: () => randomFrom(host),
      uuid: () => uuidFrom({ next: () => randomFrom(host), bytes: (count) => host.randomBytes(count) }),
      receive: <T>(topic?: string) =>
        form.wait<T>((settle) =>
          session.receive(topic, scope, {
            resolve: ({ payload }) => settle.resolve(payload[0] as T),
            reject: (error) => settle.reject(error),
          }),
        ),
      receiveMessage: (topic) => form.wait<MessageEvent>((settle) => session.receive(topic, scope, settle)),
      condition: (holds, timeout) =>
        form.wait<boolean>((settle) =>
          session.condition(holds, timeout === undefined ? undefined : parseDurationMs(timeout), scope, settle),
        ),
      exec: <I, O>(child: WorkflowDefinition<I, O> | string, input?: I, options?: ChildOptions) =>
        form.wait<O>((settle) =>
          session.ask({ kind: 'exec', ...childOf(host, child, input, options) }, scope, settle as Settle<unknown>),
        ),
      spawn: <I, O>(child: WorkflowDefinition<I, O> | string, input?: I, options?: ChildOptions): ChildHandle<O, F> => {
        const pid = session.issue({ kind: 'spawn', ...childOf(host, child, input, options) }) as Pid
        return {
          pid,
          result: () => form.wait<O>((settle) => session.childEnd(pid, scope, settle as Settle<unknown>)),
        }
      },
      send: (to: Destination, topic: string, ...payload: unknown[]) => {
        session.issue({ kind: 'send', to, topic, payload })
      },
      cancel: (to, reason) => {
        session.issue({ kind: 'exit', to, mode: 'cancel', ...(reason === undefined ? {} : { reason }) })
      },
      onQuery: (name, handler) => session.onQuery(name, handler),
      onUpdate: (name, handler, options = {}) => session.onUpdate(name, handler, options),
      version: (change, min, max) => session.issue({ kind: 'version', change, min, max }) as number,
      patched: (change) => session.issue({ kind: 'version', change, min: 0, max: 1 }) === 1,
      setAttributes: (search, memo) => {
        session.issue({ kind: 'attributes', search, ...(memo === undefined ? {} : { memo }) })
      },
      continueAsNew: (...args) => {
        throw new ContinueAsNew(args)
      },
      scope: <T>(body: (inner: ScopeContextOf<F>) => Branch<F, T>) => within(new Scope(scope), body),
      shield: <T>(body: (inner: ScopeContextOf<F>) => Branch<F, T>) =>
        within(new Scope(scope, { isShielded: true }), body),
      withTimeout: <T>(duration: string | number, body: (inner: ScopeContextOf<F>) => Branch<F, T>) => {
        const inner = new Scope(scope)
        const durationMs = parseDurationMs(duration)
        const stop = session.timer(durationMs, scope, () =>
          session.close(
            inner,
            new AppError('timeout', `it took longer than ${duration}`, undefined, { retryable: false }),
          ),
        )
        return within(inner, body, stop)
      },
      cancelScope: (reason = 'canceled') =>
        session.close(scope, new AppError('canceled', reason, undefined, { retryable: false })),
      onCancel: (listener) => session.onCancel(scope, listener),
      log: (message, fields) => outsideTurn(() => host.log('info', message, fields)),
    }
    return Object.defineProperties(context, Object.getOwnPropertyDescriptors(form.extras)) as never
  }

  function within<T>(
    scope: Scope,
    body: (inner: ScopeContextOf<F>) => Branch<F, T>,
    onEnd: () => void = nothing,
  ): Waited<F, T> {
    const inner = contextIn(scope)
    return form.run(() => body(inner), onEnd)
  }
}

function nothing(): void {}

function childOf<I, O>(
  from: ProgramHost,
  child: WorkflowDefinition<I, O> | string,
  input: I | undefined,
  options: ChildOptions | undefined,
): { target: string; host: string; args: unknown[]; options?: SpawnOptions } {
  const { host = from.self.home.host, ...rest } = options ?? {}
  return {
    target: typeof child === 'string' ? child : child.name,
    host,
    args: input === undefined ? [] : [input],
    ...optional(Object.keys(rest).length === 0 ? undefined : rest),
  }
}

function randomFrom(host: ProgramHost): number {
  const bytes = host.randomBytes(8)
  const words = new DataView(bytes.buffer, bytes.byteOffset, 8)
  return (words.getUint32(0) >>> 5) * 2 ** -27 + (words.getUint32(4) >>> 6) * 2 ** -53
}

function merged(base: CallOptions | undefined, given: CallOptions | undefined): CallOptions | undefined {
  return base === undefined ? given : given === undefined ? base : { ...base, ...given }
}

function optional<T>(options: T | undefined): { options?: T } {
  return options === undefined ? {} : { options }
}

import type { ExitReason } from '@daruma/protocol'
import type { BodyContext, Context } from './context.ts'
import type { Notice } from './notice.ts'

/**
 * What a handler answers: the closed set of things that can happen next. Made by `next` only. STABLE.
 */
export class Next<S> {
  readonly kind:
    | 'same'
    | 'state'
    | 'stop'
    | 'continue'
    | 'yield'
    | 'idle'
    | 'hibernate'
    | 'passivate'
    | 'ignore'
    | 'unhandled'
    | 'become'
  readonly state: S | typeof keep
  /** stop: the reason; continue, yield: the value; idle: milliseconds; become: the behavior. */
  readonly detail: unknown

  constructor(kind: Next<S>['kind'], state: S | typeof keep, detail: unknown) {
    this.kind = kind
    this.state = state
    this.detail = detail
  }
}

/** Stands for "the state as it is". */
export const keep: unique symbol = Symbol('keep')

export const same = new Next<never>('same', keep, undefined)
const ignored = new Next<never>('ignore', keep, undefined)
const unhandled = new Next<never>('unhandled', keep, undefined)
const passivate = new Next<never>('passivate', keep, undefined)

/** What happens next, as a value. STABLE. */
export const next = {
  /** Goes on with the state as it is. */
  same: same as Next<never>,
  /** Goes on with `state`. */
  state: <S>(state: S): Next<S> => new Next<S>('state', state, undefined),
  /** Ends: `terminate` runs, then links and monitors learn `reason`. */
  stop: <S = never>(reason: ExitReason, state?: S): Next<S> =>
    new Next<S>('stop', state === undefined ? keep : state, reason),
  /** `handleContinue(value)` runs before any other message, even one that is already waiting (rule 39). */
  continue: <S = never>(value: unknown, state?: S): Next<S> =>
    new Next<S>('continue', state === undefined ? keep : state, value),
  /** `handleContinue(value)` runs before any other message of this process, after other processes had their turn. */
  yield: <S = never>(value: unknown, state?: S): Next<S> =>
    new Next<S>('yield', state === undefined ? keep : state, value),
  /** An `idle` notice comes when no message has come for `idleMs`; any message cancels it. */
  idleAfter: <S = never>(idleMs: number, state?: S): Next<S> =>
    new Next<S>('idle', state === undefined ? keep : state, idleMs),
  /**
   * Sleeps small until the next message or notice: `hibernate` runs, the mailbox gives back its storage, and `wake` runs
   * first when something comes. Where something is waiting already, it is the same as `next.state`.
   */
  hibernate: <S = never>(state?: S): Next<S> => new Next<S>('hibernate', state === undefined ? keep : state, undefined),
  /**
   * Ends with `shutdown` and the detail `passivated`, unless something is waiting: then it goes on with that, as
   * `next.same`. For what can be spawned again when it is asked for; after `next.idleAfter`, the answer to the idle notice.
   */
  passivate: passivate as Next<never>,
  /** From `init` only: ends quietly, and the starter learns `ignored`. */
  ignore: ignored as Next<never>,
  /** This message means nothing to this actor: reported as a dead letter and logged with the message's kind. */
  unhandled: unhandled as Next<never>,
  /** Other code, same pid, mailbox, links and monitors. */
  become: <M, S>(behavior: Behavior<M, S>, state: NoInfer<S>): Next<never> =>
    new Next<unknown>('become', state, behavior) as Next<never>,
} as const

type Later<T> = T | Promise<T>

/**
 * An actor as a handler of messages: state in, what happens next out. STABLE.
 *
 * Every handler runs alone: while one awaits, this process takes no other message, and no other process waits (rule 31).
 * A handler that throws ends the process with `error`; one that answers nonsense, likewise. No answer is `next.same`.
 *
 * @typeParam M - the messages that it understands
 * @typeParam S - its state
 * @typeParam A - what `init` is given
 */
export interface Behavior<M = unknown, S = unknown, A = undefined> {
  /** For people: process info, reports, errors. */
  readonly name?: string
  /** Runs in the new process, before any message. Absent: the state is what `args` was. */
  init?(ctx: Context<M>, args: A): Later<S | Next<S>>
  receive(ctx: Context<M>, message: M, state: S): Later<Next<S> | void>
  /** Trapped exits, downs, timeouts, idle, cancel, group changes. Absent: logged and dropped; `cancel` stops. */
  notice?(ctx: Context<M>, notice: Notice, state: S): Later<Next<S> | void>
  handleContinue?(ctx: Context<M>, value: unknown, state: S): Later<Next<S> | void>
  /**
   * What to keep of the state while nothing happens: the state without what can be rebuilt. Runs on `next.hibernate` and
   * after `hibernateAfterMs` without messages. Answers at once, not with a promise. A process that ends in its sleep
   * ends with what was kept.
   */
  hibernate?(ctx: Context<M>, state: S): S
  /** Makes of what `hibernate` kept a state that can work again, before the next message or notice. Absent: as kept. */
  wake?(ctx: Context<M>, kept: S): Later<S>
  /**
   * Runs on `next.stop`, on a crash in a handler, and on the parent's exit signal if exits are trapped; not on a kill, nor
   * on an exit signal that is not trapped (rule 40). If it throws, that error is the exit reason.
   * A promise has `terminateMs` (default 5_000) to settle.
   */
  terminate?(ctx: Context<M>, reason: ExitReason, state: S): Later<void>
  /** Always runs, last, however the process ended, a kill included. Lets go of what is not memory. Must not throw. */
  release?(state: S, reason: ExitReason): void
  /** Shown as `state` in process info, instead of nothing. */
  snapshot?(state: S): unknown
  /** Messages that it took and has not handled yet: process info counts them as waiting. */
  backlog?(state: S): number
  /** The parent's trapped exit is a notice like any other, instead of the end (rule 41). */
  readonly seesParentExit?: boolean
}

/**
 * An actor as straight-line code: it runs until it returns, and takes messages with `ctx.receive`. STABLE.
 * What it returns is the `value` of its `normal` exit.
 */
export type Body<M = unknown, A = undefined> = (ctx: BodyContext<M>, args: A) => unknown

/** What can be spawned. */
export type Spawnable<M = unknown, S = unknown, A = undefined> = Behavior<M, S, A> | Body<M, A>

/** Code of whatever types: where they are no longer of interest. */
export type AnyCode = Spawnable<any, any, any>

/** A behavior with its types inferred. */
export function behavior<M, S, A = undefined>(definition: Behavior<M, S, A>): Behavior<M, S, A> {
  return definition
}

/** Stands in for the behavior of straight-line code, which takes its messages itself. */
export const straightLine: Behavior<unknown, unknown, unknown> = { receive: () => same }

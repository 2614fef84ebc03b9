import { AppError, fromWire, toWire, type CallOptions } from '@daruma/protocol'
import {
  fromPromise,
  initialTransition,
  StateMachine,
  transition,
  type AnyActorLogic,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type InputFrom,
  type OutputFrom,
  type PromiseActorLogic,
} from 'xstate'
import {
  workflow,
  type FunctionDefinition,
  type GeneratorContext,
  type ScopeControl,
  type WorkflowDefinition,
} from './define.ts'
import type { Future, Steps } from './future.ts'

/** Delivered instead of the cancellation of the workflow, to machines that handle it somewhere. */
export const cancelEvent = 'workflow.cancel'

export interface MachineWorkflowOptions {
  /** The type of the workflow; default: the machine's id. */
  readonly name?: string
  /** Named actions as functions: called with `{ context, event, params }`, at least once. The machine does not wait for them. */
  readonly actions?: Readonly<Record<string, FunctionDefinition<never, unknown>>>
  /** What the machine emits. Runs in replay, too: it may send and log by the context, and nothing else. */
  readonly emitted?: (context: GeneratorContext, event: { readonly type: string }) => void
}

/**
 * An XState machine as a workflow. The machine decides purely; its snapshot follows from its journal, so that it is
 * never stored and never migrated. Messages are its events: the topic is the type, the first value has the fields. Its
 * `after` and delayed events are durable timers, what it invokes are functions and workflows (`functionActor`,
 * `workflowActor`; any other by its name, as a function of that name) and machines, which live in the same journal. A
 * final state completes the workflow with the machine's output, an error in it fails it. Query `state` shows where it is.
 *
 * A plain action would run again at every replay: it is refused when it is due, with its name.
 */
export function machineWorkflow<T extends AnyStateMachine>(
  machine: T,
  options: MachineWorkflowOptions = {},
): WorkflowDefinition<InputFrom<T>, OutputFrom<T>> {
  const takesCancel = (machine.events as readonly string[]).includes(cancelEvent)
  return workflow.gen(options.name ?? machine.id, function* (root, input: InputFrom<T>) {
    const live = function* (ctx: GeneratorContext): Steps<OutputFrom<T>> {
      const chart = new Chart(ctx, machine, options)
      root.onQuery('state', () => chart.view)
      if (takesCancel) root.onCancel(({ message }) => chart.push(asEvent(cancelEvent, { reason: message })))
      root.fork(function* () {
        for (;;) {
          const { topic, payload } = yield* ctx.receiveMessage()
          chart.push(asEvent(topic, payload[0]))
        }
      })
      return (yield* chart.run(input)) as OutputFrom<T>
    }
    return takesCancel ? yield* root.shield(live) : yield* live(root)
  })
}

/** A function of a workflow as an actor that machines invoke, typed by it. */
export function functionActor<I, O>(
  fn: FunctionDefinition<I, O>,
  options?: CallOptions,
): PromiseActorLogic<Awaited<O>, I> {
  return durable((ctx, input) => ctx.call(fn, input as I, options))
}

/** A workflow as an actor that machines invoke: a child with a journal of its own. */
export function workflowActor<I, O>(child: WorkflowDefinition<I, O>): PromiseActorLogic<O, I> {
  return durable((ctx, input) => ctx.exec(child, input as I))
}

type Run = (ctx: GeneratorContext, input: unknown) => Future<unknown>
const runKey = Symbol('daruma.run')

function durable<I, O>(run: Run): PromiseActorLogic<O, I> {
  const logic = fromPromise<O, I>(() => Promise.reject(new AppError('invalid', 'this actor lives in a workflow only')))
  return Object.assign(logic, { [runKey]: run })
}

interface Event {
  readonly type: string
}

interface Action {
  readonly type: string
  readonly params: unknown
  readonly info: { readonly context?: unknown; readonly event?: Event }
  readonly exec?: unknown
}

interface SendParams {
  readonly event: Event
  readonly id?: string
  readonly delay?: number
  readonly to?: { readonly id?: string }
}

/** One machine: its snapshot, and what it has begun, by id. */
class Chart {
  readonly #ctx: GeneratorContext
  readonly #machine: AnyStateMachine
  readonly #options: MachineWorkflowOptions
  readonly #events: Event[] = []
  readonly #delayed = new Map<string, ScopeControl>()
  readonly #children = new Map<string, { readonly scope: ScopeControl; readonly chart: Chart | undefined }>()
  #snapshot!: AnyMachineSnapshot
  #lastDelayed = 0

  constructor(ctx: GeneratorContext, machine: AnyStateMachine, options: MachineWorkflowOptions) {
    this.#ctx = ctx
    this.#machine = machine
    this.#options = options
  }

  get view(): { value: unknown; context: unknown; status: string } {
    const { value, context, status } = this.#snapshot
    return { value, context: context as unknown, status }
  }

  push(event: Event): void {
    this.#events.push(event)
  }

  *run(input: unknown): Steps<unknown> {
    this.#perform(initialTransition(this.#machine, input as never) as unknown as [AnyMachineSnapshot, Action[]])
    for (;;) {
      if (this.#snapshot.status === 'done') return this.#snapshot.output as unknown
      if (this.#snapshot.status === 'error') throw fromWire(toWire(this.#snapshot.error))
      yield* this.#ctx.condition(() => this.#events.length > 0)
      const event = this.#events.shift()!
      this.#perform(
        transition(this.#machine, this.#snapshot, event as never) as unknown as [AnyMachineSnapshot, Action[]],
      )
    }
  }

  #perform([snapshot, actions]: [AnyMachineSnapshot, Action[]]): void {
    this.#snapshot = snapshot
    for (const action of actions) this.#act(action)
  }

  #act(action: Action): void {
    const params = action.params as SendParams
    switch (action.type) {
      case 'xstate.raise':
        return this.#later(params, () => this.push(params.event))
      case 'xstate.sendTo':
        return params.delay === undefined ? this.#sendTo(params) : this.#later(params, () => this.#sendTo(params))
      case 'xstate.cancel':
        return this.#cancel((action.params as { sendId: string }).sendId)
      case 'xstate.spawnChild':
        return this.#begin(action.params as Child)
      case 'xstate.stopChild':
        return this.#stop((action.params as { id: string }).id)
      case 'xstate.emit':
        return this.#options.emitted?.(this.#ctx, params.event)
      case 'xstate.log': {
        const { label, value } = action.params as { label?: string; value: unknown }
        return this.#ctx.log(label ?? this.#machine.id, { value })
      }
      default:
        return this.#call(action)
    }
  }

  #call({ type, params, info, exec }: Action): void {
    const fn = this.#options.actions?.[type]
    if (fn !== undefined) {
      const { context, event } = info
      const end = this.#ctx.call(fn, { context, event, params } as never)
      this.#fork(end, (error) => this.#ctx.log(`action ${type} failed: ${error.message}`))
    } else if (exec !== undefined) {
      throw new AppError(
        'invalid',
        `action "${type}" of machine ${this.#machine.id} would run again at every replay; give it to machineWorkflow as a function (actions), or invoke it`,
        undefined,
        { retryable: false },
      )
    }
  }

  #later(params: SendParams, fire: () => void): void {
    const id = params.id ?? `delayed.${++this.#lastDelayed}`
    this.#cancel(id)
    const delayMs = params.delay ?? 0
    const self = this
    this.#fork(
      this.#ctx.scope(function* (scope) {
        self.#delayed.set(id, scope)
        yield* scope.sleep(delayMs)
        if (self.#delayed.get(id) !== scope) return
        self.#delayed.delete(id)
        fire()
      }),
      () => undefined,
    )
  }

  #cancel(id: string): void {
    const scope = this.#delayed.get(id)
    this.#delayed.delete(id)
    scope?.cancelScope()
  }

  #sendTo({ to, event }: SendParams): void {
    const child = to?.id === undefined ? undefined : this.#children.get(to.id)
    if (child?.chart !== undefined) return child.chart.push(event)
    if (to !== undefined && to === ((this.#snapshot as { _self?: unknown })._self as unknown)) return this.push(event)
    throw new AppError(
      'invalid',
      `machine ${this.#machine.id} sends "${event.type}" to ${to?.id ?? 'nobody'}, which takes no events`,
    )
  }

  #begin({ id, src, input, actorRef }: Child): void {
    const self = this
    const chart =
      actorRef.logic instanceof StateMachine ? new Chart(this.#ctx, actorRef.logic, this.#options) : undefined
    const end = this.#ctx.scope(function* (scope) {
      self.#children.set(id, { scope, chart })
      if (chart !== undefined) return yield* chart.run(input)
      const run = (actorRef.logic as { [runKey]?: Run })[runKey]
      if (run !== undefined) return yield* run(scope, input)
      return yield* scope.call(nameOf(src, id), input)
    })
    this.#ctx.fork(function* () {
      let event: Event & Record<string, unknown>
      try {
        event = { type: `xstate.done.actor.${id}`, output: yield* end, actorId: id }
      } catch (error) {
        event = { type: `xstate.error.actor.${id}`, error, actorId: id }
      }
      if (!self.#children.delete(id)) return // stopped: nobody is to hear of it
      self.push(event)
    })
  }

  #stop(id: string): void {
    const child = this.#children.get(id)
    this.#children.delete(id)
    child?.scope.cancelScope()
  }

  /** Runs beside the machine; a failure is told, and is not the workflow's. */
  #fork(end: Future<unknown>, onFailure: (error: Error) => void): void {
    this.#ctx.fork(function* () {
      try {
        yield* end
      } catch (error) {
        onFailure(error as Error)
      }
    })
  }
}

interface Child {
  readonly id: string
  readonly src: string | AnyActorLogic
  readonly input: unknown
  readonly actorRef: { readonly logic: AnyActorLogic }
}

function nameOf(src: string | AnyActorLogic, id: string): string {
  if (typeof src === 'string') return src
  throw new AppError('invalid', `actor "${id}" is a piece of code: name it in setup({ actors }), or use functionActor`)
}

function asEvent(type: string, value: unknown): Event {
  if (value === undefined || value === null) return { type }
  return typeof value === 'object' && !Array.isArray(value) ? { ...value, type } : ({ type, value } as Event)
}

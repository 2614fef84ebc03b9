import { fromWire, toWire, type ExitReason, type Pid } from '@daruma/protocol'
import {
  createActor,
  createMachine,
  initialTransition,
  transition,
  type AnyActorLogic,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type EventFromLogic,
  type InputFrom,
  type SnapshotFrom,
} from 'xstate'
import type { Request } from './actor.ts'
import { next, type Behavior, type Next } from './behavior.ts'
import type { BodyContext, Context } from './context.ts'
import type { Deadline } from './deadlines.ts'
import type { Kernel } from './kernel.ts'
import { ExitNotice, InternalNotice } from './notice.ts'
import type { Process } from './process.ts'
import { ActorSystem } from './system.ts'

/** Asks a machine actor for its snapshot: `await ctx.call(pid, readSnapshot)`. */
export const readSnapshot = Object.freeze({ type: '@daruma.snapshot' as const })

/** What a machine actor understands: its machine's events, and `readSnapshot`. */
export type MachineMessage<T extends AnyStateMachine> =
  EventFromLogic<T> | Request<typeof readSnapshot, SnapshotFrom<T>>

export interface MachineOptions<T extends AnyStateMachine, A> {
  /** What the machine is given, from what the process is given. Here it can get hold of `ctx`, for its actions. */
  readonly input?: (ctx: Context<MachineMessage<T>>, args: A) => InputFrom<T>
  /** What the machine emits. */
  readonly emitted?: (ctx: Context<MachineMessage<T>>, event: { readonly type: string }) => void
}

/**
 * An XState machine as a behavior. The machine decides purely; this process's mailbox is its only queue, its `after` and
 * delayed events are this system's timers, and what it invokes or spawns are processes linked to this one.
 * A final state is a normal exit with the machine's output; an error in it, an exit with that error.
 *
 * In its snapshot `children` are placeholders: talk to children by `sendTo`, not through them. STABLE.
 */
export function fromMachine<T extends AnyStateMachine, A = undefined>(
  machine: T,
  options: MachineOptions<T, A> = {},
): Behavior<MachineMessage<T>, MachineRun, A> {
  return {
    name: machine.id,
    init(ctx, args) {
      ctx.trapExits = true
      const input = options.input?.(ctx, args)
      const emitted = options.emitted === undefined ? undefined : (event: Event) => options.emitted!(ctx, event)
      return next.continue(input, new MachineRun(ctx, machine, emitted))
    },
    handleContinue: (_ctx, input, run) => run.begin(input),
    receive(ctx, message, run) {
      if ((message as Event).type !== readSnapshot.type) return run.take(message as Event)
      ctx.reply(message, run.snapshot as never)
      return next.same
    },
    notice(_ctx, notice, run) {
      if (notice instanceof InternalNotice) return run.take(notice.value as Event)
      if (notice instanceof ExitNotice) return run.childEnded(notice.from, notice.reason)
      if (notice.kind === 'cancel') return next.stop({ kind: 'shutdown', detail: notice.reason })
      return next.same
    },
    release: (run) => run.release(),
    snapshot: (run) => run.snapshot?.value,
  }
}

interface Event {
  readonly type: string
}

interface Action {
  readonly type: string
  readonly params: unknown
  readonly info: unknown
  readonly exec?: ((info: unknown, params: unknown) => void) | undefined
}

interface SendParams {
  readonly event: Event
  readonly id?: string
  readonly delay?: number
  readonly to?: { readonly id?: string; send?(event: Event): void }
}

/** One machine in one process: its snapshot, its delayed events by id, its children by id. */
export class MachineRun {
  snapshot: AnyMachineSnapshot | undefined = undefined
  readonly #ctx: Context
  readonly #kernel: Kernel
  readonly #process: Process
  readonly #machine: AnyStateMachine
  readonly #emitted: ((event: Event) => void) | undefined
  readonly #delayed = new Map<string, Deadline>()
  readonly #children = new Map<string, Pid>()
  #lastDelayed = 0

  constructor(ctx: Context<never>, machine: AnyStateMachine, emitted: ((event: Event) => void) | undefined) {
    this.#ctx = ctx as unknown as Context
    this.#kernel = ActorSystem.kernelOf(ctx.system)
    this.#process = this.#kernel.processOf(ctx.self)!
    this.#machine = machine
    this.#emitted = emitted
  }

  begin(input: unknown): Next<never> {
    return this.#perform(initialTransition(this.#machine, input as never) as unknown as [AnyMachineSnapshot, Action[]])
  }

  take(event: Event): Next<never> {
    return this.#perform(
      transition(this.#machine, this.snapshot!, event as never) as unknown as [AnyMachineSnapshot, Action[]],
    )
  }

  /** The end of a child is an event of the machine; that of any other linked process is this one's own (it traps only for its children). */
  childEnded(pid: Pid, reason: ExitReason): Next<never> {
    const id = [...this.#children].find(([, child]) => child === pid)?.[0]
    if (id === undefined) return reason.kind === 'normal' ? next.same : next.stop(reason)
    this.#children.delete(id)
    const event =
      reason.kind === 'normal'
        ? { type: `xstate.done.actor.${id}`, output: reason.value, actorId: id }
        : { type: `xstate.error.actor.${id}`, error: errorOf(reason), actorId: id }
    return this.take(event)
  }

  release(): void {
    for (const deadline of this.#delayed.values()) this.#kernel.deadlines.drop(deadline)
  }

  #perform([snapshot, actions]: [AnyMachineSnapshot, Action[]]): Next<never> {
    this.snapshot = snapshot
    for (const action of actions) this.#act(action)
    switch (snapshot.status) {
      case 'done':
        return next.stop({ kind: 'normal', value: snapshot.output })
      case 'error':
        return next.stop({ kind: 'error', error: toWire(snapshot.error) })
      default:
        return next.same
    }
  }

  #act(action: Action): void {
    const params = action.params as SendParams
    switch (action.type) {
      case 'xstate.raise':
        return this.#later(params, () => this.#process.pushNotice(new InternalNotice(params.event)))
      case 'xstate.sendTo':
        if (params.delay !== undefined) return this.#later(params, () => this.#sendTo(params))
        return this.#sendTo(params)
      case 'xstate.cancel':
        return this.#cancel((action.params as { sendId: string }).sendId)
      case 'xstate.spawnChild':
        return this.#spawn(action.params as { id: string; actorRef: { logic: AnyActorLogic }; input: unknown })
      case 'xstate.stopChild':
        return this.#stop((action.params as { id: string }).id)
      case 'xstate.emit':
        return this.#emitted?.(params.event)
      case 'xstate.log': {
        const { label, value } = action.params as { label?: string; value: unknown }
        return this.#ctx.log('info', label ?? this.#machine.id, { value })
      }
      default:
        return action.exec?.(action.info, action.params)
    }
  }

  #later(params: SendParams, fire: () => void): void {
    const id = params.id ?? `delayed.${++this.#lastDelayed}`
    this.#cancel(id)
    const expire = (): void => {
      this.#delayed.delete(id)
      fire()
    }
    this.#delayed.set(id, this.#kernel.deadlines.add(params.delay ?? 0, { expire }))
  }

  #cancel(id: string): void {
    const deadline = this.#delayed.get(id)
    if (deadline === undefined) return
    this.#delayed.delete(id)
    this.#kernel.deadlines.drop(deadline)
  }

  #sendTo({ to, event }: SendParams): void {
    const child = to?.id === undefined ? undefined : this.#children.get(to.id)
    if (child !== undefined) this.#kernel.send(child, event)
    else if (to === (this.#self() as unknown)) this.#process.pushNotice(new InternalNotice(event))
    else to?.send?.(event)
  }

  #self(): unknown {
    return (this.snapshot as { _self?: unknown } | undefined)?._self
  }

  #spawn({ id, actorRef, input }: { id: string; actorRef: { logic: AnyActorLogic }; input: unknown }): void {
    const parent = this.#process
    const toParent = (event: Event): void => parent.pushNotice(new InternalNotice(event))
    const args: Hosted = { id, logic: actorRef.logic, input, toParent }
    this.#children.set(id, this.#ctx.spawnLink(hosted, { args, label: `${this.#machine.id}/${id}` }))
  }

  #stop(id: string): void {
    const pid = this.#children.get(id)
    if (pid === undefined) return
    this.#children.delete(id)
    this.#ctx.unlink(pid)
    this.#ctx.exit(pid, { kind: 'shutdown' })
  }
}

interface Hosted {
  readonly id: string
  readonly logic: AnyActorLogic
  readonly input: unknown
  readonly toParent: (event: Event) => void
}

/**
 * A process round any XState logic (promise, callback, observable, machine): the logic runs as the only child of a
 * machine that passes on what it sends to its parent. Its end is this process's end; its timers are this system's.
 */
async function hosted(ctx: BodyContext<Event>, { id, logic, input, toParent }: Hosted): Promise<unknown> {
  const { deadlines } = ActorSystem.kernelOf(ctx.system)
  let finish!: (output: unknown) => void
  let fail!: (error: unknown) => void
  const outcome = new Promise<unknown>((resolve, reject) => {
    finish = resolve
    fail = reject
  })
  const machine = createMachine({
    invoke: {
      id,
      src: logic,
      input: () => input as never,
      onDone: { actions: ({ event }) => finish(event.output) },
      onError: { actions: ({ event }) => fail(event.error) },
    },
    on: { '*': { actions: ({ event }) => toParent(event) } },
  })
  const clock = {
    setTimeout: (fire: () => void, delayMs: number) => deadlines.add(delayMs, { expire: fire }),
    clearTimeout: (deadline: Deadline | undefined) => void (deadline !== undefined && deadlines.drop(deadline)),
  }
  const host = createActor(machine, { clock: clock as never })
  const stop = (): void => void host.stop()
  ctx.signal.addEventListener('abort', stop, { once: true })
  host.start()
  const passOn = async (): Promise<never> => {
    for (;;) {
      const event = (await ctx.receive()) as Event
      ;(host.getSnapshot().children as Record<string, { send(event: Event): void } | undefined>)[id]?.send(event)
    }
  }
  try {
    return await Promise.race([outcome, passOn()])
  } finally {
    host.stop()
  }
}

function errorOf(reason: ExitReason): unknown {
  return reason.kind === 'error' ? fromWire(reason.error) : reason
}

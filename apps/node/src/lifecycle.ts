import { toWire, unreachable, type CancelTimer, type Clock, type Logger } from '@daruma/protocol'
import { assign, initialTransition, setup, transition, type SnapshotFrom } from 'xstate'

/**
 * The life of a node: booting -> starting -> ready -> draining -> stopped. The machine decides, `createNodeLife` performs.
 *
 * N1. What was booted is drained, whatever happens in between; a boot that fails has closed what it opened. Only force
 *     during the boot leaves it as it is, for the program that ends then.
 * N2. Draining ends: by itself, by force, or `graceMs` after its deadline.
 * N3. The exit code is 0 only if nothing failed and nothing was forced.
 */

export type NodeState = 'booting' | 'starting' | 'ready' | 'draining' | 'stopped'

export type NodeEvent =
  | { readonly type: 'booted' }
  /** All services run, or have said why not. */
  | { readonly type: 'started' }
  | { readonly type: 'failed'; readonly error: unknown }
  | { readonly type: 'stop' }
  /** Once it drains, or still boots. */
  | { readonly type: 'force' }
  | { readonly type: 'drained' }
  | { readonly type: 'drain_failed'; readonly error: unknown }
  | { readonly type: 'drain_timeout' }

export type NodeEffect =
  | { readonly kind: 'boot' }
  | { readonly kind: 'start' }
  | { readonly kind: 'drain'; readonly deadlineMs: number }
  | { readonly kind: 'end_at_once' }
  | { readonly kind: 'arm'; readonly delayMs: number }
  | { readonly kind: 'disarm' }

export interface NodeLimits {
  /** For all services together to stop. Default 30,000. */
  readonly drainMs?: number
  /** Beyond that, for stores and connections to close. Default 5,000. */
  readonly graceMs?: number
}

interface NodeFacts extends Required<NodeLimits> {
  readonly exitCode: 0 | 1
  readonly failure: unknown
  readonly isStopAsked: boolean
}

export const nodeMachine = setup({
  types: { context: {} as NodeFacts, events: {} as NodeEvent, input: {} as Required<NodeLimits> },
  actions: {
    boot: () => undefined,
    start: () => undefined,
    drain: (_facts, _params: { readonly deadlineMs: number }) => undefined,
    end_at_once: () => undefined,
    arm: (_facts, _params: { readonly delayMs: number }) => undefined,
    disarm: () => undefined,
    blame: assign(({ context, event }) => ({
      exitCode: 1 as const,
      // The first failure is the cause of the others.
      failure: context.failure ?? ('error' in event ? event.error : undefined),
    })),
    noteStop: assign({ isStopAsked: true }),
  },
  guards: { isStopAsked: ({ context }) => context.isStopAsked },
}).createMachine({
  id: 'node',
  context: ({ input }) => ({ ...input, exitCode: 0, failure: undefined, isStopAsked: false }),
  initial: 'booting',
  states: {
    booting: {
      entry: 'boot',
      on: {
        booted: [{ guard: 'isStopAsked', target: 'draining' }, { target: 'starting' }],
        failed: { target: 'stopped', actions: 'blame' },
        stop: { actions: 'noteStop' },
        force: { target: 'stopped', actions: ['blame', 'end_at_once'] },
      },
    },
    starting: {
      entry: 'start',
      on: {
        started: 'ready',
        failed: { target: 'draining', actions: 'blame' },
        stop: 'draining',
      },
    },
    ready: {
      on: {
        failed: { target: 'draining', actions: 'blame' },
        stop: 'draining',
      },
    },
    draining: {
      entry: [
        { type: 'arm', params: ({ context }) => ({ delayMs: context.drainMs + context.graceMs }) },
        { type: 'drain', params: ({ context }) => ({ deadlineMs: context.drainMs }) },
      ],
      exit: 'disarm',
      on: {
        drained: 'stopped',
        // A start that fails because all is being stopped must not cut the stop short (N1).
        failed: { actions: 'blame' },
        drain_failed: { target: 'stopped', actions: 'blame' },
        force: { actions: ['blame', 'end_at_once'] },
        drain_timeout: { target: 'stopped', actions: ['blame', 'end_at_once'] },
      },
    },
    stopped: { type: 'final' },
  },
})

export type NodeSnapshot = SnapshotFrom<typeof nodeMachine>

const limitDefaults: Required<NodeLimits> = Object.freeze({ drainMs: 30_000, graceMs: 5_000 })

/** A node at the beginning of its life, and what is to be done first. */
export function initialNode(limits: NodeLimits = {}): readonly [NodeSnapshot, readonly NodeEffect[]] {
  const [snapshot, actions] = initialTransition(nodeMachine, { ...limitDefaults, ...limits })
  return [snapshot, actions.map(toEffect)]
}

/** What `event` makes of a node. An event that its state does not know changes nothing. */
export function decideNode(
  snapshot: NodeSnapshot,
  event: NodeEvent,
): readonly [snapshot: NodeSnapshot, effects: readonly NodeEffect[]] {
  const [next, actions] = transition(nodeMachine, snapshot, event)
  return [next, actions.map(toEffect)]
}

const toEffect = ({ type, params }: { readonly type: string; readonly params: unknown }): NodeEffect =>
  ({ kind: type, ...(params as object | undefined) }) as NodeEffect

/** What a node does in each part of its life. A rejection is the node's failure. */
export interface NodeWork {
  /** Loads the app and opens what it stands on. If it fails, it has closed again what it had opened. */
  boot(): Promise<unknown>
  /** Starts the services. A service that does not start is its own affair, not a rejection. */
  start(): Promise<unknown>
  /** Stops the services within `deadlineMs` and closes the rest. May be asked while `start` still goes on. */
  drain(deadlineMs: number): Promise<unknown>
  /** Ends the services at once; a `drain` that goes on then comes to its end. Must not throw. */
  endAtOnce(): void
}

/** How a node ended. */
export interface NodeEnd {
  readonly exitCode: 0 | 1
  /** What failed first; undefined: nothing, or it was ended by force. */
  readonly failure: unknown
}

export interface NodeLife {
  readonly state: NodeState
  /** True when it is ready; false when it has stopped without having been. */
  readonly ready: Promise<boolean>
  /** Never rejects. */
  readonly ended: Promise<NodeEnd>
  /** Drains and stops; during the boot, as soon as it is through. A second call changes nothing. */
  stop(): void
  /** As `stop`, at once. The exit code is then 1. */
  force(): void
  /** Something without which the node cannot go on has failed: drains, and the exit code is 1. */
  fail(error: unknown): void
}

export interface NodeLifeOptions extends NodeLimits {
  readonly work: NodeWork
  readonly clock: Clock
  readonly logger: Logger
}

/** A node that begins to boot at once. */
export function createNodeLife(options: NodeLifeOptions): NodeLife {
  return new Life(options)
}

class Life implements NodeLife {
  readonly ready: Promise<boolean>
  readonly ended: Promise<NodeEnd>
  readonly #options: NodeLifeOptions
  #snapshot: NodeSnapshot
  #cancelTimer: CancelTimer | undefined = undefined
  #resolveReady!: (isReady: boolean) => void
  #resolveEnded!: (end: NodeEnd) => void

  constructor(options: NodeLifeOptions) {
    const { drainMs = limitDefaults.drainMs, graceMs = limitDefaults.graceMs } = options
    this.#options = options
    this.ready = new Promise((resolve) => (this.#resolveReady = resolve))
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve))
    const [snapshot, effects] = initialNode({ drainMs, graceMs })
    this.#snapshot = snapshot
    // In a turn of its own, so that the work can speak of the life that is being made here.
    queueMicrotask(() => {
      if (this.state === 'booting') for (const effect of effects) this.#perform(effect)
    })
  }

  get state(): NodeState {
    return this.#snapshot.value
  }

  stop(): void {
    this.#send({ type: 'stop' })
  }

  force(): void {
    this.#send({ type: 'stop' })
    this.#send({ type: 'force' })
  }

  fail(error: unknown): void {
    this.#send({ type: 'failed', error })
  }

  #send(event: NodeEvent): void {
    const before = this.state
    const [snapshot, effects] = decideNode(this.#snapshot, event)
    this.#snapshot = snapshot
    if ('error' in event && snapshot.context.failure === event.error) this.#logFailure(event.error)
    for (const effect of effects) this.#perform(effect)
    if (this.state === before) return
    this.#options.logger.log('debug', `node ${this.state}`, { state: this.state })
    if (this.state === 'ready') this.#resolveReady(true)
    if (this.state !== 'stopped') return
    this.#resolveReady(false)
    this.#resolveEnded({ exitCode: snapshot.context.exitCode, failure: snapshot.context.failure })
  }

  #perform(effect: NodeEffect): void {
    const { work, clock } = this.#options
    switch (effect.kind) {
      case 'boot':
        return this.#await(() => work.boot(), 'booted')
      case 'start':
        return this.#await(() => work.start(), 'started')
      case 'drain':
        return this.#await(() => work.drain(effect.deadlineMs), 'drained')
      case 'end_at_once':
        return work.endAtOnce()
      case 'arm':
        this.#cancelTimer = clock.after(effect.delayMs, () => this.#send({ type: 'drain_timeout' }))
        return
      case 'disarm':
        this.#cancelTimer?.()
        return
      default:
        return unreachable(effect)
    }
  }

  #await(work: () => Promise<unknown>, type: 'booted' | 'started' | 'drained'): void {
    // Called now, so that what comes after finds it under way; heard later, even if it throws at once.
    void new Promise((resolve) => resolve(work())).then(
      () => this.#send({ type }),
      (error: unknown) => this.#send({ type: type === 'drained' ? 'drain_failed' : 'failed', error }),
    )
  }

  #logFailure(error: unknown): void {
    const { kind, message } = toWire(error)
    this.#options.logger.log('error', `node failed: ${message}`, { kind, state: this.state })
  }
}

import type { ActorSystem, Behavior, Context, Next, StartOptions } from '@daruma/actors'
import { next } from '@daruma/actors'
import type { ChildTemplate } from './child-spec.ts'
import { completeChildSpec, markSupervisor } from './child-spec.ts'
import type { DynamicEvent, DynamicState, FullDynamicSpec } from './dynamic-strategy.ts'
import { createDynamicState, decideDynamic } from './dynamic-strategy.ts'
import type { DynamicSupervisor, DynamicSupervisorMessage } from './messages.ts'
import { Performer } from './performer.ts'
import type { Intensity } from './restart.ts'
import { childInfo, countChildren } from './table.ts'
import type { SupervisorSnapshot } from './tree.ts'
import { invalidSpec, validateDynamicSpec } from './validate-spec.ts'

export interface DynamicSupervisorSpec<A = undefined> {
  /** All children are of this kind; each start brings its own arguments. `id`: what reports call them. */
  readonly child: ChildTemplate<A> & { readonly id?: string }
  /** Those that are being started or restarted count, too. Default `infinity`. */
  readonly maxChildren?: number | 'infinity'
  /** Restarts allowed within `periodMs`, all children together. Default 3. */
  readonly intensity?: Intensity
  /** Default 5,000. */
  readonly periodMs?: number
}

export interface DynamicRun {
  readonly state: DynamicState
  readonly performer: Performer<DynamicEvent>
}

/**
 * A supervisor of children on demand, all of one template, each on its own: one for one. They stop together, in
 * parallel, within one child's `shutdownMs`; then the rest are killed (rule 48). Start and stop cost the same however
 * many there are. A temporary child's arguments are not kept once it runs (rule 60).
 *
 * @throws AppError invalid - the spec, with every problem
 * @source OTP simple_one_for_one, Elixir DynamicSupervisor; docs/semantics-supervisor.md
 */
export function dynamicSupervisor<A = undefined>(
  spec: DynamicSupervisorSpec<A>,
): Behavior<DynamicSupervisorMessage<A>, DynamicRun> {
  const problems = validateDynamicSpec(spec)
  if (problems.length > 0) throw invalidSpec('the dynamic supervisor spec', problems)
  const full: FullDynamicSpec = {
    intensity: spec.intensity ?? 3,
    periodMs: spec.periodMs ?? 5_000,
    maxChildren: spec.maxChildren === undefined || spec.maxChildren === 'infinity' ? Infinity : spec.maxChildren,
    child: completeChildSpec({ id: 'child', ...spec.child }),
  }
  return markSupervisor<Behavior<DynamicSupervisorMessage<A>, DynamicRun>>({
    name: 'dynamic supervisor',
    seesParentExit: true,
    init(ctx) {
      const state = createDynamicState(full, ctx.system.rng)
      const performer = new Performer<DynamicEvent>(
        ctx as Context,
        (event, nowMs) => decideDynamic(state, event, nowMs)[1],
      )
      performer.direct = false
      return { state, performer }
    },
    receive,
    notice: (_ctx, notice, { performer }) => {
      performer.onNotice(notice)
      return performer.next()
    },
    terminate: (_ctx, reason, { performer }) => performer.close(reason),
    snapshot: ({ state, performer }) => snapshot(state, performer.nowMs),
  })
}

/** Starts a dynamic supervisor from outside of any process. @throws as `system.start` */
export function startDynamicSupervisor<A = undefined>(
  system: ActorSystem,
  spec: DynamicSupervisorSpec<A>,
  options: Omit<StartOptions, 'args'> = {},
): Promise<DynamicSupervisor<A>> {
  return system.start(dynamicSupervisor(spec), options)
}

function receive<A>(
  ctx: Context<DynamicSupervisorMessage<A>>,
  message: DynamicSupervisorMessage<A>,
  { state, performer }: DynamicRun,
): Next<DynamicRun> {
  switch (message?.kind) {
    case 'which_children':
      ctx.reply(message, Array.from(state.children, childInfo))
      return next.same
    case 'count_children':
      ctx.reply(message, countChildren(state.children))
      return next.same
    case 'start_child':
      performer.feed({ kind: 'start_child', args: message.args, to: ctx.replyTo(message) })
      return performer.next()
    case 'terminate_child':
      performer.feed({ kind: 'terminate_child', pid: message.pid, to: ctx.replyTo(message) })
      return performer.next()
    default:
      return next.unhandled
  }
}

function snapshot({ spec, mode, window, children }: DynamicState, nowMs: number): SupervisorSnapshot {
  return {
    kind: 'dynamic_supervisor',
    strategy: 'one_for_one',
    mode,
    intensity: spec.intensity,
    periodMs: spec.periodMs,
    restartsInWindow: window.countAt(nowMs),
    children: Array.from(children, childInfo),
  }
}

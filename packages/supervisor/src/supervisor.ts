import type { ActorSystem, Behavior, Context, Next, StartOptions } from '@daruma/actors'
import { next } from '@daruma/actors'
import type { SupervisorSpec } from './child-spec.ts'
import { completeChildSpec, completeSpec, markSupervisor } from './child-spec.ts'
import type { Event, Request } from './effects.ts'
import type { Supervisor, SupervisorMessage } from './messages.ts'
import { Performer } from './performer.ts'
import { decide } from './strategy.ts'
import type { SupervisorState } from './table.ts'
import { childInfo, countChildren, createState } from './table.ts'
import type { SupervisorSnapshot } from './tree.ts'
import { invalidSpec, validateChildSpec, validateSpec } from './validate-spec.ts'

/** A supervisor at work: what it knows, and what acts on it. */
export interface SupervisorRun {
  readonly state: SupervisorState
  readonly performer: Performer<Event>
}

/**
 * A process that starts its children in order, restarts them as their specs say, and stops them in reverse.
 *
 * Its own start is done when all children have acknowledged theirs; if one fails, those before it are stopped and the
 * start fails with `shutdown`, whose detail is `{ kind: 'failed_to_start_child', id, reason }`. It ends when its parent's
 * exit signal comes (with that reason), when restarts exceed the intensity, or by auto-shutdown (both with `shutdown`);
 * always after its children have ended. It never sleeps: delayed restarts come back through its mailbox, and it answers
 * meanwhile.
 *
 * Defaults: one_for_one, intensity 1 in 5,000 ms, autoShutdown never; a child is permanent, with 5,000 ms to stop.
 *
 * @throws AppError invalid - the spec; the message has one line per problem, `details.problems` the same as data
 * @source OTP supervisor; docs/semantics-supervisor.md
 */
export function supervisor<A extends readonly unknown[]>(
  spec: SupervisorSpec<A>,
): Behavior<SupervisorMessage, SupervisorRun> {
  const problems = validateSpec(spec)
  if (problems.length > 0) throw invalidSpec('the supervisor spec', problems)
  const full = completeSpec(spec)
  return markSupervisor<Behavior<SupervisorMessage, SupervisorRun>>({
    name: 'supervisor',
    seesParentExit: true,
    init(ctx) {
      const state = createState(full, ctx.system.rng)
      const run: SupervisorRun = {
        state,
        performer: new Performer<Event>(ctx as Context, (event, nowMs) => decide(state, event, nowMs)[1]),
      }
      run.performer.feed({ kind: 'open' })
      const settled = run.performer.settled()
      return settled === undefined ? begin(run) : settled.then(() => begin(run))
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

/** Starts a supervisor from outside of any process and waits until all its children run. @throws as `system.start` */
export function startSupervisor<A extends readonly unknown[]>(
  system: ActorSystem,
  spec: SupervisorSpec<A>,
  options: Omit<StartOptions, 'args'> = {},
): Promise<Supervisor> {
  return system.start(supervisor(spec), options)
}

function begin(run: SupervisorRun): SupervisorRun | Next<SupervisorRun> {
  if (run.performer.exit !== undefined) return next.stop(run.performer.exit)
  run.performer.direct = false
  return run
}

function receive(
  ctx: Context<SupervisorMessage>,
  message: SupervisorMessage,
  { state, performer }: SupervisorRun,
): Next<SupervisorRun> {
  switch (message?.kind) {
    case 'which_children':
      ctx.reply(message, Array.from(state.children.values(), childInfo))
      return next.same
    case 'count_children':
      ctx.reply(message, countChildren(state.children.values()))
      return next.same
    case 'child_spec':
      ctx.reply(message, state.children.get(message.id)?.spec)
      return next.same
    case 'start_child': {
      const problems = validateChildSpec(message.spec, state.autoShutdown)
      if (problems.length === 0) {
        return ask({ kind: 'start_child', spec: completeChildSpec(message.spec) })
      }
      ctx.reply(message, { kind: 'invalid', problems })
      return next.same
    }
    case 'change_spec': {
      const problems = validateSpec(message.spec)
      if (problems.length === 0) {
        const { children, ...flags } = message.spec
        return ask({ kind: 'change_spec', flags, children: children.map(completeChildSpec) })
      }
      ctx.reply(message, { kind: 'invalid', problems })
      return next.same
    }
    case 'terminate_child':
    case 'restart_child':
    case 'delete_child':
      return ask({ kind: message.kind, id: message.id })
    default:
      return next.unhandled
  }

  function ask(request: Request): Next<SupervisorRun> {
    performer.feed({ kind: 'request', request, to: ctx.replyTo(message as never) })
    return performer.next()
  }
}

function snapshot(state: SupervisorState, nowMs: number): SupervisorSnapshot {
  const { strategy, mode, intensity, periodMs, window, children } = state
  return {
    kind: 'supervisor',
    strategy,
    mode,
    intensity,
    periodMs,
    restartsInWindow: window.countAt(nowMs),
    children: Array.from(children.values(), childInfo),
  }
}

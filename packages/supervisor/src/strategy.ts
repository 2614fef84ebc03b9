import type { ExitReason, Pid } from '@daruma/protocol'
import { exitShutdown, isQuiet, unreachable } from '@daruma/protocol'
import { isExhausted, isTerminal, isWrongEnd, nextDelayMs } from './child-rules.ts'
import type { Activity, Effect, Event, Purpose, Reply, ReplyTo, Request } from './effects.ts'
import type { ReportKind } from './report.ts'
import { shouldRestart } from './restart.ts'
import type { Child, Retry, SupervisorState } from './table.ts'
import { createChild, hasProcess } from './table.ts'

/**
 * How a supervisor of listed children behaves, without performing any of it.
 *
 * S1 One activity at a time, and within it one child at a time: a start is acknowledged, or an end known, before the next.
 * S2 What changes the table waits in `deferred` while there is an activity, in arrival order. Only a close cuts in.
 * S3 No activity, nothing deferred.
 * S4 A child is in `byPid` from birth to end, under one pid; so it never runs twice.
 * S5 A retry counts only while it is its child's own: whoever starts, stops or removes the child takes it away first.
 *
 * `state` is consumed: its table changes in place, since copying a thousand rows per crash would make a storm quadratic.
 * Use only the state that comes back. Deterministic in (state, event, nowMs, state.rng).
 */
export function decide(
  state: SupervisorState,
  event: Event,
  nowMs: number,
): readonly [state: SupervisorState, effects: readonly Effect[]] {
  const turn: Turn = { state, nowMs, out: [] }
  handle(turn, event)
  while (state.activity === undefined && state.mode === 'open') {
    const waiting = state.deferred.take()
    if (waiting === undefined) break
    handle(turn, waiting)
  }
  return [state, turn.out]
}

interface Turn {
  readonly state: SupervisorState
  readonly nowMs: number
  readonly out: Effect[]
}

function handle(turn: Turn, event: Event): void {
  const { state } = turn
  switch (event.kind) {
    case 'open':
      return begin(turn, { kind: 'open' }, [], [...state.children.values()])
    case 'spawned':
      event.child.pid = event.pid
      return state.byPid.set(event.pid, event.child)
    case 'started':
      return onStarted(turn, event.child, event.pid)
    case 'start_failed':
      return onStartFailed(turn, event.child, event.reason)
    case 'start_ignored':
      return onStartIgnored(turn, event.child)
    case 'ended':
      return onEnded(turn, event.pid, event.reason)
    case 'deadline':
      if (event.child.phase === 'stopping' && event.child.pid === event.pid) {
        turn.out.push({ kind: 'kill', pid: event.pid })
      }
      return
    case 'close':
      return close(turn, event.reason)
    case 'judge':
    case 'retry':
    case 'request':
      if (state.mode === 'closing' || state.mode === 'closed') return
      if (state.activity !== undefined || state.mode === 'opening') state.deferred.push(event)
      else if (event.kind === 'judge') judge(turn, event.child)
      else if (event.kind === 'retry') onRetry(turn, event.child, event.retry)
      else onRequest(turn, event.request, event.to)
      return
    default:
      return unreachable(event)
  }
}

// Ends

function onEnded(turn: Turn, pid: Pid, reason: ExitReason): void {
  const child = turn.state.byPid.get(pid)
  // A process that is no longer a child's, such as one that was replaced (rule 56).
  if (child === undefined) return
  turn.state.byPid.delete(pid)
  child.lastReason = reason
  if (child.phase === 'stopping') return stopped(turn, child, reason)
  child.ended = reason
  // Started and ended before the acknowledgement was read: judged once it is.
  if (child.phase !== 'running') return
  handle(turn, { kind: 'judge', child })
}

/** What an end by itself comes to, once the supervisor is free to act on it. */
function judge(turn: Turn, child: Child): void {
  const reason = child.ended
  // Stopped meanwhile, which judged it too.
  if (reason === undefined || child.phase !== 'running') return
  child.ended = undefined
  const { state } = turn
  const { spec } = child
  switch (isTerminal(child, reason) ? 'terminal' : shouldRestart(spec.restart, reason)) {
    case 'forget':
      state.children.delete(child.id)
      if (!isQuiet(reason)) report(turn, 'crash', child, reason)
      child.phase = 'stopped'
      child.pid = undefined
      return autoShutdown(turn, child, reason)
    case 'keep':
      child.phase = 'stopped'
      child.pid = undefined
      return autoShutdown(turn, child, reason)
    case 'terminal':
      report(turn, 'exhausted', child, reason)
      return retire(turn, child)
    case 'restart':
      return restartAfter(turn, child, reason)
  }
}

function restartAfter(turn: Turn, child: Child, reason: ExitReason): void {
  const { state, nowMs } = turn
  const { backoff } = child.spec
  if (backoff !== undefined && nowMs - child.runningSinceMs >= backoff.stableMs) child.attempt = 0
  if (isExhausted(child)) {
    report(turn, 'exhausted', child, reason)
    return retire(turn, child)
  }
  const allowed = state.window.add(nowMs)
  const delayMs = nextDelayMs(child, turn.state.rng)
  report(turn, 'crash', child, reason, allowed ? delayMs : undefined)
  child.pid = undefined
  child.phase = 'restarting'
  if (!allowed) return giveUp(turn, child, reason)
  restartGroup(turn, child, delayMs === 0 ? undefined : { delayMs, counted: true })
}

/** Stops whoever shares the fate of `pivot`, then starts the group: now, or when `retry` comes back. */
function restartGroup(turn: Turn, pivot: Child, retry: Retry | undefined): void {
  const { state } = turn
  if (state.strategy === 'one_for_one') {
    return retry === undefined ? begin(turn, { kind: 'restart', pivot, retry }, [], [pivot]) : arm(turn, pivot, retry)
  }
  const others = groupOf(state, pivot).filter((child) => child !== pivot)
  begin(turn, { kind: 'restart', pivot, retry }, others, [])
}

/** Whom a crash of `pivot` concerns, in start order. */
function groupOf(state: SupervisorState, pivot: Child): Child[] {
  if (state.strategy === 'one_for_one') return [pivot]
  const all = [...state.children.values()]
  return state.strategy === 'one_for_all' ? all : all.slice(all.indexOf(pivot))
}

function onRetry(turn: Turn, child: Child, retry: Retry): void {
  if (child.retry !== retry) return // S5
  child.retry = undefined
  if (!retry.counted && !turn.state.window.add(turn.nowMs)) return giveUp(turn, child, child.lastReason)
  restartGroup(turn, child, undefined)
}

function giveUp(turn: Turn, child: Child, reason: ExitReason | undefined): void {
  report(turn, 'escalation', child, reason)
  close(turn, exitShutdown)
}

/** Leaves a child without a process, for good or until somebody asks. */
function retire(turn: Turn, child: Child): void {
  child.phase = 'stopped'
  child.pid = undefined
  disarm(turn, child)
  handOver(turn, child)
}

/** A group that waited for `pivot` goes on without it: the next of them takes its place. */
function handOver(turn: Turn, pivot: Child): void {
  if (turn.state.strategy === 'one_for_one') return
  const next = groupOf(turn.state, pivot).find((child) => child.phase === 'restarting')
  if (next !== undefined && next.retry === undefined) arm(turn, next, { delayMs: 0, counted: true })
}

function autoShutdown(turn: Turn, child: Child, reason: ExitReason): void {
  const { state } = turn
  if (!child.spec.significant || state.autoShutdown === 'never') return
  if (state.autoShutdown === 'all_significant') {
    for (const other of state.children.values()) if (other.spec.significant && other.phase !== 'stopped') return
  }
  report(turn, 'auto_shutdown', child, reason)
  close(turn, exitShutdown)
}

// Activities

function begin(turn: Turn, purpose: Purpose, stops: Child[], starts: Child[]): void {
  turn.state.activity = { purpose, stops, starts, begun: 0, current: undefined }
  advance(turn)
}

/** Takes the activity as far as it goes without an answer from outside. */
function advance(turn: Turn): void {
  const { state, out } = turn
  const activity = state.activity
  if (activity === undefined) return
  while (activity.current === undefined) {
    const victim = activity.stops.pop()
    if (victim !== undefined) {
      disarm(turn, victim)
      if (victim.phase === 'running' && victim.ended === undefined) {
        victim.phase = 'stopping'
        activity.current = victim
        out.push({ kind: 'stop', child: victim, pid: victim.pid!, shutdownMs: victim.spec.shutdownMs })
      } else {
        settleStop(turn, activity, victim)
      }
      continue
    }
    if (activity.purpose.kind === 'restart' && activity.starts.length === 0 && activity.purpose.retry === undefined) {
      // Known only now: stopping has removed temporary siblings.
      activity.starts = groupOf(state, activity.purpose.pivot)
    }
    const next = activity.starts[activity.begun]
    if (next === undefined) return finish(turn, activity)
    activity.begun++
    disarm(turn, next)
    next.phase = 'starting'
    activity.current = next
    out.push({ kind: 'start', child: next })
  }
}

function stopped(turn: Turn, child: Child, reason: ExitReason): void {
  child.ended = reason
  const { activity } = turn.state
  if (activity === undefined || activity.current !== child) return
  activity.current = undefined
  settleStop(turn, activity, child)
  advance(turn)
}

function settleStop(turn: Turn, activity: Activity, child: Child): void {
  const reason = child.ended
  if (reason !== undefined && isWrongEnd(child, reason)) report(turn, 'shutdown_error', child, reason)
  child.ended = undefined
  child.pid = undefined
  child.phase = activity.purpose.kind === 'restart' ? 'restarting' : 'stopped'
  const removes = activity.purpose.kind === 'restart' || activity.purpose.kind === 'terminate_child'
  if (removes && child.spec.restart === 'temporary') turn.state.children.delete(child.id)
}

function finish(turn: Turn, { purpose }: Activity): void {
  const { state, out } = turn
  state.activity = undefined
  switch (purpose.kind) {
    case 'open':
      state.mode = 'open'
      out.push({ kind: 'opened' })
      return
    case 'fail_open':
      state.mode = 'closed'
      out.push({ kind: 'exit', reason: purpose.reason, opening: true })
      return
    case 'restart':
      if (purpose.retry !== undefined) arm(turn, purpose.pivot, purpose.retry)
      return
    case 'start_child':
    case 'restart_child':
      return reply(turn, purpose.to, { kind: 'started', pid: purpose.child.pid })
    case 'terminate_child':
      return reply(turn, purpose.to, { kind: 'ok' })
    case 'close':
      state.mode = 'closed'
      out.push({ kind: 'exit', reason: purpose.reason, opening: purpose.opening })
      return
    default:
      return unreachable(purpose)
  }
}

function close(turn: Turn, reason: ExitReason): void {
  const { state, out } = turn
  if (state.mode === 'closing' || state.mode === 'closed') return
  const opening = state.mode === 'opening'
  const current = state.activity?.current
  state.mode = 'closing'
  state.deferred.clear()
  const stops = [...state.children.values()].filter((child) => child !== current)
  // A child that is being stopped goes on stopping; one that is being started is not waited for.
  state.activity = { purpose: { kind: 'close', reason, opening }, stops, starts: [], begun: 0, current }
  if (current?.phase === 'starting') out.push({ kind: 'abort_start', child: current })
  advance(turn)
}

// Starts

function onStarted(turn: Turn, child: Child, pid: Pid): void {
  const { activity, byPid, mode } = turn.state
  if (activity === undefined || activity.current !== child) return
  activity.current = undefined
  child.phase = 'running'
  child.runningSinceMs = turn.nowMs
  if (child.ended === undefined) {
    child.pid = pid
    byPid.set(pid, child)
  }
  if (mode === 'closing') activity.stops.push(child)
  else {
    const again = activity.purpose.kind === 'restart'
    if (again) child.restarts++
    report(turn, again ? 'restart' : 'progress', child, undefined)
    if (child.ended !== undefined) turn.state.deferred.push({ kind: 'judge', child })
  }
  advance(turn)
}

function onStartIgnored(turn: Turn, child: Child): void {
  const { activity } = turn.state
  if (activity === undefined || activity.current !== child) return
  activity.current = undefined
  unborn(turn, child)
  if (child.spec.restart === 'temporary') turn.state.children.delete(child.id)
  advance(turn)
}

function onStartFailed(turn: Turn, child: Child, reason: ExitReason): void {
  const { activity, children, mode } = turn.state
  if (activity === undefined || activity.current !== child) return
  activity.current = undefined
  unborn(turn, child)
  child.lastReason = reason
  const { purpose } = activity
  switch (purpose.kind) {
    case 'open': {
      report(turn, 'start_error', child, reason)
      const detail = { kind: 'failed_to_start_child', id: child.id, reason }
      return begin(
        turn,
        { kind: 'fail_open', reason: { kind: 'shutdown', detail } },
        activity.starts.slice(0, activity.begun - 1),
        [],
      )
    }
    case 'restart':
      return onRestartFailed(turn, activity, purpose, child, reason)
    case 'start_child':
    case 'restart_child':
      if (purpose.kind === 'start_child') children.delete(child.id)
      turn.state.activity = undefined
      return reply(turn, purpose.to, { kind: 'failed', reason })
    case 'close':
    case 'fail_open':
    case 'terminate_child':
      if (mode === 'closing') advance(turn)
      return
    default:
      return unreachable(purpose)
  }
}

/** The restart of a group got stuck at `child`, which becomes the pivot of the next attempt (rules 53, 55). */
function onRestartFailed(
  turn: Turn,
  activity: Activity,
  purpose: Extract<Purpose, { kind: 'restart' }>,
  child: Child,
  reason: ExitReason,
): void {
  const exhausted = isExhausted(child) || isTerminal(child, reason)
  const delayMs = exhausted ? undefined : nextDelayMs(child, turn.state.rng)
  report(turn, 'start_error', child, reason, delayMs)
  for (const waiting of activity.starts.slice(activity.begun)) {
    if (waiting.phase !== 'running') waiting.phase = 'restarting'
  }
  if (delayMs === undefined) {
    report(turn, 'exhausted', child, reason)
    // Goes on with the rest of the group, as if this child had been stopped by request.
    return advance(turn)
  }
  child.phase = 'restarting'
  const retry: Retry = { delayMs, counted: false }
  if (turn.state.strategy !== 'one_for_all') {
    turn.state.activity = undefined
    return arm(turn, child, retry)
  }
  begin(turn, { kind: 'restart', pivot: child, retry }, activity.starts.slice(0, activity.begun - 1), [])
}

/** No process came of a start. */
function unborn(turn: Turn, child: Child): void {
  if (child.pid !== undefined) turn.state.byPid.delete(child.pid)
  child.pid = undefined
  child.ended = undefined
  child.phase = 'stopped'
}

// Requests

function onRequest(turn: Turn, request: Request, to: ReplyTo): void {
  const { children } = turn.state
  switch (request.kind) {
    case 'start_child': {
      const present = children.get(request.spec.id)
      if (present !== undefined) {
        return reply(
          turn,
          to,
          hasProcess(present) ? { kind: 'already_started', pid: present.pid! } : { kind: 'already_present' },
        )
      }
      const child = createChild(request.spec.id, request.spec)
      children.set(child.id, child)
      return begin(turn, { kind: 'start_child', child, to }, [], [child])
    }
    case 'change_spec':
      changeSpec(turn.state, request)
      return reply(turn, to, { kind: 'ok' })
    case 'terminate_child':
    case 'restart_child':
    case 'delete_child': {
      const child = children.get(request.id)
      if (child === undefined) return reply(turn, to, { kind: 'not_found' })
      if (request.kind === 'terminate_child') return terminateChild(turn, child, to)
      if (child.phase === 'restarting') return reply(turn, to, { kind: 'restarting' })
      if (child.phase !== 'stopped') return reply(turn, to, { kind: 'running' })
      if (request.kind === 'restart_child') return begin(turn, { kind: 'restart_child', child, to }, [], [child])
      children.delete(child.id)
      return reply(turn, to, { kind: 'ok' })
    }
    default:
      return unreachable(request)
  }
}

/** Idempotent, counts no restart, triggers no auto-shutdown (rule 57). */
function terminateChild(turn: Turn, child: Child, to: ReplyTo): void {
  child.attempt = 0
  if (child.phase === 'running') return begin(turn, { kind: 'terminate_child', child, to }, [child], [])
  if (child.phase === 'restarting') retire(turn, child)
  reply(turn, to, { kind: 'ok' })
}

/** Running children keep running and take their new spec at the next start; new ones wait to be started; none is removed. */
function changeSpec(state: SupervisorState, { flags, children }: Extract<Request, { kind: 'change_spec' }>): void {
  state.strategy = flags.strategy ?? state.strategy
  state.autoShutdown = flags.autoShutdown ?? state.autoShutdown
  state.intensity = flags.intensity ?? state.intensity
  state.periodMs = flags.periodMs ?? state.periodMs
  state.window.limit(state.intensity, state.periodMs)
  const old = new Map(state.children)
  state.children.clear()
  for (const spec of children) {
    const child = old.get(spec.id) ?? createChild(spec.id, spec)
    child.spec = spec
    child.args = spec.args
    old.delete(spec.id)
    state.children.set(spec.id, child)
  }
  for (const [id, child] of old) state.children.set(id, child)
}

// Small parts

function arm(turn: Turn, child: Child, retry: Retry): void {
  disarm(turn, child)
  child.phase = 'restarting'
  child.retry = retry
  turn.out.push({ kind: 'arm_retry', child, retry })
}

function disarm(turn: Turn, child: Child): void {
  if (child.retry === undefined) return
  turn.out.push({ kind: 'disarm_retry', retry: child.retry })
  child.retry = undefined
}

function reply(turn: Turn, to: ReplyTo, answer: Reply): void {
  turn.out.push({ kind: 'reply', to, reply: answer })
}

function report(turn: Turn, kind: ReportKind, child: Child, reason: ExitReason | undefined, nextDelay?: number): void {
  const restartsInWindow = turn.state.window.count
  turn.out.push({
    kind: 'report',
    report: { kind, child: child.id, pid: child.pid, reason, restartsInWindow, nextDelayMs: nextDelay },
  })
}

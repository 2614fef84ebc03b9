import type { ExitReason, Pid, Rng } from '@daruma/protocol'
import { describeReason, exitShutdown, isQuiet, unreachable } from '@daruma/protocol'
import type { FullChildSpec } from './child-spec.ts'
import type { Effect, Event, Reply, ReplyTo } from './effects.ts'
import type { ChildReport, ReportKind } from './report.ts'
import type { Intensity } from './restart.ts'
import { RestartWindow, shouldRestart } from './restart.ts'
import { isExhausted, isTerminal, isWrongEnd, nextDelayMs } from './child-rules.ts'
import type { Child, Mode, Retry } from './table.ts'
import { createChild, PidTable } from './table.ts'

export interface FullDynamicSpec {
  readonly intensity: Intensity
  readonly periodMs: number
  readonly maxChildren: number
  /** The template of all children; its id stands in reports. */
  readonly child: FullChildSpec
}

/** Everything that one supervisor of children on demand knows. Consumed and given back by `decideDynamic`. */
export interface DynamicState {
  readonly spec: FullDynamicSpec
  readonly rng: Rng
  readonly window: RestartWindow
  readonly byPid: PidTable
  /** All that count against `maxChildren`: starting, running, stopping, restarting. */
  readonly children: Set<Child>
  /** Who waits for a first start, and who for an end. */
  readonly starters: Map<Child, ReplyTo>
  readonly stoppers: Map<Child, ReplyTo[]>
  mode: Mode
  closeReason: ExitReason
  /** Ends that went wrong while all were stopped at once: one report per reason, not one per child. */
  readonly wrongEnds: Map<string, { readonly reason: ExitReason; readonly pid: Pid | undefined; count: number }>
}

export type DynamicEvent =
  | Exclude<Event, { kind: 'request' | 'open' | 'judge' }>
  | { readonly kind: 'start_child'; readonly args: unknown; readonly to: ReplyTo }
  | { readonly kind: 'terminate_child'; readonly pid: Pid; readonly to: ReplyTo }
  /** The time that all children had together is over. */
  | { readonly kind: 'close_deadline' }

export type DynamicEffect =
  | Effect
  /** Answered by close_deadline. */
  | { readonly kind: 'arm_close_deadline'; readonly delayMs: number }

export function createDynamicState(spec: FullDynamicSpec, rng: Rng): DynamicState {
  return {
    spec,
    rng,
    window: new RestartWindow(spec.intensity, spec.periodMs),
    byPid: new PidTable(),
    children: new Set(),
    starters: new Map(),
    stoppers: new Map(),
    mode: 'open',
    closeReason: exitShutdown,
    wrongEnds: new Map(),
  }
}

/**
 * How a supervisor of children on demand behaves, without performing any of it. Children are independent of each other:
 * each starts, restarts and stops on its own, and all stop together, under one deadline (rule 48). Every event costs the
 * same however many children there are, but for the close, which touches each once.
 *
 * `state` is consumed, as in `decide`.
 */
export function decideDynamic(
  state: DynamicState,
  event: DynamicEvent,
  nowMs: number,
): readonly [state: DynamicState, effects: readonly DynamicEffect[]] {
  const turn: Turn = { state, nowMs, out: [] }
  handle(turn, event)
  return [state, turn.out]
}

interface Turn {
  readonly state: DynamicState
  readonly nowMs: number
  readonly out: DynamicEffect[]
}

function handle(turn: Turn, event: DynamicEvent): void {
  const { state, out } = turn
  switch (event.kind) {
    case 'start_child':
      return startChild(turn, event.args, event.to)
    case 'terminate_child':
      return terminateChild(turn, event.pid, event.to)
    case 'spawned':
      event.child.pid = event.pid
      return state.byPid.set(event.pid, event.child)
    case 'started':
      return onStarted(turn, event.child, event.pid)
    case 'start_failed':
      return onStartFailed(turn, event.child, event.reason)
    case 'start_ignored':
      if (event.child.phase !== 'starting') return
      answerStarter(turn, event.child, { kind: 'started', pid: undefined })
      return forget(turn, event.child)
    case 'ended':
      return onEnded(turn, event.pid, event.reason)
    case 'deadline':
      if (event.child.phase === 'stopping' && event.child.pid === event.pid) out.push({ kind: 'kill', pid: event.pid })
      return
    case 'retry':
      return onRetry(turn, event.child, event.retry)
    case 'close':
      return close(turn, event.reason)
    case 'close_deadline':
      if (state.mode !== 'closing') return
      for (const child of state.children) if (child.pid !== undefined) out.push({ kind: 'kill', pid: child.pid })
      return
    default:
      return unreachable(event)
  }
}

function startChild(turn: Turn, args: unknown, to: ReplyTo): void {
  const { state } = turn
  if (state.mode !== 'open') return
  const limit = state.spec.maxChildren
  if (state.children.size >= limit) return reply(turn, to, { kind: 'max_children', limit })
  const child = createChild(state.spec.child.id, state.spec.child, args)
  state.children.add(child)
  state.starters.set(child, to)
  start(turn, child)
}

function start(turn: Turn, child: Child): void {
  child.phase = 'starting'
  turn.out.push({ kind: 'start', child })
}

function onStarted(turn: Turn, child: Child, pid: Pid): void {
  if (child.phase !== 'starting') return
  const { state } = turn
  child.runningSinceMs = turn.nowMs
  child.phase = 'running'
  if (child.ended === undefined) {
    child.pid = pid
    state.byPid.set(pid, child)
  }
  // Rule 60: never started again, so what it was started with is nobody's.
  if (child.spec.restart === 'temporary') child.args = undefined
  const isFirst = state.starters.has(child)
  if (!isFirst) child.restarts++
  report(turn, isFirst ? 'progress' : 'restart', child, undefined)
  answerStarter(turn, child, { kind: 'started', pid })
  if (child.ended !== undefined) judge(turn, child)
  else if (state.mode === 'closing' || state.stoppers.has(child)) stop(turn, child)
}

function onStartFailed(turn: Turn, child: Child, reason: ExitReason): void {
  if (child.phase !== 'starting') return
  const { state } = turn
  if (child.pid !== undefined) state.byPid.delete(child.pid)
  child.pid = undefined
  child.ended = undefined
  child.lastReason = reason
  if (state.mode !== 'open') return forget(turn, child)
  if (state.starters.has(child)) {
    answerStarter(turn, child, { kind: 'failed', reason })
    return forget(turn, child)
  }
  if (isExhausted(child) || isTerminal(child, reason)) {
    report(turn, 'start_error', child, reason)
    report(turn, 'exhausted', child, reason)
    return forget(turn, child)
  }
  const delayMs = nextDelayMs(child, state.rng)
  report(turn, 'start_error', child, reason, delayMs)
  arm(turn, child, { delayMs, counted: false })
}

function onEnded(turn: Turn, pid: Pid, reason: ExitReason): void {
  const { state } = turn
  const child = state.byPid.get(pid)
  if (child === undefined) return
  state.byPid.delete(pid)
  child.lastReason = reason
  child.ended = reason
  if (child.phase === 'stopping') return stopped(turn, child, reason)
  if (child.phase === 'running') judge(turn, child)
}

function judge(turn: Turn, child: Child): void {
  const reason = child.ended!
  const { state, nowMs } = turn
  child.ended = undefined
  if (state.mode !== 'open') return stopped(turn, child, reason)
  if (isTerminal(child, reason)) {
    report(turn, 'exhausted', child, reason)
    return forget(turn, child)
  }
  const verdict = shouldRestart(child.spec.restart, reason)
  if (verdict !== 'restart') {
    if (!isQuiet(reason)) report(turn, 'crash', child, reason)
    return forget(turn, child)
  }
  const { backoff } = child.spec
  if (backoff !== undefined && nowMs - child.runningSinceMs >= backoff.stableMs) child.attempt = 0
  if (isExhausted(child)) {
    report(turn, 'exhausted', child, reason)
    return forget(turn, child)
  }
  const allowed = state.window.add(nowMs)
  const delayMs = nextDelayMs(child, state.rng)
  report(turn, 'crash', child, reason, allowed ? delayMs : undefined)
  child.pid = undefined
  if (!allowed) return giveUp(turn, child, reason)
  if (delayMs > 0) arm(turn, child, { delayMs, counted: true })
  else start(turn, child)
}

function onRetry(turn: Turn, child: Child, retry: Retry): void {
  if (child.retry !== retry || turn.state.mode !== 'open') return
  child.retry = undefined
  if (!retry.counted && !turn.state.window.add(turn.nowMs)) return giveUp(turn, child, child.lastReason)
  start(turn, child)
}

function giveUp(turn: Turn, child: Child, reason: ExitReason | undefined): void {
  report(turn, 'escalation', child, reason)
  turn.state.children.delete(child)
  close(turn, exitShutdown)
}

function terminateChild(turn: Turn, pid: Pid, to: ReplyTo): void {
  const { state } = turn
  const child = state.byPid.get(pid)
  if (child === undefined) return reply(turn, to, { kind: 'not_found' })
  const waiting = state.stoppers.get(child)
  if (waiting !== undefined) waiting.push(to)
  else state.stoppers.set(child, [to])
  if (child.phase === 'running') stop(turn, child)
  else if (child.phase === 'starting') turn.out.push({ kind: 'abort_start', child })
}

function stop(turn: Turn, child: Child): void {
  child.phase = 'stopping'
  const { shutdownMs } = child.spec
  // While all stop together, one deadline stands for every child's own.
  const ownMs = turn.state.mode === 'closing' && shutdownMs !== 'brutal_kill' ? 'infinity' : shutdownMs
  turn.out.push({ kind: 'stop', child, pid: child.pid!, shutdownMs: ownMs })
}

function stopped(turn: Turn, child: Child, reason: ExitReason): void {
  const { state } = turn
  if (isWrongEnd(child, reason)) {
    if (state.mode === 'closing') countWrongEnd(state, child, reason)
    else report(turn, 'shutdown_error', child, reason)
  }
  forget(turn, child)
}

function countWrongEnd({ wrongEnds }: DynamicState, child: Child, reason: ExitReason): void {
  const key = describeReason(reason)
  const known = wrongEnds.get(key)
  if (known === undefined) wrongEnds.set(key, { reason, pid: child.pid, count: 1 })
  else known.count++
}

/** Nothing of the child is kept. Whoever waited for its end learns of it. */
function forget(turn: Turn, child: Child): void {
  const { state } = turn
  state.children.delete(child)
  child.phase = 'stopped'
  child.pid = undefined
  for (const to of state.stoppers.get(child) ?? []) reply(turn, to, { kind: 'ok' })
  state.stoppers.delete(child)
  if (state.mode === 'closing' && state.children.size === 0) finishClose(turn)
}

function close(turn: Turn, reason: ExitReason): void {
  const { state, out } = turn
  if (state.mode !== 'open') return
  state.mode = 'closing'
  state.closeReason = reason
  const { shutdownMs } = state.spec.child
  if (typeof shutdownMs === 'number' && state.children.size > 0) {
    out.push({ kind: 'arm_close_deadline', delayMs: shutdownMs })
  }
  for (const child of state.children) {
    if (child.phase === 'running') stop(turn, child)
    else if (child.phase === 'starting') out.push({ kind: 'abort_start', child })
    else if (child.phase === 'restarting') {
      if (child.retry !== undefined) out.push({ kind: 'disarm_retry', retry: child.retry })
      child.retry = undefined
      state.children.delete(child)
    }
  }
  if (state.children.size === 0) finishClose(turn)
}

function finishClose(turn: Turn): void {
  const { state, out } = turn
  for (const { reason, pid, count } of state.wrongEnds.values()) {
    const { id } = state.spec.child
    out.push({ kind: 'report', report: { ...reportOf(state, 'shutdown_error', id, pid, reason, undefined), count } })
  }
  state.mode = 'closed'
  out.push({ kind: 'exit', reason: state.closeReason, opening: false })
}

function arm(turn: Turn, child: Child, retry: Retry): void {
  child.phase = 'restarting'
  child.retry = retry
  turn.out.push({ kind: 'arm_retry', child, retry })
}

function answerStarter(turn: Turn, child: Child, answer: Reply): void {
  const { starters } = turn.state
  if (!starters.has(child)) return
  reply(turn, starters.get(child), answer)
  starters.delete(child)
}

function reply(turn: Turn, to: ReplyTo, answer: Reply): void {
  turn.out.push({ kind: 'reply', to, reply: answer })
}

function report(turn: Turn, kind: ReportKind, child: Child, reason: ExitReason | undefined, nextDelay?: number): void {
  turn.out.push({ kind: 'report', report: reportOf(turn.state, kind, child.id, child.pid, reason, nextDelay) })
}

function reportOf(
  { window }: DynamicState,
  kind: ReportKind,
  child: string,
  pid: Pid | undefined,
  reason: ExitReason | undefined,
  nextDelayMs: number | undefined,
): ChildReport {
  return { kind, child, pid, reason, restartsInWindow: window.count, nextDelayMs }
}

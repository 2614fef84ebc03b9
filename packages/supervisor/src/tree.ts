import type { ActorSystem } from '@daruma/actors'
import type { Pid } from '@daruma/protocol'
import { describeReason, formatDurationMs, formatPid } from '@daruma/protocol'
import type { Strategy } from './child-spec.ts'
import type { Intensity } from './restart.ts'
import type { ChildInfo, Mode } from './table.ts'

/** What a supervisor shows of itself in process info, at any time, without being asked by a message. */
export interface SupervisorSnapshot {
  readonly kind: 'supervisor' | 'dynamic_supervisor'
  readonly strategy: Strategy
  readonly mode: Mode
  readonly intensity: Intensity
  readonly periodMs: number
  readonly restartsInWindow: number
  readonly children: readonly ChildInfo[]
}

/** A supervisor with its children, all the way down. */
export interface SupervisorNode extends Omit<SupervisorSnapshot, 'children'> {
  readonly pid: Pid
  readonly children: readonly ChildNode[]
}

export interface ChildNode extends ChildInfo {
  /** Where the child is a supervisor of this package that has opened. */
  readonly supervisor: SupervisorNode | undefined
}

/** The tree under a supervisor as data, as of now; undefined if no supervisor of this package lives there. */
export function supervisionTree(system: ActorSystem, pid: Pid): SupervisorNode | undefined {
  const state = system.processInfo(pid)?.state
  if (!isSnapshot(state)) return undefined
  const children = state.children.map((child) => ({
    ...child,
    supervisor: child.type === 'supervisor' && child.pid !== undefined ? supervisionTree(system, child.pid) : undefined,
  }))
  return { ...state, pid, children }
}

/**
 * The tree as text, one line per child in start order:
 * `├ counter  running {local@actors|0x..}  restarts 2, last: internal: boom`.
 */
export function formatTree(root: SupervisorNode): string {
  const lines = [`${root.kind.replace('_', ' ')} ${formatPid(root.pid)}  ${summary(root)}`]
  addChildren(lines, root, '')
  return lines.join('\n')
}

function addChildren(lines: string[], { children }: SupervisorNode, indent: string): void {
  for (const [at, child] of children.entries()) {
    const isLast = at === children.length - 1
    lines.push(`${indent}${isLast ? '└' : '├'} ${describeChild(child)}`)
    if (child.supervisor !== undefined) addChildren(lines, child.supervisor, `${indent}${isLast ? ' ' : '│'} `)
  }
}

function describeChild({ id, phase, pid, restarts, lastReason, retryDelayMs, supervisor }: ChildNode): string {
  const parts = [`${id}  ${phase}${pid === undefined ? '' : ` ${formatPid(pid)}`}`]
  if (retryDelayMs !== undefined && retryDelayMs > 0) parts.push(`again after ${formatDurationMs(retryDelayMs)}`)
  if (supervisor !== undefined) parts.push(summary(supervisor))
  if (restarts > 0) parts.push(`restarts ${restarts}`)
  if (lastReason !== undefined) parts.push(`last end: ${describeReason(lastReason)}`)
  return parts.join('  ')
}

function summary({ strategy, restartsInWindow, intensity, periodMs }: SupervisorNode): string {
  return `${strategy}, ${restartsInWindow} of ${intensity} restarts in ${formatDurationMs(periodMs)}`
}

function isSnapshot(state: unknown): state is SupervisorSnapshot {
  const kind = (state as SupervisorSnapshot | undefined)?.kind
  return kind === 'supervisor' || kind === 'dynamic_supervisor'
}

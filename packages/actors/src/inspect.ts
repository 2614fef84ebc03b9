import type { Pid } from '@daruma/protocol'
import type { Kernel } from './kernel.ts'
import { peersOf } from './links.ts'
import { DownMonitor } from './monitor.ts'
import { SUSPENDED, type ProcessStatus } from './process-status.ts'
import type { Process } from './process.ts'

/** What can be seen of a process from outside. STABLE. */
export interface ProcessInfo {
  readonly pid: Pid
  readonly name: string | undefined
  readonly behavior: string
  readonly status: ProcessStatus | 'suspended'
  /** Everything that waits, notices included. */
  readonly mailboxLength: number
  /** Messages handled in all its life. */
  readonly reductions: number
  readonly trapExits: boolean
  readonly links: readonly Pid[]
  /** Whom it monitors. */
  readonly monitors: readonly Pid[]
  /** Who monitors it; callers that wait for its answer are not counted. */
  readonly monitoredBy: readonly Pid[]
  readonly parent: Pid
  /** Parent first; ends at one that has ended. */
  readonly ancestors: readonly Pid[]
  /** What the behavior's `snapshot` shows; undefined if it has none. */
  readonly state: unknown
}

/** A process and those that it spawned. */
export interface ProcessTree {
  readonly pid: Pid
  readonly name: string | undefined
  readonly behavior: string
  readonly children: readonly ProcessTree[]
}

export function describeProcess(kernel: Kernel, process: Process): ProcessInfo {
  const { behavior } = process
  const monitors: Pid[] = []
  for (let monitor = process.watching; monitor !== undefined; monitor = monitor.nextOfWatcher) {
    if (monitor instanceof DownMonitor && monitor.target !== undefined) monitors.unshift(monitor.target.pid)
  }
  const monitoredBy: Pid[] = []
  for (let monitor = process.watchers; monitor !== undefined; monitor = monitor.nextOfTarget) {
    if (monitor instanceof DownMonitor && monitor.watcher !== undefined) monitoredBy.unshift(monitor.watcher.pid)
  }
  return {
    pid: process.pid,
    name: kernel.names.nameOf(process),
    behavior: process.label,
    status: (process.irregular & SUSPENDED) !== 0 ? 'suspended' : process.status,
    mailboxLength: process.length + (process.hasStarted ? (behavior.backlog?.(process.state) ?? 0) : 0),
    reductions: process.reductions,
    trapExits: process.trapExits,
    links: [...peersOf(process.links)].map((peer) => peer.pid),
    monitors,
    monitoredBy,
    parent: process.parent,
    ancestors: kernel.ancestorsOf(process),
    state: process.hasStarted ? behavior.snapshot?.(process.state) : undefined,
  }
}

/** The living processes as a forest: those whose parent has ended, or is the system, are roots. In order of birth. */
export function processForest(kernel: Kernel): readonly ProcessTree[] {
  const children = new Map<Process, ProcessTree[]>()
  const roots: ProcessTree[] = []
  for (const process of kernel.table) {
    const own: ProcessTree[] = []
    children.set(process, own)
    const tree: ProcessTree = {
      pid: process.pid,
      name: kernel.names.nameOf(process),
      behavior: process.label,
      children: own,
    }
    const parent = kernel.processOf(process.parent)
    ;((parent === undefined ? undefined : children.get(parent)) ?? roots).push(tree)
  }
  return roots
}

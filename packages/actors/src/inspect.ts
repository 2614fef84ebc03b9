import { toWire, type Pid } from '@daruma/protocol'
import type { Kernel } from './kernel.ts'
import { peersOf } from './links.ts'
import { estimateMemory, type MemoryEstimate } from './memory.ts'
import { DownMonitor } from './monitor.ts'
import { HIBERNATING, SUSPENDED, WAITING, type ProcessStatus } from './process-status.ts'
import type { Process } from './process.ts'

/** What can be seen of a process from outside. STABLE. */
export interface ProcessInfo {
  readonly pid: Pid
  readonly name: string | undefined
  /** Its label, or the name of the behavior that it has now: `next.become` changes that. */
  readonly behavior: string
  /** What it is doing; suspended and hibernating stand before whatever else it would be. */
  readonly status: ProcessStatus | 'suspended' | 'hibernating'
  /** Everything that waits, notices included. */
  readonly mailboxLength: number
  /** Messages and notices handled in all its life; those of the batch in hand are counted when it is done. */
  readonly reductions: number
  readonly memory: MemoryEstimate
  readonly trapExits: boolean
  readonly links: readonly Pid[]
  /** Whom it monitors. */
  readonly monitors: readonly Pid[]
  /** Who monitors it; callers that wait for its answer are not counted. */
  readonly monitoredBy: readonly Pid[]
  readonly parent: Pid
  /** Parent first; ends at one that has ended. */
  readonly ancestors: readonly Pid[]
  /** What the behavior's `snapshot` shows; undefined if it has none, or if it throws. */
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
    status: statusOf(process),
    mailboxLength: process.length + (shown(process, () => behavior.backlog?.(process.state)) ?? 0),
    reductions: process.reductions,
    memory: estimateMemory(process),
    trapExits: process.trapExits,
    links: [...peersOf(process.links)].map((peer) => peer.pid),
    monitors,
    monitoredBy,
    parent: process.parent,
    ancestors: kernel.ancestorsOf(process),
    state: shown(process, () => behavior.snapshot?.(process.state)),
  }
}

function statusOf(process: Process): ProcessInfo['status'] {
  if ((process.irregular & SUSPENDED) !== 0) return 'suspended'
  return process.phase === WAITING && (process.irregular & HIBERNATING) !== 0 ? 'hibernating' : process.status
}

/** What the behavior shows of itself. One that fails at that must not take the whole list of processes with it. */
function shown<T>(process: Process, show: () => T | undefined): T | undefined {
  if (!process.hasStarted) return undefined
  try {
    return show()
  } catch (thrown) {
    process.kernel.logger.log('warn', `${process.describe()} could not show itself`, { error: toWire(thrown) })
    return undefined
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

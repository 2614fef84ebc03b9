import type { ExitReason, Pid, Rng } from '@daruma/protocol'
import { samePid } from '@daruma/protocol'
import type { AutoShutdown, ChildType, FullChildSpec, FullSupervisorSpec, Strategy } from './child-spec.ts'
import type { Activity, Event } from './effects.ts'
import type { Intensity, RestartType } from './restart.ts'
import { RestartWindow } from './restart.ts'

/** stopped: a spec without a process. restarting: about to be started again, now or after a delay. */
export type ChildPhase = 'stopped' | 'starting' | 'running' | 'stopping' | 'restarting'

/** Who waits for which delay. A retry that is no longer its child's own is void. */
export interface Retry {
  readonly delayMs: number
  /** Whether its restart was counted when it was decided: a crash is, a failed start counts when it is tried again. */
  readonly counted: boolean
}

/** One row of a supervisor's table. */
export interface Child {
  readonly id: string
  spec: FullChildSpec
  /** What its start is given. A temporary child on demand, which is never started again, does not keep it (rule 60). */
  args: unknown
  phase: ChildPhase
  /** Its process, from the moment of its birth until its end is known. */
  pid: Pid | undefined
  /** It ended by itself while the supervisor was busy with others; judged when their turn is over. */
  ended: ExitReason | undefined
  retry: Retry | undefined
  /** Restarts in a row without a stable run between them: the place in the backoff. */
  attempt: number
  runningSinceMs: number
  restarts: number
  lastReason: ExitReason | undefined
}

/** What people and programs may know of a child. */
export interface ChildInfo {
  readonly id: string
  /** Undefined: no process at present. */
  readonly pid: Pid | undefined
  readonly phase: ChildPhase
  readonly type: ChildType
  readonly restart: RestartType
  readonly significant: boolean
  /** How often it was started again since it was added. */
  readonly restarts: number
  readonly lastReason: ExitReason | undefined
  /** The whole delay that it waits for before it is started again. */
  readonly retryDelayMs: number | undefined
}

/** `active` counts processes; the rest count specs. */
export interface ChildCounts {
  readonly specs: number
  readonly active: number
  readonly supervisors: number
  readonly workers: number
}

/** opening: the first start of all. open: in service. closing: ends when the last child has. */
export type Mode = 'opening' | 'open' | 'closing' | 'closed'

/** Everything that one supervisor of listed children knows. Consumed and given back by `decide`. */
export interface SupervisorState {
  strategy: Strategy
  autoShutdown: AutoShutdown
  intensity: Intensity
  periodMs: number
  mode: Mode
  /** In start order: a Map keeps the order of insertion, and a restart keeps the place. */
  readonly children: Map<string, Child>
  readonly byPid: PidTable
  readonly window: RestartWindow
  readonly rng: Rng
  activity: Activity | undefined
  /** What has to wait until the activity is over, in arrival order. */
  readonly deferred: Deferred<Event>
}

export function createState(spec: FullSupervisorSpec, rng: Rng): SupervisorState {
  return {
    strategy: spec.strategy,
    autoShutdown: spec.autoShutdown,
    intensity: spec.intensity,
    periodMs: spec.periodMs,
    mode: 'opening',
    children: new Map(spec.children.map((child) => [child.id, createChild(child.id, child)])),
    byPid: new PidTable(),
    window: new RestartWindow(spec.intensity, spec.periodMs),
    rng,
    activity: undefined,
    deferred: new Deferred(),
  }
}

export function createChild(id: string, spec: FullChildSpec, args: unknown = spec.args): Child {
  return {
    id,
    spec,
    args,
    phase: 'stopped',
    pid: undefined,
    ended: undefined,
    retry: undefined,
    attempt: 0,
    runningSinceMs: 0,
    restarts: 0,
    lastReason: undefined,
  }
}

/** Finds a child by its process in constant time. Children live on the supervisor's own node, so serials are unique. */
export class PidTable {
  readonly #children = new Map<number | string, Child>()

  get size(): number {
    return this.#children.size
  }

  get(pid: Pid): Child | undefined {
    const child = this.#children.get(pid.id)
    return child?.pid !== undefined && samePid(child.pid, pid) ? child : undefined
  }

  set(pid: Pid, child: Child): void {
    this.#children.set(pid.id, child)
  }

  delete(pid: Pid): void {
    this.#children.delete(pid.id)
  }
}

/** A process that is, or is thought to be, there. */
export function hasProcess(child: Child): boolean {
  return child.phase === 'running' || child.phase === 'stopping'
}

export function childInfo(child: Child): ChildInfo {
  return {
    id: child.id,
    pid: hasProcess(child) ? child.pid : undefined,
    phase: child.phase,
    type: child.spec.type,
    restart: child.spec.restart,
    significant: child.spec.significant,
    restarts: child.restarts,
    lastReason: child.lastReason,
    retryDelayMs: child.retry?.delayMs,
  }
}

export function countChildren(children: Iterable<Child>): ChildCounts {
  const counts = { specs: 0, active: 0, supervisors: 0, workers: 0 }
  for (const child of children) {
    counts.specs++
    if (hasProcess(child) && child.ended === undefined) counts.active++
    if (child.spec.type === 'supervisor') counts.supervisors++
    else counts.workers++
  }
  return counts
}

/** First in, first out. A storm puts a thousand events here at once, so taking one must not move the others. */
export class Deferred<T> {
  #items: T[] = []
  #taken = 0

  get length(): number {
    return this.#items.length - this.#taken
  }

  push(item: T): void {
    this.#items.push(item)
  }

  take(): T | undefined {
    if (this.#taken === this.#items.length) {
      if (this.#taken > 0) this.clear()
      return undefined
    }
    return this.#items[this.#taken++]
  }

  clear(): void {
    this.#items = []
    this.#taken = 0
  }
}

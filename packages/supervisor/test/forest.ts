import type { TestSystem } from '@daruma/actors/testing'
import type { Pid } from '@daruma/protocol'
import { exitKill, exitNormal, exitShutdown } from '@daruma/protocol'
import type { ChildSpec, SupervisorNode, SupervisorReport } from '../src/index.ts'
import {
  dynamicSupervisor,
  startDynamicChild,
  startSupervisor,
  startWith,
  supervisionTree,
  supervisor,
} from '../src/index.ts'
import type { StartAct, StopAct } from '../src/testing.ts'
import { unstable } from '../src/testing.ts'

export type Restart = 'permanent' | 'transient' | 'temporary'

export interface Leaf {
  readonly kind: 'leaf'
  readonly restart: Restart
  readonly starts: readonly StartAct[]
  readonly stop: StopAct
  readonly shutdownMs: number | 'brutal_kill'
  readonly backoffMs: number | undefined
}
export interface Branch {
  readonly kind: 'branch'
  readonly strategy: 'one_for_one' | 'one_for_all' | 'rest_for_one'
  readonly intensity: number
  readonly restart: Restart
  readonly children: readonly Node[]
}
export interface Pool {
  readonly kind: 'pool'
  readonly restart: Restart
}
export type Node = Leaf | Branch | Pool

export type Move =
  | { readonly kind: 'crash' | 'exit' | 'kill'; readonly victim: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'add'; readonly pool: number }

/** A random tree at work, and what has to hold of it. */
export class Forest {
  readonly #stage: TestSystem
  /** Label of each living process. */
  readonly #living = new Map<Pid, string>()
  readonly #twice: string[] = []
  /** Intensity of the supervisor that a child has. */
  readonly #intensities = new Map<string, number>()
  readonly #ended: string[] = []
  #top: Pid | undefined
  #serial = 0
  #boundMs = 0

  constructor(stage: TestSystem) {
    this.#stage = stage
    stage.system.events.subscribe((event) => {
      if (event.kind === 'spawned') {
        const label = this.#labelOf(event.pid)
        if ([...this.#living.values()].includes(label)) this.#twice.push(label)
        this.#living.set(event.pid, label)
      }
      if (event.kind === 'exited') {
        this.#ended.push(this.#living.get(event.pid)!)
        this.#living.delete(event.pid)
      }
    })
  }

  get isAlive(): boolean {
    return this.#top !== undefined && this.#stage.system.isAlive(this.#top)
  }

  async start({ strategy, intensity, children }: Branch): Promise<void> {
    const spec = { strategy, intensity, children: children.map((child) => this.#spec(child)) }
    for (const { id } of spec.children) this.#intensities.set(id, intensity)
    const starting = startSupervisor(this.#stage.system, spec, { label: 'root' })
    await this.#stage.runUntilIdle()
    this.#top = await starting
  }

  async play(move: Move, killsSupervisors: boolean): Promise<void> {
    const { system } = this.#stage
    if (move.kind === 'wait') return this.#stage.advance(move.ms)
    if (move.kind === 'add') {
      const pools = [...this.#living].filter(([, label]) => label.startsWith('pool'))
      const pool = pools[move.pool % Math.max(pools.length, 1)]
      if (pool !== undefined)
        void startDynamicChild<string>(system, pool[0], `job ${++this.#serial}`).catch(() => undefined)
    } else {
      const leaves = [...this.#living].filter(([, label]) => label.startsWith('leaf') || label.startsWith('job'))
      const victims = move.kind === 'kill' && killsSupervisors ? [...this.#living] : leaves
      const [pid] = victims[move.victim % Math.max(victims.length, 1)] ?? []
      if (pid === undefined) return
      if (move.kind === 'kill') system.exit(pid, exitKill)
      else system.send(pid, move.kind === 'crash' ? { kind: 'crash' } : { kind: 'exit', reason: exitNormal })
    }
    await this.#stage.runUntilIdle()
  }

  /** What is wrong, whenever nothing is on its way but timers. */
  problems(killsSupervisors: boolean): string[] {
    // The children of a killed supervisor end by themselves, which takes a moment; its successor does not know of them.
    if (killsSupervisors) this.#twice.length = 0
    const labels = [...this.#living.values()]
    const doubles = labels.filter((label, at) => labels.indexOf(label) !== at)
    const orphans = [...this.#living].filter(([pid, label]) => pid !== this.#top && !this.#hasParent(pid, label))
    return [
      ...[...this.#twice, ...doubles].map((label) => `${label} runs twice`),
      ...orphans.map(([, label]) => `${label} is an orphan`),
      ...this.#excesses(),
    ]
  }

  /** Stops the tree; what was wrong with that. */
  async stop(): Promise<string[]> {
    const { system } = this.#stage
    const problems: string[] = []
    if (this.isAlive) {
      // Whatever is being stopped or started may take its time; then all that is left.
      const before = supervisionTree(system, this.#top!)!
      this.#ended.length = 0
      system.exit(this.#top!, exitShutdown)
      await this.#stage.advance(this.#boundMs + this.#serial * 5_000 + 1_000)
      problems.push(...this.#disorders(before))
    } else await this.#stage.advance(this.#boundMs + 1_000)
    return [
      ...problems,
      ...this.#twice.map((label) => `${label} ran twice`),
      ...Array.from(this.#living.values(), (label) => `${label} is left behind`),
    ]
  }

  /** Direct children of one supervisor, where nothing was under way, end in reverse. */
  #disorders(node: SupervisorNode): string[] {
    if (!isSettled(node) || node.kind === 'dynamic_supervisor') return []
    const labels = node.children.map(({ id }) => id)
    const ended = this.#ended.filter((label) => labels.includes(label))
    if (new Set(ended).size !== ended.length) return []
    const wanted = labels.filter((label) => ended.includes(label)).reverse()
    const problems = ended.join() === wanted.join() ? [] : [`ended as ${ended.join()}, not as ${wanted.join()}`]
    const inner = node.children.flatMap(({ supervisor }) =>
      supervisor === undefined ? [] : this.#disorders(supervisor),
    )
    return [...problems, ...inner]
  }

  /** Supervisors that restarted more often within a window than they may. */
  #excesses(): string[] {
    const restarts = new Map<Pid, number[]>()
    return this.#stage.events.flatMap((event) => {
      if (event.kind !== 'report' || event.topic !== 'supervisor') return []
      const report = event.data as SupervisorReport
      if (report.kind !== 'crash' || report.nextDelayMs === undefined) return []
      const second = Math.floor((report.atWallMs - Date.UTC(2026, 0, 1)) / 1_000)
      const all = [...(restarts.get(report.supervisor) ?? []), second]
      restarts.set(report.supervisor, all)
      // Jobs are in pools, which allow 3.
      const intensity = this.#intensities.get(report.child!) ?? 3
      const count = Math.max(all.filter((at) => at >= second - 5).length, report.restartsInWindow)
      return count > intensity ? [`${count} restarts around ${report.child} where ${intensity} are allowed`] : []
    })
  }

  /** Its parent lives, and lists it or is about to: while a supervisor opens, it lists nobody yet. */
  #hasParent(pid: Pid, label: string): boolean {
    const { system } = this.#stage
    const { parent } = system.processInfo(pid)!
    const tree = supervisionTree(system, parent)
    if (tree === undefined) return system.isAlive(parent)
    return tree.children.some(
      (child) => child.pid === pid || (child.phase === 'starting' && (child.id === label || label.startsWith('job'))),
    )
  }

  #labelOf(pid: Pid): string {
    return this.#stage.system.processInfo(pid)?.behavior ?? String(pid)
  }

  #spec(node: Node): ChildSpec {
    const id = `${node.kind} ${++this.#serial}`
    const spawn = { label: id }
    switch (node.kind) {
      case 'leaf': {
        const { restart, shutdownMs, starts, stop, backoffMs } = node
        this.#boundMs += 100
        const backoff = backoffMs === undefined ? {} : { backoff: { initialMs: backoffMs } }
        return { id, start: unstable(id, { starts, stop }), restart, shutdownMs, spawn, ...backoff }
      }
      case 'pool': {
        const start = startWith((label: string) => ({ start: unstable(label), spawn: { label } }))
        return { id, start: dynamicSupervisor<string>({ child: { start } }), restart: node.restart, spawn }
      }
      case 'branch': {
        const { strategy, intensity, restart } = node
        const children = node.children.map((child) => this.#spec(child))
        for (const child of children) this.#intensities.set(child.id, intensity)
        return { id, start: supervisor({ strategy, intensity, children }), restart, spawn }
      }
    }
  }
}

/** Nothing is under way in it: neither a start or a stop, nor an end that may reach further up. */
function isSettled({ mode, children }: SupervisorNode): boolean {
  return (
    mode === 'open' &&
    children.every(
      ({ phase, supervisor }) =>
        (phase === 'running' || phase === 'stopped') && (supervisor === undefined || isSettled(supervisor)),
    )
  )
}

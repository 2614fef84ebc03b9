import type { ActorSystem, ProcessTree } from '@daruma/actors'
import type { ExitReason, Pid } from '@daruma/protocol'
import { AppError, exitKill, exitShutdown, samePid } from '@daruma/protocol'
import type { SupervisorSpec } from './child-spec.ts'
import type { Supervisor } from './messages.ts'
import { supervisor } from './supervisor.ts'

/** A root tree of its own, and what must run before it. */
export interface ApplicationSpec {
  /** Registered for its root supervisor. */
  readonly name: string
  readonly dependsOn?: readonly string[]
  readonly tree: SupervisorSpec
  /** How long all its children together may take to start. Default `Infinity`. */
  readonly startTimeoutMs?: number
}

/** Names in an order in which each comes after all it depends on, otherwise as listed. @throws AppError invalid */
export function startOrder(specs: readonly ApplicationSpec[]): readonly ApplicationSpec[] {
  const byName = new Map<string, ApplicationSpec>()
  const problems: string[] = []
  for (const spec of specs) {
    if (byName.has(spec.name)) problems.push(`${spec.name} is listed twice`)
    byName.set(spec.name, spec)
  }
  const order: ApplicationSpec[] = []
  const done = new Set<string>()
  const visit = (spec: ApplicationSpec, path: readonly string[]): void => {
    if (done.has(spec.name)) return
    const since = path.indexOf(spec.name)
    if (since >= 0) {
      problems.push(`${[...path.slice(since), spec.name].join(' -> ')} is a circle`)
      return
    }
    for (const name of spec.dependsOn ?? []) {
      const needed = byName.get(name)
      if (needed === undefined) problems.push(`${spec.name} depends on ${name}, which is not listed`)
      else visit(needed, [...path, spec.name])
    }
    if (done.has(spec.name)) return
    done.add(spec.name)
    order.push(spec)
  }
  for (const spec of specs) visit(spec, [])
  if (problems.length > 0) {
    throw new AppError('invalid', `the applications cannot be ordered:\n  ${problems.join('\n  ')}`, { problems })
  }
  return order
}

/**
 * The order in levels: an application stands one level above the highest that it depends on, so that those of one level
 * need nothing of each other. @throws AppError invalid - as `startOrder`
 */
export function startLevels(specs: readonly ApplicationSpec[]): readonly (readonly ApplicationSpec[])[] {
  const levels: ApplicationSpec[][] = []
  const levelOf = new Map<string, number>()
  for (const spec of startOrder(specs)) {
    const level = Math.max(-1, ...(spec.dependsOn ?? []).map((name) => levelOf.get(name)!)) + 1
    levelOf.set(spec.name, level)
    ;(levels[level] ??= []).push(spec)
  }
  return levels
}

export interface StartApplicationsOptions {
  /** Those that need nothing of each other start, and stop, at the same time. Default false: one after the other. */
  readonly parallel?: boolean
}

/** A running application. */
export interface Application {
  readonly name: string
  readonly root: Supervisor
  /** How its root ended, whoever's will that was. */
  readonly ended: Promise<ExitReason>
}

/** Applications that were started together. */
export class Applications {
  /** In start order; those of one level started at the same time. */
  readonly levels: readonly (readonly Application[])[]
  readonly #system: ActorSystem
  #stopping: Promise<boolean> | undefined

  constructor(system: ActorSystem, levels: readonly (readonly Application[])[]) {
    this.#system = system
    this.levels = levels
  }

  get running(): readonly Application[] {
    return this.levels.flat()
  }

  /**
   * Stops them in reverse order, each level after the one above has ended. What has not ended `deadlineMs` (default
   * 30,000) after the call is killed, the whole tree of it. True: all ended in time. A second call is the first.
   */
  stop(options: { readonly deadlineMs?: number } = {}): Promise<boolean> {
    this.#stopping ??= this.#stop(options.deadlineMs ?? 30_000)
    return this.#stopping
  }

  /** What `stop` does at its deadline, now: for the second signal of an impatient operator. */
  kill(): void {
    for (const { root } of this.running) killTree(this.#system, root)
  }

  async #stop(deadlineMs: number): Promise<boolean> {
    const system = this.#system
    let isLate = false
    const cancel = system.clock.after(deadlineMs, () => {
      isLate = true
      this.kill()
    })
    for (const level of [...this.levels].reverse()) {
      for (const { root } of level) system.exit(root, exitShutdown)
      await Promise.all(level.map(({ ended }) => ended))
    }
    cancel()
    return !isLate
  }
}

/**
 * Starts each application after all it depends on. If one fails to start, those that run are stopped in reverse.
 *
 * @throws AppError invalid - circles, unknown or double names; every one of them
 * @throws AppError unavailable - one did not start; `details.name`, and the cause
 */
export async function startApplications(
  system: ActorSystem,
  specs: readonly ApplicationSpec[],
  options: StartApplicationsOptions = {},
): Promise<Applications> {
  const levels = options.parallel === true ? startLevels(specs) : startOrder(specs).map((spec) => [spec])
  const running: Application[][] = []
  for (const level of levels) {
    const outcomes = await Promise.allSettled(level.map((spec) => startOne(system, spec)))
    running.push(outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])))
    const failed = outcomes.findIndex(({ status }) => status === 'rejected')
    if (failed < 0) continue
    await new Applications(system, running).stop()
    const { name } = level[failed]!
    const { reason: cause } = outcomes[failed] as PromiseRejectedResult
    throw new AppError('unavailable', `application ${name} did not start`, { name }, { cause })
  }
  return new Applications(system, running)
}

async function startOne(system: ActorSystem, { name, tree, startTimeoutMs }: ApplicationSpec): Promise<Application> {
  const limit = startTimeoutMs === undefined ? {} : { startMs: startTimeoutMs }
  const root = await system.start(supervisor(tree), { name, label: `application ${name}`, ...limit })
  return { name, root, ended: system.exited(root) }
}

/** With all that descends from `root`: a process that ignores the end of its parent must not outlive it. */
function killTree(system: ActorSystem, root: Pid): void {
  const doomed: Pid[] = []
  const collect = (tree: ProcessTree): void => {
    doomed.push(tree.pid)
    for (const child of tree.children) collect(child)
  }
  for (const tree of system.tree()) if (samePid(tree.pid, root)) collect(tree)
  // Parents go first, so that they restart nobody.
  for (const pid of doomed) system.exit(pid, exitKill)
}

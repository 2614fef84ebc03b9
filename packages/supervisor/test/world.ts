import type { ExitReason, NodeId } from '@daruma/protocol'
import { exitKilled, exitNoproc, exitShutdown, Home, Pid, seededRng } from '@daruma/protocol'
import { SimClock } from '@daruma/protocol/testing'
import type { ChildSpec, SupervisorFlags } from '../src/child-spec.ts'
import { completeChildSpec, flagDefaults } from '../src/child-spec.ts'
import type { Effect, Event, Reply, Request } from '../src/effects.ts'
import type { ChildReport } from '../src/report.ts'
import { decide } from '../src/strategy.ts'
import type { Child, Retry, SupervisorState } from '../src/table.ts'
import { createState } from '../src/table.ts'

/** How the start of a child goes, each time it is started. */
export type StartPlan = 'ok' | 'late' | 'fail' | 'late_fail' | 'ignore'
/** What a child does with an exit signal `shutdown`. */
export type StopPlan = 'obey' | 'ignore' | 'late' | 'normal' | 'crash'

export interface Plan {
  start(id: string, times: number): StartPlan
  stop(id: string): StopPlan
}

interface FakeProcess {
  readonly pid: Pid
  readonly child: Child
  alive: boolean
  isStarting?: boolean
  cancelDeadline?: () => unknown
}

export const crash: ExitReason = { kind: 'error', error: { kind: 'internal', message: 'boom' } }
const lateMs = 40

/**
 * Performs what `decide` wants on processes that are only pretended, under simulated time, and writes down what happened.
 * `log` reads like `start a`, `stop b`, `kill b`, `end b`, `exit shutdown`.
 */
export class World {
  readonly clock = new SimClock()
  readonly state: SupervisorState
  readonly log: string[] = []
  readonly reports: ChildReport[] = []
  readonly replies = new Map<unknown, Reply>()
  readonly processes: FakeProcess[] = []
  opened = false
  exit: ExitReason | undefined
  /** Called before each effect is performed. */
  watch: (effect: Effect) => void = () => undefined
  readonly #home = new Home('sim' as NodeId, 1, 'test')
  readonly #plan: Plan
  readonly #mail: Event[] = []
  readonly #retries = new Map<Retry, () => unknown>()
  readonly #started = new Map<string, number>()
  #busy = false
  #serial = 0

  constructor(spec: SupervisorFlags & { readonly children: readonly Partial<ChildSpec>[] }, plan: Partial<Plan> = {}) {
    const children = spec.children.map((child) => this.spec(child))
    this.state = createState({ ...flagDefaults, ...spec, children }, seededRng('world'))
    this.#plan = { start: plan.start ?? (() => 'ok'), stop: plan.stop ?? (() => 'obey') }
  }

  spec(child: Partial<ChildSpec>) {
    return completeChildSpec({ id: 'x', start: () => undefined, ...child })
  }

  open(): this {
    this.tell({ kind: 'open' })
    return this
  }

  /** What comes into the supervisor's mailbox; handled one at a time. */
  tell(event: Event): void {
    this.#mail.push(event)
    if (this.#busy) return
    this.#busy = true
    for (let mail = this.#mail.shift(); mail !== undefined; mail = this.#mail.shift()) this.#decide(mail)
    this.#busy = false
  }

  request(request: Request): unknown {
    const to = Symbol(request.kind)
    this.tell({ kind: 'request', request, to })
    return to
  }

  /** The reply to a request that can be answered at once. */
  ask(request: Request): Reply | undefined {
    return this.replies.get(this.request(request))
  }

  crash(id: string, reason: ExitReason = crash): void {
    const process = this.running(id)
    if (process !== undefined) this.#end(process, reason)
  }

  running(id: string): FakeProcess | undefined {
    return this.processes.findLast(({ child, alive }) => alive && child.id === id)
  }

  /** Ids of living processes, in the order of their birth. */
  get living(): string[] {
    return this.processes.filter(({ alive }) => alive).map(({ child }) => child.id)
  }

  phases(): Record<string, string> {
    return Object.fromEntries([...this.state.children.values()].map((child) => [child.id, child.phase]))
  }

  /** Forgets what was logged so far. */
  clear(): this {
    this.log.length = 0
    this.reports.length = 0
    return this
  }

  #decide(event: Event): void {
    // Answers of the host to its own effects are no mail: they come before anything else.
    const answers: Event[] = [event]
    for (let next = answers.shift(); next !== undefined; next = answers.shift()) {
      const [, effects] = decide(this.state, next, this.clock.monotonicMs())
      for (const effect of effects) {
        this.watch(effect)
        this.#perform(effect, answers)
      }
    }
  }

  #perform(effect: Effect, answers: Event[]): void {
    switch (effect.kind) {
      case 'start':
        return this.#start(effect.child, answers)
      case 'abort_start':
        for (const process of this.processes) {
          if (process.child === effect.child && process.alive) {
            process.alive = false
            answers.push({ kind: 'start_failed', child: effect.child, reason: exitKilled })
          }
        }
        return
      case 'stop':
        return this.#stop(effect)
      case 'kill': {
        const process = this.#find(effect.pid)
        this.log.push(`kill ${process.child.id}`)
        if (process.alive) this.#end(process, exitKilled)
        return
      }
      case 'arm_retry': {
        const { child, retry } = effect
        const fire = (): void => this.tell({ kind: 'retry', child, retry })
        this.#retries.set(retry, this.clock.after(retry.delayMs, fire))
        return
      }
      case 'disarm_retry':
        this.#retries.get(effect.retry)?.()
        return
      case 'reply':
        this.replies.set(effect.to, effect.reply)
        return
      case 'report':
        this.reports.push(effect.report)
        return
      case 'opened':
        this.opened = true
        return
      case 'exit':
        this.exit = effect.reason
        this.log.push(`exit ${effect.reason.kind}`)
    }
  }

  #start(child: Child, answers: Event[]): void {
    const times = (this.#started.get(child.id) ?? 0) + 1
    this.#started.set(child.id, times)
    this.log.push(`start ${child.id}`)
    const plan = this.#plan.start(child.id, times)
    if (plan === 'ignore') {
      answers.push({ kind: 'start_ignored', child })
      return
    }
    if (plan === 'fail') {
      answers.push({ kind: 'start_failed', child, reason: crash })
      return
    }
    const process: FakeProcess = { pid: new Pid(this.#home, ++this.#serial), child, alive: true }
    this.processes.push(process)
    if (plan === 'ok') {
      answers.push({ kind: 'started', child, pid: process.pid })
      return
    }
    process.isStarting = true
    answers.push({ kind: 'spawned', child, pid: process.pid })
    this.clock.after(lateMs, () => {
      if (!process.alive) return
      process.isStarting = false
      if (plan === 'late') return this.tell({ kind: 'started', child, pid: process.pid })
      process.alive = false
      this.tell({ kind: 'start_failed', child, reason: crash })
    })
  }

  #stop({ child, pid, shutdownMs }: Extract<Effect, { kind: 'stop' }>): void {
    this.log.push(`stop ${child.id}`)
    const process = this.#find(pid)
    if (!process.alive) return this.tell({ kind: 'ended', pid, reason: exitNoproc })
    if (shutdownMs === 'brutal_kill') return this.#end(process, exitKilled)
    if (shutdownMs !== 'infinity') {
      process.cancelDeadline = this.clock.after(shutdownMs, () => this.tell({ kind: 'deadline', child, pid }))
    }
    const end = (reason: ExitReason): void => (process.alive ? this.#end(process, reason) : undefined)
    switch (this.#plan.stop(child.id)) {
      case 'obey':
        return end(exitShutdown)
      case 'normal':
        return end({ kind: 'normal' })
      case 'crash':
        return end(crash)
      case 'late':
        this.clock.after(lateMs, () => end(exitShutdown))
        return
      case 'ignore':
        return
    }
  }

  #end(process: FakeProcess, reason: ExitReason): void {
    process.alive = false
    process.cancelDeadline?.()
    this.log.push(`end ${process.child.id}`)
    this.tell({ kind: 'ended', pid: process.pid, reason })
    if (process.isStarting === true) this.tell({ kind: 'start_failed', child: process.child, reason })
  }

  #find(pid: Pid): FakeProcess {
    return this.processes.find((process) => process.pid === pid)!
  }
}

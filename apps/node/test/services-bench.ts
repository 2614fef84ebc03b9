import { seededRng, type LogLevel } from '@daruma/protocol'
import { SimClock } from '@daruma/protocol/testing'
import type { Entry } from '@daruma/registry'
import { entry } from '@daruma/registry/testing'
import type { Run, Service } from '../src/services/service.ts'
import { createServices, type Services } from '../src/services/services.ts'
import type { ServiceStatus } from '../src/services/status.ts'

/** What a service of the bench does when it is started or asked to stop. */
export type Act = 'well' | 'never' | Error

/** A service that does what its script says and writes down what is done to it. */
export class Scripted implements Service {
  readonly id: string
  /** One act per start; the last one again and again. */
  onStart: Act[] = ['well']
  onStop: Act = 'well'
  starts = 0
  /** Runs that are up now: never more than one. */
  running = 0
  readonly #log: string[]
  #lateStart: (() => void) | undefined
  #settle: { readonly finish: () => void; readonly crash: (error: Error) => void } | undefined

  constructor(id: string, log: string[]) {
    this.id = id
    this.#log = log
  }

  start(signal: AbortSignal): Promise<Run> {
    this.#log.push(`start ${this.id}`)
    const act = this.onStart[Math.min(this.starts++, this.onStart.length - 1)]!
    if (act instanceof Error) return Promise.reject(act)
    if (act === 'well') return Promise.resolve(this.#run())
    signal.addEventListener('abort', () => this.#log.push(`abort ${this.id}`))
    return new Promise((resolve) => (this.#lateStart = () => resolve(this.#run())))
  }

  /** The start that hangs comes up after all. */
  comeUp(): void {
    this.#lateStart?.()
    this.#lateStart = undefined
  }

  crash(error: Error): void {
    this.#settle?.crash(error)
  }

  finish(): void {
    this.#settle?.finish()
  }

  #run(): Run {
    this.running++
    this.#log.push(`up ${this.id}`)
    let isOver = false
    const over = (how: string): boolean => {
      if (isOver) return false
      isOver = true
      this.running--
      this.#log.push(`${how} ${this.id}`)
      return true
    }
    let finish!: () => void
    let crash!: (error: Error) => void
    const ended = new Promise<void>((resolve, reject) => {
      finish = () => void (over('finished') && resolve())
      crash = (error) => void (over('crashed') && reject(error))
    })
    this.#settle = { finish, crash }
    return {
      ended,
      stop: () => {
        this.#log.push(`stop ${this.id}`)
        if (this.onStop instanceof Error) return Promise.reject(this.onStop)
        if (this.onStop === 'never') return new Promise(() => undefined)
        over('gone')
        return Promise.resolve()
      },
      kill: () => void over('killed'),
    }
  }
}

/** Services under simulated time. */
export class Bench {
  readonly clock = new SimClock()
  readonly log: string[] = []
  readonly records: { readonly level: LogLevel; readonly message: string }[] = []
  readonly scripts = new Map<string, Scripted>()
  readonly services: Services

  /** All entries are services, but `library.lua` and `registry.entry`. */
  constructor(entries: readonly Entry[]) {
    this.services = createServices({
      entries,
      make: ({ id, kind }) => {
        if (kind === 'library.lua' || kind === 'registry.entry') return undefined
        const script = new Scripted(id, this.log)
        this.scripts.set(id, script)
        return script
      },
      clock: this.clock,
      rng: seededRng('bench'),
      logger: { log: (level, message) => void this.records.push({ level, message }) },
    })
  }

  of(name: string): Scripted {
    return this.scripts.get(`app:${name}`)!
  }

  statusOf(name: string): ServiceStatus {
    return this.services.status().find(({ id }) => id === `app:${name}`)!
  }

  stateOf(name: string): string {
    return this.statusOf(name).state
  }

  /** Until every promise that could has settled; time stands still. */
  settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }

  /** Moves time forward; after each timer everything settles. */
  async advance(byMs: number): Promise<void> {
    await this.settle()
    const untilMs = this.clock.monotonicMs() + byMs
    for (let dueMs = this.clock.nextDueMs; dueMs !== undefined && dueMs <= untilMs; dueMs = this.clock.nextDueMs) {
      this.clock.advanceToNext()
      await this.settle()
    }
    this.clock.advance(untilMs - this.clock.monotonicMs())
    await this.settle()
  }

  /** Lines of the log since the last call. */
  news(): string[] {
    return this.log.splice(0)
  }
}

/** An entry that starts with the node, without chance in its backoff. */
export function auto(name: string, lifecycle: Record<string, unknown> = {}): Entry {
  const { restart, ...rest } = lifecycle
  return entry(`app:${name}`, 'store.memory', {
    lifecycle: { auto_start: true, restart: { jitter: 0, ...(restart as object | undefined) }, ...rest },
  })
}

/** The same, started only by hand or for others. */
export const manual = (name: string, lifecycle: Record<string, unknown> = {}): Entry =>
  auto(name, { ...lifecycle, auto_start: false })

import { type CancelTimer, type Clock, type Rng, unreachable } from '@daruma/protocol'
import {
  decideService,
  factsOf,
  initialService,
  isFinished,
  isRetrying,
  restartsAt,
  stateOf,
  type ServiceEffect,
  type ServiceEvent,
  type ServicePolicy,
  type ServiceSnapshot,
  type ServiceState,
  type TimerEvent,
} from '../service-lifecycle.ts'
import { failureOf } from './failure.ts'
import type { Run, Service } from './service.ts'
import type { ServiceStatus } from './status.ts'

export interface UnitParts {
  readonly kind: string
  readonly service: Service
  readonly policy: ServicePolicy
  readonly clock: Clock
  readonly rng: Rng
  /** Told after each change of state, with the state before. */
  readonly changed: (unit: ServiceUnit, before: ServiceState) => void
}

/** One start and what came of it. Its outcome counts only while it is the unit's current one. */
interface Attempt {
  readonly abort: AbortController
  fate: 'wanted' | 'stopping' | 'killed'
  stopWithinMs: number
  run: Run | undefined
  /** From the moment it is asked to stop. Asked once. */
  stopped: Promise<void> | undefined
}

/** One service under its chart: performs what the chart decides, and tells it what happened. */
export class ServiceUnit {
  readonly id: string
  readonly kind: string
  /** To be started as soon as what it requires runs. */
  startPending = false
  /** To be stopped as soon as what requires it has stopped. */
  stopPending = false
  /** Its next attempt is due, but what it requires does not run. */
  retryHeld = false
  readonly #parts: UnitParts
  #snapshot: ServiceSnapshot
  #sinceMs: number
  #dueMs: number | undefined = undefined
  #attempt: Attempt | undefined = undefined
  #cancelTimer: CancelTimer | undefined = undefined
  /** A run without `kill` that ends in its own time. Never rejects. */
  #closing: Promise<void> | undefined = undefined
  readonly #leftovers = new Set<Promise<unknown>>()

  constructor(parts: UnitParts) {
    this.id = parts.service.id
    this.kind = parts.kind
    this.#parts = parts
    this.#snapshot = initialService(parts.policy)
    this.#sinceMs = parts.clock.wallMs()
  }

  get state(): ServiceState {
    return stateOf(this.#snapshot)
  }

  /** Has a run, or is about to. */
  get isActive(): boolean {
    const { state } = this
    return state === 'starting' || state === 'running' || state === 'stopping'
  }

  /** What requires it may start: it runs, or did its work and ended well, as a migration does. */
  get isThere(): boolean {
    return this.state === 'running' || isFinished(this.#snapshot)
  }

  get isRetrying(): boolean {
    return isRetrying(this.#snapshot)
  }

  get wasKilled(): boolean {
    return factsOf(this.#snapshot).wasKilled
  }

  /** What was killed and has not ended all the same: closes and starts that nobody can cut short. None rejects. */
  get leftovers(): readonly Promise<unknown>[] {
    return [...this.#leftovers]
  }

  get status(): ServiceStatus {
    const facts = factsOf(this.#snapshot)
    const pid = this.state === 'running' ? this.#attempt?.run?.pid : undefined
    return {
      id: this.id,
      kind: this.kind,
      state: this.state,
      sinceMs: this.#sinceMs,
      restarts: restartsAt(facts, this.#parts.clock.monotonicMs()),
      ...(facts.lastReason === undefined ? {} : { lastReason: facts.lastReason }),
      ...(this.isRetrying && this.#dueMs !== undefined ? { nextAttemptMs: this.#dueMs } : {}),
      ...(isFinished(this.#snapshot) ? { finished: true } : {}),
      ...(pid === undefined ? {} : { pid: String(pid) }),
    }
  }

  send(event: ServiceEvent): void {
    const before = this.state
    const wasAt = this.#snapshot
    const [snapshot, effects] = decideService(wasAt, event)
    this.#snapshot = snapshot
    for (const effect of effects) this.#perform(effect)
    if (this.state === before) return
    this.#sinceMs = this.#parts.clock.wallMs()
    this.#parts.changed(this, before)
  }

  #perform(effect: ServiceEffect): void {
    switch (effect.kind) {
      case 'start_run': {
        const attempt: Attempt = {
          abort: new AbortController(),
          fate: 'wanted',
          stopWithinMs: 0,
          run: undefined,
          stopped: undefined,
        }
        this.#attempt = attempt
        // A start is watched from its first moment: killed, it may be left over.
        const started = this.#start(attempt)
        attempt.abort.signal.addEventListener('abort', () => this.#leave(started), { once: true })
        return
      }
      case 'stop_run':
        return this.#askToStop(effect.deadlineMs)
      case 'kill_run':
        return this.#kill()
      case 'arm':
        return this.#arm(effect.event, effect.delayMs)
      case 'disarm':
        this.#cancelTimer?.()
        this.#cancelTimer = undefined
        this.#dueMs = undefined
        this.retryHeld = false
        return
      default:
        return unreachable(effect)
    }
  }

  #arm(event: TimerEvent, delayMs: number): void {
    const { clock, rng } = this.#parts
    this.#dueMs = clock.wallMs() + delayMs
    this.#cancelTimer = clock.after(delayMs, () => {
      if (event === 'retry_due') {
        // Whether it may start is not this unit's to know: whoever keeps the order sends the event.
        this.retryHeld = true
        return this.#parts.changed(this, this.state)
      }
      if (event === 'stop_timeout') return this.send({ type: event })
      this.send({ type: event, nowMs: clock.monotonicMs(), random: rng.next() })
    })
  }

  // From here on attempts. What an attempt tells is heard only while it is the current one: see `#tell`.

  async #start(attempt: Attempt): Promise<void> {
    if (this.#closing !== undefined) {
      // What cannot be killed is not started beside itself.
      await this.#closing
      if (attempt.fate !== 'wanted') return this.#over(attempt)
    }
    let run: Run
    try {
      run = await this.#parts.service.start(attempt.abort.signal)
    } catch (error) {
      return this.#over(attempt, error)
    }
    attempt.run = run
    run.ended?.then(
      () => this.#over(attempt),
      (error: unknown) => this.#over(attempt, error),
    )
    if (attempt.fate === 'wanted') return this.#tell(attempt, { type: 'up', nowMs: this.#parts.clock.monotonicMs() })
    if (attempt.fate === 'stopping') return this.#stop(attempt, run)
    return this.#killRun(attempt, run)
  }

  #askToStop(deadlineMs: number): void {
    const attempt = this.#attempt
    if (attempt === undefined) return
    attempt.fate = 'stopping'
    attempt.stopWithinMs = deadlineMs
    if (attempt.run === undefined) attempt.abort.abort()
    else void this.#stop(attempt, attempt.run)
  }

  #stop(attempt: Attempt, run: Run): Promise<void> {
    attempt.stopped = new Promise<void>((resolve) => resolve(run.stop(attempt.stopWithinMs))).then(
      () => this.#over(attempt),
      (error: unknown) => this.#tell(attempt, { type: 'stop_failed', failure: failureOf(error) }),
    )
    return attempt.stopped
  }

  #kill(): void {
    const attempt = this.#attempt
    this.#attempt = undefined
    if (attempt === undefined) return
    attempt.fate = 'killed'
    if (attempt.run === undefined) attempt.abort.abort()
    else void this.#killRun(attempt, attempt.run)
  }

  /** Resolves when the run is over. */
  async #killRun(attempt: Attempt, run: Run): Promise<void> {
    if (run.kill !== undefined) return run.kill()
    attempt.stopWithinMs = 0
    const stopped = attempt.stopped ?? this.#stop(attempt, run)
    this.#closing = stopped
    this.#leave(stopped)
    await stopped
    if (this.#closing === stopped) this.#closing = undefined
  }

  #leave(ending: Promise<void>): void {
    const leftover = ending.finally(() => this.#leftovers.delete(leftover))
    this.#leftovers.add(leftover)
  }

  /** The attempt has no run any more. */
  #over(attempt: Attempt, ...thrown: readonly unknown[]): void {
    if (attempt !== this.#attempt) return
    this.#attempt = undefined
    if (attempt.fate === 'stopping') return this.send({ type: 'gone' })
    if (thrown.length === 0) return this.send({ type: 'finished' })
    const { clock, rng } = this.#parts
    const failure = failureOf(thrown[0])
    this.send({ type: 'failed', failure, nowMs: clock.monotonicMs(), random: rng.next() })
  }

  #tell(attempt: Attempt, event: ServiceEvent): void {
    if (attempt === this.#attempt) this.send(event)
  }
}

import {
  AppError,
  formatDurationMs,
  type CancelTimer,
  type Clock,
  type EntryId,
  type Logger,
  type Rng,
} from '@daruma/protocol'
import { nearHint, type Entry } from '@daruma/registry'
import type { ServiceState } from '../service-lifecycle.ts'
import { lifecycleOf } from './lifecycle-of.ts'
import { needsOf, type Needs } from './needs.ts'
import type { Service } from './service.ts'
import { startProblem, stopProblem, whyRequired, type Report, type ServiceStatus } from './status.ts'
import { ServiceUnit } from './unit.ts'

/** The services of one node. */
export interface Services {
  /**
   * Starts every service with `auto_start`, and all that those require, each as soon as what it requires runs: at once
   * where nothing is in the way.
   *
   * Resolves when each of them runs, has failed, or waits for one that has: a failing service never holds up the boot
   * longer than its `start_timeout`. Those that wait start later, when what they wait for runs. Never rejects.
   */
  startAll(): Promise<Report>
  /**
   * Stops all services, each when those that require it have stopped. What still runs after `deadlineMs` is killed, in the
   * same order; on a second call, everything is at once. What cannot be killed, such as a store that closes, has a second
   * more; then this resolves all the same. Nothing starts afterwards. Never rejects.
   */
  stopAll(deadlineMs: number): Promise<Report>
  /**
   * Starts one service, and what it requires, in a new series of attempts. Resolves as `startAll` does.
   *
   * @throws AppError not_found - no such service; unavailable - all services are being stopped
   */
  start(id: string): Promise<Report>
  /** Stops one service after those that require it. None of them starts again by itself. @throws AppError not_found */
  stop(id: string): Promise<Report>
  /** All of them, in start order. */
  status(): ServiceStatus[]
}

export interface ServicesOptions {
  readonly entries: Iterable<Entry>
  /** The service that an entry stands for; undefined: it is none, and only passes on what it requires. */
  readonly make: (entry: Entry) => Service | undefined
  readonly clock: Clock
  readonly rng: Rng
  readonly logger: Logger
}

/** @throws AppError invalid - entries require each other in a circle; or what `make` throws */
export function createServices(options: ServicesOptions): Services {
  return new Keeper(options)
}

/** For closes and starts that cannot be cut short, beyond the deadline of all services. */
const leftoverMs = 1_000

interface Waiter {
  readonly units: readonly ServiceUnit[]
  readonly isDone: (unit: ServiceUnit) => boolean
  readonly done: () => void
}

/** Keeps the order: who may start, who may stop, and who waits to hear of it. */
class Keeper implements Services {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #needs: Needs
  readonly #units = new Map<EntryId, ServiceUnit>()
  /** In start order. */
  readonly #all: readonly ServiceUnit[]
  readonly #auto = new Set<ServiceUnit>()
  readonly #waiters = new Set<Waiter>()
  #isClosing = false
  #closeByMs = Number.POSITIVE_INFINITY
  #isPumping = false
  #isStale = false

  constructor({ entries, make, clock, rng, logger }: ServicesOptions) {
    this.#clock = clock
    this.#logger = logger
    const known = [...entries]
    const found = new Map<EntryId, ServiceUnit>()
    for (const entry of known) {
      const service = make(entry)
      if (service === undefined) continue
      const policy = lifecycleOf(entry)
      const changed = (unit: ServiceUnit, before: ServiceState): void => this.#onChange(unit, before)
      const unit = new ServiceUnit({ kind: entry.kind, service, policy, clock, rng, changed })
      found.set(entry.id, unit)
      if (policy.autoStart) this.#auto.add(unit)
    }
    this.#needs = needsOf(known, ({ id }) => found.has(id))
    for (const id of this.#needs.order) this.#units.set(id, found.get(id)!)
    this.#all = [...this.#units.values()]
  }

  startAll(): Promise<Report> {
    const wanted = this.#all.filter((unit) => this.#auto.has(unit))
    return this.#up(this.#isClosing ? [] : wanted)
  }

  start(id: string): Promise<Report> {
    const unit = this.#find(id)
    if (this.#isClosing) throw new AppError('unavailable', `cannot start ${id}: all services are being stopped`)
    // By order: it does not wait for its backoff, nor for what ended it.
    if (!unit.isActive || unit.state === 'stopping') unit.startPending = true
    return this.#up([unit])
  }

  stop(id: string): Promise<Report> {
    const unit = this.#find(id)
    return this.#down([...this.#unitsOf(this.#needs.by(unit.id as EntryId)), unit])
  }

  stopAll(deadlineMs: number): Promise<Report> {
    if (this.#isClosing) {
      // Asked first and killed then, so that the report tells of those that were killed.
      const report = this.#down(this.#all)
      this.#killAll('stopped by force')
      return this.#withoutLeftovers(report)
    }
    this.#isClosing = true
    this.#closeByMs = this.#clock.monotonicMs() + deadlineMs
    const late = `not stopped within the ${formatDurationMs(deadlineMs)} that all services have together`
    const cancel = this.#clock.after(deadlineMs, () => this.#killAll(late))
    return this.#withoutLeftovers(this.#down(this.#all).finally(cancel))
  }

  status(): ServiceStatus[] {
    return this.#all.map((unit) => this.#statusOf(unit))
  }

  // Orders

  async #up(wanted: readonly ServiceUnit[]): Promise<Report> {
    const beganMs = this.#clock.monotonicMs()
    const ids = new Set(wanted.flatMap((unit) => [...this.#needs.of(unit.id as EntryId), unit.id as EntryId]))
    const units = this.#all.filter((unit) => ids.has(unit.id as EntryId))
    for (const unit of units) {
      unit.stopPending = false
      if (!unit.isThere && !unit.isRetrying && unit.state !== 'starting') unit.startPending = true
    }
    await this.#settled(units, (unit) => this.#isSettled(unit))
    const services = units.map((unit) => this.#statusOf(unit))
    const nowMs = this.#clock.wallMs()
    return this.#report(
      beganMs,
      services,
      services.map((status) => startProblem(status, nowMs)),
    )
  }

  async #down(stopping: readonly ServiceUnit[]): Promise<Report> {
    const beganMs = this.#clock.monotonicMs()
    const units = this.#all.filter((unit) => stopping.includes(unit)).toReversed()
    const concerned = units.filter((unit) => unit.isActive || unit.isRetrying)
    for (const unit of units) {
      unit.startPending = false
      unit.stopPending = unit.isActive || unit.isRetrying
    }
    await this.#settled(units, (unit) => !unit.isActive && !unit.stopPending)
    const services = units.map((unit) => this.#statusOf(unit))
    return this.#report(
      beganMs,
      services,
      concerned.map((unit) => stopProblem(unit.status, unit.wasKilled)),
    )
  }

  /** Whoever closes what services stand on must not do so under one that still ends. */
  async #withoutLeftovers(report: Promise<Report>): Promise<Report> {
    const found = await report
    const leftovers = this.#all.flatMap((unit) => unit.leftovers)
    if (leftovers.length === 0) return found
    let cancel!: CancelTimer
    const tooLong = new Promise<void>((resolve) => (cancel = this.#clock.after(leftoverMs, resolve)))
    await Promise.race([Promise.all(leftovers), tooLong])
    cancel()
    return found
  }

  #settled(units: readonly ServiceUnit[], isDone: (unit: ServiceUnit) => boolean): Promise<void> {
    return new Promise((done) => {
      this.#waiters.add({ units, isDone, done })
      this.#pump()
    })
  }

  #report(beganMs: number, services: ServiceStatus[], found: readonly (string | undefined)[]): Report {
    const problems = found.filter((problem) => problem !== undefined)
    return { ok: problems.length === 0, services, problems, tookMs: this.#clock.monotonicMs() - beganMs }
  }

  #killAll(reason: string): void {
    // Nobody is asked politely any more, however free the way becomes.
    for (const unit of this.#all) unit.stopPending = false
    for (const unit of this.#all.toReversed()) unit.send({ type: 'kill', reason })
  }

  // The order

  /** Does what has become possible, until nothing more is. */
  #pump(): void {
    this.#isStale = true
    if (this.#isPumping) return
    this.#isPumping = true
    while (this.#isStale) {
      this.#isStale = false
      for (const unit of this.#all.toReversed()) this.#stopIfFree(unit)
      for (const unit of this.#all) this.#startIfFree(unit)
    }
    this.#isPumping = false
    for (const waiter of [...this.#waiters]) {
      if (!waiter.units.every(waiter.isDone)) continue
      this.#waiters.delete(waiter)
      waiter.done()
    }
  }

  #stopIfFree(unit: ServiceUnit): void {
    if (!unit.stopPending) return
    if (this.#unitsOf(this.#needs.by(unit.id as EntryId)).some((other) => other.isActive)) return
    unit.stopPending = false
    const withinMs = Math.max(this.#closeByMs - this.#clock.monotonicMs(), 0)
    unit.send(withinMs === Number.POSITIVE_INFINITY ? { type: 'stop' } : { type: 'stop', withinMs })
  }

  #startIfFree(unit: ServiceUnit): void {
    if (unit.stopPending || unit.isActive) return
    if (!(unit.startPending || unit.retryHeld) || this.#missing(unit) !== undefined) return
    const type = unit.startPending ? 'start' : 'retry_due'
    unit.startPending = false
    unit.send({ type })
  }

  /** The first that it requires and that is not there. */
  #missing(unit: ServiceUnit): ServiceUnit | undefined {
    return this.#unitsOf(this.#needs.of(unit.id as EntryId)).find((other) => !other.isThere)
  }

  /** Nothing more happens to it now: it is there, has failed, or waits for one that has. */
  #isSettled(unit: ServiceUnit): boolean {
    if (!unit.startPending) return unit.state !== 'starting' && unit.state !== 'stopping'
    if (unit.isActive) return false
    return this.#unitsOf(this.#needs.of(unit.id as EntryId)).some(
      (other) => !other.isThere && !other.isActive && !other.startPending,
    )
  }

  #onChange(unit: ServiceUnit, before: ServiceState): void {
    if (unit.state !== before) this.#log(unit)
    this.#pump()
  }

  // What others see

  #statusOf(unit: ServiceUnit): ServiceStatus {
    const { status } = unit
    const missing = unit.startPending || unit.retryHeld ? this.#missing(unit) : undefined
    if (missing === undefined) return status
    return { ...status, waitsFor: missing.id, lastReason: whyRequired(missing.status) }
  }

  #log(unit: ServiceUnit): void {
    const { id, kind, state, restarts, lastReason, finished, nextAttemptMs } = unit.status
    const isBad =
      state === 'failed' || (state === 'exited' && finished !== true) || (state === 'stopped' && unit.wasKilled)
    const isLost = isBad && nextAttemptMs === undefined && state !== 'stopped'
    this.#logger.log(
      isLost ? 'error' : isBad ? 'warn' : state === 'starting' ? 'debug' : 'info',
      `service ${id} ${state}`,
      {
        service: id,
        kind,
        state,
        ...(restarts === 0 ? {} : { restarts }),
        ...(lastReason === undefined ? {} : { reason: lastReason }),
        ...(nextAttemptMs === undefined ? {} : { nextAttemptInMs: nextAttemptMs - this.#clock.wallMs() }),
      },
    )
  }

  #unitsOf(ids: readonly EntryId[]): ServiceUnit[] {
    return ids.map((id) => this.#units.get(id)!)
  }

  /** @throws AppError not_found */
  #find(id: string): ServiceUnit {
    const unit = this.#units.get(id as EntryId)
    if (unit !== undefined) return unit
    const hint = nearHint(id, [...this.#units.keys()])
    throw new AppError('not_found', `no service ${id}${hint === undefined ? '' : `; ${hint}`}`, { id })
  }
}

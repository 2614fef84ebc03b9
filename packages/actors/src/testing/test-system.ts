import {
  AppError,
  describeReason,
  seededRng,
  type ExitReason,
  type Logger,
  type LogLevel,
  type Pid,
} from '@daruma/protocol'
import { SimClock } from '@daruma/protocol/testing'
import { next, type Behavior } from '../behavior.ts'
import type { Context } from '../context.ts'
import type { SystemEvent } from '../events.ts'
import type { Actor } from '../actor.ts'
import type { Notice } from '../notice.ts'
import { createSystem, type ActorSystem } from '../system.ts'
import { showShort } from '../message-kind.ts'
import { StepScheduler } from './step-scheduler.ts'

export interface TestSystemOptions {
  /** With a seed, which runnable process is next is drawn from it; without, they run in the order they woke. */
  readonly seed?: string
  readonly node?: string
  /** Who is next, of so many. Overrides `seed`. */
  readonly choose?: (candidates: number) => number
}

export interface LogRecord {
  readonly level: LogLevel
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>> | undefined
}

/** A process that only records: its `ctx` acts as it, at any time. It traps exits. */
export interface Probe<M = unknown> {
  readonly pid: Actor<M>
  readonly ctx: Context<M>
  /** All that came and was not taken by `next`, in order of arrival. */
  readonly received: readonly (M | Notice)[]
  /** Takes the oldest; runs the system until it has come. @throws AppError timeout - it is idle and nothing came */
  next(): Promise<M | Notice>
}

/** A system whose time stands still until told, and whose every run is the same. */
export class TestSystem implements AsyncDisposable {
  readonly system: ActorSystem
  readonly clock: SimClock
  readonly seed: string | undefined
  /** All events since the start. */
  readonly events: SystemEvent[] = []
  readonly logs: LogRecord[] = []
  readonly #scheduler: StepScheduler
  readonly #exits = new Map<string, ExitReason>()

  constructor(options: TestSystemOptions = {}) {
    const { seed } = options
    const chance = seededRng(seed ?? 'daruma')
    const choose =
      options.choose ?? (seed === undefined ? () => 0 : (candidates: number) => Math.floor(chance.next() * candidates))
    const logger: Logger = {
      log: (level, message, fields) => void this.logs.push({ level, message, fields }),
    }
    this.seed = seed
    this.clock = new SimClock()
    this.#scheduler = new StepScheduler(choose)
    this.system = createSystem({
      node: options.node ?? 'test',
      clock: this.clock,
      rng: seededRng(`${seed ?? 'daruma'}/rng`),
      scheduler: this.#scheduler,
      incarnation: 1,
      logger,
    })
    this.system.events.subscribe((event) => {
      this.events.push(event)
      if (event.kind === 'exited') this.#exits.set(String(event.pid), event.reason)
    })
  }

  /** Until no process can run and every promise that could has settled. Time stands still. */
  runUntilIdle(): Promise<void> {
    return this.#scheduler.idle()
  }

  /** Moves time forward; after each timer the system runs until it is idle. */
  async advance(byMs: number): Promise<void> {
    await this.runUntilIdle()
    const untilMs = this.clock.monotonicMs() + byMs
    for (let dueMs = this.clock.nextDueMs; dueMs !== undefined && dueMs <= untilMs; dueMs = this.clock.nextDueMs) {
      this.clock.advanceToNext()
      await this.runUntilIdle()
    }
    this.clock.advance(untilMs - this.clock.monotonicMs())
  }

  /** A process that records what it gets and does what the test says. Ready at once. */
  async probe<M = unknown>(name?: string): Promise<Probe<M>> {
    let ctx!: Context<M>
    const received: (M | Notice)[] = []
    const recorder: Behavior<M, undefined> = {
      name: 'probe',
      seesParentExit: true,
      init: (context) => {
        ctx = context
        return undefined
      },
      receive: (_ctx, message) => {
        received.push(message)
        return next.same
      },
      notice: (_ctx, notice) => {
        received.push(notice)
        return next.same
      },
    }
    const pid = this.system.spawn(recorder, { trapExits: true, ...(name === undefined ? {} : { name }) })
    await this.runUntilIdle()
    const take = async (): Promise<M | Notice> => {
      if (received.length === 0) await this.runUntilIdle()
      if (received.length === 0) throw new AppError('timeout', 'the probe got nothing, and the system is idle')
      return received.shift() as M | Notice
    }
    return { pid, ctx, received, next: take }
  }

  /** Runs until idle, then tells how `pid` ended; undefined while it lives. */
  async exitOf(pid: Pid): Promise<ExitReason | undefined> {
    await this.runUntilIdle()
    return this.#exits.get(String(pid))
  }

  /** @throws AppError conflict - it lives, or ended otherwise; the text says which */
  async expectExit(pid: Pid, expected: ExitReason['kind'] | ExitReason): Promise<ExitReason> {
    const found = await this.exitOf(pid)
    const want = typeof expected === 'string' ? expected : describeReason(expected)
    if (found === undefined) {
      const status = this.system.processInfo(pid)?.status ?? 'unknown here'
      throw new AppError('conflict', `expected ${pid} to end with ${want}; it is ${status}`)
    }
    const same = typeof expected === 'string' ? found.kind === expected : describeReason(found) === want
    if (!same)
      throw new AppError('conflict', `expected ${pid} to end with ${want}; it ended with ${describeReason(found)}`)
    return found
  }

  /** Messages that reached nobody. */
  get deadLetters(): readonly unknown[] {
    return this.events.flatMap((event) => (event.kind === 'dead_letter' ? [event.message] : []))
  }

  /** Ends the run where it stands. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#scheduler.stop()
    return Promise.resolve()
  }

  toString(): string {
    return `TestSystem(seed ${showShort(this.seed)})`
  }
}

import { AppError, findUnsendable, type ProgramFactory, type RetryPolicy } from '@daruma/protocol'
import { parseCron } from './cron.ts'
import { workflow, type ChildHandle, type GeneratorContext } from './define.ts'
import type { Steps } from './future.ts'

/** The type of the workflow that a schedule is; its id is `schedule:<name>`. */
export const scheduleType = 'daruma.schedule'

/** What is started at a tick. */
export interface ScheduledWorkflow {
  readonly type: string
  readonly input?: unknown
  /** Its id is `<id>-<instant of the tick>`; default: the name of the schedule. A tick counts once under its id. */
  readonly id?: string
  readonly host?: string
  readonly runTimeoutMs?: number
  readonly retry?: RetryPolicy
  readonly memo?: Readonly<Record<string, unknown>>
  readonly searchAttributes?: Readonly<Record<string, unknown>>
}

/** What a tick does that comes while the workflow of an earlier one runs. */
export type OverlapPolicy = 'skip' | 'buffer_one' | 'allow_all'
/** What becomes of ticks that passed while nobody could act on them: more than a minute ago. */
export type MissedPolicy = 'skip' | 'one' | 'all'

export interface ScheduleSpec {
  /** Lines as `parseCron` reads them; ticks are the instants of any. */
  readonly cron: string | readonly string[]
  /** IANA name; default UTC. */
  readonly timeZone?: string
  readonly workflow: ScheduledWorkflow
  /** Default skip. */
  readonly overlap?: OverlapPolicy
  /** Default one: the latest of them. `all` goes back at most a thousand ticks. */
  readonly missed?: MissedPolicy
  /** Ticks at or after it are none. */
  readonly endAtMs?: number
  readonly isPaused?: boolean
}

export interface ScheduleDescription {
  readonly spec: ScheduleSpec
  readonly isPaused: boolean
  readonly note?: string
  readonly nextTicksMs: readonly number[]
  readonly lastTickMs: number
  /** Ids of what it started and what has not ended. */
  readonly running: readonly string[]
  readonly buffered: number
  readonly started: number
  readonly skipped: number
}

interface ScheduleState {
  readonly spec: ScheduleSpec
  readonly name: string
  readonly lastTickMs: number
  readonly isPaused: boolean
  readonly note?: string
  readonly bufferedMs: readonly number[]
  readonly running: readonly string[]
  readonly started: number
  readonly skipped: number
}

const lateMs = 60_000
const maxTicks = 1_000
/** Commands after which the schedule goes on as a new run. */
const runLength = 500

/** Every problem of a spec, as text. */
export function problemsOfSchedule(spec: ScheduleSpec): string[] {
  const problems: string[] = []
  const lines = linesOf(spec)
  if (lines.length === 0) problems.push('cron: at least one line is needed')
  for (const line of lines) {
    try {
      parseCron(line, spec.timeZone)
    } catch (error) {
      problems.push((error as Error).message)
    }
  }
  if (typeof spec.workflow?.type !== 'string' || spec.workflow.type === '')
    problems.push('workflow.type: which workflow is to be started')
  if (spec.overlap !== undefined && !['skip', 'buffer_one', 'allow_all'].includes(spec.overlap))
    problems.push(`overlap: ${spec.overlap} is none of skip, buffer_one, allow_all`)
  if (spec.missed !== undefined && !['skip', 'one', 'all'].includes(spec.missed))
    problems.push(`missed: ${spec.missed} is none of skip, one, all`)
  const unsendable = findUnsendable(spec, 'schedule')
  if (unsendable !== undefined) problems.push(unsendable)
  return problems
}

/**
 * A schedule is a durable workflow like any other: its ticks are timers in its journal, so that it survives what they
 * survive, moves with its partition, and shows in the list. Its commands are updates.
 */
export const scheduleWorkflow = workflow.gen(scheduleType, function* (ctx, input: ScheduleState) {
  return yield* new Schedule(ctx, input).run()
})

/** Programs that the engine brings along. */
export function ownProgram(type: string): ProgramFactory | undefined {
  return type === scheduleType ? scheduleWorkflow.create : undefined
}

export function newSchedule(name: string, spec: ScheduleSpec, nowMs: number): ScheduleState {
  return {
    spec,
    name,
    lastTickMs: nowMs,
    isPaused: spec.isPaused ?? false,
    bufferedMs: [],
    running: [],
    started: 0,
    skipped: 0,
  }
}

class Schedule {
  readonly #ctx: GeneratorContext
  readonly #name: string
  #spec: ScheduleSpec
  #next: (afterMs: number) => number | undefined
  #lastTickMs: number
  #isPaused: boolean
  #note: string | undefined
  #bufferedMs: number[]
  readonly #running = new Set<string>()
  #started: number
  #skipped: number
  /** A command came: what is awaited may not be right any more. */
  #isChanged = false

  constructor(ctx: GeneratorContext, state: ScheduleState) {
    this.#ctx = ctx
    this.#name = state.name
    this.#spec = state.spec
    this.#next = ticksOf(state.spec)
    this.#lastTickMs = state.lastTickMs
    this.#isPaused = state.isPaused
    this.#note = state.note
    this.#bufferedMs = [...state.bufferedMs]
    this.#started = state.started
    this.#skipped = state.skipped
    this.#answer()
    for (const id of state.running) this.#watch(id, this.#spawn(id))
  }

  *run(): Steps<{ started: number; skipped: number }> {
    const ctx = this.#ctx
    for (;;) {
      this.#isChanged = false
      // A run that was begun stays watched over a new run of the schedule: it is met again by its id.
      if (ctx.info.historyLength > runLength) return ctx.continueAsNew(this.#state())
      const nextMs = this.#next(this.#lastTickMs)
      if (nextMs === undefined && this.#bufferedMs.length === 0 && this.#running.size === 0)
        return { started: this.#started, skipped: this.#skipped }
      const isChanged = yield* ctx.condition(
        () => this.#isChanged,
        nextMs === undefined ? undefined : Math.max(nextMs - ctx.now(), 0),
      )
      if (!isChanged) this.#due(ctx.now())
    }
  }

  /** Ticks up to `nowMs`, late ones by the policy (trap 12). */
  #due(nowMs: number): void {
    const ticks = ticksBetween(this.#next, this.#lastTickMs, nowMs)
    const latest = ticks.at(-1)
    if (latest === undefined) return
    this.#lastTickMs = latest
    if (this.#isPaused) return
    const late = ticks.filter((tickMs) => nowMs - tickMs > lateMs)
    const { missed = 'one' } = this.#spec
    const kept = missed === 'all' ? ticks : missed === 'one' ? ticks.slice(-1) : ticks.slice(late.length)
    this.#skipped += ticks.length - kept.length
    for (const tickMs of kept) this.#tick(tickMs, this.#spec.overlap)
  }

  #tick(tickMs: number, overlap: OverlapPolicy = 'skip'): void {
    if (overlap === 'allow_all' || this.#running.size === 0) return this.#begin(tickMs)
    if (overlap === 'buffer_one' && this.#bufferedMs.length === 0) this.#bufferedMs.push(tickMs)
    else this.#skipped++
  }

  #begin(tickMs: number): void {
    const { id = this.#name } = this.#spec.workflow
    const workflowId = `${id}-${new Date(tickMs).toISOString().replace(/\.000Z$/, 'Z')}`
    this.#started++
    this.#watch(workflowId, this.#spawn(workflowId))
  }

  #spawn(workflowId: string): ChildHandle<unknown, 'generator'> {
    const { type, input, id: _, ...options } = this.#spec.workflow
    return this.#ctx.spawn(type, input, {
      ...options,
      workflowId,
      parentClose: 'abandon',
      idReuse: 'reject_duplicate', // a tick counts once, also when the schedule meets it again
    })
  }

  #watch(workflowId: string, handle: ChildHandle<unknown, 'generator'>): void {
    this.#running.add(workflowId)
    const self = this
    this.#ctx.fork(function* () {
      try {
        yield* handle.result()
      } catch (error) {
        self.#ctx.log(`schedule ${self.#name}: ${workflowId} did not complete: ${(error as Error).message}`)
      }
      self.#running.delete(workflowId)
      const tickMs = self.#running.size === 0 ? self.#bufferedMs.shift() : undefined
      if (tickMs !== undefined) self.#begin(tickMs)
      self.#isChanged = true
    })
  }

  #answer(): void {
    const ctx = this.#ctx
    const changing =
      <A extends unknown[], R>(act: (...args: A) => R) =>
      (...args: A): R => {
        this.#isChanged = true
        return act(...args)
      }
    ctx.onQuery('describe', () => this.#describe())
    ctx.onUpdate(
      'pause',
      changing((note?: string) => {
        this.#isPaused = true
        this.#note = note
      }),
    )
    ctx.onUpdate(
      'resume',
      changing((note?: string) => {
        this.#isPaused = false
        this.#note = note
      }),
    )
    ctx.onUpdate(
      'trigger',
      changing(() => this.#tick(ctx.now(), this.#spec.overlap === 'buffer_one' ? 'buffer_one' : 'allow_all')),
    )
    ctx.onUpdate(
      'backfill',
      changing((fromMs: number, toMs: number) => {
        const ticks = ticksBetween(ticksOf(this.#spec), fromMs - 1, toMs)
        for (const tickMs of ticks) this.#begin(tickMs)
        return ticks.length
      }),
      { validate: backfillable },
    )
    ctx.onUpdate(
      'replace',
      changing((spec: ScheduleSpec) => {
        this.#spec = spec
        this.#next = ticksOf(spec)
        this.#isPaused = spec.isPaused ?? this.#isPaused
        this.#lastTickMs = ctx.now()
      }),
      { validate: checkSchedule },
    )
  }

  #state(): ScheduleState {
    return {
      spec: this.#spec,
      name: this.#name,
      lastTickMs: this.#lastTickMs,
      isPaused: this.#isPaused,
      ...(this.#note === undefined ? {} : { note: this.#note }),
      bufferedMs: this.#bufferedMs,
      running: [...this.#running],
      started: this.#started,
      skipped: this.#skipped,
    }
  }

  #describe(): ScheduleDescription {
    const { name: _, bufferedMs, ...state } = this.#state()
    const nextTicksMs: number[] = []
    for (let at = this.#next(this.#lastTickMs); at !== undefined && nextTicksMs.length < 5; at = this.#next(at))
      nextTicksMs.push(at)
    return { ...state, buffered: bufferedMs.length, nextTicksMs }
  }
}

/** @throws AppError invalid - with every problem of the spec */
export function checkSchedule(spec: ScheduleSpec): void {
  const problems = problemsOfSchedule(spec)
  if (problems.length > 0) throw new AppError('invalid', problems.join('; '), { problems }, { retryable: false })
}

function backfillable(fromMs: unknown, toMs: unknown): void {
  if (typeof fromMs !== 'number' || typeof toMs !== 'number' || !(fromMs <= toMs))
    throw new AppError(
      'invalid',
      `backfill from ${String(fromMs)} to ${String(toMs)}: give two instants in milliseconds`,
      undefined,
      {
        retryable: false,
      },
    )
}

function linesOf({ cron }: ScheduleSpec): readonly string[] {
  return typeof cron === 'string' ? [cron] : (cron ?? [])
}

function ticksOf(spec: ScheduleSpec): (afterMs: number) => number | undefined {
  const lines = linesOf(spec).map((line) => parseCron(line, spec.timeZone))
  return (afterMs) => {
    const nextMs = Math.min(...lines.map((line) => line.next(afterMs) ?? Infinity))
    return nextMs === Infinity || nextMs >= (spec.endAtMs ?? Infinity) ? undefined : nextMs
  }
}

/** After `fromMs`, up to and with `toMs`; of very many the latest thousand. */
function ticksBetween(next: (afterMs: number) => number | undefined, fromMs: number, toMs: number): number[] {
  const ticks: number[] = []
  for (let at = next(fromMs); at !== undefined && at <= toMs; at = next(at)) {
    ticks.push(at)
    if (ticks.length > maxTicks) ticks.shift()
  }
  return ticks
}

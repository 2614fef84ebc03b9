import { AppError } from '@daruma/protocol'
import type { WorkflowEngine } from './engine.ts'
import type { Description } from './head.ts'
import { checkSchedule, newSchedule, scheduleType, type ScheduleDescription, type ScheduleSpec } from './schedule.ts'

/** The schedules of one task queue, by name. Each is a workflow with the id `schedule:<name>`. */
export class Schedules {
  readonly #engine: Pick<WorkflowEngine, 'start' | 'update' | 'query' | 'cancel' | 'list' | 'find'>
  readonly #nowMs: () => number

  constructor(
    engine: Pick<WorkflowEngine, 'start' | 'update' | 'query' | 'cancel' | 'list' | 'find'>,
    nowMs: () => number,
  ) {
    this.#engine = engine
    this.#nowMs = nowMs
  }

  /**
   * @throws AppError invalid - with every problem of the spec
   * @throws AppError already_exists - there is a schedule of that name; `replace` changes it
   */
  async create(name: string, spec: ScheduleSpec): Promise<void> {
    checkSchedule(spec)
    await this.#engine.start(scheduleType, [newSchedule(name, spec, this.#nowMs())], {
      id: idOf(name),
      idConflict: 'fail',
    })
  }

  /** Its ticks pass without effect until it is resumed. What it started goes on. */
  async pause(name: string, note?: string): Promise<void> {
    await this.#update(name, 'pause', note === undefined ? [] : [note])
  }

  async resume(name: string, note?: string): Promise<void> {
    await this.#update(name, 'resume', note === undefined ? [] : [note])
  }

  /** Starts its workflow now, also when it is paused. */
  async trigger(name: string): Promise<void> {
    await this.#update(name, 'trigger', [])
  }

  /**
   * Starts its workflow for every tick in a span of the past, both ends included, at most the latest thousand of them. A
   * tick that was started before is not started again. Answers the number of ticks.
   */
  async backfill(name: string, fromMs: number, toMs: number): Promise<number> {
    return (await this.#update(name, 'backfill', [fromMs, toMs])) as number
  }

  /** Other ticks and another workflow from now on. @throws AppError invalid - with every problem of the spec */
  async replace(name: string, spec: ScheduleSpec): Promise<void> {
    await this.#update(name, 'replace', [spec])
  }

  async describe(name: string): Promise<ScheduleDescription> {
    const answer = (await this.#engine.query(idOf(name), 'describe').catch(asSchedule(name))) as {
      value: ScheduleDescription
    }
    return answer.value
  }

  async has(name: string): Promise<boolean> {
    const found = await this.#engine.find(idOf(name))
    return found?.status === 'running' || found?.status === 'stuck'
  }

  /** Ends it. What it started goes on. */
  async delete(name: string): Promise<void> {
    await this.#engine.cancel(idOf(name), 'deleted').catch(asSchedule(name))
  }

  *list(): IterableIterator<{ readonly name: string; readonly description: Description }> {
    for (const description of this.#engine.list()) {
      if (description.type === scheduleType && (description.status === 'running' || description.status === 'stuck'))
        yield { name: description.workflowId.slice(prefix.length), description }
    }
  }

  #update(name: string, update: string, args: readonly unknown[]): Promise<unknown> {
    return this.#engine.update(idOf(name), update, args).catch(asSchedule(name))
  }
}

const prefix = 'schedule:'

function idOf(name: string): string {
  return `${prefix}${name}`
}

/** A schedule that is not there is told of by its name. */
function asSchedule(name: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof AppError && error.kind === 'not_found')
      throw new AppError('not_found', `no schedule "${name}"`)
    throw error
  }
}

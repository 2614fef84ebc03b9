import { AppError } from '@daruma/protocol'
import { parseCron } from './cron.ts'
import type { MessageWake, Started } from './events.ts'
import { currentGates } from './gates.ts'
import type { StartRequest } from './requests.ts'
import type { Successor } from './successor.ts'

/** Message ids that a run hands on to the next. A run itself knows all of its own. */
const rememberedIds = 1_000

/** Of a start that is delayed, or that waits for the first instant of its cron line. @throws AppError invalid */
export function firstTickMs({ startDelayMs, cron, timeZone }: StartRequest, nowMs: number): number | undefined {
  const earliestMs = nowMs + (startDelayMs ?? 0)
  if (cron === undefined) return startDelayMs === undefined ? undefined : earliestMs
  const firstMs = parseCron(cron, timeZone).next(earliestMs)
  if (firstMs === undefined) throw new AppError('invalid', `cron line "${cron}" has no instant left`)
  return firstMs
}

/** Pure: the first event of a run that somebody asked for. */
export function startedBy(
  request: StartRequest,
  { run, atMs, seed, notBeforeMs }: Pick<Started, 'run' | 'atMs' | 'seed'> & { notBeforeMs: number | undefined },
): Started {
  return {
    kind: 'started',
    atMs,
    run,
    type: request.type,
    args: request.args,
    seed,
    gates: currentGates,
    ...(request.requestId === undefined ? {} : { requestId: request.requestId }),
    ...(request.parent === undefined ? {} : { parent: request.parent }),
    ...(request.context === undefined ? {} : { context: request.context }),
    ...(request.memo === undefined ? {} : { memo: request.memo }),
    ...(request.searchAttributes === undefined ? {} : { searchAttributes: request.searchAttributes }),
    ...(request.messages === undefined ? {} : { messages: request.messages }),
    ...(request.retry === undefined ? {} : { retry: request.retry }),
    ...(request.cron === undefined ? {} : { cron: request.cron }),
    ...(request.timeZone === undefined ? {} : { timeZone: request.timeZone }),
    ...(notBeforeMs === undefined ? {} : { notBeforeMs }),
    ...(request.runTimeoutMs === undefined ? {} : { runDeadlineMs: (notBeforeMs ?? atMs) + request.runTimeoutMs }),
    ...(request.executionTimeoutMs === undefined
      ? {}
      : { executionDeadlineMs: (notBeforeMs ?? atMs) + request.executionTimeoutMs }),
  }
}

/** What the next run takes over, besides what stands in the start of the one before. */
export interface Legacy {
  readonly atMs: number
  readonly seed: string
  /** Undefined: the type stays. */
  readonly type: string | undefined
  readonly args: readonly unknown[]
  /** Nobody has read them. */
  readonly messages: readonly MessageWake[]
  /** Ids of messages that were delivered. */
  readonly seen: ReadonlySet<string> | undefined
  readonly successor: Successor | undefined
}

/** Pure: the first event of the run that follows the one which `started` began. */
export function startedAfter(started: Started, run: number, legacy: Legacy): Started {
  const { atMs, messages, successor } = legacy
  const seen = [...(legacy.seen ?? [])].slice(-rememberedIds)
  return {
    kind: 'started',
    continued: true,
    atMs,
    run,
    type: legacy.type ?? started.type,
    args: legacy.args,
    seed: legacy.seed,
    gates: currentGates,
    ...(started.requestId === undefined ? {} : { requestId: started.requestId }),
    ...(started.parent === undefined ? {} : { parent: started.parent }),
    ...(started.context === undefined ? {} : { context: started.context }),
    ...(started.retry === undefined ? {} : { retry: started.retry }),
    ...(started.cron === undefined ? {} : { cron: started.cron }),
    ...(started.timeZone === undefined ? {} : { timeZone: started.timeZone }),
    ...successor,
    ...(started.executionDeadlineMs === undefined ? {} : { executionDeadlineMs: started.executionDeadlineMs }),
    ...(started.runDeadlineMs === undefined
      ? {}
      : {
          runDeadlineMs:
            (successor?.notBeforeMs ?? atMs) +
            (started.runDeadlineMs - Math.max(started.notBeforeMs ?? 0, started.atMs)),
        }),
    ...(messages.length === 0 ? {} : { messages }),
    ...(seen.length === 0 ? {} : { seen }),
  }
}

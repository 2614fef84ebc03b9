import { Cron } from 'croner'
import { AppError, parseDurationMs } from '@daruma/protocol'
import { outsideTurn } from './guard.ts'

/** The instants of a cron line. */
export interface CronLine {
  /** The first instant after `afterMs`; undefined when there is none. */
  next(afterMs: number): number | undefined
}

/**
 * Reads a cron line: five fields, six with seconds first, `@daily` and its like, or `@every <duration>` (instants at whole
 * multiples since 1970). Fields count in `timeZone`, an IANA name (default UTC). A local time that a change of clocks
 * skips runs right after the change, one that it repeats runs once.
 *
 * @throws AppError invalid - no such line or zone
 */
export function parseCron(line: string, timeZone = 'UTC'): CronLine {
  const every = /^@every\s+(.+)$/.exec(line)?.[1]
  if (every !== undefined) {
    const stepMs = parseDurationMs(every)
    if (stepMs < 1_000) throw new AppError('invalid', `cron line "${line}": the shortest step is 1s`, undefined, final)
    return { next: (afterMs) => (Math.floor(afterMs / stepMs) + 1) * stepMs }
  }
  // A pure function of its arguments, whatever the library asks of the machine on the way.
  return outsideTurn(() => {
    try {
      const cron = new Cron(line, { timezone: timeZone, mode: '5-or-6-parts' })
      cron.nextRun(new Date(0)) // an unknown zone shows at its first use
      return { next: (afterMs) => outsideTurn(() => cron.nextRun(new Date(afterMs))?.getTime()) }
    } catch (error) {
      throw new AppError(
        'invalid',
        `cron line "${line}" in zone ${timeZone}: ${(error as Error).message}; a line is "minute hour day month weekday", such as "0 9 * * 1-5"`,
        undefined,
        final,
      )
    }
  })
}

const final = { retryable: false }

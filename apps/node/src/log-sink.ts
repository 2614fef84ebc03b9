import type { Logger, LogLevel } from '@daruma/protocol'
import { pino } from 'pino'
import { PinoPretty } from 'pino-pretty'
import type { LevelName } from './config.ts'

/** Log records on standard error: JSON lines for machines, coloured lines for people. Standard output is the app's. */
export function standardErrorLogger(options: { readonly level: LevelName; readonly json: boolean }): Logger {
  const stream = options.json
    ? pino.destination({ dest: 2, sync: true })
    : PinoPretty({
        destination: 2,
        sync: true,
        colorize: process.stderr.isTTY,
        ignore: 'pid,hostname',
        translateTime: 'SYS:HH:MM:ss.l',
      })
  const logger = pino({ level: options.level, base: null }, stream)
  return {
    log(level: LogLevel, message: string, fields) {
      if (fields === undefined) logger[level](message)
      else logger[level](fields, message)
    },
  }
}

/**
 * Keeps records back until it is known how the boot ends: what failed is then told once, by the one message that ends
 * the command, not by every room that noticed.
 */
export function heldLogger(inner: Logger): Logger & { release(): void } {
  const held: Parameters<Logger['log']>[] = []
  let isHeld = true
  return {
    log(...record) {
      if (isHeld) held.push(record)
      else inner.log(...record)
    },
    release() {
      isHeld = false
      for (const record of held.splice(0)) inner.log(...record)
    },
  }
}

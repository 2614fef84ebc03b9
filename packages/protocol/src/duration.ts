import { AppError } from './errors.ts'

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/**
 * Milliseconds of a duration: a number is milliseconds already; text is one or more `<number><unit>` in a row
 * (`"24h"`, `"1h30m"`, `"-1.5s"`, `"250ms"`; units ns us ms s m h d), or `"0"`.
 * The one parser for YAML, Lua and TypeScript.
 *
 * @throws AppError invalid - anything else, NaN and the infinities included
 */
export function parseDurationMs(duration: string | number): number {
  if (typeof duration === 'number') {
    if (Number.isFinite(duration)) return duration
    throw invalidDuration(String(duration))
  }
  const text = duration.trim()
  const sign = text.startsWith('-') ? -1 : 1
  const body = /^[+-]/.test(text) ? text.slice(1) : text
  if (body === '0') return 0
  const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d)/y
  let totalMs = 0
  while (part.lastIndex < body.length) {
    const match = part.exec(body)
    if (match === null) throw invalidDuration(duration)
    totalMs += Number(match[1]) * unitMs[match[2]!]!
  }
  if (body === '') throw invalidDuration(duration)
  return sign * totalMs
}

/** The shortest exact text of a duration for people: `90_000` is "1m30s". */
export function formatDurationMs(durationMs: number): string {
  if (!Number.isFinite(durationMs)) return String(durationMs)
  if (durationMs < 0) return `-${formatDurationMs(-durationMs)}`
  if (durationMs < 1_000) return `${Number(durationMs.toFixed(3))}ms`
  const hours = Math.floor(durationMs / 3_600_000)
  const minutes = Math.floor((durationMs % 3_600_000) / 60_000)
  const seconds = Number(((durationMs % 60_000) / 1_000).toFixed(3))
  return `${hours > 0 ? `${hours}h` : ''}${minutes > 0 ? `${minutes}m` : ''}${seconds > 0 ? `${seconds}s` : ''}`
}

function invalidDuration(found: string): AppError {
  return new AppError('invalid', `invalid duration "${found}"; write it like "500ms", "30s", "24h" or "1h30m"`)
}

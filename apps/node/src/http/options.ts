import { AppError, parseDurationMs, type EntryId } from '@daruma/protocol'

/** Options of middleware as YAML has them: texts for the most part, `cors.allow.origins` or `cors_allow_origins`. */
export class Options {
  readonly #router: EntryId
  readonly #values: Readonly<Record<string, unknown>>

  constructor(router: EntryId, values: Readonly<Record<string, unknown>>) {
    this.#router = router
    this.#values = values
  }

  text(name: string, fallback: string): string {
    const value = this.#get(name)
    if (value === undefined) return fallback
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value)
    throw this.invalid(name, 'expected a text')
  }

  /** Comma-separated. */
  list(name: string, fallback: string): readonly string[] {
    const value = this.#get(name)
    const texts = Array.isArray(value) ? value.map(String) : this.text(name, fallback).split(',')
    return texts.map((each) => each.trim()).filter((each) => each !== '')
  }

  flag(name: string): boolean {
    const value = this.text(name, 'false')
    if (value === 'true' || value === 'false') return value === 'true'
    throw this.invalid(name, `expected true or false, found "${value}"`)
  }

  count(name: string, fallback: number): number {
    const value = Number(this.text(name, String(fallback)))
    if (Number.isInteger(value) && value > 0) return value
    throw this.invalid(name, `expected a number above 0, found "${this.text(name, '')}"`)
  }

  durationMs(name: string, fallback: string): number {
    return parseDurationMs(this.text(name, fallback))
  }

  invalid(name: string, why: string): AppError {
    return new AppError('invalid', `${this.#router}: options: ${name}: ${why}`, undefined, { retryable: false })
  }

  #get(name: string): unknown {
    return this.#values[name] ?? this.#values[name.replaceAll('.', '_')]
  }
}

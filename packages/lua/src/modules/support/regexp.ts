import { RE2JS } from 're2js'
import { invalid } from './args.ts'

/** One match: each group's text and bounds, the whole match first; undefined for a group that took no part. */
export interface Found {
  readonly start: number
  readonly end: number
  readonly groups: readonly (string | undefined)[]
}

/** A regular expression of RE2's syntax: time linear in the text, whatever the pattern. */
export class Regexp {
  readonly source: string
  readonly #pattern: RE2JS

  /** @throws AppError invalid - syntax */
  constructor(source: string) {
    this.source = source
    try {
      this.#pattern = RE2JS.compile(source)
    } catch (error) {
      throw invalid(`invalid regular expression "${source}": ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  test(text: string): boolean {
    return this.#pattern.matcher(text).find()
  }

  *matches(text: string, limit = Number.POSITIVE_INFINITY): Generator<Found> {
    const matcher = this.#pattern.matcher(text)
    for (let count = 0; count < limit && matcher.find(); count++) {
      const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, index) => matcher.group(index) ?? undefined)
      yield { start: matcher.start(), end: matcher.end(), groups }
    }
  }

  first(text: string): Found | undefined {
    for (const found of this.matches(text, 1)) return found
    return undefined
  }

  get groupCount(): number {
    return this.#pattern.groupCount()
  }

  /** "" for a group without a name; the whole match is the first. */
  get groupNames(): readonly string[] {
    const names = Array.from({ length: this.groupCount + 1 }, () => '')
    for (const [name, index] of Object.entries(this.#pattern.namedGroups())) names[index as number] = name
    return names
  }
}

/** `$1`, `${1}`, `${name}` stand for groups, `$$` for a dollar sign; a group that is not there is empty. */
export function expand(template: string, found: Found, names: readonly string[]): string {
  return template.replace(/\$(?:\$|\{(\w+)\}|(\w+))/g, (all, braced: string | undefined, bare: string | undefined) => {
    if (all === '$$') return '$'
    const name = braced ?? bare ?? ''
    const index = /^\d+$/.test(name) ? Number(name) : names.indexOf(name)
    return found.groups[index] ?? ''
  })
}

/** The environment as a host knows it. */
export type Environment = Readonly<Record<string, string | undefined>>

export interface Resolved {
  readonly text: string
  /** Names that are not set and have no default. */
  readonly missing: readonly string[]
  /** False: `text` had no placeholder. */
  readonly changed: boolean
}

const placeholder = /(\$?)\$\{env:([^}]*)\}/g

/**
 * Fills in `${env:NAME}` and `${env:NAME:-default}` (also written `${env:NAME|default}`). With `:-` an empty value counts
 * as not set. `$${env:...}` stands for itself, with one `$`.
 */
export function resolvePlaceholders(text: string, environment: Environment): Resolved {
  const missing: string[] = []
  let changed = false
  const filled = text.replace(placeholder, (whole: string, escape: string, inner: string) => {
    changed = true
    if (escape !== '') return whole.slice(1)
    const { name, fallback, emptyIsUnset } = splitDefault(inner)
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined
    if (value !== undefined && !(emptyIsUnset && value === '')) return value
    if (fallback === undefined) missing.push(name)
    return fallback ?? ''
  })
  return { text: filled, missing, changed }
}

function splitDefault(inner: string): { name: string; fallback: string | undefined; emptyIsUnset: boolean } {
  const match = /^(.*?)(:-|\|)(.*)$/s.exec(inner)
  if (match === null) return { name: inner.trim(), fallback: undefined, emptyIsUnset: false }
  const [, name = '', mark, written = ''] = match
  const quoted = /^(["'])(.*)\1$/s.exec(written)
  return { name: name.trim(), fallback: quoted?.[2] ?? written, emptyIsUnset: mark === ':-' }
}

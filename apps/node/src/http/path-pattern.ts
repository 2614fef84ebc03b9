import { AppError } from '@daruma/protocol'

/** A path pattern in the router's own words. */
export interface PathPattern {
  /** `:` marks parameters, `*` the rest. */
  readonly routerPath: string
  /** Name of the rest, where the pattern ends in one. */
  readonly restName: string | undefined
  /** Equal for patterns that mean the same paths, whatever their parameters are called. */
  readonly shape: string
}

const parameter = /^\{(\w+)\}$/
const rest = /^\{(\w+)\.\.\.\}$/

/**
 * Reads `prefix` and `path` as one pattern: `{name}` is one segment, `{name...}` at the end all that follows (at least the
 * slash before it). A slash at the end means nothing.
 *
 * @throws AppError invalid - parameters that are not whole segments, or a `{name...}` that is not the last one
 */
export function readPath(prefix: string, path: string): PathPattern {
  const whole = `${prefix}/${path}`.replace(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '')
  const segments = whole.split('/').slice(1)
  const names = new Set<string>()
  let restName: string | undefined
  const name = (found: string): void => {
    if (names.has(found)) throw invalid(whole, `has two parameters {${found}}`)
    names.add(found)
  }
  const read = segments.map((segment, at) => {
    const [, one] = parameter.exec(segment) ?? []
    if (one !== undefined) {
      name(one)
      return { path: `:${one}`, shape: ':' }
    }
    const [, all] = rest.exec(segment) ?? []
    if (all !== undefined) {
      if (at !== segments.length - 1) throw invalid(whole, `has {${all}...} before its end`)
      name(all)
      restName = all
      return { path: '*', shape: '*' }
    }
    if (/[{}*]/.test(segment))
      throw invalid(whole, `has "${segment}"; a parameter is a whole segment: {name} or {name...}`)
    return { path: segment.replaceAll(':', '::'), shape: segment }
  })
  return {
    routerPath: `/${read.map((each) => each.path).join('/')}`,
    restName,
    shape: `/${read.map((each) => each.shape).join('/')}`,
  }
}

/** Whether `path` is `prefix` or lies below it. */
export function isBelow(path: string, prefix: string): boolean {
  const base = prefix.replace(/\/+$/, '')
  return path === base || path.startsWith(`${base}/`)
}

function invalid(path: string, why: string): AppError {
  return new AppError('invalid', `the path ${path} ${why}`, undefined, { retryable: false })
}

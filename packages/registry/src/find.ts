import { AppError, entryName, entryNamespace } from '@daruma/protocol'
import { isRecord, type Entry } from './entry.ts'

/**
 * What to look for: all keys must match. `.kind`, `.name`, `.ns`, `.id` and `meta.x` (dots go deeper) compare with a value,
 * or with any of a list. A mark before the key compares texts otherwise: `~` as a regular expression, `*` contained (or
 * one of a list in meta), `^` at the start, `$` at the end.
 */
export type Filter = Readonly<Record<string, unknown>>

export interface Found {
  /** Sorted by id. */
  readonly entries: readonly Entry[]
  /** Keys that name neither a property nor meta, and were not used. */
  readonly ignored: readonly string[]
}

type Test = (entry: Entry) => boolean

/** @throws AppError invalid - a pattern after `~` is not a regular expression */
export function findEntries(entries: Iterable<Entry>, filter: Filter): Found {
  const tests: Test[] = []
  const ignored: string[] = []
  for (const [key, wanted] of Object.entries(filter)) {
    const mark = '~*^$'.includes(key[0] ?? ' ') ? key[0]! : ''
    const read = reader(key.slice(mark.length))
    if (read === undefined) ignored.push(key)
    else {
      const matches = matcher(mark, wanted, key)
      tests.push((entry) => matches(read(entry)))
    }
  }
  const found = [...entries].filter((entry) => tests.every((test) => test(entry)))
  return { entries: found.toSorted((a, b) => (a.id < b.id ? -1 : 1)), ignored }
}

function reader(key: string): ((entry: Entry) => unknown) | undefined {
  switch (key) {
    case '.kind':
      return (entry) => entry.kind
    case '.id':
      return (entry) => entry.id
    case '.name':
      return (entry) => entryName(entry.id)
    case '.ns':
      return (entry) => entryNamespace(entry.id)
  }
  if (!key.startsWith('meta.')) return undefined
  const whole = key.slice('meta.'.length)
  const path = whole.split('.')
  // A key of meta may itself hold dots; the exact one comes first.
  return ({ meta }) => {
    if (Object.hasOwn(meta, whole)) return meta[whole]
    return path.reduce<unknown>(
      (value, step) => (isRecord(value) && Object.hasOwn(value, step) ? value[step] : undefined),
      meta,
    )
  }
}

function matcher(mark: string, wanted: unknown, key: string): (value: unknown) => boolean {
  switch (mark) {
    case '~': {
      const pattern = compile(String(wanted), key)
      return (value) => typeof value === 'string' && pattern.test(value)
    }
    case '*':
      return (value) =>
        Array.isArray(value)
          ? value.some((item) => same(item, wanted))
          : isText(value) && String(value).includes(String(wanted))
    case '^':
      return (value) => isText(value) && String(value).startsWith(String(wanted))
    case '$':
      return (value) => isText(value) && String(value).endsWith(String(wanted))
    default:
      return (value) => same(value, wanted) || (Array.isArray(wanted) && wanted.some((one) => same(value, one)))
  }
}

/** Go's inline flag is the one piece of its syntax that JavaScript lacks and people use. */
function compile(written: string, key: string): RegExp {
  const flags = /^\(\?([ims]+)\)/.exec(written)
  try {
    return new RegExp(written.slice(flags?.[0].length ?? 0), flags?.[1] ?? '')
  } catch (error) {
    throw new AppError('invalid', `${key}: not a regular expression: ${written}`, undefined, { cause: error })
  }
}

const isText = (value: unknown): boolean => typeof value === 'string' || typeof value === 'number'

function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b) || a === b) return true
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, at) => same(item, b[at]))
  if (!isRecord(a) || !isRecord(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]))
}

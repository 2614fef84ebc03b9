import { basename } from 'node:path'
import { entryIdText, isRecord, type Entry, type SourceOrigin } from './entry.ts'
import { readReferenced } from './files.ts'
import { kindSchema } from './kinds.ts'
import { codeKinds } from './kinds/code.ts'
import { resolvePlaceholders, type Environment } from './placeholders.ts'
import type { Problem } from './problem.ts'
import type { Path } from './traverse.ts'
import type { Position, YamlDocument } from './yaml.ts'
import type { EntryId } from '@daruma/protocol'

/** An entry as read from its file, not yet judged by its kind. */
export interface Draft {
  entry: Entry
  /** Where the field at a path (`data`, `meta` or `kind` first) was written, or the nearest thing around it. */
  readonly locate: (path: Path) => Position & { readonly file: string }
  /** Paths of fields that overrides have set, and by which. */
  readonly overridden: Map<string, Position & { readonly file: string }>
  /** Paths of texts that were filled in from the environment. */
  readonly fromEnvironment: ReadonlySet<string>
  /** Paths of fields that could not be filled in, which has been reported. */
  readonly unread: ReadonlySet<string>
}

export interface Drafts {
  readonly drafts: readonly Draft[]
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
  /** Ids of entries that were written, but not so that a draft could be made. */
  readonly unreadable: readonly string[]
}

export interface DraftOptions {
  /** Folder that `file://` may not leave. */
  readonly root: string
  readonly environment: Environment
}

const headerFields = new Set(['version', 'namespace', 'meta', 'entries'])

/** The entries of one document; none, and no problem, when it is not meant to hold entries. */
export function draftsOf(document: YamlDocument, options: DraftOptions): Drafts {
  const problems: Problem[] = []
  const warnings: Problem[] = []
  const drafts: Draft[] = []
  const unreadable: string[] = []
  const result: Drafts = { drafts, problems, warnings, unreadable }
  const { file, value } = document
  const report = (path: Path, message: string, hint?: string): void => {
    problems.push({ file, ...document.locate(path), message, ...(hint === undefined ? {} : { hint }) })
  }
  if (!isRecord(value)) {
    if (isIndex(file)) {
      warnings.push({ file, line: 1, message: 'holds no entries', hint: 'it needs version, namespace and entries' })
    }
    return result
  }
  const hasHeader = value['version'] !== undefined && value['namespace'] !== undefined
  if (!hasHeader && !isMeantForEntries(file, value)) return result
  for (const field of ['version', 'namespace']) {
    if (value[field] === undefined) {
      report([], `missing field ${field}`, 'a file of entries starts with version: "1.0" and namespace: name')
    }
  }
  const { namespace } = value
  if (namespace !== undefined && (typeof namespace !== 'string' || !/^[^\s:]+$/.test(namespace))) {
    report(['namespace'], `namespace: expected a name like app.orders, found ${show(namespace)}`)
  }
  const { meta: fileMeta } = value
  if (fileMeta !== undefined && fileMeta !== null && !isRecord(fileMeta)) report(['meta'], 'meta: expected a map')

  const list = value['entries']
  if (Array.isArray(list)) {
    for (const [index, written] of list.entries()) addEntry(written, ['entries', index])
    for (const field of Object.keys(value)) {
      if (headerFields.has(field)) continue
      const place = document.locate([field])
      warnings.push({ file, ...place, message: `unknown field ${field} beside entries` })
    }
  } else if (list !== undefined && list !== null) {
    report(['entries'], `entries: expected a list, found ${show(list)}`)
  } else if (value['name'] !== undefined || value['kind'] !== undefined) {
    addEntry(Object.fromEntries(Object.entries(value).filter(([field]) => !isHeader(field))), [])
  }
  return result

  function addEntry(written: unknown, at: Path): void {
    if (!isRecord(written)) return report(at, `expected an entry with name and kind, found ${show(written)}`)
    const { name, kind } = written
    const label = typeof name === 'string' && name !== '' ? name : `entry ${Number(at[1] ?? 0) + 1}`
    let broken = false
    const refuse = (path: Path, message: string, hint?: string): void => {
      broken = true
      report(path, message, hint)
    }
    if (name === undefined) refuse(at, `${label}: missing field name`)
    else if (typeof name !== 'string' || !/^[^\s:]+$/.test(name)) {
      refuse([...at, 'name'], `name: expected text without blanks and colons, found ${show(name)}`)
    }
    if (kind === undefined) refuse(at, `${label}: missing field kind`)
    else if (typeof kind !== 'string' || kind === '') {
      refuse([...at, 'kind'], `${label}: kind: expected text, found ${show(kind)}`)
    }
    const id = `${String(namespace)}:${String(name)}` as EntryId
    if (broken || typeof namespace !== 'string' || !entryIdText.test(id)) {
      unreadable.push(id)
      return
    }
    const own = written['meta']
    if (own !== undefined && own !== null && !isRecord(own)) report([...at, 'meta'], `${id}: meta: expected a map`)
    // In a file with a single entry the file's meta is the entry's own.
    const shared = at.length > 0 && isRecord(fileMeta) ? fileMeta : {}
    const meta = { ...shared, ...(isRecord(own) ? own : {}) }
    drafts.push(finish({ id, kind: kind as string, meta, ...dataOf(written) }, at))
  }

  function finish(
    raw: { id: EntryId; kind: string; meta: Record<string, unknown>; data: Record<string, unknown>; under: Path },
    at: Path,
  ): Draft {
    const fromEnvironment = new Set<string>()
    const unread = new Set<string>()
    const opaque = kindSchema(raw.kind)?.opaque ?? []
    let source: SourceOrigin | undefined
    const locate = (path: Path): Position & { file: string } => {
      const [part, ...rest] = path
      if (part === 'data') {
        const explicit = [...at, 'data', ...rest]
        return {
          file,
          ...document.locate(raw.under.length > 0 && document.has(explicit) ? explicit : [...at, ...rest]),
        }
      }
      if (part === 'meta' && !document.has([...at, ...path]) && document.has(path)) {
        return { file, ...document.locate(path) }
      }
      return { file, ...document.locate([...at, ...path]) }
    }
    const fill = (value: unknown, path: Path): unknown => {
      if (typeof value === 'string') return fillText(value, path)
      if (Array.isArray(value)) return value.map((item, index) => fill(item, [...path, index]))
      if (!isRecord(value)) return value
      return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, fill(field, [...path, key])]))
    }
    const fillText = (written: string, path: Path): string => {
      const isOpaque = path[0] === 'data' && path.length === 2 && opaque.includes(String(path[1]))
      const isProgram = path.join('.') === 'data.source' && (codeKinds as readonly string[]).includes(raw.kind)
      const isFile = written.startsWith('file://')
      const place = locate(path)
      const fail = (message: string, hint?: string): void => {
        unread.add(path.join('.'))
        const where = (path[0] === 'data' ? path.slice(1) : path).join('.')
        problems.push({ ...place, message: `${raw.id}: ${where}: ${message}`, ...(hint === undefined ? {} : { hint }) })
      }
      let text = written
      if (path[0] === 'data' && (isFile || !isOpaque)) {
        const resolved = resolvePlaceholders(written, options.environment)
        for (const name of resolved.missing) {
          fail(`environment variable ${name} is not set`, `set it, or give a default: \${env:${name}:-value}`)
        }
        if (resolved.missing.length > 0) return written
        if (resolved.changed) fromEnvironment.add(path.join('.'))
        text = resolved.text
      }
      if (!text.startsWith('file://')) {
        if (isProgram) source = { file, lineOffset: textOffset(path) }
        return text
      }
      const read = readReferenced(text.slice('file://'.length), file, options.root)
      if (read.kind === 'failed') {
        fail(read.message, read.hint)
        return ''
      }
      if (isProgram) source = { file: read.file, lineOffset: 0 }
      return read.text
    }
    const textOffset = (path: Path): number => {
      const rest = path.slice(1)
      const explicit = [...at, 'data', ...rest]
      return document.textOffset(raw.under.length > 0 && document.has(explicit) ? explicit : [...at, ...rest])
    }
    const meta = fill(raw.meta, ['meta']) as Record<string, unknown>
    const data = fill(raw.data, ['data']) as Record<string, unknown>
    const { line } = document.locate(at)
    return {
      entry: { id: raw.id, kind: raw.kind, meta, data, origin: { file, line }, ...(source && { source }) },
      locate,
      overridden: new Map(),
      fromEnvironment,
      unread,
    }
  }
}

/** Every field but the entry's own is data; so is what stands under an explicit `data`. */
function dataOf(written: Record<string, unknown>): { readonly data: Record<string, unknown>; readonly under: Path } {
  const { name: _name, kind: _kind, meta: _meta, data: explicit, ...fields } = written
  if (explicit === undefined) return { data: fields, under: [] }
  if (!isRecord(explicit)) return { data: { ...fields, data: explicit }, under: [] }
  return { data: { ...fields, ...explicit }, under: ['data'] }
}

/** A file without header that was surely meant to have one. Any other file without header is none of our business. */
function isMeantForEntries(file: string, value: Record<string, unknown>): boolean {
  if (isIndex(file)) return true
  return Array.isArray(value['entries']) && (value['version'] !== undefined || value['namespace'] !== undefined)
}

const isIndex = (file: string): boolean => /^_index\.(ya?ml|json)$/.test(basename(file))
/** In a file with a single entry the header stands among its fields. Its `meta` is the entry's. */
const isHeader = (field: string): boolean => field === 'version' || field === 'namespace'

function show(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'a map' : JSON.stringify(value)
}

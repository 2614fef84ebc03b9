import { readFileSync, statSync } from 'node:fs'
import { basename, isAbsolute, join } from 'node:path'
import { checkEntries, type Finding } from './check.ts'
import { loadConfig, setAt, type AppConfig } from './config.ts'
import { draftsOf, type Draft } from './drafts.ts'
import { freezeEntry, isRecord, type Entry } from './entry.ts'
import { findEntryFiles } from './files.ts'
import { kindSchema } from './kinds.ts'
import { nearHint } from './near.ts'
import { overrideOf, parseOverride, type Override } from './overrides.ts'
import type { Environment } from './placeholders.ts'
import { sortProblems, type Problem } from './problem.ts'
import { traverse, type Path } from './traverse.ts'
import { parseYaml } from './yaml.ts'

export interface LoadOptions {
  /** Values of `${env:NAME}`. */
  readonly env: Environment
  /** `ns:entry:field=value` each; they win over the `override` section of the configuration. */
  readonly overrides?: readonly string[]
  /** `section.path=value` each, over the configuration. */
  readonly settings?: readonly string[]
  /** Names of the Lua modules that exist; without it nobody is warned of unknown ones. */
  readonly modules?: readonly string[]
}

export type LoadedApp =
  | {
      readonly kind: 'loaded'
      /** Sorted by id. */
      readonly entries: readonly Entry[]
      readonly warnings: readonly Problem[]
      readonly config: AppConfig
    }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] }

/**
 * Reads the app in the folder `dir`, and either has all of it or tells everything that is wrong with it, each fault with
 * its file and line. Never throws for what it finds on disk.
 *
 * Entries come from the folder that `directories.src` names (daruma.yaml, .wippy.yaml, wippy.lock), else from `src`, else,
 * where there is no `src`, from `dir` itself; then from the folders that wippy.lock names as `replacements`.
 */
export function loadApp(dir: string, options: LoadOptions): LoadedApp {
  const problems: Problem[] = []
  const warnings: Problem[] = []
  if (!isFolder(dir)) {
    const message = statSync(dir, { throwIfNoEntry: false }) === undefined ? 'no such folder' : 'not a folder'
    return { kind: 'invalid', problems: [{ file: dir, line: 0, message, hint: 'name the folder of an app' }], warnings }
  }
  const loaded = loadConfig(dir, options.env, options.settings ?? [])
  problems.push(...loaded.problems)

  const drafts: Draft[] = []
  const halfRead = new Set<string>()
  for (const root of entryRoots(dir, loaded, problems)) {
    for (const file of findEntryFiles(root.folder, problems)) {
      const text = readText(file, problems)
      if (text === undefined) continue
      const parsed = parseYaml(text, file)
      if (parsed.problems.length > 0) {
        if (!looksLikeEntries(file, text)) continue
        problems.push(...parsed.problems)
        for (const id of parsed.documents.flatMap((document) => idsOf(document.value))) halfRead.add(id)
        continue
      }
      for (const document of parsed.documents) {
        const found = draftsOf(document, { root: root.app, environment: options.env })
        problems.push(...found.problems)
        warnings.push(...found.warnings)
        for (const draft of found.drafts) drafts.push(draft)
        for (const id of found.unreadable) halfRead.add(id)
      }
    }
  }

  const byId = new Map<string, Draft>()
  for (const draft of drafts) {
    const first = byId.get(draft.entry.id)
    if (first === undefined) byId.set(draft.entry.id, draft)
    else {
      problems.push({
        ...draft.entry.origin,
        message: `${draft.entry.id} is declared twice`,
        hint: `first in ${first.entry.origin.file}:${first.entry.origin.line}`,
      })
    }
  }
  for (const override of allOverrides(loaded.config, options.overrides ?? [], problems)) {
    applyOverride(override, byId, problems)
  }

  const entries = new Map<string, Entry>()
  for (const [id, draft] of byId) entries.set(id, freezeEntry(withTypedPlaceholders(draft)))
  const findings = checkEntries(entries, {
    alsoKnown: halfRead,
    ...(options.modules === undefined ? {} : { modules: options.modules }),
  })
  const place = (finding: Finding): Problem => placeFinding(finding, byId.get(finding.entry.id)!)
  problems.push(...findings.problems.filter((finding) => !isUnread(finding, byId)).map(place))
  warnings.push(...findings.warnings.map(place))

  if (problems.length > 0) {
    return { kind: 'invalid', problems: sortProblems(problems), warnings: sortProblems(warnings) }
  }
  return {
    kind: 'loaded',
    entries: [...entries.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    warnings: sortProblems(warnings),
    config: loaded.config,
  }
}

interface EntryRoot {
  readonly folder: string
  /** What `file://` may reach. */
  readonly app: string
}

function entryRoots(dir: string, loaded: ReturnType<typeof loadConfig>, problems: Problem[]): EntryRoot[] {
  const roots: EntryRoot[] = []
  if (loaded.sourceFolder !== undefined) {
    const folder = under(dir, loaded.sourceFolder)
    if (isFolder(folder)) roots.push({ folder, app: dir })
    else problems.push({ file: folder, line: 0, message: 'no such folder', hint: 'directories.src names it' })
  } else {
    const source = join(dir, 'src')
    roots.push({ folder: isFolder(source) ? source : dir, app: dir })
  }
  for (const { folder: written, file, line } of loaded.replacements) {
    const folder = under(dir, written)
    if (!isFolder(folder)) problems.push({ file, line, message: `replacements: no folder ${folder}` })
    else roots.push({ folder: isFolder(join(folder, 'src')) ? join(folder, 'src') : folder, app: folder })
  }
  return roots
}

const under = (dir: string, folder: string): string => (isAbsolute(folder) ? folder : join(dir, folder))
const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

function readText(file: string, problems: Problem[]): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    problems.push({ file, line: 0, message: `cannot be read: ${(error as Error).message}` })
    return undefined
  }
}

/** Whether a file that is not YAML was meant to hold entries: other files may break our rules as they like. */
function looksLikeEntries(file: string, text: string): boolean {
  if (basename(file).startsWith('_index.')) return true
  return /^[\s{]*"?namespace"?\s*:/m.test(text) && /^[\s{]*"?version"?\s*:/m.test(text)
}

/** Ids in a file with syntax errors, so that references to them are not reported as well. */
function idsOf(value: unknown): string[] {
  if (!isRecord(value) || typeof value['namespace'] !== 'string') return []
  const written = Array.isArray(value['entries']) ? value['entries'] : [value]
  return written
    .filter((entry) => isRecord(entry) && typeof entry['name'] === 'string')
    .map((entry) => `${String(value['namespace'])}:${(entry as { name: string }).name}`)
}

function allOverrides(config: AppConfig, written: readonly string[], problems: Problem[]): Override[] {
  const found: (Override | Problem)[] = []
  const section = config.values['override']
  if (isRecord(section)) {
    for (const [key, value] of Object.entries(section)) {
      found.push(overrideOf(key, value, config.locate(['override', key])))
    }
  } else if (section !== undefined && section !== null) {
    problems.push({ ...config.locate(['override']), message: 'override: expected a map of ns:entry:field: value' })
  }
  found.push(...written.map(parseOverride))
  problems.push(...found.filter((item) => 'message' in item))
  return found.filter((item) => 'id' in item)
}

function applyOverride(override: Override, byId: Map<string, Draft>, problems: Problem[]): void {
  const draft = byId.get(override.id)
  if (draft === undefined) {
    const hint = nearHint(override.id, byId.keys())
    const message = `override of ${override.id}, which does not exist`
    problems.push({ ...override.place, message, ...(hint === undefined ? {} : { hint }) })
    return
  }
  const { entry } = draft
  const [part, ...rest] = override.path.map(String)
  if (part === 'kind') {
    if (typeof override.value !== 'string' || override.value === '') {
      problems.push({ ...override.place, message: `${override.id}: kind: expected text` })
      return
    }
    draft.entry = { ...entry, kind: override.value }
  } else if (part === 'meta') draft.entry = { ...entry, meta: setAt(entry.meta, rest, override.value) }
  else draft.entry = { ...entry, data: setAt(entry.data, rest, override.value) }
  draft.overridden.set(override.path.join('.'), override.place)
}

/** Texts from the environment become numbers and booleans where the kind wants such. */
function withTypedPlaceholders(draft: Draft): Entry {
  const { entry, fromEnvironment } = draft
  const schema = kindSchema(entry.kind)
  if (schema === undefined || fromEnvironment.size === 0) return entry
  const data = traverse(schema.data, entry.data, {
    leaf(path, value, wanted) {
      if (typeof value !== 'string' || !fromEnvironment.has(['data', ...path].join('.'))) return value
      if (wanted === 'boolean') return value === 'true' ? true : value === 'false' ? false : value
      return value.trim() !== '' && Number.isFinite(Number(value)) ? Number(value) : value
    },
  })
  return { ...entry, data: data as Entry['data'] }
}

/** True for a field that could not be read in: that was reported already. */
function isUnread(finding: Finding, byId: ReadonlyMap<string, Draft>): boolean {
  return byId.get(finding.entry.id)!.unread.has(finding.path.join('.'))
}

function placeFinding({ entry, path, message, hint }: Finding, draft: Draft): Problem {
  const place = overriddenAt(path, draft) ?? draft.locate(path)
  return { ...place, message: `${entry.id}: ${message}`, ...(hint === undefined ? {} : { hint }) }
}

function overriddenAt(path: Path, draft: Draft): Problem | Override['place'] | undefined {
  for (let length = path.length; length > 0; length--) {
    const place = draft.overridden.get(path.slice(0, length).join('.'))
    if (place !== undefined) return place
  }
  return undefined
}

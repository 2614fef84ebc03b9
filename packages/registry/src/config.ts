import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRecord } from './entry.ts'
import { resolvePlaceholders, type Environment } from './placeholders.ts'
import type { Problem } from './problem.ts'
import type { Path } from './traverse.ts'
import { parseYaml, type YamlDocument } from './yaml.ts'

/** Runtime configuration of an app as written; what the sections mean is for those who read them. */
export interface AppConfig {
  /** Sections of daruma.yaml and .wippy.yaml; of a section that stands in both, daruma.yaml's. */
  readonly values: Readonly<Record<string, unknown>>
  /** For problems that readers find: where `path` was written. */
  locate(path: Path): { readonly file: string; readonly line: number; readonly column?: number }
}

export interface LoadedConfig {
  readonly config: AppConfig
  /** Folder of the app's own entries, as named in `directories.src`; undefined: nobody named one. */
  readonly sourceFolder: string | undefined
  /** Further folders whose entries belong to the app. */
  readonly replacements: readonly Replacement[]
  readonly problems: readonly Problem[]
}

export interface Replacement {
  readonly folder: string
  readonly file: string
  readonly line: number
}

/** Later files win over earlier ones, section by section. */
export const configFiles = ['.wippy.yaml', 'daruma.yaml'] as const
export const lockFile = 'wippy.lock'

export function loadConfig(dir: string, environment: Environment, settings: readonly string[]): LoadedConfig {
  const problems: Problem[] = []
  const sections: Record<string, unknown> = {}
  const origins = new Map<string, YamlDocument>()
  for (const name of configFiles) {
    const document = readDocument(dir, name, problems)
    if (document === undefined) continue
    const filled = fillIn(document.value, [], document)
    for (const [section, value] of Object.entries(filled as Record<string, unknown>)) {
      sections[section] = value
      origins.set(section, document)
    }
  }
  const lock = readDocument(dir, lockFile, problems)
  const directories = (document: YamlDocument | undefined, source: unknown): string | undefined => {
    const named = isRecord(source) && isRecord(source['directories']) ? source['directories']['src'] : undefined
    if (named === undefined || typeof named === 'string') return named
    const file = document?.file ?? join(dir, 'daruma.yaml')
    const place = document?.locate(['directories', 'src']) ?? { line: 1 }
    problems.push({ file, ...place, message: 'directories.src: expected the path of a folder' })
    return undefined
  }
  const values = applySettings(sections, settings, problems)
  return {
    config: {
      values,
      locate(path) {
        const document = origins.get(String(path[0]))
        return document === undefined
          ? { file: join(dir, 'daruma.yaml'), line: 1 }
          : { file: document.file, ...document.locate(path) }
      },
    },
    sourceFolder: directories(origins.get('directories'), sections) ?? directories(lock, lock?.value),
    replacements: lock === undefined ? [] : replacementsOf(lock, problems),
    problems,
  }

  function fillIn(value: unknown, path: Path, document: YamlDocument): unknown {
    if (typeof value === 'string') {
      const { text, missing } = resolvePlaceholders(value, environment)
      for (const name of missing) {
        problems.push({
          file: document.file,
          ...document.locate(path),
          message: `${path.join('.')}: environment variable ${name} is not set`,
          hint: `set it, or give a default: \${env:${name}:-value}`,
        })
      }
      return text
    }
    if (Array.isArray(value)) return value.map((item, index) => fillIn(item, [...path, index], document))
    if (!isRecord(value)) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, field]) => [key, fillIn(field, [...path, key], document)]),
    )
  }
}

/** A map from the file `name`; undefined when there is no such file, it is empty, or it is broken (and reported). */
function readDocument(dir: string, name: string, problems: Problem[]): YamlDocument | undefined {
  const file = join(dir, name)
  if (!existsSync(file)) return undefined
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    problems.push({ file, line: 0, message: `cannot be read: ${(error as Error).message}` })
    return undefined
  }
  const parsed = parseYaml(text, file)
  problems.push(...parsed.problems)
  const document = parsed.documents[0]
  if (parsed.problems.length > 0 || document === undefined || document.value == null) return undefined
  if (isRecord(document.value)) return document
  problems.push({ file, line: 1, message: 'expected a map of sections' })
  return undefined
}

/** `replacements` is a list of `{from, to}` or a map from module to folder. Paths are relative to the lock file. */
function replacementsOf(lock: YamlDocument, problems: Problem[]): Replacement[] {
  const written = isRecord(lock.value) ? lock.value['replacements'] : undefined
  if (written === undefined || written === null) return []
  const found: Replacement[] = []
  const add = (folder: unknown, path: Path): void => {
    const place = { file: lock.file, ...lock.locate(path) }
    if (typeof folder === 'string' && folder !== '') found.push({ folder, file: place.file, line: place.line })
    else problems.push({ ...place, message: 'replacements: expected the path of a folder' })
  }
  if (Array.isArray(written)) {
    for (const [index, item] of written.entries()) {
      add(isRecord(item) ? (item['to'] ?? item['path']) : item, ['replacements', index])
    }
  } else if (isRecord(written)) {
    for (const [module, folder] of Object.entries(written)) add(folder, ['replacements', module])
  } else {
    problems.push({ file: lock.file, ...lock.locate(['replacements']), message: 'replacements: expected a list' })
  }
  return found
}

/** `--set section.path=value` over the sections; values by their shape, as in `coerce`. */
function applySettings(
  sections: Record<string, unknown>,
  settings: readonly string[],
  problems: Problem[],
): Record<string, unknown> {
  let values = sections
  for (const setting of settings) {
    const match = /^([^=\s]+)=(.*)$/s.exec(setting)
    if (match === null) {
      problems.push({ file: `--set ${setting}`, line: 0, message: 'expected section.path=value' })
      continue
    }
    values = setAt(values, match[1]!.split('.'), coerce(match[2]!))
  }
  return values
}

/** A copy of `target` in which `path` leads to `value`; what stands in the way of the path is replaced. */
export function setAt(
  target: Readonly<Record<string, unknown>>,
  [key, ...rest]: readonly string[],
  value: unknown,
): Record<string, unknown> {
  if (key === undefined) return { ...target }
  const inner = Object.hasOwn(target, key) ? target[key] : undefined
  if (rest.length === 0) return { ...target, [key]: value }
  if (Array.isArray(inner)) {
    const items: unknown[] = [...inner]
    const [index, ...deeper] = rest
    items[Number(index)] = deeper.length === 0 ? value : setAt(asMap(items[Number(index)]), deeper, value)
    return { ...target, [key]: items }
  }
  return { ...target, [key]: setAt(asMap(inner), rest, value) }
}

const asMap = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {})

/** `true` and `false` to booleans, numbers to numbers, anything else as it is. */
export function coerce(text: string): unknown {
  if (text === 'true') return true
  if (text === 'false') return false
  return /^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) ? Number(text) : text
}

import { isAbsolute, relative } from 'node:path'
import { AppError, toWire, type EntryId, type ProgramFactory } from '@daruma/protocol'
import type { LuaDefinition, LuaRuntime } from '@daruma/lua'
import {
  codeKinds,
  isRecord,
  nearHint,
  sourceOf,
  viewOf,
  type Entry,
  type Problem,
  type Registry,
} from '@daruma/registry'

type CodeKind = (typeof codeKinds)[number]

export interface AdHocText {
  /** Whose text it is. */
  readonly id: string
  readonly source: string
  readonly method: string | undefined
  readonly modules: readonly string[]
  /** Alias to entry id. */
  readonly imports: Readonly<Record<string, string>>
}

/** Programs of code entries: compiled when first asked for, once per generation of an entry and what it imports. */
export class Programs {
  readonly #lua: LuaRuntime
  readonly #registry: Registry
  readonly #folder: string
  readonly #factories = new Map<EntryId, ProgramFactory>()

  /** @param folder the app's, so that errors name files relative to it */
  constructor(lua: LuaRuntime, registry: Registry, folder: string) {
    this.#lua = lua
    this.#registry = registry
    this.#folder = folder
    registry.watch(({ updated, deleted, invalidated }) => {
      for (const { after } of updated) this.#factories.delete(after.id)
      for (const entry of [...deleted, ...invalidated]) this.#factories.delete(entry.id)
    })
    registry.guard(({ created, updated, invalidated }) => {
      for (const entry of [...created, ...updated.map(({ after }) => after), ...invalidated]) {
        if (isCode(entry) && entry.kind !== 'library.lua')
          this.#compileChanged(entry, [...created, ...updated.map(({ after }) => after)])
      }
    })
  }

  /**
   * The current program of an entry of one of `kinds`.
   *
   * @throws AppError not_found - no such entry, with the nearest known one; invalid - another kind, or it does not compile
   */
  factory(id: string, kinds: readonly CodeKind[]): ProgramFactory {
    const entry = this.entry(id, kinds)
    const known = this.#factories.get(entry.id)
    if (known !== undefined) return known
    const factory = this.#lua.define(this.#definition(entry, (imported) => this.#registry.get(imported)))
    this.#factories.set(entry.id, factory)
    return factory
  }

  /**
   * A program whose text came as data; messages call it `eval`.
   *
   * @throws AppError invalid - it does not compile; not_found - a module or an import that does not exist
   */
  adHoc(text: AdHocText): ProgramFactory {
    const { id, source, method, modules } = text
    const imports = Object.entries(text.imports).map(([alias, imported]) => [
      alias,
      this.#definition(this.entry(imported, ['library.lua', 'function.lua']), (each) => this.#registry.get(each)),
    ])
    return this.#lua.define({
      id,
      kind: 'function',
      source,
      sourceName: 'eval',
      modules,
      imports: Object.fromEntries(imports) as Record<string, LuaDefinition>,
      ...(method === undefined ? {} : { method }),
    })
  }

  /** @throws as factory */
  entry(id: string, kinds: readonly string[]): Entry {
    const entry = this.#registry.get(id)
    if (entry === undefined) {
      const near = nearHint(
        id,
        this.#registry.entries().flatMap((known) => (kinds.includes(known.kind) ? [known.id] : [])),
      )
      throw new AppError(
        'not_found',
        `no entry ${id}${near === undefined ? '' : `; ${near}`}`,
        { entryId: id },
        { retryable: false },
      )
    }
    if (!kinds.includes(entry.kind)) {
      throw new AppError(
        'invalid',
        `${id} is a ${entry.kind}; wanted here: ${kinds.join(' or ')}`,
        { entryId: id },
        { retryable: false },
      )
    }
    return entry
  }

  /** Compiles everything, and tells all that does not compile. */
  check(): Problem[] {
    const problems: Problem[] = []
    for (const entry of this.#registry.entries()) {
      if (!isCode(entry)) continue
      try {
        if (entry.kind === 'library.lua') this.#lua.define(this.#definition(entry, (id) => this.#registry.get(id)))
        else this.factory(entry.id, [entry.kind as CodeKind])
      } catch (thrown) {
        problems.push(this.#problem(entry, thrown))
      }
    }
    const seen = new Set<string>()
    return problems.filter(({ file, line, message }) => {
      const key = `${file}:${line}:${message}`
      return !seen.has(key) && seen.add(key)
    })
  }

  #compileChanged(entry: Entry, changed: readonly Entry[]): void {
    const fresh = new Map(changed.map((each) => [each.id as string, each]))
    this.#lua.define(this.#definition(entry, (id) => fresh.get(id) ?? this.#registry.get(id)))
  }

  #definition(entry: Entry, lookup: (id: string) => Entry | undefined, path: readonly string[] = []): LuaDefinition {
    const view = viewOf(entry, ...codeKinds)
    const source = sourceOf(entry)
    const imports: Record<string, LuaDefinition> = {}
    if (!path.includes(entry.id)) {
      for (const [alias, id] of Object.entries(view.imports)) {
        const imported = lookup(id)
        if (imported === undefined) throw new AppError('not_found', `${entry.id} imports ${id}, which does not exist`)
        imports[alias] = this.#definition(imported, lookup, [...path, entry.id])
      }
    }
    return {
      id: entry.id,
      kind: entry.kind.slice(0, -'.lua'.length) as LuaDefinition['kind'],
      // Text that stands in the YAML itself keeps the lines of the YAML.
      source: '\n'.repeat(source?.lineOffset ?? 0) + view.source,
      ...(source === undefined ? {} : { sourceName: this.#nameOf(source.file) }),
      ...('method' in view && view.method !== undefined ? { method: view.method as string } : {}),
      modules: view.modules,
      imports,
      ...(isTerminal(entry) ? { terminal: true } : {}),
      ...limitsOf(entry),
    }
  }

  /** Relative to the app. What was made at run time has no file, but the id of its entry. */
  #nameOf(file: string): string {
    return isAbsolute(file) ? relative(this.#folder, file) : file
  }

  #problem(entry: Entry, thrown: unknown): Problem {
    const { message, details } = toWire(thrown)
    const place = isRecord(details) ? details : {}
    const source = sourceOf(entry)
    const line = typeof place['line'] === 'number' ? place['line'] : undefined
    if (line !== undefined && source !== undefined) {
      const name = typeof place['name'] === 'string' ? place['name'] : this.#nameOf(source.file)
      const prefix = `${name}:${line}: `
      const file = name === this.#nameOf(source.file) ? source.file : name
      return { file, line, message: message.startsWith(prefix) ? message.slice(prefix.length) : message }
    }
    return { file: entry.origin.file, line: entry.origin.line, message }
  }
}

function isCode(entry: Entry): boolean {
  return (codeKinds as readonly string[]).includes(entry.kind)
}

/** A command of the app, or one that names a terminal as its host. */
function isTerminal(entry: Entry): boolean {
  return entry.kind === 'process.lua' && isRecord(entry.meta['command'])
}

/**
 * `meta.limits`: `instructions` in the whole life of a process of this entry, and its `memory` in bytes. Beyond: it ends.
 *
 * @throws AppError invalid - not positive whole numbers
 */
function limitsOf({ id, meta }: Entry): { readonly limits?: NonNullable<LuaDefinition['limits']> } {
  const { limits } = meta
  if (limits === undefined) return {}
  const read = (name: string): number | undefined => {
    const value = isRecord(limits) ? limits[name] : limits
    if (value === undefined || (typeof value === 'number' && Number.isInteger(value) && value > 0)) return value
    throw new AppError('invalid', `${id}: meta.limits.${name} must be a positive whole number`, { entryId: id })
  }
  const totalInstructions = read('instructions')
  const memoryBytes = read('memory')
  return {
    limits: {
      ...(totalInstructions === undefined ? {} : { totalInstructions }),
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
    },
  }
}

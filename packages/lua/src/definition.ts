import { AppError } from '@daruma/protocol'
import type { Engine, Library, Limits, Unit } from './engine.ts'
import { nearest } from './nearest.ts'
import { topLevelRequires } from './requires.ts'

export type CodeKind = 'function' | 'process' | 'workflow' | 'library'

/** One code entry: what a registry knows of it, with the text itself. */
export interface LuaDefinition {
  /** `namespace:name`. */
  readonly id: string
  readonly kind: CodeKind
  readonly source: string
  /** What errors and tracebacks call it. Default: the id. */
  readonly sourceName?: string
  /** Field of the table that the chunk returns. Default: 'main'. A chunk that returns a function is the method itself. */
  readonly method?: string
  /** Lua modules that this entry may use. */
  readonly modules?: readonly string[]
  /** Libraries and functions under the names by which this entry requires them. */
  readonly imports?: Readonly<Record<string, LuaDefinition>>
  /** Only modules that replay exactly. Default: true for workflows. */
  readonly deterministic?: boolean
  /** Runs on a terminal: `print` goes there instead of to the log. */
  readonly terminal?: boolean
  readonly limits?: Partial<Limits>
}

/** A definition after compilation, with all that it imports. */
export interface LoadedEntry {
  readonly definition: LuaDefinition
  readonly unit: Unit
  readonly modules: ReadonlySet<string>
  readonly imports: ReadonlyMap<string, LoadedEntry>
}

/** What one program is made of. */
export interface LoadedProgram {
  readonly entry: LoadedEntry
  /** Imported entries, each after those that it imports itself: the order in which their chunks run. */
  readonly libraries: readonly LoadedEntry[]
  /** Every entry by the name of its unit. */
  readonly byUnit: ReadonlyMap<string, LoadedEntry>
  /** The declared modules of all its entries, by name. */
  readonly globals: Readonly<Record<string, Library>>
  readonly deterministic: boolean
}

export interface ModuleCatalog {
  /** Modules that must be declared. */
  readonly declarable: ReadonlyMap<string, { readonly library: Library; readonly deterministic: boolean }>
  /** Names that are global in every program. They may be declared and required all the same. */
  readonly globals: ReadonlySet<string>
}

/**
 * Compiles `definition` and everything it imports.
 *
 * @throws AppError invalid - a syntax error (with file and line), a circle of imports, a module that a workflow may not have,
 *   a top-level `require` of something undeclared
 * @throws AppError not_found - a declared module that does not exist
 */
export function loadProgram(definition: LuaDefinition, engine: Engine, catalog: ModuleCatalog): LoadedProgram {
  const deterministic = definition.deterministic ?? definition.kind === 'workflow'
  const byUnit = new Map<string, LoadedEntry>()
  const byId = new Map<string, LoadedEntry>()
  const libraries: LoadedEntry[] = []
  const globals: Record<string, Library> = {}

  const load = (each: LuaDefinition, path: readonly string[]): LoadedEntry => {
    const known = byId.get(each.id)
    if (known !== undefined) return known
    if (path.includes(each.id)) {
      throw new AppError('invalid', `imports run in a circle: ${[...path, each.id].join(' -> ')}`, { entryId: each.id })
    }
    const modules = checkModules(each, catalog, deterministic)
    const imports = new Map<string, LoadedEntry>()
    for (const [alias, imported] of Object.entries(each.imports ?? {})) {
      imports.set(alias, load(imported, [...path, each.id]))
    }
    checkRequires(each, modules, imports, catalog)
    // `require` finds out who asks by the unit's name, so no two entries of a program may share one.
    const wanted = each.sourceName ?? each.id
    const unit = engine.compile(each.source, byUnit.has(wanted) ? each.id : wanted)
    const entry: LoadedEntry = { definition: each, unit, modules, imports }
    byUnit.set(unit.name, entry)
    byId.set(each.id, entry)
    for (const name of modules) {
      const module = catalog.declarable.get(name)
      if (module !== undefined) globals[name] = module.library
    }
    if (path.length > 0) libraries.push(entry)
    return entry
  }

  return { entry: load(definition, []), libraries, byUnit, globals, deterministic }
}

function checkModules(definition: LuaDefinition, catalog: ModuleCatalog, deterministic: boolean): ReadonlySet<string> {
  const modules = new Set(definition.modules ?? [])
  for (const name of modules) {
    if (catalog.globals.has(name)) continue
    const module = catalog.declarable.get(name)
    if (module === undefined) {
      const near = nearest(name, [...catalog.declarable.keys(), ...catalog.globals])
      throw new AppError(
        'not_found',
        `${definition.id} declares module '${name}', which does not exist${near === undefined ? '' : `; did you mean '${near}'?`}`,
        { entryId: definition.id, module: name },
      )
    }
    if (deterministic && !module.deterministic) {
      throw new AppError(
        'invalid',
        `${definition.id} declares module '${name}', which a workflow may not use: it does not replay; call a function that uses it`,
        { entryId: definition.id, module: name },
      )
    }
  }
  return modules
}

function checkRequires(
  definition: LuaDefinition,
  modules: ReadonlySet<string>,
  imports: ReadonlyMap<string, LoadedEntry>,
  catalog: ModuleCatalog,
): void {
  for (const { name, line } of topLevelRequires(definition.source)) {
    if (imports.has(name) || modules.has(name) || catalog.globals.has(name)) continue
    const file = definition.sourceName ?? definition.id
    throw new AppError('invalid', `${file}:${line}: ${missingModule(name, definition.id, catalog)}`, {
      entryId: definition.id,
      name: file,
      line,
      module: name,
    })
  }
}

/** What `require` says of a name that it does not give. */
export function missingModule(name: string, entryId: string, catalog: ModuleCatalog): string {
  return catalog.declarable.has(name)
    ? `module '${name}' not found: it exists, but ${entryId} does not declare it; add it to the entry's modules`
    : `module '${name}' not found`
}

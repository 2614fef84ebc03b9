import type { ProgramFactory } from '@daruma/protocol'
import { loadProgram, type LoadedProgram, type LuaDefinition, type ModuleCatalog } from './definition.ts'
import type { Base, Engine, HostValue, Library, LibrarySpec } from './engine.ts'
import { createFengariEngine } from './fengari/engine.ts'
import { builtinModules } from './modules/index.ts'
import { subscribe, unlisten } from './modules/process.ts'
import type { LuaModule } from './modules/support/module.ts'
import { ZoneTable } from './modules/support/zone.ts'
import { LuaProgram } from './program.ts'
import { reviveInstance } from './revive.ts'
import { declareType } from './types/type-value.ts'
import { requireFunction } from './require.ts'

export interface LuaOptions {
  /** Default: the fengari engine. */
  readonly engine?: Engine
  /** Modules of the app's own, beside the built-in ones; the same name replaces. */
  readonly modules?: readonly LuaModule[]
}

export interface LuaRuntime {
  /** Name and version of what executes: to be recorded with each workflow run. */
  readonly engineVersion: string
  /** Every module that an entry can declare. */
  readonly modules: readonly LuaModule[]
  /**
   * Compiles an entry and what it imports; each program that the factory makes is a fresh state.
   * A changed entry is another definition: programs that run stay on the one they started with.
   *
   * @throws AppError invalid - a syntax error, a circle of imports, a module that a workflow may not have, a top-level
   *   `require` of something undeclared; details: entryId, and name and line where known
   * @throws AppError not_found - a declared module that does not exist
   */
  define(definition: LuaDefinition): ProgramFactory
}

/** Names that the engine's standard library provides in every program. */
const engineGlobals = ['channel', 'coroutine', 'os', 'ostime', 'string', 'table', 'math'] as const

/** Makes a runtime. Runtimes share nothing; programs of one runtime share compiled code and libraries, frozen. */
export function createLua(options: LuaOptions = {}): LuaRuntime {
  const engine = options.engine ?? createFengariEngine()
  const zones = new ZoneTable()
  const revive = (value: object): HostValue => reviveInstance(value, zones)
  const byName = new Map([...builtinModules, ...(options.modules ?? [])].map((module) => [module.name, module]))
  const modules = [...byName.values()]
  const process = assemble(engine, modules, zones, false)
  const workflow = assemble(engine, modules, zones, true)
  return {
    engineVersion: engine.version,
    modules,
    define(definition) {
      const isWorkflow = definition.deterministic ?? definition.kind === 'workflow'
      const { baseWith, catalog } = isWorkflow ? workflow : process
      const program: LoadedProgram = loadProgram(definition, engine, catalog)
      const base = baseWith(program.globals)
      return () => new LuaProgram({ engine, base, catalog, program, zones, revive })
    },
  }
}

function assemble(
  engine: Engine,
  modules: readonly LuaModule[],
  zones: ZoneTable,
  deterministic: boolean,
): { readonly baseWith: (modules: LoadedProgram['globals']) => Base; readonly catalog: ModuleCatalog } {
  const declarable = new Map<string, { readonly library: Library; readonly deterministic: boolean }>()
  const globals: Record<string, LibrarySpec[string]> = {
    require: requireFunction,
    subscribe,
    unsubscribe: unlisten,
    // What a declared type of the dialect (`type N = ...`) is made by; see erase-types.ts.
    __daruma_type: declareType,
  }
  const globalNames = new Set<string>(engineGlobals)
  for (const module of modules) {
    const spec = typeof module.spec === 'function' ? module.spec({ zones, deterministic }) : module.spec
    const library = engine.library(module.name, spec)
    if (module.global === true) {
      globals[module.name] = library
      globalNames.add(module.name)
    } else {
      declarable.set(module.name, { library, deterministic: module.deterministic })
    }
  }
  // One for all programs with the same modules: a process then carries no global of its own, only what it sets itself.
  const bases = new Map<string, Base>()
  const baseWith = (declared: LoadedProgram['globals']): Base => {
    const key = Object.keys(declared).sort().join(' ')
    let base = bases.get(key)
    if (base === undefined) bases.set(key, (base = engine.base({ ...globals, ...declared })))
    return base
  }
  return { baseWith, catalog: { declarable, globals: globalNames } }
}

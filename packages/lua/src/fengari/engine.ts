import type { Base, Engine, Library, LibrarySpec, Proc, SpawnProc, Unit } from '../engine.ts'
import { eraseTypes } from '../erase-types.ts'
import { defaultLimits } from '../limits.ts'
import { HostObject } from '../value.ts'
import { standardGlobals } from '../stdlib/globals.ts'
import { channelClass } from './channel.ts'
import { compileUnit, unitHash } from './compile.ts'
import type { FengariUnit } from './compile.ts'
import { makeBoolean, makeConstant, makeFunction, makeTable } from './native.ts'
import { FengariProc } from './proc.ts'
import { FengariBase, Shared } from './shared.ts'
import { channelMethods } from '../stdlib/channel.ts'
import type { LuaState, Table } from './types.ts'
import { fengari } from './load.ts'

export interface FengariOptions {
  /**
   * What is done to a program's text before it is compiled. Must keep line numbers. Default: types are erased.
   * @throws AppError invalid - the text cannot be prepared
   */
  readonly prepare?: (source: string, name: string) => string
  /** Compiled units that are kept for `compile`, least recently used ones dropped. Default 2_000. */
  readonly cachedUnits?: number
}

/** Changes with every change of behaviour: recorded with workflow runs. */
export const engineVersion = 'fengari-0.1.5/daruma-1'

/** The engine on fengari. One per runtime; processes of two engines share nothing. */
export function createFengariEngine(options: FengariOptions = {}): Engine {
  return new FengariEngine(options)
}

class FengariEngine implements Engine {
  readonly version = engineVersion
  readonly #shared = new Shared()
  readonly #units = new Map<string, FengariUnit>()
  readonly #prepare: (source: string, name: string) => string
  readonly #cachedUnits: number
  readonly #compiler: LuaState
  readonly #standard: Readonly<Record<string, Table>>
  readonly #functions: ReturnType<typeof standardGlobals>['functions']
  readonly #stringMeta: Table
  #lastProc = 0

  constructor(options: FengariOptions) {
    this.#prepare = options.prepare ?? ((source, name) => eraseTypes(source, name).code)
    this.#cachedUnits = options.cachedUnits ?? 2_000
    this.#compiler = fengari.lstate.lua_newstate()
    const shared = this.#shared
    shared.defineRaw(channelClass, channelMethods)
    const { libraries, functions } = standardGlobals()
    this.#functions = functions
    this.#standard = Object.fromEntries(
      Object.entries(libraries).map(([name, { members, callable }]) => {
        const table = shared.rawTable(members)
        if (callable !== undefined) {
          const meta = shared.emptyTable()
          shared.set(meta, '__call', makeFunction(callable))
          shared.set(meta, '__metatable', makeBoolean(false))
          meta.frozen = true
          table.metatable = meta
        }
        return [name, table]
      }),
    )
    this.#stringMeta = shared.emptyTable()
    shared.set(this.#stringMeta, '__index', makeTable(this.#standard['string']!))
    shared.set(this.#stringMeta, '__metatable', makeBoolean(false))
    this.#stringMeta.frozen = true
  }

  compile(source: string, name: string): Unit {
    const hash = unitHash(source, name)
    const known = this.#units.get(hash)
    if (known !== undefined) {
      this.#units.delete(hash)
      this.#units.set(hash, known)
      return known
    }
    const unit = compileUnit(this.#compiler, this.#prepare(source, name), name, hash)
    this.#units.set(hash, unit)
    if (this.#units.size > this.#cachedUnits) {
      const [oldest] = this.#units.keys()
      this.#units.delete(oldest!)
    }
    return unit
  }

  library(name: string, spec: LibrarySpec): Library {
    return this.#shared.library(name, spec)
  }

  base(globals: LibrarySpec = {}): Base {
    const shared = this.#shared
    const table = shared.emptyTable()
    for (const [name, native] of Object.entries(this.#functions)) shared.set(table, name, makeFunction(native))
    shared.set(table, '_VERSION', makeConstant('Lua 5.3'))
    for (const [name, library] of Object.entries(this.#standard)) shared.set(table, name, makeTable(library))
    for (const [name, item] of Object.entries(globals)) shared.set(table, name, this.#merged(name, item))
    table.frozen = true
    const environment = shared.emptyTable()
    shared.set(environment, '__index', makeTable(table))
    shared.set(environment, '__metatable', makeBoolean(false))
    environment.frozen = true
    return new FengariBase(table, environment, this.#stringMeta)
  }

  /** A library given under a standard name (`coroutine`, `os`) adds to the standard one. */
  #merged(name: string, item: LibrarySpec[string]): ReturnType<typeof makeTable> {
    const own = this.#shared.constant(item)
    const standard = this.#standard[name]
    const isSpec = typeof item === 'object' && !(item instanceof HostObject)
    if (standard === undefined || !isSpec) return own
    const table = this.#shared.emptyTable()
    const shared = this.#shared
    for (const source of [standard, own.value as Table]) {
      for (let entry = source.f; entry !== undefined; entry = entry.n) {
        fengari.ltable.luaH_setfrom(shared.L, table, entry.key, entry.value)
      }
    }
    table.metatable = standard.metatable
    table.frozen = true
    return makeTable(table)
  }

  spawn(options: SpawnProc): Proc {
    return new FengariProc(++this.#lastProc, this.#shared, { ...defaultLimits, ...options.limits }, options)
  }
}

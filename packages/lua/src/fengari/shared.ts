import { AppError } from '@daruma/protocol'
import type { Base, HostFunction, HostValue, Library, LibrarySpec, LuaValue } from '../engine.ts'
import { HostObject } from '../value.ts'
import type { AnyHostObject, HostClass, HostMethod, HostOperator } from '../value.ts'
import { fromLua, toLua } from './convert.ts'
import type { ConversionHost } from './convert.ts'
import { runHost } from './host-call.ts'
import { fengari } from './load.ts'
import {
  arg,
  bytesOf,
  describeType,
  fail,
  isString,
  makeConstant,
  makeBoolean,
  makeFunction,
  makeNumber,
  makeRawConstant,
  makeTable,
  raiseThrown,
  returnOne,
  typeError,
} from './native.ts'
import { forPeople, fromBytes } from './text.ts'
import { tag } from './types.ts'
import type { LuaState, NativeFunction, TValue, Table, Udata } from './types.ts'
import type { FengariProc } from './proc.ts'

const { lstate, ltable, lobject } = fengari

// The state of a class is its owner's business: here objects of all classes meet.
type AnyClass = HostClass<any>

/** Natives by name, and constants; nested once or more. */
export interface RawLibrary {
  readonly [name: string]: NativeFunction | number | string | RawLibrary
}

export class FengariLibrary implements Library {
  readonly kind = 'library' as const
  readonly name: string
  readonly table: Table
  constructor(name: string, table: Table) {
    this.name = name
    this.table = table
  }
}

export class FengariBase implements Base {
  readonly kind = 'base' as const
  readonly globals: Table
  /** Metatable of every process's `_ENV`: falls back to the globals, shows nothing of itself. */
  readonly environment: Table
  readonly stringMeta: Table | undefined
  constructor(globals: Table, environment: Table, stringMeta: Table | undefined) {
    this.globals = globals
    this.environment = environment
    this.stringMeta = stringMeta
  }
}

export const procOf = (L: LuaState): FengariProc => L.l_G.owner as unknown as FengariProc

/**
 * What all processes of an engine have in common: frozen tables of libraries and classes, made in a state in which
 * nothing ever runs.
 */
export class Shared implements ConversionHost {
  readonly L: LuaState
  readonly #natives = new WeakMap<HostFunction, NativeFunction>()
  readonly #metatables = new WeakMap<AnyClass, Table>()
  readonly #userdata = new WeakMap<AnyHostObject, Udata>()
  readonly #rawMethods = new Map<AnyClass, Readonly<Record<string, NativeFunction>>>()

  constructor() {
    this.L = lstate.lua_newstate()
  }

  native(fn: HostFunction): NativeFunction {
    let native = this.#natives.get(fn)
    if (native === undefined) {
      native = (L) => runHost(procOf(L), L, fn)
      this.#natives.set(fn, native)
    }
    return native
  }

  /** Userdata of constants in libraries: the same in every process. */
  userdata(object: AnyHostObject): Udata {
    let known = this.#userdata.get(object)
    if (known === undefined) {
      known = this.makeUserdata(this.L, object)
      this.#userdata.set(object, known)
    }
    return known
  }

  sharedUserdata(object: AnyHostObject): Udata | undefined {
    return this.#userdata.get(object)
  }

  makeUserdata(L: LuaState, object: AnyHostObject): Udata {
    const made = new lobject.Udata(L, 0)
    made.data = object
    made.metatable = this.metatable(object.class as AnyClass)
    return made
  }

  revive(value: object): HostValue {
    throw new AppError('invalid', `a ${value.constructor.name} cannot stand in a library`)
  }

  libraryTable(value: object): Table | undefined {
    return value instanceof FengariLibrary ? value.table : undefined
  }

  /* -------------------------------------------------------------------------------------------- libraries */

  library(name: string, spec: LibrarySpec): FengariLibrary {
    return new FengariLibrary(name, this.#table(spec))
  }

  rawTable(spec: RawLibrary): Table {
    const table = this.emptyTable()
    for (const [key, item] of Object.entries(spec)) {
      if (typeof item === 'function') this.set(table, key, makeFunction(item))
      else if (typeof item === 'object') this.set(table, key, makeTable(this.rawTable(item)))
      else this.set(table, key, typeof item === 'number' ? makeNumber(item) : makeRawConstant(item))
    }
    table.frozen = true
    return table
  }

  #table(spec: LibrarySpec): Table {
    const table = this.emptyTable()
    for (const [key, item] of Object.entries(spec)) this.set(table, key, this.constant(item))
    table.frozen = true
    return table
  }

  constant(item: LibrarySpec[string]): TValue {
    if (typeof item === 'object' && !(item instanceof HostObject)) {
      return makeTable(item instanceof FengariLibrary ? item.table : this.#table(item as LibrarySpec))
    }
    return typeof item === 'string' ? makeConstant(item) : toLua(this, item)
  }

  emptyTable(): Table {
    return new ltable.Table(this.L)
  }

  set(table: Table, key: string, value: TValue): void {
    ltable.luaH_setfrom(this.L, table, makeConstant(key), value)
    table.flags = 0
  }

  /* ---------------------------------------------------------------------------------------------- classes */

  /** For classes of the engine's own: methods that work on Lua values as they are. */
  defineRaw(cls: AnyClass, methods: Readonly<Record<string, NativeFunction>>): void {
    this.#rawMethods.set(cls, methods)
  }

  metatable(cls: AnyClass): Table {
    let known = this.#metatables.get(cls)
    if (known === undefined) {
      known = this.#makeMetatable(cls)
      this.#metatables.set(cls, known)
    }
    return known
  }

  #makeMetatable(cls: AnyClass): Table {
    const meta = this.emptyTable()
    const methods = this.emptyTable()
    for (const [name, native] of Object.entries(this.#rawMethods.get(cls) ?? {})) {
      this.set(methods, name, makeFunction(native))
    }
    for (const [name, method] of Object.entries(cls.methods ?? {})) {
      this.set(methods, name, makeFunction(this.#method(cls, name, method)))
    }
    methods.frozen = true
    this.set(meta, '__name', makeConstant(cls.name))
    this.set(meta, '__metatable', makeBoolean(false))
    this.set(meta, '__index', cls.index === undefined ? makeTable(methods) : makeFunction(indexNative(cls, methods)))
    const { newIndex, call, length, unm, eq, lt, le } = cls
    if (newIndex !== undefined) {
      this.#native(meta, '__newindex', (proc, L) => {
        newIndex(selfOf(L, cls, '__newindex'), fromLua(proc, arg(L, 2)), fromLua(proc, arg(L, 3)))
        return undefined
      })
    }
    if (call !== undefined) this.set(meta, '__call', makeFunction(this.#method(cls, '__call', call)))
    if (length !== undefined) this.#native(meta, '__len', (_proc, L) => length(selfOf(L, cls, '__len')))
    if (unm !== undefined) this.#native(meta, '__unm', (_proc, L) => unm(selfOf(L, cls, '__unm')))
    for (const [name, compare] of [
      ['__eq', eq],
      ['__lt', lt],
      ['__le', le],
    ] as const) {
      if (compare === undefined) continue
      this.#native(meta, name, (proc, L) => compare(fromLua(proc, arg(L, 1)), fromLua(proc, arg(L, 2))))
    }
    for (const name of ['concat', 'add', 'sub', 'mul', 'div', 'mod'] as const) {
      const operator: HostOperator | undefined = cls[name]
      if (operator === undefined) continue
      this.#native(meta, `__${name}`, (proc, L) => operator(fromLua(proc, arg(L, 1)), fromLua(proc, arg(L, 2))))
    }
    this.#native(meta, '__tostring', (_proc, L) => {
      const self = selfOf(L, cls, '__tostring')
      return cls.tostring === undefined ? defaultText(L, cls) : cls.tostring(self)
    })
    meta.frozen = true
    return meta
  }

  /** A metamethod: one result, no suspension. */
  #native(meta: Table, name: string, body: (proc: FengariProc, L: LuaState) => HostValue): void {
    this.set(
      meta,
      name,
      makeFunction((L) => {
        const proc = procOf(L)
        let value: TValue
        try {
          value = toLua(proc, body(proc, L))
        } catch (thrown) {
          return raiseThrown(L, thrown, (v) => toLua(proc, v))
        }
        return returnOne(L, value)
      }),
    )
  }

  #method(cls: AnyClass, name: string, method: HostMethod<unknown>): NativeFunction {
    return (L) => {
      const self = selfOf(L, cls, name)
      return runHost(procOf(L), L, (ctx, args) => method(self, ctx, args.slice(1)))
    }
  }
}

function selfOf(L: LuaState, cls: AnyClass, name: string): AnyHostObject {
  const v = arg(L, 1)
  if (v.type === tag.userdata && HostObject.is((v.value as Udata).data, cls)) {
    return (v.value as Udata).data as AnyHostObject
  }
  if (L.ci.funcOff + 1 >= L.top) return fail(L, `${cls.name}:${name} needs its object; call it with ':'`)
  const found = describeType(L, v)
  return typeError(L, 1, found === cls.name ? `another ${cls.name}` : cls.name)
}

function indexNative(cls: AnyClass, methods: Table): NativeFunction {
  const index = cls.index as (self: AnyHostObject, key: LuaValue) => HostValue
  return (L) => {
    const key = arg(L, 2)
    if (isString(key)) {
      const method = ltable.luaH_get(L, methods, key)
      if (method.type !== tag.nil) return returnOne(L, new lobject.TValue(method.type, method.value))
    }
    const self = selfOf(L, cls, isString(key) ? (fromBytes(bytesOf(key)) ?? forPeople(bytesOf(key))) : '__index')
    const proc = procOf(L)
    let value: TValue
    try {
      value = toLua(proc, index(self, fromLua(proc, key)))
    } catch (thrown) {
      return raiseThrown(L, thrown, (v) => toLua(proc, v))
    }
    return returnOne(L, value)
  }
}

const defaultText = (L: LuaState, cls: AnyClass): string => `${cls.name}: ${addressText((arg(L, 1).value as Udata).id)}`

/** What `tostring` shows for things without text: a number of the state's own, the same in every run. */
export const addressText = (id: number): string => `0x${id.toString(16).padStart(8, '0')}`

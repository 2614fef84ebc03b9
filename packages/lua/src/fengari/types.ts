/**
 * The parts of fengari's inside that the backend touches, as TypeScript sees them. Everything of this folder's
 * `fengari` namespace stays in the folder.
 */

/** Type tags of TValue.type. All numbers are `number` (the float variant): see patches.ts, 3. */
export const tag = {
  nil: 0,
  boolean: 1,
  lightUserdata: 2,
  number: 3,
  integer: 19,
  string: 4,
  longString: 20,
  table: 5,
  luaClosure: 6,
  lightFunction: 22,
  hostClosure: 38,
  userdata: 7,
  thread: 8,
} as const

export interface TValue {
  type: number
  value: unknown
  ttisnil(): boolean
  setfrom(from: TValue): void
  setnilvalue(): void
}

export interface TString {
  hash: string | null
  realstring: Uint8Array
}

/** fengari's CallInfo. */
export interface CallInfo {
  func: TValue
  funcOff: number
  top: number
  previous: CallInfo | null
  next: CallInfo | null
  l_base: number
  l_code: Instruction[]
  l_savedpc: number
  c_k: Continuation | null
  extra: number
  callstatus: number
  nresults: number
}

export interface Instruction {
  opcode: number
  A: number
  B: number
  C: number
}

/** `lua_State`: one thread of one state. */
export interface LuaState {
  id: number
  top: number
  stack_last: number
  stack: TValue[]
  ci: CallInfo
  base_ci: CallInfo
  l_G: GlobalState
  status: number
  nny: number
  hookmask: number
  hookcount: number
  basehookcount: number
}

export interface GlobalState {
  id_counter: number
  mainthread: LuaState
  l_registry: TValue
  mt: (Table | undefined)[]
  tmname: TString[]
  atnativeerror: NativeFunction | null
  /** Ours: who owns this state. Absent in the state that compiles. */
  owner?: StateOwner
}

/** What the patched parts of the machine ask of the one that runs a state. */
export interface StateOwner {
  /** Bytes of a new string, before it is used. May raise in `L`. */
  allocated(L: LuaState | undefined, bytes: number): void
  stringLimit(): number
  /** The count of instructions of `L` ran out. May throw; true: yield now. */
  onCount(L: LuaState): boolean
  nilKey(L: LuaState): void
}

export interface Proto {
  cache: unknown
  p: Proto[]
  k: TValue[]
  code: Instruction[]
  lineinfo: number[]
  source: TString | null
  linedefined: number
  locvars: unknown[]
  upvalues: unknown[]
}

export interface LClosure {
  id: number
  p: Proto
  upvals: TValue[]
  handle?: unknown
}

export interface Udata {
  id: number
  metatable: Table | null
  data: unknown
}

/** What fengari calls a C function: takes its arguments from the stack, leaves results on top, answers how many. */
export type NativeFunction = (L: LuaState) => number
export type Continuation = (L: LuaState, status: number, ctx: unknown) => number

export interface Entry {
  key: TValue
  value: TValue
  /** Neighbours in insertion order. */
  p: Entry | undefined
  n: Entry | undefined
}

export interface Table {
  id: number
  /** t[1] .. t[array.length]; the last one is never nil. */
  array: TValue[]
  strong: Map<unknown, Entry>
  f: Entry | undefined
  l: Entry | undefined
  dead: number
  metatable: Table | null
  flags: number
  frozen: boolean
  /** Made from a JavaScript array: stays an array when empty. */
  fromArray: boolean
  owner: StateOwner | undefined
  handle: unknown
}

export const status = { ok: 0, yield: 1, errorRun: 2, errorSyntax: 3, errorError: 6 } as const

export interface Fengari {
  readonly defs: { to_luastring(text: string, cache?: boolean): Uint8Array }
  readonly lapi: {
    lua_callk(L: LuaState, nargs: number, nresults: number, ctx: unknown, k: Continuation | null): void
    lua_pcallk(
      L: LuaState,
      nargs: number,
      nresults: number,
      handler: number,
      ctx: unknown,
      k: Continuation | null,
    ): number
    lua_checkstack(L: LuaState, n: number): boolean
    lua_settop(L: LuaState, index: number): void
    lua_error(L: LuaState): never
    lua_load(
      L: LuaState,
      reader: (L: LuaState, data: unknown) => Uint8Array | null,
      data: unknown,
      name: Uint8Array,
      mode: Uint8Array,
    ): number
    lua_atnativeerror(L: LuaState, handler: NativeFunction): unknown
  }
  readonly ldo: {
    lua_resume(L: LuaState, from: LuaState | null, nargs: number): number
    lua_yieldk(L: LuaState, nresults: number, ctx: unknown, k: Continuation | null): never
    luaD_throw(L: LuaState, code: number): never
    luaD_checkstack(L: LuaState, n: number): void
    adjust_top(L: LuaState, top: number): void
    luaD_growstack(L: LuaState, n: number): void
  }
  readonly lstate: { lua_newstate(): LuaState; lua_newthread(L: LuaState): LuaState }
  readonly lobject: {
    TValue: new (type: number, value: unknown) => TValue
    LClosure: new (L: LuaState, upvalues: number) => LClosure
    Udata: new (L: LuaState, size: number) => Udata
    luaO_nilobject: TValue
    luaO_str2num(bytes: Uint8Array, into: TValue): number
    luaO_tostring(L: LuaState, value: TValue): void
  }
  readonly ltable: {
    Table: new (L: LuaState) => Table
    luaH_new(L: LuaState): Table
    luaH_get(L: LuaState, t: Table, key: TValue): TValue
    luaH_getint(t: Table, key: number): TValue
    luaH_getstr(t: Table, key: TString): TValue
    luaH_setfrom(L: LuaState, t: Table, key: TValue, value: TValue): void
    luaH_setint(t: Table, key: number, value: TValue): void
    luaH_getn(t: Table): number
    luaH_next(L: LuaState, t: Table, keyIndex: number): boolean
    invalidateTMcache(t: Table): void
  }
  readonly ltm: {
    TMS: Readonly<Record<string, number>>
    luaT_gettmbyobj(L: LuaState, value: TValue, event: number): TValue
    luaT_objtypename(L: LuaState, value: TValue): Uint8Array
    luaT_trybinTM(L: LuaState, left: TValue, right: TValue, into: TValue, event: number): void
    luaT_init(L: LuaState): void
  }
  readonly lvm: {
    luaV_equalobj(L: LuaState | null, a: TValue, b: TValue): number
    luaV_lessthan(L: LuaState, a: TValue, b: TValue): number
    luaV_gettable(L: LuaState, t: TValue, key: TValue, into: number): void
    settable(L: LuaState, t: TValue, key: TValue, value: TValue): void
    luaV_objlen(L: LuaState, into: TValue, value: TValue): void
    luaV_concat(L: LuaState, total: number): void
    tonumber(value: TValue): number | false
  }
  readonly ldebug: {
    luaG_runerror(L: LuaState, format: Uint8Array, ...args: unknown[]): never
    luaG_traceexec(L: LuaState): void
    lua_getstack(L: LuaState, level: number, info: DebugInfo): number
    lua_getinfo(L: LuaState, what: Uint8Array, info: DebugInfo): number
    luaG_typeerror(L: LuaState, value: TValue, op: Uint8Array): never
    luaG_ordererror(L: LuaState, a: TValue, b: TValue): never
  }
  readonly lstring: {
    TString: new (L: LuaState | null, bytes: Uint8Array) => TString
    luaS_bless(L: LuaState, bytes: Uint8Array): TString
    luaS_hashlongstr(s: TString): string
  }
  readonly lopcodes: { OpCodesI: Readonly<Record<string, number>> }
}

export interface DebugInfo {
  i_ci: CallInfo | null
  name: Uint8Array | null
  namewhat: Uint8Array | null
  what: Uint8Array | null
  short_src: Uint8Array | null
  currentline: number
  linedefined: number
}

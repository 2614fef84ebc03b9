import { AppError } from '@daruma/protocol'
import { Raised } from '../engine.ts'
import type { LuaFrame } from '../engine.ts'
import { errorObject, isErrorObject } from '../error-object.ts'
import { fengari } from './load.ts'
import { numberText } from './number.ts'
import { forPeople, fromLatin1, toBytes } from './text.ts'
import { status, tag } from './types.ts'
import type { DebugInfo, LuaState, NativeFunction, TString, TValue, Table, Udata } from './types.ts'

/**
 * How functions of the machine are written: the frame of a native function, its arguments, its errors, and the one
 * driver by which such a function calls Lua code that may suspend.
 */

const { lapi, ldo, ldebug, lobject, ltable, ltm, lstring } = fengari
const { TValue: TValueClass } = lobject

/** Ends a process (or an evaluation): thrown through Lua, caught by none of it. */
export class Abort {
  readonly cause: 'killed' | 'limit'
  readonly message: string
  constructor(cause: 'killed' | 'limit', message: string) {
    this.cause = cause
    this.message = message
  }
}

/* -------------------------------------------------------------------------------------------------- values */

export const nil: TValue = lobject.luaO_nilobject
export const makeNil = (): TValue => new TValueClass(tag.nil, null)
export const makeNumber = (n: number): TValue => new TValueClass(tag.number, n)
export const makeBoolean = (b: boolean): TValue => new TValueClass(tag.boolean, b)
export const makeTable = (t: Table): TValue => new TValueClass(tag.table, t)
export const makeBytes = (L: LuaState, bytes: Uint8Array): TValue =>
  new TValueClass(tag.longString, lstring.luaS_bless(L, bytes))
export const makeText = (L: LuaState, text: string): TValue => makeBytes(L, toBytes(text))
export const makeFunction = (f: NativeFunction): TValue => new TValueClass(tag.lightFunction, f)
export const makeUserdata = (u: Udata): TValue => new TValueClass(tag.userdata, u)
export const makeThread = (thread: LuaState): TValue => new TValueClass(tag.thread, thread)

/** A string that belongs to no process: keys and constants of shared tables. */
export const makeConstant = (text: string): TValue =>
  new TValueClass(tag.longString, new lstring.TString(null, toBytes(text)))

/** As `makeConstant`, one character for each byte. */
export const makeRawConstant = (latin1: string): TValue =>
  new TValueClass(tag.longString, new lstring.TString(null, fromLatin1(latin1)))

export const isString = (v: TValue): boolean => (v.type & 0x0f) === tag.string
export const isNumber = (v: TValue): boolean => (v.type & 0x0f) === tag.number
export const isFunction = (v: TValue): boolean => (v.type & 0x0f) === tag.luaClosure
export const isFalse = (v: TValue): boolean => v.type === tag.nil || (v.type === tag.boolean && v.value === false)
export const bytesOf = (v: TValue): Uint8Array => (v.value as TString).realstring
export const copyOf = (v: TValue): TValue => new TValueClass(v.type, v.value)

const typeNames = ['nil', 'boolean', 'userdata', 'number', 'string', 'table', 'function', 'userdata', 'thread']
export const typeName = (v: TValue): string => typeNames[v.type & 0x0f] ?? '?'

/** The type as errors call it: `__name` of a metatable first. */
export const describeType = (L: LuaState, v: TValue): string => forPeople(ltm.luaT_objtypename(L, v))

/** The metamethod `name` of `v`, or undefined. */
export function metafield(L: LuaState, v: TValue, name: TValue): TValue | undefined {
  const mt =
    v.type === tag.table || v.type === tag.userdata
      ? (v.value as { metatable: Table | null }).metatable
      : L.l_G.mt[v.type & 0x0f]
  if (mt === null || mt === undefined) return undefined
  const found = ltable.luaH_getstr(mt, name.value as TString)
  return found.type === tag.nil ? undefined : found
}

/* --------------------------------------------------------------------------------------------------- frame */

export const argCount = (L: LuaState): number => L.top - L.ci.funcOff - 1

/** Argument `i`, from 1; nil when it is absent. By reference: copy what outlives the next change of the stack. */
export function arg(L: LuaState, i: number): TValue {
  const at = L.ci.funcOff + i
  return at < L.top ? L.stack[at]! : nil
}

export function collect(L: LuaState, from = 1): TValue[] {
  const values: TValue[] = []
  for (let at = L.ci.funcOff + from; at < L.top; at++) values.push(copyOf(L.stack[at]!))
  if (values.length > cheapValues) ownerOf(L).charge(L, values.length)
  return values
}

/** Moving more values than this is charged. */
const cheapValues = 64

/** Pushes `v` itself: give it to nobody else afterwards. */
export function push(L: LuaState, v: TValue): void {
  if (L.stack_last - L.top <= 8) ldo.luaD_checkstack(L, 16)
  L.stack[L.top++] = v
  if (L.ci.top < L.top) L.ci.top = L.top
}

export const pushCopy = (L: LuaState, v: TValue): void => push(L, copyOf(v))

export function returnOne(L: LuaState, v: TValue): number {
  push(L, v)
  return 1
}

export function returnAll(L: LuaState, values: readonly TValue[]): number {
  if (values.length > cheapValues) ownerOf(L).charge(L, values.length)
  if (!lapi.lua_checkstack(L, values.length + 8)) fail(L, 'stack overflow: too many results')
  for (const value of values) pushCopy(L, value)
  return values.length
}

/* -------------------------------------------------------------------------------------------------- errors */

/** Raises `value` as it is. */
export function raiseValue(L: LuaState, value: TValue): never {
  pushCopy(L, value)
  return lapi.lua_error(L)
}

/** Raises text with the place of the caller before it (level 1), of its caller (2), or none (0). */
export function fail(L: LuaState, message: string, level = 1): never {
  return raiseValue(L, makeText(L, where(L, level) + message))
}

export function argError(L: LuaState, i: number, problem: string): never {
  const info = infoOf(L, 0)
  if (info === undefined) return fail(L, `bad argument #${i} (${problem})`)
  const name = info.name === null ? '?' : forPeople(info.name)
  if (info.namewhat !== null && forPeople(info.namewhat) === 'method') {
    if (i === 1) return fail(L, `calling '${name}' on bad self (${problem})`)
    return fail(L, `bad argument #${i - 1} to '${name}' (${problem})`)
  }
  return fail(L, `bad argument #${i} to '${name}' (${problem})`)
}

export function typeError(L: LuaState, i: number, expected: string): never {
  const found = L.ci.funcOff + i < L.top ? describeType(L, arg(L, i)) : 'no value'
  return argError(L, i, `${expected} expected, got ${found}`)
}

/**
 * Raises what host code threw: an error object, or what `raise` said. Aborts, and errors of the machine that only
 * pass through, go on as they are.
 */
export function raiseThrown(L: LuaState, thrown: unknown, toLua: (value: unknown) => TValue): never {
  if (thrown instanceof Raised) {
    const value = toLua(thrown.value)
    if (thrown.level > 0 && isString(value)) fail(L, forPeople(bytesOf(value)), thrown.level)
    raiseValue(L, value)
  }
  if (!isMachineThrow(thrown)) {
    raiseValue(L, toLua(isErrorObject(thrown) ? thrown : errorObject(nativeProblem(thrown), frames(L))))
  }
  throw thrown
}

/** fengari throws plain records with these fields; ours are Aborts. */
const isMachineThrow = (thrown: unknown): boolean =>
  thrown instanceof Abort ||
  (typeof thrown === 'object' && thrown !== null && 'status' in thrown && 'previous' in thrown)

/** An exhausted JavaScript stack is the program's doing. */
export function nativeProblem(thrown: unknown): unknown {
  if (thrown instanceof RangeError && thrown.message.includes('call stack')) {
    return new AppError('internal', 'stack overflow', undefined, { cause: thrown })
  }
  return thrown
}

/* --------------------------------------------------------------------------------------------------- places */

const infoParts = toBytes('nSl')

function infoOf(L: LuaState, level: number): DebugInfo | undefined {
  const info = {} as DebugInfo
  if (ldebug.lua_getstack(L, level, info) === 0) return undefined
  ldebug.lua_getinfo(L, infoParts, info)
  return info
}

/** `file.lua:12: ` of the frame `level` calls up, or ''. */
export function where(L: LuaState, level: number): string {
  if (level <= 0) return ''
  const info = infoOf(L, level)
  if (info === undefined || info.currentline <= 0) return ''
  return `${forPeople(info.short_src!)}:${info.currentline}: `
}

/** `file.lua:12` of the innermost Lua frame. */
export function place(L: LuaState): string {
  for (let level = 0; level < 50; level++) {
    const info = infoOf(L, level)
    if (info === undefined) break
    if (info.currentline > 0) return `${forPeople(info.short_src!)}:${info.currentline}`
  }
  return '?'
}

const maxFrames = 100

/** The Lua frames of `L`, innermost first. */
export function frames(L: LuaState): LuaFrame[] {
  const found: LuaFrame[] = []
  for (let level = 0; found.length < maxFrames; level++) {
    const info = infoOf(L, level)
    if (info === undefined) break
    if (info.currentline <= 0) continue
    found.push({ source: forPeople(info.short_src!), line: info.currentline, name: frameName(info) })
  }
  return found
}

function frameName(info: DebugInfo): string {
  if (info.name !== null) return forPeople(info.name)
  return info.what !== null && forPeople(info.what) === 'main'
    ? 'main chunk'
    : `<${forPeople(info.short_src!)}:${info.linedefined}>`
}

/** As Lua prints it, without the frames of host functions. */
export function tracebackText(list: readonly LuaFrame[]): string {
  const shown = list.length > 22 ? [...list.slice(0, 11), undefined, ...list.slice(-10)] : list
  const lines = shown.map((frame) => {
    if (frame === undefined) return '\t...'
    const what =
      frame.name === 'main chunk'
        ? 'main chunk'
        : frame.name.startsWith('<')
          ? `function ${frame.name}`
          : `function '${frame.name}'`
    return `\t${frame.source}:${frame.line}: in ${what}`
  })
  return ['stack traceback:', ...lines].join('\n')
}

/* ----------------------------------------------------------------------------------------------- arguments */

/** Text of a string, number, or error object; undefined for others. */
export function textLike(v: TValue): Uint8Array | undefined {
  if (isString(v)) return bytesOf(v)
  if (isNumber(v)) return toBytes(numberText(v.value as number))
  if (v.type === tag.userdata) {
    const data = (v.value as Udata).data
    if (isErrorObject(data)) return toBytes(data.state.message)
  }
  return undefined
}

export const checkBytes = (L: LuaState, i: number): Uint8Array => textLike(arg(L, i)) ?? typeError(L, i, 'string')

export function checkNumber(L: LuaState, i: number): number {
  const v = arg(L, i)
  if (isNumber(v)) return v.value as number
  const n = isString(v) ? fengari.lvm.tonumber(v) : false
  return n === false ? typeError(L, i, 'number') : n
}

export function checkInteger(L: LuaState, i: number): number {
  const n = checkNumber(L, i)
  if (Number.isInteger(n)) return n === 0 ? 0 : n
  return argError(L, i, 'number has no integer representation')
}

export const optInteger = (L: LuaState, i: number, otherwise: number): number =>
  arg(L, i).type === tag.nil ? otherwise : checkInteger(L, i)

export function checkTable(L: LuaState, i: number): Table {
  const v = arg(L, i)
  return v.type === tag.table ? (v.value as Table) : typeError(L, i, 'table')
}

export function checkAny(L: LuaState, i: number): TValue {
  return L.ci.funcOff + i < L.top ? arg(L, i) : argError(L, i, 'value expected')
}

export function checkFunction(L: LuaState, i: number): TValue {
  const v = arg(L, i)
  return isFunction(v) ? v : typeError(L, i, 'function')
}

/* -------------------------------------------------------------------------------------------------- driver */

/** What a suspending native asks of the driver. It is answered with the results. */
export type Request =
  | { readonly kind: 'call'; readonly fn: TValue; readonly args: readonly TValue[] }
  /** Answered with `[true, ...results]` or `[false, error]`. */
  | { readonly kind: 'pcall'; readonly fn: TValue; readonly args: readonly TValue[] }
  /** For long work: lets others run when the slice is over. Answered with nothing. */
  | { readonly kind: 'rest' }
  /** Parks the task; `register` runs only if that is possible. Answered with what the task is woken with. */
  | { readonly kind: 'park'; readonly register: () => void }

export type Flow = Generator<Request, readonly TValue[], readonly TValue[]>

/** What the driver needs of the owner of a state. */
export interface Parking {
  /** Raises in `L` when nothing can block there. */
  checkParkable(L: LuaState): void
  /** The yield that follows is ours, not the program's. */
  parking(): void
  shouldRest(L: LuaState): boolean
  /** Work of a native, in instructions. */
  charge(L: LuaState, instructions: number): void
  /** What the parked task was woken with. */
  takeAnswer(): Answer
  aborted(): Abort | undefined
}

export type Answer = { readonly values: readonly TValue[] } | { readonly raise: (L: LuaState) => never }

export const ownerOf = (L: LuaState): Parking => L.l_G.owner as unknown as Parking

/**
 * A native function written as a generator: each `yield` may suspend the coroutine, in pcall, in iterators, in
 * coroutines of coroutines, and goes on where it stood.
 */
export function suspending(body: (L: LuaState, args: TValue[]) => Flow): NativeFunction {
  return (L) => drive(L, body(L, collect(L)), [])
}

export function drive(L: LuaState, flow: Flow, first: readonly TValue[]): number {
  let input = first
  for (;;) {
    const step = flow.next(input)
    if (step.done === true) return returnAll(L, step.value)
    const request = step.value
    switch (request.kind) {
      case 'call':
        prepareCall(L, request.fn, request.args)
        lapi.lua_callk(L, request.args.length, multiple, flow, continueCall)
        input = takeResults(L)
        break
      case 'pcall': {
        prepareCall(L, request.fn, request.args)
        const code = lapi.lua_pcallk(L, request.args.length, multiple, 0, flow, continueProtected)
        input = protectedResults(L, code)
        break
      }
      case 'rest':
        input = []
        if (ownerOf(L).shouldRest(L)) ldo.lua_yieldk(L, 0, flow, continueRested)
        break
      case 'park':
        park(L, request.register, flow, continueParked)
    }
  }
}

/** Parks the running task from a native that is no generator: `then` answers how many results it pushed. */
export function park(
  L: LuaState,
  register: () => void,
  ctx: unknown,
  then: (L: LuaState, code: number, ctx: unknown) => number,
): never {
  const owner = ownerOf(L)
  owner.checkParkable(L)
  register()
  owner.parking()
  return ldo.lua_yieldk(L, 0, ctx, then)
}

/** The usual continuation after `park`: the values that the task was woken with. */
export function answerParked(L: LuaState): number {
  const answer = ownerOf(L).takeAnswer()
  return 'raise' in answer ? answer.raise(L) : returnAll(L, answer.values)
}

const multiple = -1

const continueCall = (L: LuaState, _code: number, flow: unknown): number => drive(L, flow as Flow, takeResults(L))

const continueProtected = (L: LuaState, code: number, flow: unknown): number =>
  drive(L, flow as Flow, protectedResults(L, code))

const continueRested = (L: LuaState, _code: number, flow: unknown): number => drive(L, flow as Flow, [])

function continueParked(L: LuaState, _code: number, flow: unknown): number {
  const answer = ownerOf(L).takeAnswer()
  return 'raise' in answer ? answer.raise(L) : drive(L, flow as Flow, answer.values)
}

function prepareCall(L: LuaState, fn: TValue, args: readonly TValue[]): void {
  lapi.lua_settop(L, 0)
  if (!lapi.lua_checkstack(L, args.length + 8)) fail(L, 'stack overflow: too many arguments')
  pushCopy(L, fn)
  for (const value of args) pushCopy(L, value)
}

function takeResults(L: LuaState): TValue[] {
  const results = collect(L)
  lapi.lua_settop(L, 0)
  return results
}

function protectedResults(L: LuaState, code: number): TValue[] {
  if (code === status.ok || code === status.yield) return [makeBoolean(true), ...takeResults(L)]
  const abort = ownerOf(L).aborted()
  if (abort !== undefined) throw abort
  const error = copyOf(L.stack[L.top - 1]!)
  lapi.lua_settop(L, 0)
  return [makeBoolean(false), error]
}

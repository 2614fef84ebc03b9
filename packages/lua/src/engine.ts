import type { AnyHostObject, HostClass, HostObject } from './value.ts'

/**
 * The boundary behind which a Lua engine lives. No engine's own state, string or value type leaves it: a second engine
 * may stand behind the same words.
 *
 * Invariants that users of the boundary may rely on:
 * - E1 Nothing here is asynchronous. Lua runs only inside `proc.resume` and `proc.evaluate`.
 * - E2 Within a process, runnable coroutines take turns first in, first out. The same inputs give the same order.
 * - E3 A process shares nothing that Lua can change with another one: libraries and units are shared and frozen.
 * - E4 After `kill`, `done` or `error`, not one more instruction of the process runs.
 */

/* ------------------------------------------------------------------------------------------------ values */

/**
 * What host code sees of a Lua value. `nil` is undefined. A string that is valid UTF-8 is a JavaScript string, any
 * other one a Uint8Array of its bytes. Tables and functions are handles: the value itself stays in its process.
 * A host object is the very object that was given to Lua.
 */
export type LuaValue =
  undefined | boolean | number | string | Uint8Array | LuaTable | LuaFunction | LuaCoroutine | AnyHostObject

/**
 * What host code may give to Lua: any LuaValue, and
 * - null: nil (inside an array or object: an absent entry),
 * - bigint: a number where it is exact (up to 2^53), else a decimal string,
 * - an array: a new table 1..n; a plain object or Map: a new table (keys that are decimal integers in a plain object
 *   stay strings; a Map keeps number keys),
 * - a HostFunction: a Lua function, the same one each time for the same JavaScript function,
 * - an Error (AppError or other): an error object,
 * - a Library: its shared frozen table.
 * Everything else (symbols, class instances, cycles) is an AppError invalid that names the path.
 */
export type HostValue = unknown

/**
 * A table of one process. Handles to the same table are the same object, as long as one is kept.
 * Reads and writes are raw (no metamethods).
 */
export interface LuaTable {
  readonly kind: 'table'
  get(key: string | number): LuaValue
  /** A HostValue is converted; undefined removes. @throws AppError invalid - a frozen table */
  set(key: string | number, value: HostValue): void
  /** Border of the sequence part. */
  length(): number
  /** Snapshot of the entries in the order of `pairs`. */
  entries(): [LuaValue, LuaValue][]
  /**
   * A copy as plain data, by the rules of `toData` (value.ts). `path` is what messages call it.
   * @throws AppError invalid - a function, coroutine, cycle, or host object that cannot travel
   */
  data(path?: string): unknown
}

/** A Lua (or host) function of one process. Handles to the same function are the same object, as long as one is kept. */
export interface LuaFunction {
  readonly kind: 'function'
}

/** A coroutine that Lua code made. Opaque. */
export interface LuaCoroutine {
  readonly kind: 'coroutine'
}

/* ------------------------------------------------------------------------------------------ host functions */

/**
 * A function that Lua may call. Arguments come as LuaValues (tables as handles: `toData` in value.ts copies one out).
 * What it may do:
 * - return an array: these values; return nothing: no values;
 * - return `suspend(token)`: the calling coroutine parks until `proc.settle(token, ...)`;
 * - return `call(fn, args, then)`: calls a Lua function, which may itself suspend, and goes on with its results;
 * - return `channelReceive(channel)`: blocks on a channel as `ch:receive()` does;
 * - throw an AppError (or any Error): raised in Lua as an error object; throw `raise(...)`: raised as it says.
 */
export type HostFunction = (ctx: HostContext, args: readonly LuaValue[]) => HostResult

export type HostResult = readonly HostValue[] | void | Suspend | CallLua | ChannelReceive

/** What a host function knows about its caller. Valid during the call only, except `proc`. */
export interface HostContext {
  readonly proc: Proc
  /** What `spawn` was given as `local`: the owner's own record of this process. */
  readonly local: unknown
  /** The coroutine that calls; 1 is main. */
  readonly coroutine: number
  /** `file.lua:12` of the innermost Lua frame, or '?' when there is none. */
  where(): string
  /** Innermost first: the Lua frames of the calling coroutine. */
  frames(): readonly LuaFrame[]
}

/** For call_stack and tracebacks. `line` is 0 for a host function. */
export interface LuaFrame {
  readonly source: string
  readonly line: number
  readonly name: string
}

/** Any value that the host can find again: compared by identity (numbers and strings by value). */
export type Token = unknown

export interface Suspend {
  readonly kind: 'suspend'
  readonly token: Token
  /** Maps the answer to what the host function returns; may throw, suspend again, or call. Default: the values as they are. */
  readonly onDone: ((ctx: HostContext, values: readonly HostValue[]) => HostResult) | undefined
}

/** Parks the calling coroutine. A token may be awaited by one coroutine at a time. */
export const suspend = (token: Token, onDone?: Suspend['onDone']): Suspend => ({ kind: 'suspend', token, onDone })

export interface CallLua {
  readonly kind: 'call'
  readonly fn: LuaFunction
  readonly args: readonly HostValue[]
  readonly onDone: ((ctx: HostContext, values: readonly LuaValue[]) => HostResult) | undefined
  /** Present: an error of `fn` (and of nothing else) comes here instead of going on outwards. */
  readonly caught: ((ctx: HostContext, error: LuaValue) => HostResult) | undefined
}

/** Calls `fn` in the coroutine of the caller; everything in it may block. */
export const call = (
  fn: LuaFunction,
  args: readonly HostValue[] = [],
  onDone?: CallLua['onDone'],
  caught?: CallLua['caught'],
): CallLua => ({ kind: 'call', fn, args, onDone, caught })

export interface ChannelReceive {
  readonly kind: 'receive'
  readonly channel: Channel
  readonly onDone: ((ctx: HostContext, received: Received) => HostResult) | undefined
}

export interface Received {
  readonly value: LuaValue
  /** False: closed and drained. */
  readonly ok: boolean
}

/** Receives in the coroutine of the caller. Without `onDone` the caller gets `value, ok`. */
export const channelReceive = (channel: Channel, onDone?: ChannelReceive['onDone']): ChannelReceive => ({
  kind: 'receive',
  channel,
  onDone,
})

/** What `raise` makes: throw it. Not an Error: it stands for a value of Lua's. */
export class Raised {
  readonly value: HostValue
  readonly level: number
  constructor(value: HostValue, level: number) {
    this.value = value
    this.level = level
  }
}

/**
 * For `throw raise(...)` in a host function: raises `value` as Lua's `error` does. Level 1 (default) puts the place
 * of the caller before a text, 2 its caller's, 0 nothing; other values than text go as they are.
 */
export const raise = (value: HostValue, level = 1): Raised => new Raised(value, level)

/* ---------------------------------------------------------------------------------- libraries and classes */

/**
 * What a library consists of: host functions, constants (numbers, text, booleans, host objects), nested tables of
 * the same, and other libraries.
 */
export interface LibrarySpec {
  readonly [name: string]: HostFunction | number | string | boolean | AnyHostObject | Library | LibrarySpec
}

/** A frozen table that every process shares by reference. Writing to it from Lua raises. */
export interface Library {
  readonly kind: 'library'
  readonly name: string
}

/** The globals that all processes of one kind start from: standard library and `globals`. Frozen and shared. */
export interface Base {
  readonly kind: 'base'
}

/* ------------------------------------------------------------------------------------------------ engine */

/** Compiled text. Immutable; shared by all processes. */
export interface Unit {
  readonly kind: 'unit'
  readonly name: string
  /** SHA-256 of name and source, hex: equal for equal programs on every node. */
  readonly hash: string
}

export interface Engine {
  /** For records of runs: name and version of what executes. Changes whenever behaviour does. */
  readonly version: string
  /**
   * The same Unit for the same source and name. Text only, types erased. `name` is what messages and tracebacks say
   * (`orders.lua`, `app:orders`).
   *
   * @throws AppError invalid - syntax error; message `name:line: what`, details `{ name, line }`
   */
  compile(source: string, name: string): Unit
  library(name: string, spec: LibrarySpec): Library
  /** The standard library plus `globals` (module tables such as process, payload, errors). */
  base(globals?: LibrarySpec): Base
  /** Makes a process. Nothing runs before the first `resume`. Its own cost is some tens of microseconds. */
  spawn(options: SpawnProc): Proc
}

export interface SpawnProc {
  readonly unit: Unit
  readonly base: Base
  /** Further globals of this process: declared modules, imports, per-process functions. */
  readonly globals?: Readonly<Record<string, HostValue>>
  /** Arguments of the chunk (`...`). */
  readonly args?: readonly HostValue[]
  /**
   * Runs in the main coroutine when the chunk has returned, with what it returned; its result is the result of main.
   * Usually `(ctx, [t]) => call(pick(t), args)`. Default: the chunk's values are the result.
   */
  readonly main?: (ctx: HostContext, values: readonly LuaValue[]) => HostResult
  /** Runs first in the main coroutine, before the chunk: for libraries. Its results are ignored. */
  readonly before?: (ctx: HostContext) => HostResult
  readonly limits?: Partial<Limits>
  readonly ports: ProcPorts
  /** Handed to every host function as `ctx.local`. */
  readonly local?: unknown
  /**
   * Asked for class instances in host values that the engine does not know (a Pid, a Tagged of somebody's):
   * what Lua gets instead. Undefined: the value is refused.
   */
  readonly revive?: (value: object) => HostValue
}

/** Where a process gets everything that is not a function of its code. */
export interface ProcPorts {
  /** Wall-clock milliseconds: os.time, os.date, os.clock (relative to the start of the process). */
  nowMs(): number
  /** Uniform in [0, 1): seeds the generator of math.random, once, at its first use. */
  random(): number
  /** `print`: the line without its newline. Default: dropped. */
  print?(line: string): void
  /** Run-time warnings (assignment with a nil key), once per place. Default: dropped. */
  warn?(message: string, where: string): void
}

/** See limits.ts for the defaults and what exceeding each one does. */
export interface Limits {
  /** Instructions that one `resume` may execute before it answers `preempted`. */
  readonly sliceInstructions: number
  /** Instructions in the whole life of the process; beyond: error `unavailable`, not catchable. */
  readonly totalInstructions: number
  /** Estimated bytes of strings and table slots that were allocated and may still be in use. Beyond: as above. */
  readonly memoryBytes: number
  /** Bytes of one string. Beyond: an ordinary Lua error. */
  readonly stringBytes: number
  /** Steps of one call of a pattern function, above some per byte of its subject. Beyond: an ordinary Lua error. */
  readonly patternSteps: number
  /** Coroutines alive in the process at one time. Beyond: an ordinary Lua error. */
  readonly coroutines: number
}

/* ------------------------------------------------------------------------------------------------ process */

export type RunResult =
  /** Every coroutine is parked. See `waiting` for what could wake it. */
  | { readonly kind: 'yield'; readonly waiting: Waiting }
  /** The slice is used up: resume again when others had their turn. */
  | { readonly kind: 'preempted' }
  /** Main returned. Other coroutines are dropped silently. */
  | { readonly kind: 'done'; readonly values: readonly LuaValue[] }
  /** An error that nobody caught, in main or in any coroutine; or a limit; or `kill`. */
  | {
      readonly kind: 'error'
      /** With place: `file.lua:12: attempt to ...`; for an error object its own message. */
      readonly message: string
      /** The value that was raised: text, a table, or the error object (HostObject of errorClass). */
      readonly value: LuaValue
      /** In Lua's own style, with source names and lines; host frames of the engine left out. */
      readonly traceback: string
      /** Which coroutine; 1 is main. */
      readonly coroutine: number
      /** `raised` by the program, `limit` exceeded, or `killed`. */
      readonly cause: 'raised' | 'limit' | 'killed'
    }

/** What the parked coroutines wait for. All zero: nothing can wake the process but a new event (deadlock). */
export interface Waiting {
  /** Tokens of suspended host functions, oldest first. */
  readonly tokens: readonly Token[]
  /** Coroutines blocked on a channel that the host feeds (`proc.channel`), alone or within a select. */
  readonly hostChannels: number
  /** Coroutines blocked on channels of the program's own only. */
  readonly channels: number
}

export type Settlement =
  | { readonly kind: 'values'; readonly values: readonly HostValue[] }
  /** Raised in the coroutine: an Error or AppError as an error object, `Raised` as it says. */
  | { readonly kind: 'error'; readonly error: unknown }

export interface Proc {
  /** Small integer, only for logs. */
  readonly id: number
  /** Runs until idle, done, failed or preempted. After an end it answers the same end again. */
  resume(): RunResult
  /**
   * Answers the coroutine that is parked with `token`: it becomes runnable, behind those that are already.
   * Nothing runs before the next `resume` (or, within a resume, before its turn). False: nobody waits with that token.
   */
  settle(token: Token, outcome: Settlement): boolean
  /** True while some coroutine is runnable: a `resume` would do work. */
  isRunnable(): boolean
  /**
   * Ends the process: the next `resume` answers error `killed`; no pcall sees it, no line of it runs.
   * May be called from within one of its own host functions: then nothing runs after that call. Idempotent.
   */
  kill(reason: string): void
  stats(): ProcStats
  /** A function for `unit`, with the globals of this process. Each call of it runs the chunk again. */
  load(unit: Unit): LuaFunction
  /** Starts `fn` as a further coroutine of this process, behind the runnable ones. Returns its number. */
  start(fn: LuaFunction, args?: readonly HostValue[]): number
  /**
   * Calls `fn` at once and to its end, outside of any coroutine: for queries. It may not block.
   * @throws AppError - what it raised; invalid when it blocks; unavailable over a slice of instructions
   */
  evaluate(fn: LuaFunction, args?: readonly HostValue[]): readonly LuaValue[]
  /** A channel that the host feeds. Given to Lua it is the same object as `channel.new` makes. */
  channel(options?: ChannelOptions): Channel
  global(name: string): LuaValue
  setGlobal(name: string, value: HostValue): void
  /** An empty table, or one made from an array, plain object or Map. */
  table(from?: HostValue): LuaTable
}

export interface ProcStats {
  readonly instructions: number
  readonly memoryBytes: number
  /** Alive: runnable or parked. */
  readonly coroutines: number
  readonly slices: number
}

/* ----------------------------------------------------------------------------------------------- channels */

export interface ChannelOptions {
  /** How many values `ch:send` may put without a receiver. Default 0. Does not bind `push`. */
  readonly capacity?: number
  /**
   * Asked for a value when a receiver or select comes and nothing is buffered: a queue that stays with the host until
   * somebody receives. Undefined: nothing now; call `wake` when there is. `{ done: true }`: closes the channel.
   */
  readonly pull?: () => { readonly value: HostValue } | { readonly done: true } | undefined
  /** Name in `tostring`: default 'channel'. */
  readonly name?: string
}

/**
 * A channel of one process, as host code sees it. It is a host object: giving it to Lua gives the very same channel,
 * `arg === channel` tells it among arguments. Semantics: LUA.md 2.3.
 */
export interface Channel extends AnyHostObject {
  /** Hands `value` to the first waiting receiver, else buffers it (without limit). False: the channel is closed. */
  push(value: HostValue): boolean
  /** What remains buffered can still be received. Blocked senders are raised. Idempotent. */
  close(): void
  readonly closed: boolean
  /** Number of receivers (selects included) that are blocked on it now. */
  waiting(): number
  /** Values that are buffered and not yet taken. */
  buffered(): number
  /** Serves blocked receivers from `pull`, as far as it gives values. */
  wake(): void
  /** Takes a value without blocking: for the host's own use. */
  take(): Received | undefined
}

export type { HostClass, HostObject }

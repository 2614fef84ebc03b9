import { AppError } from '@daruma/protocol'
import type { HostContext, HostFunction, HostResult, HostValue, LuaTable, LuaValue } from './engine.ts'

/** A method: as a HostFunction, with the object it was called on first. */
export type HostMethod<S> = (self: HostObject<S>, ctx: HostContext, args: readonly LuaValue[]) => HostResult

/** A metamethod of two operands, either of which may be the host object. Returns one value. */
export type HostOperator = (left: LuaValue, right: LuaValue) => HostValue

/**
 * How objects of one kind behave in Lua. Their `type` is "userdata". Methods can be read as fields
 * (`type(f.cancel) == "function"`), and win over `index`. Objects are equal to themselves only, unless `eq` says more.
 * Without an operator, using it raises Lua's usual error.
 */
export interface HostClassSpec<S> {
  /** Said in errors and in the default `tostring`: `name: 0x0000000c`. */
  readonly name: string
  readonly methods?: Readonly<Record<string, HostMethod<S>>>
  /** Fields that are not methods. */
  readonly index?: (self: HostObject<S>, key: LuaValue) => HostValue
  /** Without it, assignment raises. */
  readonly newIndex?: (self: HostObject<S>, key: LuaValue, value: LuaValue) => void
  readonly tostring?: (self: HostObject<S>) => string
  readonly call?: HostMethod<S>
  readonly length?: (self: HostObject<S>) => number
  readonly eq?: (left: LuaValue, right: LuaValue) => boolean
  readonly lt?: (left: LuaValue, right: LuaValue) => boolean
  readonly le?: (left: LuaValue, right: LuaValue) => boolean
  readonly concat?: HostOperator
  readonly add?: HostOperator
  readonly sub?: HostOperator
  readonly mul?: HostOperator
  readonly div?: HostOperator
  readonly mod?: HostOperator
  readonly unm?: (self: HostObject<S>) => HostValue
  /** What `toData` makes of it (a payload, an instant). Without: it cannot travel. */
  readonly toData?: (self: HostObject<S>) => unknown
}

export interface HostClass<S> extends HostClassSpec<S> {
  readonly kind: 'class'
}

export function hostClass<S>(spec: HostClassSpec<S>): HostClass<S> {
  return { ...spec, kind: 'class' }
}

/** An object of the host's in Lua's hands. The same object is the same userdata within a process. */
export class HostObject<S> {
  readonly class: HostClass<S>
  readonly state: S
  constructor(cls: HostClass<S>, state: S) {
    this.class = cls
    this.state = state
  }
  /** True for objects made by `cls`. */
  static is<S>(value: unknown, cls: HostClass<S>): value is HostObject<S> {
    return value instanceof HostObject && value.class === (cls as HostClass<unknown>)
  }
}

// The state of a class is its owner's business: here objects of all classes meet.
export type AnyHostObject = HostObject<any>

/** The tag under which a table that is neither a list nor a record travels: its entries in order, `[[key, value], ...]`. */
export const tableTag = 'lua.table'

/**
 * A value that leaves its process, as plain data. Copies; what is in the result belongs to the caller.
 * - nil: undefined; strings: text, or bytes when they are not UTF-8; numbers as they are (-0 as 0);
 * - a table with keys 1..n only: an array (nil within: null); with text keys only: a plain object; without entries:
 *   `{}`, or `[]` where it was made from an array; any other: `Tagged(lua.table, entries)`, which comes back as it was;
 * - an error object: AppError; other host objects: as their class says.
 *
 * @throws AppError invalid - functions, coroutines, cycles, objects that cannot travel, over 200 levels; with the path
 */
export function toData(value: LuaValue, path = 'value'): unknown {
  switch (typeof value) {
    case 'number':
      return value === 0 ? 0 : value
    case 'object':
      if (value instanceof Uint8Array) return value
      if (value instanceof HostObject) {
        if (value.class.toData !== undefined) return value.class.toData(value)
        throw new AppError('invalid', `${path} is a ${value.class.name}; it cannot leave its process`)
      }
      if (value.kind === 'table') return value.data(path)
      throw new AppError('invalid', `${path} is a ${value.kind}; it cannot leave its process`)
    default:
      return value
  }
}

export type { HostFunction, LuaTable }

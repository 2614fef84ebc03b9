import type { LuaTable, LuaValue } from '../engine.ts'
import { HostObject } from '../value.ts'
import { showType } from './show-type.ts'
import { compilePattern, type Constraints, type RuntimeType, type Type } from './type.ts'

/** Why a value does not fit. `path` leads from the value to the part that is wrong: `address.lines[2]`. */
export interface Misfit {
  readonly path: string
  readonly reason: string
}

/** Arguments for the parameters of the declaration that is being checked, with those that they were written under. */
interface Arguments {
  readonly types: readonly Type[]
  readonly outer: Arguments | undefined
}

/** Longer texts are not searched: a pattern can take time that grows with every character. */
const maxPatternSubject = 65_536

/**
 * Whether `value` fits the declared type: undefined when it does, else the first part that does not, in the order of the
 * declaration. Reads raw, never calls Lua.
 *
 * Records may have further fields. A list (`{T}`) has no other keys. `integer` is a number without fraction, whatever its
 * form. Lengths of texts are bytes. Patterns are JavaScript's regular expressions. Cycles of tables are followed once.
 */
export function validate(type: RuntimeType, value: LuaValue): Misfit | undefined {
  return new Validation(type).run(value)
}

class Validation {
  readonly #root: RuntimeType
  /** Tables being checked against a declaration: meeting one again within itself proves nothing new. */
  readonly #open = new Map<LuaTable, Set<Type>>()
  #depth = 0

  constructor(root: RuntimeType) {
    this.#root = root
  }

  run(value: LuaValue, path = ''): Misfit | undefined {
    return this.#check(this.#root.descriptor.declarations[0]!.type, value, path, undefined)
  }

  #check(type: Type, value: LuaValue, path: string, args: Arguments | undefined): Misfit | undefined {
    switch (type.kind) {
      case 'any':
        return undefined
      case 'primitive':
        return fitsPrimitive(type.name, value) ? undefined : this.#unexpected(type, value, path)
      case 'literal':
        return value === type.value ? undefined : this.#unexpected(type, value, path)
      case 'function':
        return typeName(value) === 'function' ? undefined : this.#unexpected(type, value, path)
      case 'optional':
        return value === undefined ? undefined : this.#check(type.type, value, path, args)
      case 'constrained':
        return this.#check(type.type, value, path, args) ?? checkConstraints(type.constraints, value, path)
      case 'intersection':
        for (const part of type.types) {
          const misfit = this.#check(part, value, path, args)
          if (misfit !== undefined) return misfit
        }
        return undefined
      case 'union':
        return this.#union(type.types, value, path, args)
      case 'record':
        return this.#record(type, value, path, args)
      case 'foreign': {
        const other = this.#root.foreign[type.index]
        return other === undefined ? undefined : new Validation(other).run(value, path)
      }
      case 'parameter': {
        const argument = args?.types[type.index]
        return argument === undefined ? undefined : this.#check(argument, value, path, args!.outer)
      }
      case 'reference': {
        const declaration = this.#root.descriptor.declarations[type.declaration]!
        return this.#check(declaration.type, value, path, { types: type.arguments, outer: args })
      }
    }
  }

  #unexpected(type: Type, value: LuaValue, path: string): Misfit {
    return { path, reason: `expected ${showType(type, this.#root.descriptor)}, got ${showValue(value)}` }
  }

  /** The misfit of the one variant that was meant, where that shows; else that none fits. */
  #union(types: readonly Type[], value: LuaValue, path: string, args: Arguments | undefined): Misfit | undefined {
    const inner: Misfit[] = []
    for (const type of types) {
      const misfit = this.#check(type, value, path, args)
      if (misfit === undefined) return undefined
      // A variant whose tag differs was not meant; nor one that is of another shape altogether.
      const isOtherShape = misfit.path === path && misfit.reason.startsWith('expected ')
      if (!isOtherShape && !misfit.reason.startsWith('expected "')) inner.push(misfit)
    }
    return inner.length === 1 ? inner[0] : this.#unexpected({ kind: 'union', types }, value, path)
  }

  #record(
    type: Extract<Type, { kind: 'record' }>,
    value: LuaValue,
    path: string,
    args: Arguments | undefined,
  ): Misfit | undefined {
    if (!isTable(value)) return this.#unexpected(type, value, path)
    const open = this.#open.get(value) ?? new Set()
    if (open.has(type)) return undefined
    if (this.#depth >= 100) return { path, reason: 'nested too deeply' }
    this.#open.set(value, open.add(type))
    this.#depth++
    try {
      return this.#fields(type, value, path, args) ?? this.#others(type, value, path, args)
    } finally {
      this.#depth--
      open.delete(type)
    }
  }

  #fields(
    { fields }: Extract<Type, { kind: 'record' }>,
    table: LuaTable,
    path: string,
    args: Arguments | undefined,
  ): Misfit | undefined {
    for (const { name, type, isOptional } of fields) {
      const field = table.get(name)
      if (field === undefined && isOptional) continue
      const misfit = this.#check(type, field, join(path, name), args)
      if (misfit !== undefined) return misfit
    }
    return undefined
  }

  /** Elements and keys that are not fields. */
  #others(
    { fields, map, element }: Extract<Type, { kind: 'record' }>,
    table: LuaTable,
    path: string,
    args: Arguments | undefined,
  ): Misfit | undefined {
    if (map === undefined && element === undefined) return undefined
    const names = new Set(fields.map((field) => field.name))
    for (const [key, item] of table.entries()) {
      if (typeof key === 'string' && names.has(key)) continue
      const at = join(path, key)
      if (element !== undefined && typeof key === 'number' && Number.isInteger(key) && key >= 1) {
        const misfit = this.#check(element, item, at, args)
        if (misfit !== undefined) return misfit
      } else if (map !== undefined) {
        const misfit = this.#check(map.key, key, at, args)
        if (misfit !== undefined) return { ...misfit, reason: `key: ${misfit.reason}` }
        const valueMisfit = this.#check(map.value, item, at, args)
        if (valueMisfit !== undefined) return valueMisfit
      } else if (fields.length === 0) {
        return { path, reason: `expected a list, got a table with the key ${showValue(key)}` }
      }
    }
    return undefined
  }
}

function fitsPrimitive(name: string, value: LuaValue): boolean {
  if (name === 'integer') return typeof value === 'number' && Number.isInteger(value)
  return name === typeName(value)
}

function checkConstraints(constraints: Constraints, value: LuaValue, path: string): Misfit | undefined {
  const { min, max, minLength, maxLength, pattern } = constraints
  const fault = (reason: string): Misfit => ({ path, reason })
  if (value === undefined) return undefined // an optional type within: absent is within any bounds
  if (min !== undefined && !(typeof value === 'number' && value >= min)) {
    return fault(`${showValue(value)} is less than min ${min}`)
  }
  if (max !== undefined && !(typeof value === 'number' && value <= max)) {
    return fault(`${showValue(value)} is greater than max ${max}`)
  }
  const length = lengthOf(value)
  if (minLength !== undefined && !(length >= minLength)) {
    return fault(`length ${length} is less than min length ${minLength} (min_len)`)
  }
  if (maxLength !== undefined && !(length <= maxLength)) {
    return fault(`length ${length} is greater than max length ${maxLength} (max_len)`)
  }
  if (pattern !== undefined) {
    if (typeof value !== 'string') return fault(`${showValue(value)} does not match pattern "${pattern}"`)
    if (value.length > maxPatternSubject) return fault(`text of ${value.length} characters is too long for a pattern`)
    if (compilePattern(pattern)?.test(value) !== true)
      return fault(`${showValue(value)} does not match pattern "${pattern}"`)
  }
  return undefined
}

/** NaN for what has no length. */
function lengthOf(value: LuaValue): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (value instanceof Uint8Array) return value.length
  return isTable(value) ? value.length() : NaN
}

const isTable = (value: LuaValue): value is LuaTable => typeName(value) === 'table'

/** As Lua's `type` says. */
function typeName(value: LuaValue): string {
  if (value === undefined) return 'nil'
  if (typeof value !== 'object') return typeof value
  if (value instanceof Uint8Array) return 'string'
  if (value instanceof HostObject) return 'userdata'
  return value.kind === 'coroutine' ? 'thread' : value.kind
}

function showValue(value: LuaValue): string {
  switch (typeof value) {
    case 'string':
      return `"${value.length > 40 ? `${value.slice(0, 40)}...` : value}"`
    case 'number':
    case 'boolean':
      return String(value)
    default:
      return typeName(value)
  }
}

function join(path: string, key: LuaValue): string {
  if (typeof key === 'string' && /^[A-Za-z_]\w*$/.test(key)) return path === '' ? key : `${path}.${key}`
  return `${path}[${showValue(key)}]`
}

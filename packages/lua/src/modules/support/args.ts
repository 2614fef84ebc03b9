import { AppError } from '@daruma/protocol'
import type { LuaFunction, LuaTable, LuaValue } from '../../engine.ts'
import { HostObject } from '../../value.ts'

/** What a Lua program calls the type of `value`, for error messages. */
export function typeName(value: LuaValue | null): string {
  if (value === undefined || value === null) return 'nil'
  if (typeof value === 'string' || value instanceof Uint8Array) return 'string'
  if (typeof value === 'number' || typeof value === 'boolean') return typeof value
  if (value instanceof HostObject) return value.class.name
  return value.kind === 'coroutine' ? 'thread' : value.kind
}

export const isTable = (value: LuaValue): value is LuaTable =>
  typeof value === 'object' &&
  !(value instanceof Uint8Array) &&
  !(value instanceof HostObject) &&
  value.kind === 'table'

export const isFunction = (value: LuaValue): value is LuaFunction =>
  typeof value === 'object' &&
  !(value instanceof Uint8Array) &&
  !(value instanceof HostObject) &&
  value.kind === 'function'

export const isString = (value: LuaValue): value is string | Uint8Array =>
  typeof value === 'string' || value instanceof Uint8Array

export const invalid = (message: string): AppError => new AppError('invalid', message, undefined, { retryable: false })

export function wrongType(what: string, wanted: string, found: LuaValue): AppError {
  return invalid(`${what}: expected ${wanted}, got ${typeName(found)}`)
}

/** Text of a Lua string; bytes that are not UTF-8 become U+FFFD. */
export function textOf(value: string | Uint8Array): string {
  return typeof value === 'string' ? value : Buffer.from(value).toString('utf8')
}

export function bytesOf(value: string | Uint8Array): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value)
}

/** @throws AppError invalid - not a string */
export function requireText(value: LuaValue, what: string): string {
  if (!isString(value)) throw wrongType(what, 'string', value)
  return textOf(value)
}

/** @throws AppError invalid - not a string, or an empty one */
export function requireName(value: LuaValue, what: string): string {
  const text = requireText(value, what)
  if (text === '') throw invalid(`${what} must not be empty`)
  return text
}

/** @throws AppError invalid - not a string */
export function requireBytes(value: LuaValue, what: string): Buffer {
  if (!isString(value)) throw wrongType(what, 'string', value)
  return bytesOf(value)
}

/** @throws AppError invalid - not a number */
export function requireNumber(value: LuaValue, what: string): number {
  if (typeof value === 'number') return value
  if (typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))) return Number(value)
  throw wrongType(what, 'number', value)
}

/** @throws AppError invalid - not a number without a fraction */
export function requireInteger(value: LuaValue, what: string): number {
  const number = requireNumber(value, what)
  if (!Number.isInteger(number)) throw invalid(`${what}: expected an integer, got ${number}`)
  return number
}

/** @throws AppError invalid - not a table */
export function requireTable(value: LuaValue, what: string): LuaTable {
  if (!isTable(value)) throw wrongType(what, 'table', value)
  return value
}

/** @throws AppError invalid - not a function */
export function requireFunction(value: LuaValue, what: string): LuaFunction {
  if (!isFunction(value)) throw wrongType(what, 'function', value)
  return value
}

export const optional = <T>(
  value: LuaValue,
  read: (value: LuaValue, what: string) => T,
  what: string,
): T | undefined => (value === undefined ? undefined : read(value, what))

/** Text, number or boolean, as text. @throws AppError invalid - anything else */
export function scalarText(value: LuaValue, what: string): string {
  if (isString(value)) return textOf(value)
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw wrongType(what, 'text, a number or a boolean', value)
}

/** A text or number operand of `..`. @throws AppError invalid - anything else */
export function concatText(value: LuaValue): string {
  if (typeof value === 'number') return String(value)
  if (isString(value)) return textOf(value)
  if (value instanceof HostObject && value.class.tostring !== undefined) return value.class.tostring(value)
  throw invalid(`attempt to concatenate a ${typeName(value)} value`)
}

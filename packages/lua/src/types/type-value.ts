import { AppError } from '@daruma/protocol'
import type { HostFunction, LuaValue } from '../engine.ts'
import { hostClass, HostObject, type HostClass } from '../value.ts'
import type { RuntimeType, TypeDescriptor } from './type.ts'
import { validate } from './validate.ts'

/**
 * What a declared type is at run time, and how it comes to be.
 *
 * `eraseTypes` turns `type User = {...}` into `local User = __daruma_type([[json]]);`. The engine binds the global
 * `__daruma_type` in every process to `declareType`; nothing else is needed. The json is a `TypeDescriptor`: other types
 * of the chunk that it refers to are inside it, so that order and scope do not matter at run time. A type of another chunk
 * (`lib.User`) is looked up in the variable `lib`, which is handed over after the json, when the declaration runs.
 *
 * In Lua:
 * - `User:is(v)` gives v, or nil and a text: `User: field "age": -1 is less than min 0`.
 * - `User(v)` gives v, or raises that text as an error of kind Invalid.
 * - `User:name()` is "User"; `tostring(User)` is "type User".
 */
export const typeClass: HostClass<RuntimeType> = hostClass<RuntimeType>({
  name: 'type',
  methods: {
    is: (self, _ctx, [value]) => {
      const fault = misfitText(self.state, value)
      return fault === undefined ? [value] : [undefined, fault]
    },
    name: (self) => [nameOf(self.state)],
  },
  call: (self, _ctx, [value]) => {
    const fault = misfitText(self.state, value)
    if (fault !== undefined) throw new AppError('invalid', fault, undefined, { retryable: false })
    return [value]
  },
  tostring: (self) => `type ${nameOf(self.state)}`,
})

/** The global `__daruma_type`. Called by what `eraseTypes` writes, never by people. */
export const declareType: HostFunction = (_ctx, [json, ...roots]) => {
  if (typeof json !== 'string') throw new AppError('invalid', '__daruma_type is for the compiler: write type N = ...')
  const descriptor = JSON.parse(json) as TypeDescriptor
  const foreign = descriptor.foreign.map(({ root, path }) => typeAt(roots[root], path))
  return [new HostObject(typeClass, { descriptor, foreign })]
}

/** The type that stands in tables of a variable; undefined when there is none. */
function typeAt(root: LuaValue, path: readonly string[]): RuntimeType | undefined {
  let value = root
  for (const field of path) {
    if (typeof value !== 'object' || !('kind' in value) || value.kind !== 'table') return undefined
    value = value.get(field)
  }
  return HostObject.is(value, typeClass) ? value.state : undefined
}

/** What is wrong with `value`, in one line with the name of the type and the path of the field; undefined: it fits. */
export function misfitText(type: RuntimeType, value: LuaValue): string | undefined {
  const misfit = validate(type, value)
  if (misfit === undefined) return undefined
  const field = misfit.path === '' ? '' : `field "${misfit.path}": `
  return `${nameOf(type)}: ${field}${misfit.reason}`
}

const nameOf = ({ descriptor }: RuntimeType): string => descriptor.declarations[0]!.name

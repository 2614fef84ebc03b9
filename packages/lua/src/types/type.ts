/** What a `type` declaration says, as plain data: it travels as JSON from the eraser to the validator. */

export interface Constraints {
  readonly min?: number
  readonly max?: number
  /** Of texts in bytes, of lists in elements. */
  readonly minLength?: number
  readonly maxLength?: number
  /** A regular expression of JavaScript's, found anywhere in the text. */
  readonly pattern?: string
}

export const primitives = [
  'number',
  'integer',
  'string',
  'boolean',
  'nil',
  'table',
  'function',
  'thread',
  'userdata',
  'never',
] as const

export type Primitive = (typeof primitives)[number]

export interface Field {
  readonly name: string
  readonly type: Type
  readonly isOptional: boolean
}

export type Type =
  /** Fits everything: `any`, `unknown`, `typeof(x)`. */
  | { readonly kind: 'any' }
  | { readonly kind: 'primitive'; readonly name: Primitive }
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | {
      readonly kind: 'record'
      readonly fields: readonly Field[]
      readonly map?: { readonly key: Type; readonly value: Type }
      /** Elements at 1, 2, ... */
      readonly element?: Type
    }
  | { readonly kind: 'function' }
  | { readonly kind: 'optional'; readonly type: Type }
  | { readonly kind: 'union'; readonly types: readonly Type[] }
  | { readonly kind: 'intersection'; readonly types: readonly Type[] }
  | { readonly kind: 'constrained'; readonly type: Type; readonly constraints: Constraints }
  /** Another declaration: its place in `TypeDescriptor.declarations`, and arguments for its parameters. */
  | { readonly kind: 'reference'; readonly declaration: number; readonly arguments: readonly Type[] }
  /** A name that the chunk does not declare: its place in `TypeDescriptor.foreign`. */
  | { readonly kind: 'foreign'; readonly index: number }
  /** Parameter of the declaration around it; without argument it fits everything. */
  | { readonly kind: 'parameter'; readonly index: number }

export interface Declaration {
  readonly name: string
  readonly type: Type
}

/** A declared type with all that it refers to; the first declaration is the type itself. */
export interface TypeDescriptor {
  readonly declarations: readonly Declaration[]
  /** Where types of other chunks are found: `lib.User` is the field `User` of the root (a variable) at `root`. */
  readonly foreign: readonly { readonly root: number; readonly path: readonly string[] }[]
}

/** A declared type with the types of other chunks that it refers to; undefined: no type was found there, all fits. */
export interface RuntimeType {
  readonly descriptor: TypeDescriptor
  readonly foreign: readonly (RuntimeType | undefined)[]
}

/** Patterns are read by the rules for Unicode, or, where those are too strict, without. Undefined: neither will do. */
export function compilePattern(pattern: string): RegExp | undefined {
  for (const flags of ['u', '']) {
    try {
      return new RegExp(pattern, flags)
    } catch {
      // the next, more lenient reading
    }
  }
  return undefined
}

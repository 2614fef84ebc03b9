import type { Type, TypeDescriptor } from './type.ts'

/** A type in the words of its language, cut where it gets long. */
export function showType(type: Type, descriptor: TypeDescriptor, depth = 0): string {
  const show = (inner: Type): string => showType(inner, descriptor, depth + 1)
  switch (type.kind) {
    case 'any':
      return 'any'
    case 'primitive':
      return type.name
    case 'literal':
      return JSON.stringify(type.value)
    case 'function':
      return 'function'
    case 'optional':
      return `${show(type.type)}?`
    case 'constrained':
      return show(type.type)
    case 'union':
      return type.types.map(show).join(' | ')
    case 'intersection':
      return type.types.map(show).join(' & ')
    case 'reference':
      return descriptor.declarations[type.declaration]!.name
    case 'foreign':
      return descriptor.foreign[type.index]!.path.at(-1) ?? 'any'
    case 'parameter':
      return 'any'
    case 'record': {
      if (depth > 1) return 'table'
      const parts = type.fields.slice(0, 4).map((field) => {
        return `${field.name}${field.isOptional ? '?' : ''}: ${show(field.type)}`
      })
      if (type.fields.length > 4) parts.push('...')
      if (type.map !== undefined) parts.push(`[${show(type.map.key)}]: ${show(type.map.value)}`)
      if (type.element !== undefined) parts.push(show(type.element))
      return `table {${parts.join(', ')}}`
    }
  }
}

import type { TypeNode } from './parse-type.ts'
import type { Declaration, Type, TypeDescriptor } from './type.ts'

/** `type` declarations of one block. A name means the declaration of the nearest block, before or after the place. */
export interface TypeScope {
  readonly outer: TypeScope | undefined
  readonly declared: Map<string, DeclaredType>
}

export interface DeclaredType {
  readonly name: string
  readonly parameters: readonly string[]
  readonly node: TypeNode
  readonly scope: TypeScope
}

export const newScope = (outer?: TypeScope): TypeScope => ({ outer, declared: new Map() })

function lookUp(name: string, scope: TypeScope | undefined): DeclaredType | undefined {
  for (let at = scope; at !== undefined; at = at.outer) {
    const found = at.declared.get(name)
    if (found !== undefined) return found
  }
  return undefined
}

/** Everything that must be known to judge a value by `root`, and the variables that types of other chunks hang on. */
function describe(root: DeclaredType): { readonly descriptor: TypeDescriptor; readonly roots: readonly string[] } {
  const roots: string[] = []
  const foreign = new Map<string, { index: number; root: number; path: readonly string[] }>()
  const numbers = new Map<DeclaredType, number>([[root, 0]])
  const declarations: Declaration[] = []
  for (const declared of numbers.keys()) {
    // Appending to a map while walking it: the walk reaches what is found on the way.
    declarations.push({ name: declared.name, type: convert(declared.node, declared) })
  }
  return {
    descriptor: { declarations, foreign: [...foreign.values()].map(({ root, path }) => ({ root, path })) },
    roots,
  }

  function convert(node: TypeNode, within: DeclaredType): Type {
    switch (node.kind) {
      case 'any':
      case 'primitive':
      case 'literal':
      case 'function':
        return node
      case 'list':
        return { kind: 'any' }
      case 'name': {
        const index = within.parameters.indexOf(node.name)
        if (index >= 0) return { kind: 'parameter', index }
        const declared = lookUp(node.name, within.scope)
        if (declared === undefined) return { kind: 'foreign', index: foreignIndex(node.name) }
        const number = numbers.get(declared) ?? numbers.size
        numbers.set(declared, number)
        return { kind: 'reference', declaration: number, arguments: node.arguments.map((one) => convert(one, within)) }
      }
      case 'record': {
        const { fields, map, element } = node
        return {
          kind: 'record',
          fields: fields.map((field) => ({ ...field, type: convert(field.type, within) })),
          ...(map && { map: { key: convert(map.key, within), value: convert(map.value, within) } }),
          ...(element && { element: convert(element, within) }),
        }
      }
      case 'optional':
        return { kind: 'optional', type: convert(node.type, within) }
      case 'constrained':
        return { kind: 'constrained', type: convert(node.type, within), constraints: node.constraints }
      case 'union':
      case 'intersection':
        return { kind: node.kind, types: node.types.map((one) => convert(one, within)) }
    }
  }

  function foreignIndex(name: string): number {
    const known = foreign.get(name)
    if (known !== undefined) return known.index
    const [variable, ...path] = name.split('.') as [string, ...string[]]
    if (!roots.includes(variable)) roots.push(variable)
    const index = foreign.size
    foreign.set(name, { index, root: roots.indexOf(variable), path })
    return index
  }
}

/** The Lua statement that makes `declared` a value, on one line. Ends in `;`: what follows may start with `(`. */
export function declarationCode(declared: DeclaredType): string {
  const { descriptor, roots } = describe(declared)
  const json = JSON.stringify(descriptor)
  let level = ''
  while (json.includes(`]${level}]`) || json.endsWith(`]${level}`)) level += '='
  return `local ${declared.name} = __daruma_type(${[`[${level}[${json}]${level}]`, ...roots].join(', ')});`
}

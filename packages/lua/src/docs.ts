import type { LuaModule } from './modules/support/module.ts'

/** One page of Markdown about a module, from its own declarations. */
export function moduleDocs(module: LuaModule): string {
  const where =
    module.global === true ? 'Global in every program.' : `Declare \`${module.name}\` in the entry's \`modules\`.`
  const workflows = module.deterministic ? 'Workflows may use it.' : 'Not for workflows.'
  const rows = Object.entries(module.docs).map(
    ([signature, text]) => `- \`${signature}\`${text === '' ? '' : `  \n  ${text}`}`,
  )
  return [`# ${module.name}`, '', module.summary, '', `${where} ${workflows}`, '', ...rows, ''].join('\n')
}

interface Signature {
  /** Of each name in the signature: `foo.bar` or `foo:bar`. */
  readonly names: readonly string[]
  readonly parameters: readonly string[]
  readonly returns: string
}

/** "process.link(dest), unlink(dest) -> true | nil, error" names two functions of the same shape. */
function parseSignature(text: string): Signature | undefined {
  const match = /^(.*?)(?: -> (.*))?$/.exec(text)
  const [, calls = '', returns = ''] = match ?? []
  const all = [...calls.matchAll(/([\w.:|]+)\(([^()]*)\)/g)]
  const first = all[0]
  if (first === undefined) return undefined
  const owner = /^(.*[.:])[\w|]+$/.exec(first[1]!)?.[1] ?? ''
  const names = all.flatMap(([, name = '']) => {
    const qualified = /[.:]/.test(name) ? name : owner + name
    const [, prefix = '', last = ''] = /^(.*[.:])([\w|]+)$/.exec(qualified) ?? []
    return last.split('|').map((each) => prefix + each)
  })
  const parameters = first[2]!
    .split(',')
    .map((parameter) => parameter.trim())
    .filter((parameter) => parameter !== '')
  return { names, parameters, returns }
}

/**
 * Annotations for the Lua language server: every function of every module with its parameters and what it returns,
 * so that an editor completes and shows them.
 */
export function luaAnnotations(modules: readonly LuaModule[]): string {
  const lines: string[] = ['---@meta', '']
  for (const module of modules) {
    const table = module.name
    lines.push(`---${module.summary}`, `---@class ${table}lib`, `${table} = {}`, '')
    const tables = new Set<string>()
    for (const [signature, text] of Object.entries(module.docs)) {
      const parsed = parseSignature(signature)
      if (parsed === undefined) continue
      for (const name of parsed.names) {
        const owner = /^(.*)[.:]\w+$/.exec(name)?.[1] ?? ''
        // Methods of objects (`future:cancel`) belong to no table that a program can name.
        if (owner !== table && !owner.startsWith(`${table}.`)) continue
        for (let at = owner.indexOf('.'); at > 0; at = owner.indexOf('.', at + 1)) {
          const inner = owner.slice(0, owner.indexOf('.', at + 1) < 0 ? undefined : owner.indexOf('.', at + 1))
          if (!tables.has(inner)) lines.push(`${inner} = {}`, '')
          tables.add(inner)
        }
        lines.push(...functionLines(name, parsed, signature, text))
      }
    }
  }
  return lines.join('\n')
}

function functionLines(
  name: string,
  { parameters, returns }: Signature,
  signature: string,
  text: string,
): readonly string[] {
  const known = parameters.map((parameter, index) =>
    parameter === '...'
      ? { name: '...', optional: false }
      : {
          name: /^[A-Za-z_]\w*\??$/.test(parameter) ? parameter.replace('?', '') : `arg${index + 1}`,
          optional: parameter.endsWith('?'),
        },
  )
  return [
    `---\`${signature}\``,
    ...(text === '' ? [] : [`---${text.replaceAll('\n', ' ')}`]),
    ...known.map((parameter) => `---@param ${parameter.name}${parameter.optional ? '?' : ''} any`),
    ...(returns === '' ? [] : ['---@return any', ...(returns.includes('error') ? ['---@return any error'] : [])]),
    `function ${name}(${known.map((parameter) => parameter.name).join(', ')}) end`,
    '',
  ]
}

import { AppError } from '@daruma/protocol'
import { parse, stringify } from 'yaml'
import { toData } from '../value.ts'
import { invalid, isString, isTable, requireTable, textOf, typeName } from './support/args.ts'
import { fallible, type LuaModule } from './support/module.ts'

/** Records with the listed fields first, the rest in their own or in alphabetical order; throughout. */
function ordered(value: unknown, first: readonly string[], sortRest: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => ordered(item, first, sortRest))
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  const record = value as Record<string, unknown>
  const rest = Object.keys(record).filter((key) => !first.includes(key))
  const keys = [...first.filter((key) => key in record), ...(sortRest ? rest.sort() : rest)]
  return Object.fromEntries(keys.map((key) => [key, ordered(record[key], first, sortRest)]))
}

export const yamlModule: LuaModule = {
  name: 'yaml',
  summary: 'YAML text to values and back.',
  deterministic: true,
  spec: {
    encode: fallible((_ctx, [value, options]) => {
      const data = toData(requireTable(value, 'encode: value'))
      const order = isTable(options) ? options.get('field_order') : undefined
      const first = isTable(order) ? order.entries().flatMap(([, name]) => (isString(name) ? [textOf(name)] : [])) : []
      const sortRest = isTable(options) && options.get('sort_unordered') === true
      return [stringify(ordered(data, first, sortRest))]
    }),
    decode: fallible((_ctx, [text]) => {
      if (!isString(text)) throw invalid(`decode: expected string, got ${typeName(text)}`)
      const source = textOf(text)
      if (source === '') throw invalid('decode: empty text')
      try {
        // Few aliases are honest; many are a bomb.
        return [parse(source, { maxAliasCount: 100, mapAsMap: false })]
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        throw new AppError('internal', `decode: ${why}`, undefined, { retryable: false })
      }
    }),
  },
  docs: {
    'yaml.encode(table, {field_order, sort_unordered}?) -> text | nil, error': '',
    'yaml.decode(text) -> value | nil, error': 'Invalid for empty text, Internal for what is no YAML.',
  },
}

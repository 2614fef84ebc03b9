import { AppError } from '@daruma/protocol'
import type { LuaTable, LuaValue } from '../engine.ts'
import { HostObject, hostClass } from '../value.ts'
import { bytesOf, invalid, isString, isTable, requireText, textOf, typeName } from './support/args.ts'
import { fallible, type LuaModule } from './support/module.ts'

const maxDepth = 128

const nullClass = hostClass<null>({ name: 'json.null', tostring: () => 'null', toData: () => null })

/** `json.null`: a null where nil would mean "absent". */
const jsonNull = new HostObject(nullClass, null)

const unsayable = (message: string): AppError => new AppError('internal', message, undefined, { retryable: false })

export function encode(value: LuaValue, indent: string | undefined): string {
  const out: string[] = []
  write(value, out, 0, [], indent)
  return out.join('')
}

function write(
  value: LuaValue,
  out: string[],
  depth: number,
  within: readonly LuaTable[],
  indent: string | undefined,
): void {
  if (depth > maxDepth) throw unsayable(`encode: nested more than ${maxDepth} levels`)
  if (value === undefined || value === jsonNull) out.push('null')
  else if (typeof value === 'number') out.push(Number.isFinite(value) ? numberText(value) : 'null')
  else if (typeof value === 'boolean') out.push(String(value))
  else if (isString(value)) out.push(JSON.stringify(textOf(value)))
  else if (isTable(value)) {
    if (within.includes(value)) throw unsayable('encode: recursive table')
    writeTable(value, out, depth, [...within, value], indent)
  } else if (value instanceof HostObject && value.class.tostring !== undefined && value.class.toData !== undefined) {
    // Times, durations, errors: their text.
    out.push(JSON.stringify(value.class.tostring(value)))
  } else throw unsayable(`encode: a ${typeName(value)} has no JSON form`)
}

/** As Lua prints it up to 2^53; -0 is 0. */
const numberText = (value: number): string => (value === 0 ? '0' : String(value))

function writeTable(
  table: LuaTable,
  out: string[],
  depth: number,
  within: readonly LuaTable[],
  indent: string | undefined,
): void {
  const entries = table.entries()
  const line = indent === undefined ? '' : `\n${indent.repeat(depth + 1)}`
  const close = indent === undefined ? '' : `\n${indent.repeat(depth)}`
  if (entries.length === 0) {
    // Nothing tells an empty list from an empty record; lists are the more frequent.
    out.push('[]')
    return
  }
  const numeric = entries.filter(([key]) => typeof key === 'number').length
  if (numeric === entries.length) {
    const length = entries.length
    out.push('[')
    for (let index = 1; index <= length; index++) {
      const item = table.get(index)
      if (item === undefined) throw unsayable(`encode: sparse array: nothing at ${index} of ${length}`)
      out.push(index === 1 ? line : `,${line}`)
      write(item, out, depth + 1, within, indent)
    }
    out.push(close, ']')
    return
  }
  if (numeric > 0) throw unsayable('encode: table with both text and number keys')
  out.push('{')
  entries.forEach(([key, item], index) => {
    if (!isString(key)) throw unsayable(`encode: a ${typeName(key)} cannot be a key`)
    out.push(index === 0 ? line : `,${line}`, JSON.stringify(textOf(key)), indent === undefined ? ':' : ': ')
    write(item, out, depth + 1, within, indent)
  })
  out.push(close, '}')
}

export const jsonModule: LuaModule = {
  name: 'json',
  summary: 'JSON text to values and back.',
  deterministic: true,
  spec: {
    null: jsonNull,
    encode: fallible((_ctx, [value, options]) => {
      const indent = isTable(options) ? options.get('indent') : undefined
      return [
        encode(value, isString(indent) ? textOf(indent) : typeof indent === 'number' ? ' '.repeat(indent) : undefined),
      ]
    }),
    decode: fallible((_ctx, [text]) => {
      if (isString(text) && bytesOf(text).length === 0) throw invalid('decode: empty text')
      const source = requireText(text, 'decode: text')
      try {
        return [JSON.parse(source)]
      } catch (error) {
        throw unsayable(`decode: ${error instanceof Error ? error.message : String(error)}`)
      }
    }),
  },
  docs: {
    'json.encode(value, {indent = text | number}?) -> text | nil, error':
      'Tables 1..n are arrays, tables with text keys objects, an empty table `[]`. Mixed, sparse and recursive tables are errors.',
    'json.decode(text) -> value | nil, error': 'null is nil; numbers without a fraction print without one.',
    'json.null': 'Encodes as null where nil would leave the field out.',
  },
}

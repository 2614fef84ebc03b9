import type { LuaTable } from '../engine.ts'
import { HostObject, hostClass, toData } from '../value.ts'
import {
  invalid,
  isString,
  isTable,
  optional,
  requireInteger,
  requireTable,
  requireText,
  textOf,
} from './support/args.ts'
import { failWith, fallible, type LuaModule } from './support/module.ts'
import { Regexp, expand, type Found } from './support/regexp.ts'
import { defaultSeparators, splitText, type SplitOptions } from './support/split-text.ts'

/** Lua counts bytes, from 1, and its ends are inclusive. */
const bounds = (text: string, { start, end }: Found): readonly [number, number] => [
  Buffer.byteLength(text.slice(0, start)) + 1,
  Buffer.byteLength(text.slice(0, end)),
]

const groups = (found: Found): readonly string[] => found.groups.map((group) => group ?? '')

const regexpClass = hostClass<Regexp>({
  name: 'regexp',
  methods: {
    match_string: ({ state }, _ctx, [text]) => [state.test(requireText(text, 'match_string: text'))],
    find_string: ({ state }, _ctx, [text]) => [state.first(requireText(text, 'find_string: text'))?.groups[0]],
    find_all_string: ({ state }, _ctx, [text]) => [
      [...state.matches(requireText(text, 'find_all_string: text'))].map((found) => found.groups[0]),
    ],
    find_string_submatch: ({ state }, _ctx, [text]) => {
      const found = state.first(requireText(text, 'find_string_submatch: text'))
      return [found === undefined ? undefined : groups(found)]
    },
    find_all_string_submatch: ({ state }, _ctx, [text]) => [
      [...state.matches(requireText(text, 'find_all_string_submatch: text'))].map(groups),
    ],
    find_string_index: ({ state }, _ctx, [text]) => {
      const source = requireText(text, 'find_string_index: text')
      const found = state.first(source)
      return [found === undefined ? undefined : bounds(source, found)]
    },
    find_all_string_index: ({ state }, _ctx, [text]) => {
      const source = requireText(text, 'find_all_string_index: text')
      const all = [...state.matches(source)].map((found) => bounds(source, found))
      return [all.length === 0 ? undefined : all]
    },
    replace_all_string: ({ state }, _ctx, [text, replacement]) => {
      const source = requireText(text, 'replace_all_string: text')
      const template = requireText(replacement, 'replace_all_string: replacement')
      const names = state.groupNames
      let out = ''
      let from = 0
      for (const found of state.matches(source)) {
        out += source.slice(from, found.start) + expand(template, found, names)
        from = found.end
      }
      return [out + source.slice(from)]
    },
    split: ({ state }, _ctx, [text, most]) => {
      const source = requireText(text, 'split: text')
      const limit = optional(most, requireInteger, 'split: limit') ?? -1
      if (limit === 0) return [[]]
      const parts: string[] = []
      let from = 0
      for (const found of state.matches(source)) {
        if (limit > 0 && parts.length === limit - 1) break
        if (found.end === 0 && found.start === 0) continue
        parts.push(source.slice(from, found.start))
        from = found.end
      }
      parts.push(source.slice(from))
      return [parts]
    },
    num_subexp: ({ state }) => [state.groupCount],
    subexp_names: ({ state }) => [state.groupNames],
    string: ({ state }) => [state.source],
  },
  tostring: ({ state }) => state.source,
})

const splitterClass = hostClass<SplitOptions>({
  name: 'splitter',
  methods: {
    split_text: ({ state }, _ctx, [text]) => {
      try {
        return [splitText(requireText(text, 'split_text: text'), state)]
      } catch (error) {
        return failWith(error)
      }
    },
    split_batch: ({ state }, _ctx, [pages]) => {
      try {
        const chunks = requireTable(pages, 'split_batch: pages')
          .entries()
          .flatMap(([, page]) => {
            const table = requireTable(page, 'split_batch: page')
            const metadata = table.get('metadata')
            const data = metadata === undefined ? undefined : toData(metadata)
            const content = requireText(table.get('content'), 'split_batch: content')
            return splitText(content, state).map((chunk) => ({ content: chunk, metadata: data }))
          })
        return [chunks]
      } catch (error) {
        return failWith(error)
      }
    },
  },
})

function splitOptions(table: LuaTable | undefined): SplitOptions {
  const size = optional(table?.get('chunk_size'), requireInteger, 'splitter: chunk_size') ?? 512
  const overlap =
    optional(table?.get('chunk_overlap'), requireInteger, 'splitter: chunk_overlap') ??
    Math.min(100, Math.floor(size / 2))
  if (size < 1) throw invalid(`splitter: chunk_size must be at least 1, got ${size}`)
  if (overlap < 0 || overlap >= size) throw invalid(`splitter: chunk_overlap must be 0 to ${size - 1}, got ${overlap}`)
  const given = table?.get('separators')
  const separators = isTable(given)
    ? given.entries().flatMap(([, item]) => (isString(item) ? [textOf(item)] : []))
    : defaultSeparators
  return { size, overlap, separators, keepSeparator: table?.get('keep_separator') === true }
}

export const textModule: LuaModule = {
  name: 'text',
  summary: 'Regular expressions that cannot run away, and splitting of documents.',
  deterministic: true,
  spec: {
    regexp: {
      compile: fallible((_ctx, [pattern]) => [
        new HostObject(regexpClass, new Regexp(requireText(pattern, 'compile: pattern'))),
      ]),
    },
    splitter: {
      recursive: fallible((_ctx, [options]) => [
        new HostObject(splitterClass, splitOptions(isTable(options) ? options : undefined)),
      ]),
    },
  },
  docs: {
    'text.regexp.compile(pattern) -> regexp | nil, error':
      'RE2: `match_string find_string find_all_string find_string_submatch find_all_string_submatch find_string_index find_all_string_index replace_all_string split num_subexp subexp_names string`. Bounds count bytes from 1.',
    'text.splitter.recursive({chunk_size, chunk_overlap, keep_separator, separators}?) -> splitter | nil, error':
      '`split_text(text)`, `split_batch({{content, metadata}})`.',
  },
}

import { findUnsendable } from '@daruma/protocol'
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type Document,
  type Node,
  type ScalarTag,
} from 'yaml'
import type { Problem } from './problem.ts'
import type { Path } from './traverse.ts'

export interface Position {
  readonly line: number
  readonly column?: number
}

/** One document of a YAML or JSON file: its value, and where each part of it stands. */
export class YamlDocument {
  readonly file: string
  readonly value: unknown
  readonly #document: Document
  readonly #lines: LineCounter

  constructor(file: string, document: Document, lines: LineCounter, value: unknown) {
    this.file = file
    this.value = value
    this.#document = document
    this.#lines = lines
  }

  /** Where the value at `path` begins, or the nearest thing around it that exists. */
  locate(path: Path): Position {
    for (let length = path.length; length >= 0; length--) {
      const node = this.#nodeAt(path.slice(0, length))
      if (node?.range == null) continue
      const { line, col } = this.#lines.linePos(node.range[0])
      return { line, column: col }
    }
    return { line: 1 }
  }

  has(path: Path): boolean {
    return this.#nodeAt(path) !== undefined
  }

  /** How many lines of the file stand before the first line of the text at `path`. */
  textOffset(path: Path): number {
    const node = this.#nodeAt(path)
    const { line } = this.locate(path)
    const isBlock = isScalar(node) && (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED')
    return isBlock ? line : line - 1
  }

  #nodeAt(path: Path): Node | undefined {
    let node = this.#resolve(this.#document.contents)
    for (const key of path) {
      if (isSeq(node)) node = this.#resolve(node.items[Number(key)])
      else if (isMap(node)) node = this.#field(node, String(key))
      else return undefined
    }
    return node
  }

  #field(map: Node, key: string): Node | undefined {
    if (!isMap(map)) return undefined
    for (const pair of map.items) {
      if (isScalar(pair.key) && String(pair.key.value) === key) return this.#resolve(pair.value)
    }
    const merge = map.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === '<<')
    const merged = this.#resolve(merge?.value)
    for (const source of isSeq(merged) ? merged.items : [merged]) {
      const found = this.#field(this.#resolve(source) as Node, key)
      if (found !== undefined) return found
    }
    return undefined
  }

  #resolve(node: unknown): Node | undefined {
    if (isAlias(node)) return node.resolve(this.#document) as Node | undefined
    return (node ?? undefined) as Node | undefined
  }
}

/** `mode: 0600` means permissions to those who write it, as in YAML 1.1 and in Go. YAML 1.2 alone would read 600. */
const octal: ScalarTag = {
  identify: () => false,
  default: true,
  tag: 'tag:yaml.org,2002:int',
  test: /^0[0-7]+$/,
  resolve: (text) => Number.parseInt(text, 8),
}

export interface ParsedYaml {
  readonly documents: readonly YamlDocument[]
  readonly problems: readonly Problem[]
}

/** Every document in `text`, and every syntax error in it. With errors the documents are what could be made out. */
export function parseYaml(text: string, file: string): ParsedYaml {
  const lines = new LineCounter()
  const problems: Problem[] = []
  const documents: YamlDocument[] = []
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    merge: true,
    logLevel: 'silent',
    customTags: (tags) => [octal, ...tags],
  })
  for (const document of Array.isArray(parsed) ? parsed : []) {
    for (const error of document.errors) {
      const { line, col } = lines.linePos(error.pos[0])
      problems.push({ file, line, column: col, message: `YAML: ${error.message}` })
    }
    try {
      const value: unknown = document.toJS()
      const cycle = findUnsendable(value, 'this document')
      if (cycle === undefined) documents.push(new YamlDocument(file, document, lines, value))
      else problems.push({ file, line: 1, message: `YAML: ${cycle}` })
    } catch (error) {
      // toJS throws for what only shows when aliases are followed: an undefined one, or far too many.
      problems.push({ file, line: 1, message: `YAML: ${error instanceof Error ? error.message : String(error)}` })
    }
  }
  return { documents, problems }
}

export interface SplitOptions {
  /** Characters that a chunk may have at most. */
  readonly size: number
  /** Characters that a chunk repeats from the end of the one before. */
  readonly overlap: number
  readonly separators: readonly string[]
  readonly keepSeparator: boolean
}

export const defaultSeparators = ['\n\n', '\n', ' ', ''] as const

const lengthOf = (text: string): number => Array.from(text).length

/** Splits at the coarsest separator that does it, pieces that are still too long at the next finer one. */
export function splitText(text: string, options: SplitOptions): readonly string[] {
  return split(text, options, options.separators).filter((chunk) => chunk.trim() !== '')
}

function split(text: string, options: SplitOptions, separators: readonly string[]): readonly string[] {
  if (lengthOf(text) <= options.size) return [text.trim()]
  const at = separators.findIndex((separator) => separator === '' || text.includes(separator))
  const separator = at < 0 ? '' : separators[at]!
  const finer = at < 0 ? [] : separators.slice(at + 1)
  const pieces = separator === '' ? Array.from(text) : text.split(separator)
  const joint = separator
  const kept =
    options.keepSeparator && separator !== ''
      ? pieces.map((piece, index) => (index === 0 ? piece : separator + piece))
      : pieces
  const chunks: string[] = []
  let small: string[] = []
  const flush = (): void => {
    if (small.length > 0) chunks.push(...merge(small, options.keepSeparator ? '' : joint, options))
    small = []
  }
  for (const piece of kept) {
    if (lengthOf(piece) <= options.size) small.push(piece)
    else {
      flush()
      chunks.push(...(finer.length === 0 ? [piece] : split(piece, options, finer)))
    }
  }
  flush()
  return chunks
}

/** Packs pieces into chunks, each beginning with as much of the one before as the overlap allows. */
function merge(pieces: readonly string[], joint: string, { size, overlap }: SplitOptions): readonly string[] {
  const chunks: string[] = []
  const jointLength = lengthOf(joint)
  let window: string[] = []
  let length = 0
  const withNext = (next: number): number => length + next + (window.length > 0 ? jointLength : 0)
  for (const piece of pieces) {
    const next = lengthOf(piece)
    if (window.length > 0 && withNext(next) > size) {
      chunks.push(window.join(joint).trim())
      while (window.length > 0 && (length > overlap || withNext(next) > size)) {
        length -= lengthOf(window.shift()!) + (window.length > 0 ? jointLength : 0)
      }
    }
    length = withNext(next)
    window.push(piece)
  }
  if (window.length > 0) chunks.push(window.join(joint).trim())
  return chunks
}

/**
 * Whether a dotted name fits a pattern of dotted segments: `*` stands for exactly one segment, `**` for any number of
 * them, none included, `(a|b)` for one of its alternatives. Anything else stands for itself.
 */
export function matchesDotted(pattern: string, name: string): boolean {
  return fits(segmentsOf(pattern), 0, name.split('.'), 0)
}

/** Dots within parentheses belong to an alternative. */
function segmentsOf(pattern: string): readonly string[] {
  const segments: string[] = ['']
  let depth = 0
  for (const char of pattern) {
    if (char === '(') depth += 1
    if (char === ')') depth -= 1
    if (char === '.' && depth === 0) segments.push('')
    else segments[segments.length - 1] += char
  }
  return segments
}

function fits(pattern: readonly string[], at: number, name: readonly string[], from: number): boolean {
  const segment = pattern[at]
  if (segment === undefined) return from === name.length
  if (segment === '**') {
    for (let next = from; next <= name.length; next++) if (fits(pattern, at + 1, name, next)) return true
    return false
  }
  if (from >= name.length) return false
  if (segment === '*') return fits(pattern, at + 1, name, from + 1)
  if (segment.startsWith('(') && segment.endsWith(')')) {
    return segment
      .slice(1, -1)
      .split('|')
      .some((choice) => {
        const parts = choice.split('.')
        return (
          parts.every((part, index) => name[from + index] === part) && fits(pattern, at + 1, name, from + parts.length)
        )
      })
  }
  return segment === name[from] && fits(pattern, at + 1, name, from + 1)
}

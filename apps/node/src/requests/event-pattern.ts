import { AppError } from '@daruma/protocol'

const maxAlternatives = 64

type Segment = '**' | ((name: string) => boolean)

/**
 * Whether a dotted name is meant by `pattern`: `*` is exactly one segment, `**` any number of them (none included),
 * `(a|b)` one of several texts, and a `*` beside other text anything within its segment. So a lone `*` means names
 * without a dot.
 *
 * @throws AppError invalid - empty, unbalanced parentheses, or more than 64 alternatives
 */
export function compilePattern(pattern: string): (name: string) => boolean {
  if (pattern === '') throw invalid(pattern, 'it is empty')
  const forms = expand(pattern, pattern).map((form) => form.split('.').map(segment))
  return (name) => {
    const names = name.split('.')
    return forms.some((form) => matches(form, names))
  }
}

/** Positions up to which the name is explained grow segment by segment: linear in pattern and name, whatever they hold. */
function matches(form: readonly Segment[], names: readonly string[]): boolean {
  let reached = new Set([0])
  for (const wanted of form) {
    const next = new Set<number>()
    if (wanted === '**') {
      const first = Math.min(...reached)
      for (let at = first; at <= names.length; at++) next.add(at)
    } else {
      for (const at of reached) if (at < names.length && wanted(names[at]!)) next.add(at + 1)
    }
    if (next.size === 0) return false
    reached = next
  }
  return reached.has(names.length)
}

function segment(text: string): Segment {
  if (text === '**') return '**'
  if (text === '*') return () => true
  if (!text.includes('*')) return (name) => name === text
  const source = text.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  const expression = new RegExp(`^${source.join('[^]*?')}$`)
  return (name) => expression.test(name)
}

/** The patterns without alternatives that `rest` stands for. */
function expand(rest: string, whole: string): readonly string[] {
  const open = rest.indexOf('(')
  if (open < 0) {
    if (rest.includes(')')) throw invalid(whole, 'a ")" has no "("')
    return [rest]
  }
  const close = closing(rest, open)
  if (close < 0) throw invalid(whole, 'a "(" is not closed')
  const before = rest.slice(0, open)
  if (before.includes(')')) throw invalid(whole, 'a ")" has no "("')
  const heads = alternatives(rest.slice(open + 1, close)).flatMap((choice) => expand(choice, whole))
  const tails = expand(rest.slice(close + 1), whole)
  if (heads.length * tails.length > maxAlternatives) throw invalid(whole, `it has over ${maxAlternatives} alternatives`)
  return heads.flatMap((head) => tails.map((tail) => `${before}${head}${tail}`))
}

function closing(text: string, open: number): number {
  let depth = 0
  for (let at = open; at < text.length; at++) {
    if (text[at] === '(') depth++
    else if (text[at] === ')' && --depth === 0) return at
  }
  return -1
}

/** Splits at the bars that stand in no inner parentheses. */
function alternatives(text: string): string[] {
  const found: string[] = []
  let depth = 0
  let from = 0
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '(') depth++
    else if (text[at] === ')') depth--
    else if (text[at] === '|' && depth === 0) {
      found.push(text.slice(from, at))
      from = at + 1
    }
  }
  return [...found, text.slice(from)]
}

const invalid = (pattern: string, why: string): AppError =>
  new AppError('invalid', `event pattern "${pattern}": ${why}`, undefined, { retryable: false })

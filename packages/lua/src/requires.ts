export interface RequireCall {
  readonly name: string
  readonly line: number
}

/**
 * The `require("name")` calls that every run of the chunk makes: those outside of any function, branch or loop.
 * A call within one may be guarded, so it is left to run time.
 */
export function topLevelRequires(source: string): readonly RequireCall[] {
  const found: RequireCall[] = []
  const token =
    /--\[(=*)\[[\s\S]*?\]\1\]|--[^\n]*|\[(=*)\[[\s\S]*?\]\2\]|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'|[A-Za-z_][A-Za-z0-9_]*|\n|[^\s]/g
  let line = 1
  let depth = 0
  // What came before on the way to a call: `require`, then perhaps `(`; a field or method of that name is not it.
  let before = ''
  let state: 'none' | 'require' | 'open' = 'none'
  for (let match = token.exec(source); match !== null; match = token.exec(source)) {
    const text = match[0]
    const lines = text === '\n' ? 1 : text.split('\n').length - 1
    if (text === '\n' || text.startsWith('--')) {
      line += lines
      continue
    }
    if (text === 'function' || text === 'do' || text === 'if' || text === 'repeat' || text === '{') depth += 1
    else if (text === 'end' || text === 'until' || text === '}') depth -= 1
    // Braces or blocks that do not match: a dialect that this reader does not know, so it says nothing.
    if (depth < 0) return []
    if (text === 'require' && before !== '.' && before !== ':') state = 'require'
    else if (state === 'require' && text === '(') state = 'open'
    else {
      const quoted = /^(["'])([^\\]*)\1$/.exec(text)
      if (state !== 'none' && quoted !== null && depth === 0) found.push({ name: quoted[2]!, line })
      state = 'none'
    }
    before = text
    line += lines
  }
  return found
}

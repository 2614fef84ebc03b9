/** Something wrong with an app, and where: what a person needs to mend it without reading our code. */
export interface Problem {
  /** Path as the user would type it, or `-o app:x:field=value` for what came from the command line. */
  readonly file: string
  /** 1 is the first line; 0: the file as a whole. */
  readonly line: number
  readonly column?: number
  readonly message: string
  readonly hint?: string
}

/** `file:line:column: message (hint)`, the form that editors and terminals make clickable. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, message, hint } = problem
  const place = line === 0 ? file : column === undefined ? `${file}:${line}` : `${file}:${line}:${column}`
  return hint === undefined ? `${place}: ${message}` : `${place}: ${message} (${hint})`
}

/** By file, then line, then column; equal places keep their order. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) =>
    a.file === b.file ? a.line - b.line || (a.column ?? 0) - (b.column ?? 0) : a.file < b.file ? -1 : 1,
  )
}

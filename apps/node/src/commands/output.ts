/** A table as people read it in a terminal: columns as wide as their longest cell. */
export function printTable<T extends Record<string, unknown>>(
  rows: readonly T[],
  columns: readonly (keyof T & string)[],
  empty: string,
): void {
  if (rows.length === 0) {
    process.stdout.write(`${empty}\n`)
    return
  }
  const cells = [
    columns.map((column) => column.toUpperCase()),
    ...rows.map((row) => columns.map((column) => cell(row[column]))),
  ]
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => line[at]!.length)))
  for (const line of cells) {
    process.stdout.write(
      `${line
        .map((text, at) => (at === columns.length - 1 ? text : text.padEnd(widths[at]!)))
        .join('  ')
        .trimEnd()}\n`,
    )
  }
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}

/** Milliseconds since the epoch, to the second, in UTC. */
export function instant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

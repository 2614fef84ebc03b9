import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const here = new URL('.', import.meta.url)
const doc = readFileSync(new URL('../../../docs/semantics-supervisor.md', here), 'utf8')
const rows = [...doc.matchAll(/^\| (\d+|ours) +\| ([^|]+?) +\|$/gm)].map(([, rule, text]) => `${rule}: ${text}`)
const sources = readdirSync(here)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(new URL(name, here), 'utf8'))
const titles = sources.flatMap((source) => [
  ...[...source.matchAll(/test\(\s*(?:'([^'\n]+)'|"([^"\n]+)")/g)].map(([, single, double]) => (single ?? double)!),
  ...sourcesOfTables(source),
])

/** Titles with %s are filled from the rows of the table that stands before them. */
function sourcesOfTables(source: string): string[] {
  return [...source.matchAll(/test\.each\(\[([\s\S]*?)\n\s*\](?: as const)?\)\(\s*'([^']+)'/g)].flatMap(
    ([, table, title]) =>
      [...table!.matchAll(/^\s*\[(.*)\],$/gm)].map(([, row]) => {
        const cells = [...row!.matchAll(/'([^']*)'|undefined/g)].map(([cell, text]) => text ?? cell)
        return title!.replace(/%s/g, () => cells.shift() ?? '%s')
      }),
  )
}

test.each(rows)('has a test: %s', (row) => {
  expect(titles).toContain(row)
})

test('every test that carries a rule has its row', () => {
  const numbered = titles.filter((title) => /^(\d+|ours): /.test(title))
  expect(numbered.filter((title) => !rows.includes(title))).toEqual([])
})

test('every rule from 42 to 61 has a row', () => {
  const rules = new Set(rows.map((row) => row.split(':')[0]))
  expect(Array.from({ length: 20 }, (_, at) => String(42 + at)).filter((rule) => !rules.has(rule))).toEqual([])
})

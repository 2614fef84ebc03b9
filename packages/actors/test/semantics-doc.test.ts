import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const here = new URL('.', import.meta.url)
const tests = readdirSync(here)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(new URL(name, here), 'utf8'))
  .join('\n')
const page = readFileSync(new URL('../../../docs/semantics.md', here), 'utf8')

const titlesOf = (text: string): Set<string> => {
  const titles = new Set<string>()
  for (const match of text.matchAll(/\btest\(\s*'(\w+): ([^']*)'/g)) titles.add(`${match[1]}: ${match[2]}`)
  for (const match of text.matchAll(/\['([^':]+): ([^']+)', (?:true|false), exit|\['([^':]+): ([^']+)', \w+, boom/g)) {
    titles.add(`${match[1] ?? match[3]}: ${match[2] ?? match[4]}`)
  }
  return titles
}

const rows = new Set(
  [...page.matchAll(/^\| ([^|]+?) +\| ([^|]+?) +\|$/gm)]
    .map((match) => `${match[1]}: ${match[2]}`)
    .filter((row) => !/^(rule|exit signal|-+):/.test(row)),
)

test('every row of docs/semantics.md is the title of a test', () => {
  const titles = titlesOf(tests)
  expect([...rows].filter((row) => !titles.has(row))).toEqual([])
})

test('every rule that is tested is a row of docs/semantics.md', () => {
  expect([...titlesOf(tests)].filter((title) => !rows.has(title))).toEqual([])
})

test('every rule from 1 to 41 has a row', () => {
  const numbers = new Set([...rows].map((row) => Number.parseInt(row, 10)))
  expect(Array.from({ length: 41 }, (_unused, at) => at + 1).filter((number) => !numbers.has(number))).toEqual([])
})

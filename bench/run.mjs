// Runs every program of bench/dist in a process of its own, three times, and prints medians beside their floors.
// node bench/run.mjs [filter] [--once] [--json]
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const dist = join(dirname(fileURLToPath(import.meta.url)), 'dist')
const flags = process.argv.slice(2).filter((word) => word.startsWith('--'))
const filter = process.argv.slice(2).find((word) => !word.startsWith('--')) ?? ''
const times = flags.includes('--once') ? 1 : 3

const programs = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((file) => file.isFile() && file.name.endsWith('.js') && file.parentPath !== dist)
  .map((file) => join(file.parentPath, file.name))
  .filter((file) => relative(dist, file).includes(filter))
  .sort()

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]
const show = (value, unit) =>
  unit.endsWith('/s') ? `${(value / 1e6).toFixed(3)} M` : value.toFixed(value < 100 ? 2 : 0)

function once(file) {
  const code = `const { run } = await import(${JSON.stringify(pathToFileURL(file).href)})
    if (run !== undefined) console.log('@@' + JSON.stringify([await run()].flat()))
    process.exit(0)`
  const child = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', code], { encoding: 'utf8' })
  const line = child.stdout.split('\n').find((text) => text.startsWith('@@'))
  if (child.status !== 0) throw new Error(`${relative(dist, file)} failed:\n${child.stderr}`)
  return line === undefined ? [] : JSON.parse(line.slice(2))
}

const rows = []
for (const file of programs) {
  const runs = Array.from({ length: times }, () => once(file))
  for (const [at, { name, unit, budget }] of runs[0].entries()) {
    const value = median(runs.map((run) => run[at].value))
    const floor = runs[0][at].floor === undefined ? undefined : median(runs.map((run) => run[at].floor))
    const isRate = unit.endsWith('/s')
    const met =
      (budget?.share === undefined || value >= budget.share * floor) &&
      (budget?.absolute === undefined || (isRate ? value >= budget.absolute : value <= budget.absolute))
    rows.push({
      program: relative(dist, file).replace(/\.js$/, ''),
      name,
      value,
      unit,
      floor,
      met: budget === undefined ? undefined : met,
    })
    if (!flags.includes('--json')) {
      const share = floor === undefined ? '' : ` floor ${show(floor, unit)} (${Math.round((value / floor) * 100)} %)`
      const wanted = budget?.share === undefined ? '' : ` ${Math.round(budget.share * 100)} % of the floor`
      const absolute = budget?.absolute === undefined ? '' : ` ${show(budget.absolute, unit)} ${unit}`
      const verdict = budget === undefined ? '' : ` budget${wanted}${absolute}: ${met ? 'met' : 'MISSED'}`
      console.log(
        `${rows.at(-1).program.padEnd(26)} ${name.padEnd(34)} ${show(value, unit).padStart(10)} ${unit}${share}${verdict}`,
      )
    }
  }
}
if (flags.includes('--json')) console.log(JSON.stringify(rows, null, 2))

// Runs every program of bench/dist in a process of its own, three times, and prints medians beside their floors.
// node bench/run.mjs [filter] [--once] [--json]
// --smoke: every program once and tiny, to see that it runs. Fails only if one throws; no figure is shown or judged.
import { spawn, spawnSync } from 'node:child_process'
import { once as onceEvent } from 'node:events'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const dist = join(dirname(fileURLToPath(import.meta.url)), 'dist')
const flags = process.argv.slice(2).filter((word) => word.startsWith('--'))
const filter = process.argv.slice(2).find((word) => !word.startsWith('--')) ?? ''
const isSmoke = flags.includes('--smoke')
const times = flags.includes('--once') ? 1 : 3

const programs = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((file) => file.isFile() && file.name.endsWith('.js') && file.parentPath !== dist)
  .map((file) => join(file.parentPath, file.name))
  .filter((file) => relative(dist, file).includes(filter))
  .sort()

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]
const show = (value, unit) =>
  unit.endsWith('/s') ? `${(value / 1e6).toFixed(3)} M` : value.toFixed(value < 100 ? 2 : 0)

function command(file) {
  const code = `const { run } = await import(${JSON.stringify(pathToFileURL(file).href)})
    if (run !== undefined) console.log('@@' + JSON.stringify([await run()].flat()))
    process.exit(0)`
  return [process.execPath, ['--expose-gc', '--input-type=module', '-e', code]]
}

function measurementsIn(stdout) {
  const line = stdout.split('\n').find((text) => text.startsWith('@@'))
  return line === undefined ? [] : JSON.parse(line.slice(2))
}

function once(file) {
  const child = spawnSync(...command(file), { encoding: 'utf8' })
  if (child.status !== 0) throw new Error(`${relative(dist, file)} failed:\n${child.stderr}`)
  return measurementsIn(child.stdout)
}

/** Whether it runs, and how many figures it has. What it prints is kept for the case that it fails. */
async function smoke(file) {
  const child = spawn(...command(file), { env: { ...process.env, BENCH_SMOKE: '1' }, timeout: 30_000 })
  const [out, errors] = [[], []]
  child.stdout.on('data', (bytes) => out.push(bytes))
  child.stderr.on('data', (bytes) => errors.push(bytes))
  const [code, signal] = await onceEvent(child, 'close')
  if (code === 0) return measurementsIn(Buffer.concat(out).toString()).length
  const why = signal === null ? `exit code ${code}` : `${signal}; it has 30 s`
  console.error(`${relative(dist, file)} failed (${why}):\n${Buffer.concat(errors)}`)
  return undefined
}

if (isSmoke) {
  const startMs = performance.now()
  const waiting = [...programs]
  let [figures, failed] = [0, 0]
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const found = await smoke(file)
      if (found === undefined) failed++
      else figures += found
    }
  }
  // Figures do not matter here, so that programs may share the machine.
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, worker))
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(0)
  console.log(`${programs.length} programs, ${figures} figures, ${failed} failed, in ${seconds} s`)
  process.exit(failed === 0 && figures > 0 ? 0 : 1)
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

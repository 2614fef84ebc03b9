// Would each package work for somebody who installs it? Reads what `npm pack` would ship; needs a fresh build.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './setup.mjs'

const folders = ['packages', 'apps'].flatMap((parent) =>
  readdirSync(join(root, parent)).map((name) => `${parent}/${name}`),
)
const findings = []
let checked = 0

for (const folder of folders) {
  const manifestFile = join(root, folder, 'package.json')
  if (!existsSync(manifestFile)) continue
  const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'))
  if (manifest.private) continue
  checked += 1
  const say = (problem) => findings.push(`${folder}: ${problem}`)

  for (const field of ['name', 'version', 'description', 'license', 'engines', 'exports', 'files']) {
    if (!(field in manifest)) say(`package.json has no ${field}`)
  }
  const shipped = new Set(packed(folder))
  for (const [door, target] of [...targetsOf(manifest.exports), ...targetsOf(manifest.bin)]) {
    const path = target.replace(/^\.\//, '')
    if (!existsSync(join(root, folder, path))) say(`${door} names ${path}, which the build does not make`)
    else if (!shipped.has(path)) say(`${door} names ${path}, which is not packed: look at "files"`)
  }
  for (const path of shipped) {
    if (/(^|\/)tests?\/|\.test\.[^/]+$/.test(path)) say(`${path} is a test and would ship`)
  }
  loadDoors(manifest, folder, say)
}

for (const finding of findings) console.error(finding)
console.log(`publish: ${checked} packages, ${findings.length} problems`)
process.exitCode = findings.length === 0 ? 0 : 1

function packed(folder) {
  const options = { cwd: join(root, folder), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }
  const [{ files }] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], options))
  return files.map(({ path }) => path)
}

/** Every file that an exports or bin field names, with the door it stands under. */
function* targetsOf(field, door = 'package.json') {
  if (typeof field === 'string') yield [door, field]
  else for (const [key, value] of Object.entries(field ?? {})) yield* targetsOf(value, key.startsWith('.') ? key : door)
}

/** Loads the built doors in a plain Node, from inside the package, as a dependant would. Testing doors need a test runner. */
function loadDoors(manifest, folder, say) {
  const doors = Object.keys(manifest.exports ?? {}).filter(
    (door) => door !== './testing' && !door.endsWith('package.json'),
  )
  const script = doors.map((door) => `await import(${JSON.stringify(manifest.name + door.slice(1))})`).join('\n')
  try {
    const stdio = ['ignore', 'ignore', 'pipe']
    execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: join(root, folder),
      stdio,
      encoding: 'utf8',
    })
  } catch (error) {
    say(`a built door does not load: ${/^\w*Error.*$/m.exec(error.stderr)?.[0] ?? error.message}`)
  }
}

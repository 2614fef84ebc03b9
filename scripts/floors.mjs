// `npm run floors`: holds every import to the house plan of docs/architecture.md. It reads import lines as prettier
// leaves them (statements start their line), so that it needs no parser and takes a fraction of a second.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

const everything = 'everything'

/** Which packages a folder may name. A folder that is not here is an error: a new room needs a place in the house. */
const sees = {
  'packages/protocol': [],
  'packages/actors': ['protocol'],
  'packages/lua': ['protocol'],
  'packages/registry': ['protocol'],
  'packages/nats': ['protocol'],
  'packages/lmdb': ['protocol'],
  'packages/supervisor': ['protocol', 'actors'],
  'packages/workflow': ['protocol', 'actors'],
  'packages/daruma': everything,
  'apps/node': everything,
  examples: everything,
  bench: everything,
  test: everything,
}

const doors = ['', '/internal', '/testing']

/** Libraries and built-in modules with a home in the sources. What is not here needs only its package's manifest. */
const homes = [
  {
    library: /^xstate$/,
    files: [
      'packages/actors/src/machine-behavior.ts',
      'packages/workflow/src/statechart.ts',
      'apps/node/src/lifecycle.ts',
      'apps/node/src/service-lifecycle.ts',
    ],
  },
  { library: /^croner$/, files: ['packages/workflow/src/cron.ts'] },
  { library: /^msgpackr$/, files: ['packages/protocol/src/codec.ts'] },
  { library: /^fengari$/, files: ['packages/lua/src/fengari/'] },
  { library: /^(nats|@nats-io\/.+)$/, files: ['packages/nats/'] },
  { library: /^lmdb$/, files: ['packages/lmdb/'] },
  { library: /^node:(timers|timers\/promises|perf_hooks)$/, files: ['packages/protocol/src/clock.ts'] },
]

const dice = /\b(randomBytes|randomInt|randomUUID|randomFill|randomFillSync|getRandomValues|webcrypto)\b/

/** Problems of one source file, as text without its place: [index in text, problem]. */
function problemsOf(file, text, manifest) {
  const room = Object.keys(sees).find((folder) => file.startsWith(`${folder}/`))
  const packageName = room.split('/').at(-1)
  const inSources = file.startsWith(`${room}/src/`)
  const problems = []
  const isClock = file === 'packages/protocol/src/clock.ts'

  for (const { index, clause, from } of importsOf(text)) {
    const problem = from.startsWith('.')
      ? relativeProblem(from)
      : from.startsWith('@daruma/')
        ? siblingProblem(from)
        : libraryProblem(from, clause)
    if (problem) problems.push([index, problem])
  }
  if (inSources) {
    for (const match of text.matchAll(/^(?:export )?(?:let|var) (\w+)/gm)) {
      problems.push([match.index, `${match[1]} is state of the module: let an object own it`])
    }
    for (const match of isClock ? [] : text.matchAll(/\bnew Date\(\)|(?<![\w.]|new |: )Date\(\)/g)) {
      if (!isComment(text, match.index)) problems.push([match.index, `${match[0]} reads the time: take a Clock`])
    }
  }
  return problems

  function relativeProblem(from) {
    const target = resolve('/', dirname(file), from).slice(1).replaceAll(sep, '/')
    if (!target.startsWith(`${room}/`)) return `${from} leaves ${room}: name the other package by its door`
    if (inSources && !target.startsWith(`${room}/src/`))
      return `${from} leaves the sources: what ships sees only what ships`
    if (!/\.(ts|mjs|json)$/.test(from)) return `${from} has no .ts: relative imports carry the real name of the file`
  }

  function siblingProblem(from) {
    const [, name, door] = /^@daruma\/([^/]+)(.*)$/.exec(from)
    if (!doors.includes(door)) return `${from} is no door: a package has its name, /internal and /testing`
    if (name === packageName && room.includes('/')) {
      return inSources ? `${from} is this package: import the file, not the door` : undefined
    }
    if (sees[room] !== everything && !sees[room].includes(name)) {
      return `${room} must not see ${from}: it stands on ${list(sees[room])}`
    }
    // Simulators and contracts are for tests and for other packages' simulators.
    if (door === '/testing' && inSources && !/\/src\/testing(\.ts|\/)/.test(file))
      return `${from} is for tests, not for sources`
    return undeclared(`@daruma/${name}`)
  }

  function libraryProblem(from, clause) {
    if (inSources && !isClock && /^node:crypto$/.test(from) && dice.test(clause)) {
      return `${dice.exec(clause)[0]} rolls dice: take an Rng`
    }
    const name = isBuiltin(from)
      ? from
      : from
          .split('/')
          .slice(0, from.startsWith('@') ? 2 : 1)
          .join('/')
    // Tests bring their own machines and may wait for real programs: homes are about what ships.
    const home = inSources && homes.find(({ library }) => library.test(name))
    if (home && !home.files.some((path) => file.startsWith(path)))
      return `${from} lives in ${home.files.join(', ')} alone`
    if (isBuiltin(from)) return from.startsWith('node:') ? undefined : `${from} is node:${from}`
    return undeclared(name)
  }

  function undeclared(name) {
    const ships = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies }
    // Development tools are the workspace's; what ships must say what it needs.
    const known = inSources ? ships : { ...ships, ...manifest.devDependencies, ...rootManifest.devDependencies }
    if (!(name in known)) return `${name} is not among the dependencies of ${room}/package.json`
  }
}

function* importsOf(text) {
  const statements =
    /^(?:import|export)\s+([\w$*\s,]*?(?:\{[^}]*\})?)\s*from\s*['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]/gm
  for (const { index, 1: clause = '', 2: from, 3: bare } of text.matchAll(statements))
    yield { index, clause, from: from ?? bare }
  for (const match of text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)) {
    if (!isComment(text, match.index)) yield { index: match.index, clause: '', from: match[1] }
  }
}

function isComment(text, index) {
  const line = text.slice(text.lastIndexOf('\n', index) + 1, index)
  return /^\s*(\*|\/\*)|\/\//.test(line)
}

/** A manifest that asks for a package of a higher floor would make the wall a matter of luck. */
function problemsOfManifest(room, manifest) {
  if (sees[room] === everything) return []
  const asked = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.peerDependencies })
  const siblings = asked.filter((name) => name.startsWith('@daruma/')).map((name) => name.slice('@daruma/'.length))
  return siblings
    .filter((name) => !sees[room].includes(name))
    .map((name) => `${room}/package.json depends on @daruma/${name}: ${room} stands on ${list(sees[room])}`)
}

function list(names) {
  return names.length === 0 ? 'nothing of ours' : names.join(' and ')
}

function sourcesUnder(folder) {
  const files = []
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory() && !/^(node_modules|dist|\..*)$/.test(entry.name)) files.push(...sourcesUnder(path))
    else if (/\.(ts|mts|mjs)$/.test(entry.name)) files.push(path)
  }
  return files
}

function readManifest(folder) {
  const path = join(root, folder, 'package.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
}

const rootManifest = readManifest('.')
const findings = []
let fileCount = 0
for (const parent of ['packages', 'apps']) {
  for (const name of readdirSync(join(root, parent))) {
    const room = `${parent}/${name}`
    if (!(room in sees))
      findings.push(`${room} has no floor: give it a line in ${relative(root, fileURLToPath(import.meta.url))}`)
  }
}
for (const room of Object.keys(sees)) {
  if (!existsSync(join(root, room))) continue
  const manifest = readManifest(room)
  findings.push(...problemsOfManifest(room, manifest))
  for (const file of sourcesUnder(room)) {
    fileCount += 1
    const text = readFileSync(join(root, file), 'utf8')
    for (const [index, problem] of problemsOf(file, text, manifest)) {
      findings.push(`${file}:${text.slice(0, index).split('\n').length} ${problem}`)
    }
  }
}
for (const finding of findings) console.error(finding)
console.log(`floors: ${fileCount} files, ${findings.length} problems`)
process.exitCode = findings.length === 0 ? 0 : 1

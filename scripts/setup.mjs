// From a machine with Node and npm to a built workspace. Used by start, test and .ci/run; run alone it sets up and builds.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** pnpm is fetched by npm, so that nothing needs to be preinstalled; the major version is what wrote the lock file. */
const pnpm = 'pnpm@10'
const stampFile = join(root, 'node_modules', '.daruma-setup')

/** Ends the command with its one line instead of a stack. */
export class SetupError extends Error {}

/**
 * Installs what the lock file names and builds every package. Says what it does only when it takes time.
 * Safe to repeat: an up-to-date install is skipped, and the build is incremental.
 *
 * @throws SetupError Node is too old, the registry cannot be reached, the install or the build failed
 */
export async function setup() {
  requireNode()
  await install()
  await build()
}

function requireNode() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const [wantMajor, wantMinor] = engines.node.match(/\d+/g).map(Number)
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > wantMajor || (major === wantMajor && minor >= wantMinor)) return
  throw new SetupError(
    `Node ${engines.node} is needed, this is ${process.versions.node}: get one from https://nodejs.org`,
  )
}

async function install() {
  const stamp = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .update(`${process.platform}-${process.arch}`) // binaries in node_modules are of one platform
    .digest('hex')
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return

  console.log('setup: installing dependencies')
  rmSync(stampFile, { force: true }) // an install that is killed half-way must not look finished
  // The package is named apart, since an outer npx leaves its own in the environment.
  // CI keeps pnpm from asking a question that nobody would answer.
  const run = await capture('npx', ['--yes', `--package=${pnpm}`, '--', 'pnpm', 'install', '--frozen-lockfile'], {
    CI: 'true',
  })
  if (run.code === 0) return writeFileSync(stampFile, stamp)

  const network = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT/.exec(
    run.output,
  )
  if (network) {
    throw new SetupError(
      `the npm registry cannot be reached (${network[0]}): check the network, or where \`npm config get registry\` points`,
    )
  }
  process.stderr.write(run.output)
  if (run.output.includes('ERR_PNPM_OUTDATED_LOCKFILE')) {
    throw new SetupError(`a package.json asks for what pnpm-lock.yaml does not have: run \`npx ${pnpm} install\``)
  }
  throw new SetupError(`\`npx ${pnpm} install\` failed with code ${run.code}: its output is above`)
}

async function build() {
  const run = await capture(process.execPath, [tscPath(), '-b'])
  if (run.code === 0) return
  process.stderr.write(run.output)
  throw new SetupError('the build failed: the compiler speaks above')
}

export function tscPath() {
  return join(root, 'node_modules', 'typescript', 'bin', 'tsc')
}

/**
 * The path of a nats-server: NATS_SERVER, else PATH and the usual folders of daemons, else Debian's package where this
 * user may install it.
 *
 * @throws SetupError with the one line that says how to get it
 */
export async function ensureNatsServer() {
  const asked = process.env['NATS_SERVER']
  if (asked) {
    if (isExecutable(asked)) return asked
    throw new SetupError(`NATS_SERVER is ${asked}, which is not a program: point it at a nats-server`)
  }
  const present = findNatsServer()
  if (present) return present

  if (process.getuid?.() === 0 && find('apt-get')) {
    console.log('setup: installing nats-server')
    const quiet = { DEBIAN_FRONTEND: 'noninteractive' }
    const options = ['-qq', '-o', 'DPkg::Lock::Timeout=120']
    const update = await capture('apt-get', [...options, 'update'], quiet)
    const run = await capture('apt-get', [...options, 'install', '-y', '--no-install-recommends', 'nats-server'], quiet)
    const installed = findNatsServer()
    if (installed) return installed
    process.stderr.write(update.output + run.output)
  }
  throw new SetupError(
    'nats-server is needed: `apt-get install nats-server` or `brew install nats-server`, or set NATS_SERVER to its path',
  )
}

/** Daemons live in sbin, which is not on every user's PATH. */
function findNatsServer() {
  return find('nats-server', ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin'])
}

function find(program, alsoIn = []) {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  return [...folders, ...alsoIn].map((folder) => join(folder, program + suffix)).find(isExecutable)
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Runs to the end with its output kept back. Never rejects: a program that cannot start has code 127. */
function capture(program, args, env = {}) {
  return new Promise((resolve) => {
    let output = ''
    const child = spawn(program, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32' && program === 'npx', // npx is a batch file there
    })
    const keep = (chunk) => (output += chunk)
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('error', (error) => resolve({ code: 127, output: `${output}${program}: ${error.message}\n` }))
    child.on('close', (code, signal) => resolve({ code: code ?? exitCodeOf(signal), output }))
  })
}

/**
 * Runs in the foreground with our input and output and resolves with its exit code (128 + n when signal n ended it).
 * Ctrl-C and SIGTERM are the child's to answer: this process waits for what it makes of them.
 */
export function runForeground(program, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, env: { ...process.env, ...env }, stdio: 'inherit' })
    // A terminal sends Ctrl-C to the whole group, so that the child has it already; `kill` reaches only us.
    const onInterrupt = () => process.stdin.isTTY || child.kill('SIGINT')
    const onTerminate = () => child.kill('SIGTERM')
    process.on('SIGINT', onInterrupt)
    process.on('SIGTERM', onTerminate)
    const done = () => process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate)
    child.on('error', (error) => (done(), reject(error)))
    child.on('close', (code, signal) => (done(), resolve(code ?? exitCodeOf(signal))))
  })
}

function exitCodeOf(signal) {
  return signal === 'SIGINT' ? 130 : signal === 'SIGTERM' ? 143 : 137
}

/** Runs a command's main function: its number is the exit code, a SetupError is one line on stderr and code 1. */
export async function main(command, run) {
  try {
    process.exitCode = (await run()) ?? 0
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    console.error(`${command}: ${error.message}`)
    process.exitCode = 1
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main('setup', async () => {
    await setup()
    console.log('setup: ready')
  })
}

// Servers newer than the installed one, unpacked beside it: durabilities that it cannot hold are tested on them.
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './setup.mjs'

const run = promisify(execFile)
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
/** Debian's suites after the stable one that the tests are written on: 2.10 and later, 2.15 and later. */
const suites = ['trixie', 'sid']

/**
 * Paths of the servers, from the packages of Debian's later suites; they are not installed, only unpacked under
 * node_modules/.cache. On a machine without Debian's packages: none, and a line says so.
 */
export async function newerNatsServers() {
  const given = process.env['NATS_SERVERS_NEWER']
  if (given) return given
  const cache = join(root, 'node_modules', '.cache', 'nats-servers')
  const found = []
  for (const suite of suites) {
    const binary = join(cache, suite, 'usr', 'sbin', 'nats-server')
    try {
      if (!existsSync(binary)) await unpack(suite, join(cache, suite))
      found.push(binary)
    } catch (error) {
      console.log(
        `setup: no nats-server of Debian's ${suite} here (${String(error.message).split('\n')[0]}); durabilities that need it are not tested`,
      )
    }
  }
  return found.join(':')
}

async function unpack(suite, target) {
  const work = mkdtempSync(join(tmpdir(), 'nats-server-'))
  try {
    const sources = join(work, 'sources.list')
    writeFileSync(sources, `deb [signed-by=${keyring}] ${debianArchive()} ${suite} main\n`)
    writeFileSync(join(work, 'status'), '')
    for (const folder of ['lists/partial', 'cache/archives/partial', 'parts'])
      mkdirSync(join(work, folder), { recursive: true })
    const options = [
      `Dir::Etc::sourcelist=${sources}`,
      `Dir::Etc::sourceparts=${join(work, 'parts')}`,
      `Dir::State::lists=${join(work, 'lists')}`,
      `Dir::State::status=${join(work, 'status')}`,
      `Dir::Cache=${join(work, 'cache')}`,
      'APT::Sandbox::User=root',
      'Acquire::Languages=none',
    ].flatMap((option) => ['-o', option])
    await run('apt-get', ['-qq', ...options, 'update'], { timeout: 120_000 })
    await run('apt-get', ['-qq', ...options, 'download', 'nats-server'], { cwd: work, timeout: 120_000 })
    const archive = readdirSync(work).find((name) => name.endsWith('.deb'))
    await run('dpkg-deb', ['-x', join(work, archive), join(work, 'unpacked')])
    mkdirSync(join(target, '..'), { recursive: true })
    rmSync(target, { recursive: true, force: true })
    cpSync(join(work, 'unpacked'), target, { recursive: true })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Where this machine gets Debian's packages from. */
function debianArchive() {
  const folder = '/etc/apt/sources.list.d'
  const files = [
    '/etc/apt/sources.list',
    ...(existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []),
  ]
  for (const file of files.filter((name) => existsSync(name))) {
    const found = /^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s+)?)(\S+\/debian)\/?(?:\s|$)/m.exec(readFileSync(file, 'utf8'))
    if (found !== null) return found[1]
  }
  throw new Error('not a machine with Debian packages')
}

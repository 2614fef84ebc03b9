// `npm test [-- vitest arguments]`: sets up, checks the types of the tests, and runs them all against a real nats-server.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { newerNatsServers } from './newer-nats-servers.mjs'
import { ensureNatsServer, main, root, runForeground, setup, SetupError, tscPath } from './setup.mjs'

const resultFile = join(root, '.daruma', 'test-result.json')

await main('npm test', async () => {
  const args = process.argv.slice(2)
  await setup()
  const natsServer = await ensureNatsServer()
  const newerServers = await newerNatsServers()
  if ((await runForeground(process.execPath, [tscPath(), '-p', 'tsconfig.test.json'])) !== 0) {
    throw new SetupError('the types of the tests do not hold: the compiler speaks above')
  }

  mkdirSync(join(root, '.daruma'), { recursive: true })
  rmSync(resultFile, { force: true })
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${resultFile}`]
  const code = await runForeground(process.execPath, [vitest, 'run', ...reporters, ...args], {
    NATS_SERVER: natsServer,
    NATS_SERVERS_NEWER: newerServers,
  })

  const result = readResult()
  // A filter skips by design; in a whole run, a cluster test that did not run proves nothing and must not look green.
  // Newer servers are not to be had everywhere; set-up has said so.
  const needsServer = ({ file }) =>
    /^(packages\/nats|test\/cluster)\//.test(file) && !file.endsWith('newer-servers.test.ts')
  const unproven = args.length === 0 ? result.skipped.filter(needsServer) : []
  for (const { file, title } of result.skipped) if (args.length === 0) console.log(`skipped: ${file} ${title}`)
  if (unproven.length > 0) console.log(`${unproven.length} tests that need nats-server were skipped`)
  if (code !== 0 && result.failed === 0) console.log('vitest failed outside of a test: its report is above')
  console.log(`${result.passed} passed, ${result.failed} failed`)
  return code !== 0 ? code : unproven.length > 0 ? 1 : 0
})

function readResult() {
  let report
  try {
    report = JSON.parse(readFileSync(resultFile, 'utf8'))
  } catch {
    throw new SetupError('vitest ended without a result')
  }
  const result = { passed: 0, failed: 0, skipped: [] }
  for (const { name, status, assertionResults } of report.testResults) {
    const file = relative(root, name).replaceAll('\\', '/')
    const failedBefore = result.failed
    for (const test of assertionResults) {
      if (test.status === 'passed') result.passed += 1
      else if (test.status === 'failed') result.failed += 1
      else result.skipped.push({ file, title: test.fullName })
    }
    // A file that fails outside of its tests (it does not load, a hook throws) counts as one.
    if (status === 'failed' && result.failed === failedBefore) result.failed += 1
  }
  return result
}

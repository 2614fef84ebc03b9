import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { cli } from '../cli.ts'

/** The app folders of `examples/`, each by the command that shows it. */

test.each([
  [
    'echo-service',
    ['echo', 'hello', 'world'],
    `1: hello
2: world
crashed: told to crash after 2 answers
restarted, 1: hello
`,
  ],
  [
    'worker-pool',
    ['pool', '6'],
    `squares: 1 4 9 16 25 36
sum: 91
workers that had work: 4
a bad job: Invalid, not a number: seven
`,
  ],
  [
    'sessions',
    ['sessions'],
    `ann: tea
bob: salt
ann: tea, milk
crashed: session of ann crashed
ann: tea, milk, honey
bye ann, 3 items
bye bob, 1 item
`,
  ],
])('%s: %s shows what it is for, and exits with 0', async (name, command, output) => {
  const data = mkdtempSync(join(tmpdir(), 'daruma-example-'))
  onTestFinished(() => rmSync(data, { recursive: true, force: true }))
  const folder = fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url))
  const { code, stdout, stderr } = await cli(['run', folder, '--data', data, ...command])
  expect(stdout, stderr).toBe(output)
  expect(code).toBe(0)
})

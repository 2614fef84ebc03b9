import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@daruma/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadWholeApp } from '../../src/app.ts'
import { boot, type RunningNode } from '../../src/compose.ts'

/** The Lua surface, checked by Lua functions on a node that runs: one file of `app/src` for each part of the contract. */

const folder = join(import.meta.dirname, 'app')
const suites = readdirSync(join(folder, 'src')).flatMap((file) => {
  const source = file.endsWith('.lua') ? readFileSync(join(folder, 'src', file), 'utf8') : ''
  const cases = [...source.matchAll(/^cases\["(.+)"\] = function/gm)].map(([, title]) => title!)
  return cases.length === 0 ? [] : [{ name: file.slice(0, -'.lua'.length), cases }]
})

describe('the Lua surface', () => {
  let node: RunningNode
  const data = mkdtempSync(join(tmpdir(), 'daruma-contract-'))

  beforeAll(async () => {
    node = await boot(
      loadWholeApp({ folder, env: { CONTRACT_FILES: join(data, 'files') }, dataFolder: join(data, 'node') }),
      {
        logger: silentLogger,
      },
    )
  })
  afterAll(async () => {
    await node?.stop(0)
    rmSync(data, { recursive: true, force: true })
  })

  describe.each(suites)('$name', ({ name, cases }) => {
    test.each(cases)('%s', async (title) => {
      expect(
        await node.parts.functions.call(`contract:cases.${name}`, [title], { context: {}, timeoutMs: 15_000 }),
      ).toBe(true)
    })
  })
})

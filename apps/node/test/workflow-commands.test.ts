import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { appFolder, begin, cli, type AppFolder, type Running } from './cli.ts'

const running: Running[] = []
const folders: AppFolder[] = []
afterEach(async () => {
  for (const { process } of running.splice(0)) {
    if (process.exitCode !== null || process.signalCode !== null) continue
    process.kill('SIGKILL')
    await once(process, 'close')
  }
  for (const folder of folders.splice(0)) folder.remove()
})

const flow = `local funcs = require("funcs")
local function main(n)
    local first = funcs.call("app:echo", n)
    process.inbox():receive()
    return first
end
return {main = main}`

async function up(): Promise<{ folder: string; shell(...args: string[]): ReturnType<typeof cli> }> {
  const app = appFolder({
    'src/_index.yaml': `version: "1.0"
namespace: app
entries:
  - name: client
    kind: temporal.client
  - name: worker
    kind: temporal.worker
    client: app:client
    task_queue: "q"
    lifecycle:
      auto_start: true
  - name: echo
    kind: function.lua
    source: file://echo.lua
    method: main
  - name: flow
    kind: workflow.lua
    source: file://flow.lua
    method: main
    modules: [funcs]
`,
    'src/echo.lua': 'return {main = function(x) return x end}',
    'src/flow.lua': flow,
  })
  folders.push(app)
  const { folder } = app
  const node = begin(['run', folder, '--node', 'test'])
  running.push(node)
  await node.says('is up with')
  return { folder, shell: (...args) => cli(['workflow', ...args], { cwd: folder }) }
}

describe('from a second shell', () => {
  test('a journal is exported, replays against the code, and tells where changed code parts from it', async () => {
    const { folder, shell } = await up()
    await shell('start', 'app:flow', '41', '--id', 'w1')
    const journals = join(folder, 'w1.json')
    writeFileSync(journals, (await shell('history', 'w1', '--json')).stdout)
    expect(await cli(['workflow', 'replay', folder, journals])).toMatchObject({
      code: 0,
      stdout: `ok    ${journals}: w1\n`,
    })
    writeFileSync(join(folder, 'src/flow.lua'), flow.replace('"app:echo", n', '"app:echo", n + 1'))
    const changed = await cli(['workflow', 'replay', folder, journals])
    expect(changed.code).toBe(1)
    expect(changed.stdout).toContain('journal has call app:echo, program asked call app:echo (args: [41] / [42])')
    expect((await cli(['workflow', 'replay', folder, join(folder, 'none.json')])).code).toBe(2)
  })

  test('schedules are made, listed, paused, filled back and deleted; lists are filtered', async () => {
    const { shell } = await up()
    expect(
      (await shell('schedule', 'create', 's', 'app:flow', '7', '--cron', '0 9 * * *', '--paused')).stdout,
    ).toContain('s: 0 9 * * * (UTC) starts app:flow\nnext: paused')
    expect((await shell('schedule', 'create', 't', 'app:flow', '--cron', 'often')).stderr).toContain(
      'cron line "often"',
    )
    expect((await shell('schedule', 'list')).stdout).toMatch(/s +app:flow +0 9 \* \* \* +UTC +paused/)
    await shell('schedule', 'resume', 's')
    const filled = await shell('schedule', 'backfill', 's', '2026-01-01', '2026-01-03')
    expect(filled.stdout).toBe('2 ticks of s\n')
    const listed = JSON.parse(
      (await shell('list', '--type', 'app:flow', '--id', 's-2026', '--since', '1h', '--json')).stdout,
    )
    expect((listed as { workflowId: string }[]).map(({ workflowId }) => workflowId).toSorted()).toEqual([
      's-2026-01-01T09:00:00Z',
      's-2026-01-02T09:00:00Z',
    ])
    expect((await shell('list', '--attr', 'customer=ada')).stdout).toBe('no workflows\n')
    expect((await shell('schedule', 'delete', 's')).code).toBe(0)
    expect((await shell('schedule', 'list')).stdout).toBe('no schedules\n')
    expect((await shell('update', 's-2026-01-01T09:00:00Z', 'x')).stderr).toContain('takes no updates')
  })
})

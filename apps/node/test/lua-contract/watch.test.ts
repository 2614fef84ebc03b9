import { silentLogger, type Logger } from '@daruma/protocol'
import { expect, onTestFinished, test, vi } from 'vitest'
import { loadWholeApp } from '../../src/app.ts'
import { boot } from '../../src/compose.ts'
import { watchApp } from '../../src/watch.ts'
import { appFolder } from '../cli.ts'

/** `daruma run --watch`, within this process. */

const index = `
version: "1.0"
namespace: app
entries:
  - { name: f, kind: function.lua, source: "file://f.lua", method: main, modules: [time], imports: { lib: lib } }
  - { name: lib, kind: library.lua, source: "file://lib.lua" }
`
const code = (word: string): string => `
local lib = require("lib")
local time = require("time")
return { main = function(wait)
  if wait then process.listen("go"):receive() end
  return "${word} " .. lib.word
end }
`

async function watched() {
  const folder = appFolder({
    'src/_index.yaml': index,
    'src/f.lua': code('one'),
    'src/lib.lua': 'return { word = "a" }\n',
  })
  const lines: string[] = []
  const logger: Logger = { ...silentLogger, log: (_level, message) => void lines.push(message) }
  const app = loadWholeApp({ folder: folder.folder, env: {} })
  const node = await boot(app, { logger })
  const stop = watchApp(node, app, { folder: folder.folder, env: {} })
  onTestFinished(async () => {
    stop()
    await node.stop(0)
    folder.remove()
  })
  const call = (...args: unknown[]): Promise<unknown> => node.parts.functions.call('app:f', args, { context: {} })
  const says = (pattern: RegExp): Promise<void> =>
    vi.waitFor(() => expect(lines.join('\n')).toMatch(pattern), { timeout: 5_000 })
  return { folder, node, call, says, lines }
}

test('a changed file answers with new code, and calls in flight finish on the old', async () => {
  const { folder, node, call, says } = await watched()
  expect(await call()).toBe('one a')
  const running = call(true)
  folder.write({ 'src/f.lua': code('two') })
  await says(/reloaded as version 1: app:f/)
  expect(await call()).toBe('two a')
  const [waiting] = node.parts.system.processes().filter(({ home }) => home.host === 'functions')
  node.parts.system.send(waiting!, { kind: 'message', from: undefined, topic: 'go', payload: [] })
  expect(await running).toBe('one a')
})

test('a changed library renews what imports it', async () => {
  const { folder, call, says } = await watched()
  folder.write({ 'src/lib.lua': 'return { word = "b" }\n' })
  await says(/reloaded as version 1/)
  expect(await call()).toBe('one b')
})

test('an entry more, and one less', async () => {
  const { folder, node, says } = await watched()
  folder.write({
    'src/more.yaml':
      'version: "1.0"\nnamespace: more\nentries:\n  - { name: g, kind: function.lua, source: "return function() return 7 end", method: main }\n',
  })
  await says(/reloaded as version 1: more:g/)
  expect(await node.parts.functions.call('more:g', [], { context: {} })).toBe(7)
  folder.write({ 'src/more.yaml': 'version: "1.0"\nnamespace: more\nentries: []\n' })
  await says(/reloaded as version 2: more:g/)
  await expect(node.parts.functions.call('more:g', [], { context: {} })).rejects.toMatchObject({ kind: 'not_found' })
})

test.each([
  ['src/f.lua', 'return {\n  main = = 1\n}\n', /not reloaded:.*f\.lua:2/],
  ['src/_index.yaml', `${index}  - { name: x, kind: functoin.lua }\n`, /not reloaded:.*_index\.yaml:7.*functoin/],
  [
    'src/_index.yaml',
    index.replace('imports: { lib: lib }', 'imports: { lib: lob }'),
    /not reloaded:.*_index\.yaml:5.*lob/,
  ],
])('a broken %s changes nothing and is logged with file and line', async (file, text, message) => {
  const { folder, node, call, says } = await watched()
  folder.write({ [file]: text, 'src/lib.lua': 'return { word = "b" }\n' })
  await says(message)
  expect(await call()).toBe('one a')
  expect(node.parts.registry.currentVersion().id).toBe(0)
  folder.write({ [file]: file === 'src/f.lua' ? code('mended') : index })
  await says(/reloaded as version 1/)
  expect(await call()).toBe(file === 'src/f.lua' ? 'mended b' : 'one b')
})

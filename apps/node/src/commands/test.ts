import { toWire } from '@daruma/protocol'
import { loadWholeApp } from '../app.ts'
import { boot } from '../compose.ts'
import { loadOptions, type GlobalFlags } from './flags.ts'
import { printJson } from './output.ts'

/** `daruma test [dir]`: calls every function whose `meta.type` is "test". One fails by an error, or by returning false. */
export async function test(folder: string, flags: GlobalFlags): Promise<number> {
  const app = loadWholeApp(loadOptions(folder, { logLevel: 'error', ...flags }))
  const tests = app.registry.entries().filter(({ kind, meta }) => kind === 'function.lua' && meta['type'] === 'test')
  const node = await boot(app, { json: flags.json === true })
  const results: { id: string; passed: boolean; error?: string }[] = []
  try {
    for (const { id } of tests) {
      try {
        const value = await node.parts.functions.call(id, [], { context: {} })
        results.push(value === false ? { id, passed: false, error: 'returned false' } : { id, passed: true })
      } catch (error) {
        const { message, stack } = toWire(error)
        results.push({ id, passed: false, error: stack ?? message })
      }
      const last = results.at(-1)!
      if (flags.json !== true)
        process.stdout.write(
          `${last.passed ? 'ok  ' : 'FAIL'}  ${id}${last.error === undefined ? '' : `\n      ${last.error}`}\n`,
        )
    }
  } finally {
    await node.stop(0)
  }
  const failed = results.filter(({ passed }) => !passed).length
  if (flags.json === true) printJson(results)
  else process.stdout.write(`${results.length - failed} passed, ${failed} failed\n`)
  return failed === 0 ? 0 : 1
}

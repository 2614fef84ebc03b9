import { runLua, type RunOptions, type ScriptEvent } from '../../src/testing.ts'

/** Runs `body` as main of a program. */
export const run = (body: string, script: readonly ScriptEvent[] = [], options: RunOptions = {}) =>
  runLua(`return function(...)\n${body}\nend`, script, options)

/** What main returned; throws when it did not. */
export function returned(body: string, script: readonly ScriptEvent[] = [], options: RunOptions = {}): unknown {
  const { step } = run(body, script, options)
  if (step.kind !== 'returned') throw new Error(`not returned: ${JSON.stringify(step)}`)
  return step.value
}

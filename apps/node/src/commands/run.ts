import { existsSync, statSync } from 'node:fs'
import { boot, loadWholeApp, type App, type RunningNode } from '../compose.ts'
import { usage } from '../failures.ts'
import { stopOnSignals } from '../services/signals.ts'
import { runEntry, terminalCommand } from '../terminal.ts'
import { loadOptions, reportWarnings, type GlobalFlags } from './flags.ts'

export interface RunFlags extends GlobalFlags {
  readonly exec?: string
  readonly host?: string
  readonly watch?: boolean
}

/** `daruma run [dir] [command] [args...]`: a node that stays up, or one command of the app. Resolves with the exit code. */
export async function run(words: readonly string[], flags: RunFlags): Promise<number> {
  const [folder, command, args] = splitWords(words)
  const app = loadWholeApp(loadOptions(folder, flags))
  reportWarnings(app.warnings, flags)
  if (flags.exec !== undefined)
    return withNode(app, flags, (node) =>
      runEntry(node, flags.exec!, flags.host, [...(command === undefined ? [] : [command]), ...args]),
    )
  if (command !== undefined) {
    const entry = terminalCommand(app.registry, command)
    return withNode(app, flags, (node) => runEntry(node, entry.id, entry.host, args))
  }
  return stayUp(app, flags)
}

/** Inside an app folder the folder may be left out: the first word is the folder if it names one. */
function splitWords(words: readonly string[]): [folder: string, command: string | undefined, args: readonly string[]] {
  const [first, ...rest] = words
  if (first === undefined) return ['.', undefined, []]
  if (isFolder(first)) return [first, rest[0], rest.slice(1)]
  if (first.includes('/') || first === '.' || first === '..') throw usage(`no such folder: ${first}`)
  return ['.', first, rest]
}

export function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory()
}

async function withNode(app: App, flags: RunFlags, body: (node: RunningNode) => Promise<number>): Promise<number> {
  const quiet = flags.logLevel === undefined && app.config.logLevel === 'info'
  const node = await boot(quiet ? { ...app, config: { ...app.config, logLevel: 'warn' } } : app, {
    json: flags.json === true,
  })
  try {
    return await body(node)
  } finally {
    // What still runs neither delays nor fails the exit.
    await node.stop(0)
  }
}

async function stayUp(app: App, flags: RunFlags): Promise<number> {
  const node = await boot(app, { json: flags.json === true })
  const { logger, name } = node.parts
  for (const { kind, where, durability } of node.storage()) {
    logger.log(
      'info',
      `workflows are kept ${kind === 'embedded' ? 'in' : 'on'} ${where}; what is acknowledged survives: ${durability}`,
    )
  }
  if (app.config.timeScale !== 1)
    logger.log('warn', `the time of workflows runs ${app.config.timeScale} times as fast as the clock`)
  logger.log('info', `node ${name} is up with ${app.registry.entries().length} entries`)
  const stopWatching =
    flags.watch === true ? (await import('../watch.ts')).watchApp(node, app, loadOptions(app.folder, flags)) : undefined
  const code = await stopOnSignals({ stop: () => node.stop(), force: () => void node.services.stopAll(0), logger })
  stopWatching?.()
  return code
}

import { existsSync, statSync } from 'node:fs'
import type { Logger } from '@daruma/protocol'
import { loadWholeApp, type App } from '../app.ts'
import { boot, composeNode, type RunningNode } from '../compose.ts'
import { usage } from '../failures.ts'
import { standardErrorLogger } from '../log-sink.ts'
import { createNodeLife } from '../lifecycle.ts'
import { stopOnSignals } from '../services/signals.ts'
import { runEntry, terminalCommand } from '../terminal.ts'
import { watchApp } from '../watch.ts'
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
  const isPlain = flags.logLevel === undefined && app.config.logLevel === 'info'
  const level = isPlain ? 'warn' : app.config.logLevel
  const records = standardErrorLogger({ level, json: flags.json === true })
  let hasEnded = false
  const logger: Logger = { log: (...record) => (hasEnded ? undefined : records.log(...record)) }
  const node = await boot(app, { logger })
  try {
    return await body(node)
  } finally {
    // What still runs neither delays nor fails the exit, and nobody needs to read that it was killed for it.
    hasEnded = true
    await node.stop(0)
  }
}

async function stayUp(app: App, flags: RunFlags): Promise<number> {
  const node = composeNode(app, { json: flags.json === true })
  const { logger, clock, name } = node.parts
  let stopWatching: (() => void) | undefined
  const life = createNodeLife({
    work: {
      boot: async () => undefined,
      start: () => node.start(),
      drain: (deadlineMs) => node.stop(deadlineMs),
      endAtOnce: () => void node.services.stopAll(0),
    },
    clock,
    logger,
    drainMs: app.config.shutdownMs,
  })
  const signalled = stopOnSignals({
    stop: () => {
      life.stop()
      return life.ended
    },
    force: () => life.force(),
    logger,
  })
  if (await life.ready) {
    announce(app, node)
    if (flags.watch === true) stopWatching = watchApp(node, app, loadOptions(app.folder, flags))
    logger.log('info', `node ${name} is up with ${app.registry.entries().length} entries`)
  }
  const { failure, exitCode } = await life.ended
  stopWatching?.()
  if (failure !== undefined) throw failure
  return exitCode === 0 ? signalled : exitCode
}

function announce(app: App, node: RunningNode): void {
  const { logger } = node.parts
  for (const { kind, where, durability } of node.storage()) {
    const place = `${kind === 'embedded' ? 'in' : 'on'} ${where}`
    logger.log('info', `workflows are kept ${place}; what is acknowledged survives: ${durability}`)
  }
  if (app.config.timeScale !== 1) {
    logger.log('warn', `the time of workflows runs ${app.config.timeScale} times as fast as the clock`)
  }
}

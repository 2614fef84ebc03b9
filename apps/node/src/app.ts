import { resolve } from 'node:path'
import { createLua } from '@daruma/lua'
import { createRegistry, loadApp, viewOf, workerKinds, type Entry, type Problem, type Registry } from '@daruma/registry'
import { readConfig, type ConfigFlags, type NodeConfig } from './config.ts'
import { invalidApp } from './failures.ts'
import { Programs } from './programs.ts'

export interface LoadOptions extends ConfigFlags {
  readonly folder: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** `ns:entry:field=value` each. */
  readonly overrides?: readonly string[]
  /** `section.path=value` each. */
  readonly settings?: readonly string[]
}

/** An app that is valid through and through: entries, references, configuration, every program compiled. */
export interface App {
  readonly folder: string
  readonly registry: Registry
  readonly programs: Programs
  readonly lua: ReturnType<typeof createLua>
  readonly config: NodeConfig
  readonly warnings: readonly Problem[]
}

/**
 * Loads and checks the app in a folder; runs nothing of it.
 *
 * @throws CommandFailure (exit code 2) - with every problem of the app, each with file and line
 */
export function loadWholeApp(options: LoadOptions): App {
  const folder = resolve(options.folder)
  const lua = createLua()
  const loaded = loadApp(folder, {
    env: options.env,
    ...(options.overrides === undefined ? {} : { overrides: options.overrides }),
    ...(options.settings === undefined ? {} : { settings: options.settings }),
    modules: lua.modules.map(({ name }) => name),
  })
  if (loaded.kind === 'invalid') throw invalidApp(loaded.problems)
  const registry = createRegistry(loaded.entries)
  const programs = new Programs(lua, registry, folder)
  const read = readConfig(folder, loaded.config, options)
  const problems = [...('problems' in read ? read.problems : []), ...programs.check(), ...sharedQueues(loaded.entries)]
  if (problems.length > 0 || 'problems' in read) throw invalidApp(problems)
  return { folder, registry, programs, lua, config: read.config, warnings: loaded.warnings }
}

/** Two workers of one task queue would fight over its partitions. */
function sharedQueues(entries: readonly Entry[]): Problem[] {
  const owners = new Map<string, Entry>()
  const problems: Problem[] = []
  for (const entry of entries) {
    if (!(workerKinds as readonly string[]).includes(entry.kind)) continue
    const { taskQueue } = viewOf(entry, ...workerKinds)
    const first = owners.get(taskQueue)
    if (first === undefined) owners.set(taskQueue, entry)
    else
      problems.push({
        ...entry.origin,
        message: `${entry.id}: task queue "${taskQueue}" is served by ${first.id} already`,
      })
  }
  return problems
}

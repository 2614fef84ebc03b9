import { formatProblem, isRecord } from '@daruma/registry'
import { loadWholeApp } from '../app.ts'
import { usage } from '../failures.ts'
import { loadOptions, type GlobalFlags } from './flags.ts'
import { printTable } from './output.ts'

/** `daruma check [dir]`: loads and compiles everything, runs nothing. */
export function check(folder: string, flags: GlobalFlags): number {
  const app = loadWholeApp(loadOptions(folder, flags))
  for (const warning of app.warnings) process.stdout.write(`warning: ${formatProblem(warning)}\n`)
  process.stdout.write(`${app.registry.entries().length} entries, no problems\n`)
  return 0
}

/** `daruma list [dir]`: the commands of an app. */
export function list(folder: string, flags: GlobalFlags): number {
  const app = loadWholeApp(loadOptions(folder, flags))
  const commands = app.registry.entries().flatMap(({ id, meta }) => {
    const { command } = meta
    return isRecord(command) && typeof command['name'] === 'string'
      ? [
          {
            command: command['name'],
            about: String((command['short'] as string | undefined) ?? ''),
            entry: id as string,
          },
        ]
      : []
  })
  if (flags.json === true) process.stdout.write(`${JSON.stringify(commands)}\n`)
  else printTable(commands, ['command', 'about', 'entry'], 'this app has no commands')
  return 0
}

export function registryList(folder: string, flags: GlobalFlags & { readonly kind?: string }): number {
  const app = loadWholeApp(loadOptions(folder, flags))
  const entries = app.registry
    .entries()
    .filter(({ kind }) => flags.kind === undefined || kind === flags.kind)
    .map(({ id, kind, origin }) => ({ id: id as string, kind, origin: `${origin.file}:${origin.line}` }))
  if (flags.json === true) process.stdout.write(`${JSON.stringify(entries)}\n`)
  else printTable(entries, ['id', 'kind', 'origin'], 'no entries')
  return 0
}

export function registryShow(folder: string, id: string, flags: GlobalFlags): number {
  const app = loadWholeApp(loadOptions(folder, flags))
  const entry = app.registry.get(id)
  if (entry === undefined) throw usage(`no entry ${id} in this app`)
  process.stdout.write(
    `${JSON.stringify({ id: entry.id, kind: entry.kind, meta: entry.meta, data: entry.data, origin: entry.origin }, null, 2)}\n`,
  )
  return 0
}

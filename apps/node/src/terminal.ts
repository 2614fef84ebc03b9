import { outcomeOf } from '@daruma/actors'
import type { Outcome, Pid } from '@daruma/protocol'
import { isRecord, nearHint, viewOf, type Entry, type Registry } from '@daruma/registry'
import type { RunningNode } from './compose.ts'
import { CommandFailure, usage } from './failures.ts'

/** The host of commands when the app declares none. */
export const providedTerminal = 'terminal'

/**
 * The process that a command name means, and the terminal it runs on.
 *
 * @throws CommandFailure (2) - no such command, two of them, or two terminals
 */
export function terminalCommand(registry: Registry, name: string): { readonly id: string; readonly host: string } {
  const commands = registry.entries().filter((entry) => commandName(entry) !== undefined)
  const found = commands.filter((entry) => commandName(entry) === name)
  if (found.length > 1) throw usage(`two entries are the command "${name}": ${found.map(({ id }) => id).join(', ')}`)
  const [entry] = found
  if (entry === undefined) {
    const names = commands.map((each) => commandName(each)!)
    const near = nearHint(name, names)
    throw usage(
      `no command "${name}" in this app${near === undefined ? '' : `; ${near}`}; it has: ${names.join(', ') || 'none'}`,
    )
  }
  return { id: entry.id, host: terminalOf(registry) }
}

/** @throws CommandFailure (2) - the app declares two */
export function terminalOf(registry: Registry): string {
  const hosts = registry.entries().filter(({ kind }) => kind === 'terminal.host')
  if (hosts.length > 1) {
    throw usage(
      `a command runs on the app's only terminal.host, and this app has ${hosts.length}: ${hosts.map(({ id }) => id).join(', ')}`,
    )
  }
  return hosts[0]?.id ?? providedTerminal
}

function commandName(entry: Entry): string | undefined {
  if (!entry.kind.startsWith('process.')) return undefined
  const { command } = entry.meta
  return isRecord(command) && typeof command['name'] === 'string' ? command['name'] : undefined
}

/** Runs one entry to its end, on the terminal or another host. Its first value is the exit code. */
export async function runEntry(
  node: RunningNode,
  id: string,
  host: string | undefined,
  args: readonly string[],
): Promise<number> {
  const { parts } = node
  const entry = parts.registry.get(id)
  if (entry === undefined) {
    const near = nearHint(
      id,
      parts.registry.entries().map((each) => each.id),
    )
    throw usage(`no entry ${id}${near === undefined ? '' : `; ${near}`}`)
  }
  if (entry.kind === 'function.lua') return exitCodeOf(await parts.functions.call(id, args, { context: {} }))
  const target =
    host ??
    (entry.kind === 'process.lua' ? viewOf(entry, 'process.lua').defaultHost : undefined) ??
    terminalOf(parts.registry)
  const spawned = parts.spawner.spawn(id, target, args, {}, undefined)
  const { value, error } = await (spawned instanceof Promise
    ? endOfWorkflow(node, await spawned)
    : endOfProcess(node, spawned, args))
  if (error !== undefined) throw new CommandFailure(error.stack ?? error.message, 1)
  return exitCodeOf(value)
}

function endOfWorkflow({ parts }: RunningNode, pid: Pid): Promise<Outcome> {
  return parts.engines.get(pid.home.host)!.ended(String(pid.id))
}

/** To be called in the turn of its birth: the process may print, and end, in its first. */
async function endOfProcess({ parts, requests }: RunningNode, pid: Pid, args: readonly string[]): Promise<Outcome> {
  requests.terminals.attach(pid, { args })
  return outcomeOf(await parts.system.exited(pid), pid)
}

/** A number is the code itself; true and nil are 0, false is 1. Anything else went well. */
function exitCodeOf(value: unknown): number {
  if (typeof value === 'number') return Math.trunc(value) & 0xff
  return value === false ? 1 : 0
}

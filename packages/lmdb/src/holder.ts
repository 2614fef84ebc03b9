import { execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** Who has a folder open, told well enough to see later whether that process still lives. */
export interface Holder {
  /** Of this one opening: what each transaction compares. */
  readonly token: string
  readonly pid: number
  /** When the process began, in the words of its system, so that a reused pid is not taken for it. */
  readonly started: string | undefined
  /** The boot and the pid namespace that the pid belongs to. Another machine, boot or container has others. */
  readonly realm: string
}

export function thisProcess(token: string): Holder {
  return { token, pid: process.pid, started: startOf(process.pid), realm: realm() }
}

/**
 * True only if the very process that `holder` names certainly runs. In doubt (another pid namespace or machine) false:
 * the folder may then be taken over, and the fence in each transaction stops the old holder should it live.
 */
export function isAlive(holder: Holder): boolean {
  if (holder.realm !== realm()) return false
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const started = startOf(holder.pid)
  return started === undefined || holder.started === undefined || started === holder.started
}

function realm(): string {
  const boot = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim())
  const namespace = attempt(() => readlinkSync('/proc/self/ns/pid'))
  return [hostname(), boot ?? '', namespace ?? ''].join(' ')
}

function startOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    // The command's name may hold spaces and parentheses; field 22 counts from behind the last one.
    const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
    const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie is dead in all but name: its files are closed.
    return fields?.[0] === 'Z' ? 'ended' : fields?.[19]
  }
  if (process.platform === 'win32') return undefined
  return attempt(() => execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim())
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

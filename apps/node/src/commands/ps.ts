import { join, resolve } from 'node:path'
import { askNode } from '../control.ts'
import type { ServiceStatus } from '../services/status.ts'
import { printJson, printTable } from './output.ts'

interface Ps {
  readonly services: readonly ServiceStatus[]
  readonly processes: readonly { pid: string; behavior: string; status: string; mailbox: number }[]
  readonly workflows: readonly { worker: string; taskQueue: string; open: number }[]
}

/** `daruma ps [dir]`: services, processes and workflow hosts of the node of an app folder. */
export async function ps(flags: {
  readonly dir: string
  readonly data?: string
  readonly json?: boolean
}): Promise<number> {
  const found = (await askNode(flags.data ?? join(resolve(flags.dir), '.daruma'), 'node.ps')) as Ps
  if (flags.json === true) {
    printJson(found)
    return 0
  }
  printTable(
    found.services.map((each) => ({ ...each, restarts: each.restarts, reason: each.lastReason })),
    ['id', 'kind', 'state', 'restarts', 'reason'],
    'no services',
  )
  process.stdout.write('\n')
  printTable(found.processes, ['pid', 'behavior', 'status', 'mailbox'], 'no processes')
  process.stdout.write('\n')
  printTable(found.workflows, ['worker', 'taskQueue', 'open'], 'no workflow workers')
  return 0
}

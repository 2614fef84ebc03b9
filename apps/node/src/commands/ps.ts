import { join, resolve } from 'node:path'
import type { ShownProcess } from '../control-methods.ts'
import { askNode } from '../control.ts'
import type { ServiceStatus } from '../services/status.ts'
import { printJson, printTable } from './output.ts'

interface Ps {
  readonly services: readonly ServiceStatus[]
  readonly processes: readonly ShownProcess[]
  readonly workflows: readonly { worker: string; taskQueue: string; open: number }[]
}

interface Row extends Record<string, unknown> {
  readonly tree: string
  readonly kind: string
  readonly state: string
  readonly restarts?: number
  readonly mailbox?: number
  readonly reason?: string | undefined
}

/** `daruma ps [dir]`: the tree of services and processes of the node of an app folder, and its workflow hosts. */
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
  printTable([...treeOf(found)], ['tree', 'kind', 'state', 'restarts', 'mailbox', 'reason'], 'nothing runs')
  process.stdout.write('\n')
  printTable(found.workflows, ['worker', 'taskQueue', 'open'], 'no workflow workers')
  return 0
}

/** Services in their start order, each with its processes below it; then the processes that are nobody's service. */
function* treeOf({ services, processes }: Ps): Iterable<Row> {
  const children = new Map<string | undefined, ShownProcess[]>()
  for (const each of processes) {
    const siblings = children.get(each.parent)
    if (siblings === undefined) children.set(each.parent, [each])
    else siblings.push(each)
  }
  const owned = new Set(services.flatMap(({ pid }) => (pid === undefined ? [] : [pid])))
  const below = function* (each: ShownProcess, depth: number): Iterable<Row> {
    const { pid, behavior, status, mailbox } = each
    yield { tree: `${'  '.repeat(depth)}${pid}`, kind: behavior, state: status, mailbox }
    for (const child of children.get(pid) ?? []) if (!owned.has(child.pid)) yield* below(child, depth + 1)
  }
  for (const { id, kind, state, restarts, lastReason, pid } of services) {
    yield { tree: id, kind, state, restarts, reason: lastReason }
    const own = processes.find((each) => each.pid === pid)
    if (own !== undefined) yield* below(own, 1)
  }
  for (const root of children.get(undefined) ?? []) if (!owned.has(root.pid)) yield* below(root, 0)
}

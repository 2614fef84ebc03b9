import { AppError, formatPid } from '@daruma/protocol'
import { workerKinds } from '@daruma/registry'
import type { Description, WorkflowEngine } from '@daruma/workflow'
import type { ControlMethods } from './control.ts'
import type { NodeParts } from './parts.ts'
import type { ServiceStatus } from './services/status.ts'

/** What a second shell may ask of a node. Answers are plain JSON. */
export function controlMethods(parts: NodeParts, services: () => readonly ServiceStatus[]): ControlMethods {
  const engineFor = (workflowId: string): WorkflowEngine => {
    for (const engine of parts.engines.values()) if (engine.describe(workflowId) !== undefined) return engine
    throw new AppError('not_found', `no workflow ${workflowId} on this node`)
  }
  const onlyWorker = (): string => {
    const workers = [...parts.engines.keys()]
    if (workers.length === 1) return workers[0]!
    throw new AppError(
      'invalid',
      workers.length === 0
        ? `no workflow worker runs on this node; an entry of kind ${workerKinds.join(' or ')} with lifecycle.auto_start is one`
        : `several workers run here (${workers.join(', ')}); choose one with --host`,
    )
  }
  return {
    'node.info': () => ({ name: parts.name, pid: process.pid, processes: parts.system.size }),
    'node.ps': () => ({
      services: services(),
      processes: parts.system.processes().flatMap((pid) => {
        const info = parts.system.processInfo(pid)
        return info === undefined
          ? []
          : [{ pid: formatPid(pid), behavior: info.behavior, status: info.status, mailbox: info.mailboxLength }]
      }),
      workflows: [...parts.engines].map(([worker, engine]) => ({
        worker,
        taskQueue: engine.taskQueue,
        open: openCount(engine),
      })),
    }),
    'workflow.start': async ({ type, args, host, id }) => {
      const options = id === undefined ? {} : { workflowId: text(id) }
      const pid = await parts.spawner.spawn(
        text(type),
        host === undefined ? onlyWorker() : text(host),
        args as unknown[],
        options,
        undefined,
      )
      return { pid: formatPid(pid), workflowId: pid.id }
    },
    'workflow.list': ({ status, type }) =>
      [...parts.engines.values()]
        .flatMap((engine): Description[] => [...engine.list()])
        .filter(
          (each) => (status === undefined || each.status === status) && (type === undefined || each.type === type),
        )
        .toSorted((a, b) => a.startedAtMs - b.startedAtMs || (a.workflowId < b.workflowId ? -1 : 1)),
    'workflow.show': ({ id }) => engineFor(text(id)).describe(text(id)),
    'workflow.signal': async ({ id, topic, payload }) => {
      await engineFor(text(id)).send(text(id), text(topic), payload as unknown[])
    },
    'workflow.query': ({ id, name, args }) => engineFor(text(id)).query(text(id), text(name), args as unknown[]),
    'workflow.cancel': ({ id, reason }) => engineFor(text(id)).cancel(text(id), optionalText(reason)),
    'workflow.terminate': ({ id, reason }) => engineFor(text(id)).terminate(text(id), optionalText(reason)),
    'workflow.history': ({ id }) => engineFor(text(id)).history(text(id)),
    'workflow.wait': ({ id }) => engineFor(text(id)).ended(text(id)),
    'workflow.retry': ({ id }) => engineFor(text(id)).retryStuck(text(id)),
  }
}

function openCount(engine: WorkflowEngine): number {
  let open = 0
  for (const { status } of engine.list()) if (status === 'running' || status === 'stuck') open++
  return open
}

function text(value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  throw new AppError('invalid', `expected text, got ${JSON.stringify(value)}`)
}

function optionalText(value: unknown): string | undefined {
  return value === undefined ? undefined : text(value)
}

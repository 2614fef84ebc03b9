import type { ActorSystem, ProcessTree } from '@daruma/actors'
import { AppError, formatPid } from '@daruma/protocol'
import { workerKinds } from '@daruma/registry'
import {
  exportJournal,
  type Description,
  type ListFilter,
  type Schedules,
  type ScheduleSpec,
  type WorkflowEngine,
} from '@daruma/workflow'
import type { ControlMethods } from './control.ts'
import type { NodeParts } from './parts.ts'
import type { ServiceStatus } from './services/status.ts'

/** What a second shell may ask of a node. Answers are plain JSON. */
export function controlMethods(parts: NodeParts, services: () => readonly ServiceStatus[]): ControlMethods {
  const engineFor = async (workflowId: string): Promise<WorkflowEngine> => {
    for (const engine of parts.engines.values()) if ((await engine.find(workflowId)) !== undefined) return engine
    throw new AppError('not_found', `no workflow ${workflowId} in the task queues of this node`)
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
  const schedulesFor = (host: unknown): Schedules => {
    const worker = host === undefined ? onlyWorker() : text(host)
    const engine = parts.engines.get(worker)
    if (engine === undefined) throw new AppError('not_found', `no workflow worker ${worker} on this node`)
    return engine.schedules
  }
  const schedulesWith = async (name: string): Promise<Schedules> => {
    for (const { schedules } of parts.engines.values()) if (await schedules.has(name)) return schedules
    throw new AppError('not_found', `no schedule "${name}" in the task queues of this node`)
  }
  return {
    'node.info': () => ({ name: parts.name, pid: process.pid, processes: parts.system.size }),
    'node.ps': () => ({
      services: services(),
      processes: parts.system.tree().flatMap((root) => [...shownProcesses(parts.system, root, undefined)]),
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
    'workflow.list': ({ queue, ...filter }) =>
      [...parts.engines.values()]
        .filter(({ taskQueue }) => queue === undefined || taskQueue === queue)
        .flatMap((engine): Description[] => [...engine.list(filter as ListFilter)])
        .toSorted((a, b) => a.startedAtMs - b.startedAtMs || (a.workflowId < b.workflowId ? -1 : 1)),
    'workflow.show': async ({ id }) => (await engineFor(text(id))).find(text(id)),
    'workflow.signal': async ({ id, topic, payload }) => {
      await (await engineFor(text(id))).send(text(id), text(topic), payload as unknown[])
    },
    'workflow.query': async ({ id, name, args }) =>
      (await engineFor(text(id))).query(text(id), text(name), args as unknown[]),
    'workflow.cancel': async ({ id, reason }) => (await engineFor(text(id))).cancel(text(id), optionalText(reason)),
    'workflow.terminate': async ({ id, reason }) =>
      (await engineFor(text(id))).terminate(text(id), optionalText(reason)),
    'workflow.update': async ({ id, name, args, updateId, waitFor }) => ({
      value: await (
        await engineFor(text(id))
      ).update(text(id), text(name), args as unknown[], {
        ...(updateId === undefined ? {} : { updateId: text(updateId) }),
        ...(waitFor === 'accepted' ? { waitFor } : {}),
      }),
    }),
    'workflow.history': async ({ id }) => {
      const engine = await engineFor(text(id))
      const events = await engine.history(text(id))
      return exportJournal({ self: engine.pidOf(text(id)), taskQueue: engine.taskQueue, events })
    },
    'schedule.create': ({ name, spec, host }) => schedulesFor(host).create(text(name), spec as ScheduleSpec),
    'schedule.replace': async ({ name, spec }) =>
      (await schedulesWith(text(name))).replace(text(name), spec as ScheduleSpec),
    'schedule.list': () =>
      Promise.all(
        [...parts.engines.values()].flatMap(({ schedules }) =>
          [...schedules.list()].map(async ({ name }) => ({ name, ...(await schedules.describe(name)) })),
        ),
      ),
    'schedule.show': async ({ name }) => (await schedulesWith(text(name))).describe(text(name)),
    'schedule.pause': async ({ name, note }) => (await schedulesWith(text(name))).pause(text(name), optionalText(note)),
    'schedule.resume': async ({ name, note }) =>
      (await schedulesWith(text(name))).resume(text(name), optionalText(note)),
    'schedule.trigger': async ({ name }) => (await schedulesWith(text(name))).trigger(text(name)),
    'schedule.backfill': async ({ name, fromMs, toMs }) =>
      (await schedulesWith(text(name))).backfill(text(name), fromMs as number, toMs as number),
    'schedule.delete': async ({ name }) => (await schedulesWith(text(name))).delete(text(name)),
    'workflow.wait': async ({ id }) => (await engineFor(text(id))).ended(text(id)),
    'workflow.retry': async ({ id }) => (await engineFor(text(id))).retryStuck(text(id)),
  }
}

/** One process as `daruma ps` shows it. */
export interface ShownProcess {
  readonly pid: string
  /** Who spawned it, where that one still lives. */
  readonly parent: string | undefined
  readonly behavior: string
  readonly status: string
  readonly mailbox: number
}

/** Parents before their children. */
function* shownProcesses(system: ActorSystem, at: ProcessTree, parent: string | undefined): Iterable<ShownProcess> {
  const info = system.processInfo(at.pid)
  const pid = formatPid(at.pid)
  if (info !== undefined) yield { pid, parent, behavior: at.behavior, status: info.status, mailbox: info.mailboxLength }
  for (const child of at.children) yield* shownProcesses(system, child, pid)
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

import type { WorkflowInfo } from '@daruma/protocol'
import type { HostContext } from '../engine.ts'
import { sessionOf } from '../session.ts'
import { toData } from '../value.ts'
import { invalid, isTable, requireFunction, requireInteger, requireName, requireTable } from './support/args.ts'
import { execPlain } from './process.ts'
import { fallible, type LuaModule } from './support/module.ts'

function infoOf(ctx: HostContext): WorkflowInfo {
  const { workflow } = sessionOf(ctx).host
  if (workflow === undefined) throw invalid('this program is not a workflow')
  return workflow
}

export const workflowModule: LuaModule = {
  name: 'workflow',
  summary: 'What only a workflow has: its run, its versions, its attributes.',
  deterministic: true,
  spec: {
    info: fallible((ctx) => {
      const info = infoOf(ctx)
      return [
        {
          workflow_id: info.workflowId,
          run_id: info.runId,
          workflow_type: info.workflowType,
          task_queue: info.taskQueue,
          namespace: info.namespace,
          attempt: info.attempt,
          history_length: info.historyLength,
          history_size: info.historySizeBytes,
        },
      ]
    }),
    exec: fallible((ctx, [id, ...args]) => execPlain(sessionOf(ctx), [id, infoOf(ctx).taskQueue, ...args])),
    version: fallible((ctx, [change, min, max]) => {
      const from = requireInteger(min, 'version: min')
      const to = requireInteger(max, 'version: max')
      if (from > to) throw invalid(`version: min ${from} is greater than max ${to}`)
      const command = { kind: 'version', change: requireName(change, 'version: change'), min: from, max: to } as const
      return sessionOf(ctx).ask(command)
    }),
    attrs: fallible((ctx, [attributes]) => {
      const table = requireTable(attributes, 'attrs: attributes')
      const part = (name: 'search' | 'memo'): Readonly<Record<string, unknown>> | undefined => {
        const value = table.get(name)
        if (value === undefined) return undefined
        if (!isTable(value)) throw invalid(`attrs: ${name} must be a table`)
        const data = toData(value)
        return Array.isArray(data) ? {} : (data as Record<string, unknown>)
      }
      const search = part('search')
      const memo = part('memo')
      return sessionOf(ctx).ask(
        {
          kind: 'attributes',
          ...(search === undefined ? {} : { search }),
          ...(memo === undefined ? {} : { memo }),
        },
        () => [true],
      )
    }),
    history_length: fallible((ctx) => [infoOf(ctx).historyLength]),
    history_size: fallible((ctx) => [infoOf(ctx).historySizeBytes]),
    on_query: fallible((ctx, [name, handler]) => {
      sessionOf(ctx).queries.set(requireName(name, 'on_query: name'), requireFunction(handler, 'on_query: handler'))
      return [true]
    }),
  },
  docs: {
    'workflow.info() -> table | nil, error':
      'workflow_id, run_id, workflow_type, task_queue, namespace, attempt, history_length, history_size.',
    'workflow.exec(id, ...) -> result | nil, error': 'Runs a child on the same task queue and waits for it.',
    'workflow.version(change, min, max) -> number': 'Fixed for the run at its first use: gates a change of code.',
    'workflow.attrs({search = table, memo = table}) -> true | nil, error': 'What lists and filters show.',
    'workflow.history_length(), history_size() -> number': 'Events and bytes so far.',
    'workflow.on_query(name, handler) -> true': 'Answers reads from outside; the handler may not block.',
  },
}

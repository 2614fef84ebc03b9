import { outcomeOf, type ProgramHandlers } from '@daruma/actors'
import { fromWire, type Outcome, type Pid, type SpawnOptions } from '@daruma/protocol'
import { workerKinds, type Registry } from '@daruma/registry'
import type { WorkflowEngine } from '@daruma/workflow'
import type { Functions, RequestScope, Spawner } from '../parts.ts'
import type { Programs } from '../programs.ts'
import type { WorkflowPids } from './workflow-pids.ts'

export interface HandlersOptions {
  readonly registry: Registry
  readonly programs: Programs
  readonly functions: Functions
  readonly spawner: Spawner
  readonly engines: ReadonlyMap<string, WorkflowEngine>
  readonly workflowPids: WorkflowPids
  readonly request: (handler: string, input: unknown, scope: RequestScope) => unknown
}

/** What every process of this node may ask for. */
export function programHandlers(options: HandlersOptions): ProgramHandlers {
  const { programs, functions, spawner, workflowPids } = options
  const withContext = (given: SpawnOptions, scope: RequestScope): SpawnOptions => ({
    ...given,
    context: { ...scope.context, ...given.context },
  })
  return {
    call: (target, args, call, scope) =>
      functions.call(target, args, {
        context: { ...scope.context, ...call.context },
        signal: scope.signal,
        ...(call.startToCloseMs === undefined ? {} : { timeoutMs: call.startToCloseMs }),
      }),
    spawn: (target, host, args, given, scope) =>
      spawner.spawn(target, host, args, withContext(given, scope), scope.self),
    exec: async (target, host, args, given, scope) => {
      const pid = await spawner.spawn(target, host, args, withContext(given, scope), scope.self)
      const { value, error } = await endOf(options, pid, host, scope)
      if (error !== undefined) throw fromWire(error)
      return value
    },
    request: (handler, input, scope) => options.request(handler, input, scope),
    route: (to, command, scope) => workflowPids.route(to, command, scope),
    upgrade: (target, entry) => programs.factory(target ?? entry, ['process.lua', 'function.lua']),
  }
}

async function endOf(
  { registry, engines }: HandlersOptions,
  pid: Pid,
  host: string,
  scope: RequestScope,
): Promise<Outcome> {
  const engine = (workerKinds as readonly string[]).includes(registry.get(host)?.kind ?? '')
    ? engines.get(pid.home.host)
    : undefined
  if (engine !== undefined) {
    const abandoned = (): void => void engine.cancel(String(pid.id), 'the one who waits gave up').catch(() => undefined)
    scope.signal.addEventListener('abort', abandoned, { once: true })
    try {
      return await engine.ended(String(pid.id))
    } finally {
      scope.signal.removeEventListener('abort', abandoned)
    }
  }
  const { system } = scope.ctx
  const abandoned = (): void => system.exit(pid, { kind: 'kill' })
  scope.signal.addEventListener('abort', abandoned, { once: true })
  try {
    return outcomeOf(await system.exited(pid), pid)
  } finally {
    scope.signal.removeEventListener('abort', abandoned)
  }
}

import { outcomeOf, type ProgramHandlers } from '@daruma/actors'
import { fromWire, type CallOptions, type Outcome, type Pid, type SpawnOptions } from '@daruma/protocol'
import type { WorkflowEngine } from '@daruma/workflow'
import type { Functions, RequestScope, Spawner } from '../parts.ts'
import type { Programs } from '../programs.ts'
import type { WorkflowPids } from './workflow-pids.ts'

export interface HandlersOptions {
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
    context: { ...inherited(scope.context), ...given.context },
  })
  return {
    call: (target, args, call, scope) =>
      functions.call(target, args, {
        context: { ...scope.context, ...call.context },
        signal: scope.signal,
        ...timeoutOf(call),
        ...(call.retry === undefined ? {} : { retry: call.retry }),
      }),
    spawn: (target, host, args, given, scope) =>
      spawner.spawn(target, host, args, withContext(given, scope), scope.self),
    exec: async (target, host, args, given, scope) => {
      const spawned = spawner.spawn(target, host, args, withContext(given, scope), scope.self)
      const pid = spawned instanceof Promise ? await spawned : spawned
      const { value, error } = await (typeof pid.id === 'string'
        ? endOfWorkflow(options.engines, pid, scope)
        : endOfProcess(pid, scope))
      if (error !== undefined) throw fromWire(error)
      return value
    },
    request: (handler, input, scope) => options.request(handler, input, scope),
    route: (to, command, scope) => workflowPids.route(to, command, scope),
    upgrade: (target, entry) => programs.factory(target ?? entry, ['process.lua', 'function.lua']),
  }
}

/** What a program serves at the moment is its own affair: a process that it spawns serves nothing yet. */
function inherited(context: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { '@http': _http, '@queue': _queue, '@activity': _activity, ...rest } = context
  return rest
}

/** Here a call has one limit, over all its attempts. */
function timeoutOf({ startToCloseMs, scheduleToCloseMs }: CallOptions): { readonly timeoutMs?: number } {
  const timeoutMs = scheduleToCloseMs ?? startToCloseMs
  return timeoutMs === undefined ? {} : { timeoutMs }
}

async function endOfWorkflow(engines: HandlersOptions['engines'], pid: Pid, scope: RequestScope): Promise<Outcome> {
  const engine = engines.get(pid.home.host)!
  const id = String(pid.id)
  const abandoned = (): void => void engine.cancel(id, 'the one who waits gave up').catch(() => undefined)
  return whileWanted(scope.signal, abandoned, engine.ended(id))
}

/** To be called in the turn of its birth: a short process ends in its first. */
async function endOfProcess(pid: Pid, scope: RequestScope): Promise<Outcome> {
  const { system } = scope.ctx
  const abandoned = (): void => system.exit(pid, { kind: 'kill' })
  return outcomeOf(await whileWanted(scope.signal, abandoned, system.exited(pid)), pid)
}

async function whileWanted<T>(signal: AbortSignal, abandoned: () => void, ended: Promise<T>): Promise<T> {
  signal.addEventListener('abort', abandoned, { once: true })
  try {
    return await ended
  } finally {
    signal.removeEventListener('abort', abandoned)
  }
}

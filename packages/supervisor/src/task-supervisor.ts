import type { BodyContext, Context } from '@daruma/actors'
import { ActorSystem } from '@daruma/actors'
import type { ExitReason, Pid } from '@daruma/protocol'
import { AppError, describeReason, fromWire } from '@daruma/protocol'
import type { ShutdownMs } from './child-spec.ts'
import type { DynamicSupervisorSpec } from './dynamic-supervisor.ts'
import { dynamicSupervisor } from './dynamic-supervisor.ts'
import { startDynamicChild, terminateDynamicChild } from './manage.ts'
import type { DynamicSupervisor } from './messages.ts'

/** What a task process is started with. */
export interface TaskJob {
  readonly run: (ctx: BodyContext) => unknown
  /** Linked with the task: either's crash is the other's. */
  readonly owner: Pid | undefined
  readonly ended: (reason: ExitReason) => void
}

export type TaskSupervisor = DynamicSupervisor<TaskJob>

/** How a task came out. */
export type TaskOutcome<R> =
  { readonly kind: 'returned'; readonly value: R } | { readonly kind: 'exited'; readonly reason: ExitReason }

export interface Task<R> {
  readonly pid: Pid
  /** Never rejects. */
  readonly outcome: Promise<TaskOutcome<R>>
  /** Stops it, as its supervisor stops children, and resolves when it is gone. Fine when it is gone already. */
  cancel(): Promise<void>
}

export interface TaskOptions {
  /** Links the task with the process whose context asks, before it runs. Default false. */
  readonly link?: boolean
}

export interface StreamOptions extends TaskOptions {
  /** Tasks that run at once. Default 8. */
  readonly maxConcurrency?: number
  /** Results come in the order of the items (default), or as they are there. */
  readonly ordered?: boolean
  /** A task that takes longer is killed, and its outcome is an error of kind timeout. Default `Infinity`. */
  readonly timeoutMs?: number
}

type Owner = ActorSystem | Context

/**
 * A supervisor of tasks: processes that compute one value. They are temporary, so a crash is reported and harms nobody
 * who is not linked.
 */
export function taskSupervisor(
  options: { readonly maxChildren?: number | 'infinity'; readonly shutdownMs?: ShutdownMs } = {},
): ReturnType<typeof dynamicSupervisor<TaskJob>> {
  const { maxChildren = 'infinity', shutdownMs = 5_000 } = options
  const spec: DynamicSupervisorSpec<TaskJob> = {
    maxChildren,
    child: { id: 'task', start: runJob, restart: 'temporary', shutdownMs },
  }
  return dynamicSupervisor(spec)
}

/** Runs `run` in a process of its own. @throws AppError rate_limited - the supervisor has its maximum of children */
export async function startTask<R>(
  owner: Owner,
  tasks: TaskSupervisor,
  run: (ctx: BodyContext) => R,
  options: TaskOptions = {},
): Promise<Task<Awaited<R>>> {
  let ended!: (reason: ExitReason) => void
  const outcome = new Promise<TaskOutcome<Awaited<R>>>((resolve) => {
    ended = (reason) =>
      resolve(
        reason.kind === 'normal' ? { kind: 'returned', value: reason.value as Awaited<R> } : { kind: 'exited', reason },
      )
  })
  const linked = options.link === true ? ownerPid(owner) : undefined
  const reply = await startDynamicChild(owner, tasks, { run, owner: linked, ended })
  if (reply.kind !== 'started' || reply.pid === undefined) throw refused(reply.kind)
  const { pid } = reply
  return {
    pid,
    outcome,
    cancel: async () => {
      await terminateDynamicChild(owner, tasks, pid)
    },
  }
}

/**
 * The value of a task. After `timeoutMs` (default 5,000) it rejects with kind timeout and forgets the task, which runs
 * on; nothing of it comes later (rule 61). Rejects with unavailable if the task ended any other way than by returning;
 * `details.reason` says how.
 */
export function awaitTask<R>(owner: Owner, task: Task<R>, timeoutMs = 5_000): Promise<R> {
  return new Promise((resolve, reject) => {
    const expire = (): void =>
      reject(new AppError('timeout', `task ${task.pid} did not return within ${timeoutMs} ms`, { pid: task.pid }))
    const stopWaiting = timeoutMs === Infinity ? undefined : systemOf(owner).clock.after(timeoutMs, expire)
    void task.outcome.then((outcome) => {
      stopWaiting?.()
      if (outcome.kind === 'returned') resolve(outcome.value)
      else reject(failed(task.pid, outcome.reason))
    })
  })
}

/**
 * Runs `run` on each item, each in a task, at most `maxConcurrency` at once, and yields what came of them, with the
 * item's place. Items are taken as results are: no more than `maxConcurrency` results wait. Leaving the loop cancels
 * what still runs.
 */
export async function* streamTasks<T, R>(
  owner: Owner,
  tasks: TaskSupervisor,
  items: Iterable<T> | AsyncIterable<T>,
  run: (item: T, ctx: BodyContext) => R,
  options: StreamOptions = {},
): AsyncGenerator<TaskOutcome<Awaited<R>> & { readonly at: number }, void, undefined> {
  const { maxConcurrency = 8, ordered = true, timeoutMs = Infinity } = options
  if (!(maxConcurrency >= 1))
    throw new AppError('invalid', `maxConcurrency must be at least 1, found ${maxConcurrency}`)
  type Result = TaskOutcome<Awaited<R>> & { readonly at: number }
  const source = iterate(items)
  const running = new Map<number, { readonly task: Task<Awaited<R>>; readonly result: Promise<Result> }>()
  let taken = 0
  let isDone = false
  try {
    for (;;) {
      while (!isDone && running.size < maxConcurrency) {
        const item = await source.next()
        if (item.done === true) {
          isDone = true
          break
        }
        const at = taken++
        const task = await startTask(owner, tasks, (ctx) => run(item.value, ctx), options)
        const outcome = limited(systemOf(owner), task, timeoutMs)
        running.set(at, { task, result: outcome.then((result) => ({ ...result, at })) })
      }
      if (running.size === 0) return
      const [first] = running.values()
      const result = ordered
        ? await first!.result
        : await Promise.race(Array.from(running.values(), (entry) => entry.result))
      running.delete(result.at)
      yield result
    }
  } finally {
    await Promise.all(Array.from(running.values(), ({ task }) => task.cancel()))
    if (!isDone) await source.return?.()
  }
}

function runJob(ctx: BodyContext, job: TaskJob): unknown {
  // Watched from inside: a task may return before its starter has read who it is.
  ctx.system.watchExit(ctx.self, job.ended)
  if (job.owner !== undefined) ctx.link(job.owner)
  return job.run(ctx)
}

function limited<R>(system: ActorSystem, task: Task<R>, timeoutMs: number): Promise<TaskOutcome<R>> {
  if (timeoutMs === Infinity) return task.outcome
  return new Promise((resolve) => {
    const stopWaiting = system.clock.after(timeoutMs, () => {
      system.exit(task.pid, { kind: 'kill' })
      const error = { kind: 'timeout', message: `task did not return within ${timeoutMs} ms; it was killed` } as const
      resolve({ kind: 'exited', reason: { kind: 'error', error } })
    })
    void task.outcome.then((outcome) => {
      stopWaiting()
      resolve(outcome)
    })
  })
}

function iterate<T>(items: Iterable<T> | AsyncIterable<T>): AsyncIterator<T> | Iterator<T> {
  return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
}

function systemOf(owner: Owner): ActorSystem {
  return owner instanceof ActorSystem ? owner : owner.system
}

function ownerPid(owner: Owner): Pid {
  if (owner instanceof ActorSystem) {
    throw new AppError('invalid', 'a task can be linked with a process only; ask with its ctx, not with the system')
  }
  return owner.self
}

function refused(kind: string): AppError {
  if (kind === 'max_children') return new AppError('rate_limited', 'the task supervisor has its maximum of children')
  return new AppError('unavailable', `the task did not start: ${kind}`)
}

function failed(pid: Pid, reason: ExitReason): AppError {
  const options = reason.kind === 'error' ? { cause: fromWire(reason.error) } : {}
  return new AppError('unavailable', `task ${pid} ended: ${describeReason(reason)}`, { pid, reason }, options)
}

import { AppError, isAppError } from '@daruma/protocol'
import type { ActivityExecution } from '@daruma/lua'
import type { ActivityExecutor, ActivityTask } from '@daruma/workflow'
import type { Functions, RequestScope } from '../parts.ts'
import type { RequestHandlers } from '../requests/table.ts'

/** Under which context key a function finds which execution of an activity it is (`ctx.activity()` in Lua). */
const executionKey = '@activity'

/** Runs the calls of workflows as function calls, and takes the heartbeats of those that run. */
export class Activities implements ActivityExecutor {
  readonly #functions: Functions
  readonly #running = new Map<string, ActivityTask>()

  constructor(functions: Functions) {
    this.#functions = functions
  }

  async execute(task: ActivityTask): Promise<unknown> {
    const { kind, target, args, context, signal, idempotencyKey, attempt, workflowId, lastHeartbeat: heartbeat } = task
    if (kind === 'request') {
      const message = `${target} is not available in a workflow; call a function that uses it`
      throw new AppError('invalid', message, undefined, { retryable: false })
    }
    const execution: ActivityExecution = {
      idempotencyKey,
      attempt,
      workflowId,
      ...(heartbeat === undefined ? {} : { heartbeat }),
    }
    this.#running.set(idempotencyKey, task)
    try {
      return await this.#functions.call(target, args, {
        context: { ...context, [executionKey]: execution },
        // The workflow's policy decides: attempts within attempts would be nobody's count.
        retry: 'never',
        signal,
      })
    } catch (error) {
      // It may come with the next deployment: whoever retries by a policy of his own, waits for it.
      if (isAppError(error, 'not_found') && (error.details as { entryId?: unknown } | undefined)?.entryId === target) {
        throw new AppError('not_found', `no function ${target}: ${error.message}`, error.details, { retryable: true })
      }
      throw error
    } finally {
      this.#running.delete(idempotencyKey)
    }
  }

  requests(): RequestHandlers {
    return {
      'activity.heartbeat': ({ details }, scope: RequestScope) => {
        const execution = scope.context[executionKey] as ActivityExecution | undefined
        // One that nobody waits for any longer may beat on: it learns of its end by its signal.
        this.#running.get(execution?.idempotencyKey ?? '')?.heartbeat(details)
        return null
      },
    }
  }
}

import { isAppError, AppError } from '@daruma/protocol'
import type { ActivityExecutor } from '@daruma/workflow'
import type { Functions } from '../parts.ts'

/**
 * Runs the calls of workflows as function calls. The function finds `idempotency_key`, `attempt` and `workflow_id` in its
 * context (`ctx.get` in Lua).
 */
export function activityExecutor(functions: () => Functions): ActivityExecutor {
  return {
    async execute(task) {
      if (task.kind === 'request') {
        throw new AppError(
          'invalid',
          `${task.target} is not available in a workflow; call a function that uses it`,
          undefined,
          { retryable: false },
        )
      }
      try {
        return await functions().call(task.target, task.args, {
          context: {
            ...task.context,
            idempotency_key: task.idempotencyKey,
            attempt: task.attempt,
            workflow_id: task.workflowId,
          },
          signal: task.signal,
        })
      } catch (error) {
        // It may come with the next deployment: whoever retries by a policy of his own, waits for it.
        if (
          isAppError(error, 'not_found') &&
          (error.details as { entryId?: unknown } | undefined)?.entryId === task.target
        ) {
          throw new AppError('not_found', `no function ${task.target}: ${error.message}`, error.details, {
            retryable: true,
          })
        }
        throw error
      }
    },
  }
}

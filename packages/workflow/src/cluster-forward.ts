import type { Cluster } from '@daruma/actors'
import { AppError, isAppError } from '@daruma/protocol'
import type { WorkflowEngine } from './engine.ts'
import type { Forward, ForwardedRequest } from './forward.ts'

/** Part of the protocol between nodes. */
const service = 'workflow'

/** An owner that has the request but not its answer after this long is asked again, or the caller is told. */
const answerMs = 30_000

/** Forwards over the cluster of actors: see Forward. */
export function forwardOver(cluster: Cluster): Forward {
  return async (node, taskQueue, request) => {
    try {
      return await cluster.ask(node, service, [taskQueue, request], {
        timeoutMs: waitsForWorkflow(request) ? Infinity : answerMs,
      })
    } catch (error) {
      // It was not sent at all: that node takes too little, or is of a version that has no such service.
      if (isAppError(error, 'rate_limited') || (isAppError(error, 'not_found') && isOfService(error))) {
        throw new AppError('unavailable', error.message, { notDone: true }, { retryable: true, cause: error })
      }
      throw error
    }
  }
}

/** Answers what other nodes forward. Returns the way out. */
export function serveWorkflows(
  cluster: Cluster,
  engineOf: (taskQueue: string) => WorkflowEngine | undefined,
): () => void {
  return cluster.serve(service, (input) => {
    const [taskQueue, request] = Array.isArray(input) ? (input as readonly unknown[]) : []
    if (typeof taskQueue !== 'string') throw new AppError('invalid', 'a forwarded request without a task queue')
    const engine = engineOf(taskQueue)
    if (engine !== undefined) return engine.answer(request)
    throw new AppError(
      'unavailable',
      `task queue ${taskQueue} is not served on this node`,
      { notDone: true },
      { retryable: true },
    )
  })
}

/** These are answered when the workflow gets there, not when a commit does. */
function waitsForWorkflow(request: ForwardedRequest): boolean {
  return request.kind === 'ended' || (request.kind === 'submit' && request.request.kind === 'update')
}

function isOfService(error: AppError): boolean {
  return (error.details as { service?: unknown } | undefined)?.service === service
}

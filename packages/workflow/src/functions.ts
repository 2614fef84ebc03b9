import { AppError, isAppError, toWire } from '@daruma/protocol'
import type { ActivityExecutor, ActivityTask } from './activity.ts'
import type { FunctionDefinition } from './define.ts'

/**
 * Executes TypeScript functions by name. What a function throws decides its retry: an AppError by its own word, any
 * other error is taken for a passing fault and retried by the call's policy.
 */
export class FunctionExecutor implements ActivityExecutor {
  readonly #functions: ReadonlyMap<string, FunctionDefinition<never, unknown>>

  constructor(functions: Iterable<FunctionDefinition<never, unknown>>) {
    this.#functions = new Map([...functions].map((definition) => [definition.name, definition]))
  }

  async execute(task: ActivityTask): Promise<unknown> {
    const definition = this.#functions.get(task.target)
    if (definition === undefined) {
      const known = [...this.#functions.keys()].join(', ') || 'none'
      throw new AppError('not_found', `no function "${task.target}"; there are: ${known}`, undefined, {
        retryable: false,
      })
    }
    try {
      return await definition.run(task.args[0] as never, task)
    } catch (error) {
      if (isAppError(error)) throw error
      const { message } = toWire(error)
      throw new AppError('internal', message, undefined, { retryable: true, cause: error })
    }
  }
}

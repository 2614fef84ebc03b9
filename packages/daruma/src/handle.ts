import { fromWire, type Pid } from '@daruma/protocol'
import type { Description, WorkflowEngine } from '@daruma/workflow'

/** One workflow, seen from outside. Holding a handle costs the workflow nothing. */
export interface WorkflowHandle<O> {
  readonly id: string
  readonly pid: Pid
  /**
   * The result, whenever it comes and however often the node restarted before; rejects with the workflow's error.
   *
   * @throws AppError unavailable - this node stopped first; the workflow goes on where its journal is opened again
   */
  result(): Promise<O>
  /** Resolves when the message stands in the journal. With a `messageId`, a repeat is taken once. */
  send(topic: string, payload?: unknown, options?: { readonly messageId?: string }): Promise<void>
  query(name: string, ...args: unknown[]): Promise<unknown>
  /** Resolves with what the workflow's handler answers; rejects if it refuses, and then nothing of it is recorded. */
  update(name: string, args: readonly unknown[], options?: { readonly updateId?: string }): Promise<unknown>
  cancel(reason?: string): Promise<void>
  terminate(reason?: string): Promise<void>
  describe(): Description | undefined
}

export function workflowHandle<O>(engine: WorkflowEngine, pid: Pid): WorkflowHandle<O> {
  const id = String(pid.id)
  return {
    id,
    pid,
    async result() {
      const { value, error } = await engine.ended(id)
      if (error !== undefined) throw fromWire(error)
      return value as O
    },
    send: (topic, payload, options) => engine.send(id, topic, payload === undefined ? [] : [payload], options),
    async query(name, ...args) {
      const answer = (await engine.query(id, name, args)) as
        { value: unknown } | { error: Parameters<typeof fromWire>[0] }
      if ('error' in answer) throw fromWire(answer.error)
      return answer.value
    },
    update: (name, args, options) => engine.update(id, name, args, options),
    cancel: (reason) => engine.cancel(id, reason),
    terminate: (reason) => engine.terminate(id, reason),
    describe: () => engine.describe(id),
  }
}

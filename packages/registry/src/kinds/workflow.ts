import type { EntryId } from '@daruma/protocol'
import * as v from 'valibot'
import { lifecycle, type Lifecycle } from '../lifecycle.ts'
import { count, defined, kind, oneOrMany, open, ref, text } from '../schema.ts'

/** Where workflows are kept and who runs them. `temporal.*` are other names of the same two things. */

export interface WorkflowClient {
  /** NATS servers; empty: the embedded journal. */
  readonly servers: readonly string[]
  /** Asked for by `address: embedded`, or by naming no server at all. */
  readonly embedded: boolean
  readonly namespace: string
  readonly credentials?: string
  readonly tls?: Readonly<Record<string, unknown>>
  readonly auth?: Readonly<Record<string, unknown>>
  readonly lifecycle: Lifecycle
}

export interface WorkflowWorker {
  readonly client: EntryId
  readonly taskQueue: string
  readonly maxConcurrentWorkflows?: number
  readonly maxConcurrentActivities?: number
  readonly maxConcurrentLocalActivities?: number
  readonly lifecycle: Lifecycle
}

export const clientKinds = ['nats.client', 'temporal.client'] as const

export const workflowClient = kind({
  data: v.object({
    address: v.optional(text()),
    servers: v.optional(oneOrMany(text()), []),
    namespace: v.optional(text(), 'default'),
    credentials: v.optional(text()),
    tls: v.optional(open()),
    auth: v.optional(open()),
    lifecycle,
  }),
  view: ({ address, servers, namespace, credentials, tls, auth, lifecycle }): WorkflowClient => {
    const all = address === undefined || address === 'embedded' ? servers : [address, ...servers]
    return {
      servers: all,
      embedded: address === 'embedded' || all.length === 0,
      namespace,
      lifecycle,
      ...defined({ credentials, tls, auth }),
    }
  },
})

export const workflowWorker = kind({
  data: v.object({
    client: ref(clientKinds),
    task_queue: text(),
    worker_options: v.optional(
      v.looseObject({
        max_concurrent_workflow_task_execution_size: v.optional(count(1)),
        max_concurrent_activity_execution_size: v.optional(count(1)),
        max_concurrent_local_activity_execution_size: v.optional(count(1)),
      }),
      {},
    ),
    lifecycle,
  }),
  view: ({ client, task_queue, worker_options, lifecycle }): WorkflowWorker => ({
    client,
    taskQueue: task_queue,
    lifecycle,
    ...defined({
      maxConcurrentWorkflows: worker_options.max_concurrent_workflow_task_execution_size,
      maxConcurrentActivities: worker_options.max_concurrent_activity_execution_size,
      maxConcurrentLocalActivities: worker_options.max_concurrent_local_activity_execution_size,
    }),
  }),
})

import type { EntryId } from '@daruma/protocol'
import * as v from 'valibot'
import { lifecycle, type Lifecycle } from '../lifecycle.ts'
import { count, defined, duration, kind, ref } from '../schema.ts'
import { processHostKinds } from './code.ts'

/** Where processes run, which are kept up, and the groups they form. */

export interface ProcessHost {
  readonly workers?: number
  readonly maxProcesses?: number
  readonly queueSize?: number
  readonly lifecycle: Lifecycle
}

export interface ProcessService {
  readonly process: EntryId
  readonly host: EntryId
  /** Arguments of the process. */
  readonly input: readonly unknown[]
  readonly lifecycle: Lifecycle
}

export interface TerminalHost {
  readonly hideLogs: boolean
  readonly lifecycle: Lifecycle
}

export interface PgScope {
  readonly broadcastTimeoutMs: number
  /** 0: no limit. */
  readonly maxGroups: number
  /** Counts a process as often as it joined. 0: no limit. */
  readonly maxMembersPerGroup: number
  readonly lifecycle: Lifecycle
}

const capacity = {
  workers: v.optional(count(1)),
  max_processes: v.optional(count()),
  queue_size: v.optional(count(1)),
  local_queue_size: v.optional(count(1)),
}

export const processHost = kind({
  // The fields stand under `host`; older apps have them one level higher.
  data: v.object({ ...capacity, host: v.optional(v.object(capacity), {}), lifecycle }),
  view: ({ host, lifecycle, ...outer }): ProcessHost => ({
    lifecycle,
    ...defined({
      workers: host.workers ?? outer.workers,
      maxProcesses: host.max_processes ?? outer.max_processes,
      queueSize: host.queue_size ?? outer.queue_size,
    }),
  }),
})

export const processService = kind({
  data: v.object({
    process: ref(['process.lua']),
    host: ref(processHostKinds),
    input: v.optional(v.unknown(), []),
    lifecycle,
  }),
  view: ({ process, host, input, lifecycle }): ProcessService => ({
    process,
    host,
    input: Array.isArray(input) ? input : [input],
    lifecycle,
  }),
})

export const terminalHost = kind({
  data: v.object({ hide_logs: v.optional(v.boolean(), false), lifecycle }),
  view: ({ hide_logs, lifecycle }): TerminalHost => ({ hideLogs: hide_logs, lifecycle }),
})

export const pgScope = kind({
  data: v.object({
    broadcast_timeout: v.optional(duration(), '5s'),
    max_groups: v.optional(count(), 0),
    max_members_per_group: v.optional(count(), 0),
    lifecycle,
  }),
  view: (data): PgScope => ({
    broadcastTimeoutMs: data.broadcast_timeout,
    maxGroups: data.max_groups,
    maxMembersPerGroup: data.max_members_per_group,
    lifecycle: data.lifecycle,
  }),
})
